"""Notices that the proxy's configuration file asks for something else.

As in kube-proxy the process then ends, and whoever runs it starts it anew: rules stay meanwhile,
and the new process finds most of them right.  Two things are better here.  A file that cannot be
used is reported and the process goes on as it is, because a proxy that cannot start again follows
nothing; and a file that says the same in other words changes nothing.

Parity: kube-proxy ``cmd/kube-proxy/app/options.go`` eventHandler.
"""

import asyncio
import logging
from collections.abc import Callable

from svcdns.aio.files import FileWatcher
from svcdns.errors import ConfigError
from svcdns.plugins.base import WatchFile
from svcdns.proxy.config import ProxyOptions

INTERVAL = 2.0
"""Seconds between looks; kubelet takes up to a minute to bring a ConfigMap's change."""

log = logging.getLogger(__name__)


class ConfigWatch:
    """One configuration file."""

    def __init__(
        self,
        path: str,
        options: ProxyOptions,
        read: Callable[[], ProxyOptions],
        interval: float = INTERVAL,
    ) -> None:
        """Prepare.

        Args:
            path: The file; empty when there is none.
            options: What the process runs with.
            read: Reads the file and the flags again; raises ConfigError.
            interval: Seconds between looks.
        """
        self._path = path
        self._options = options
        self._read = read
        self._interval = interval
        self._different = asyncio.Event()

    async def different(self) -> None:
        """Return when the file asks for something else, and can be used."""
        if self._path:
            need = WatchFile(self._path, self._interval, self._look)
            watching = asyncio.create_task(FileWatcher(need, self._failed).run())
            try:
                await self._different.wait()
            finally:
                watching.cancel()
                await asyncio.wait({watching})
        else:
            await asyncio.Event().wait()

    def _look(self, content: bytes | None) -> None:
        if content is None:
            log.warning("%s: cannot be read; going on as before", self._path)
        elif self._read() != self._options:
            self._different.set()

    def _failed(self, _: str, error: Exception) -> None:
        bug = error if not isinstance(error, ConfigError) else None
        log.error("%s; going on as before", error, exc_info=bug)
