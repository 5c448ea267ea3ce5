"""The file that says which process a server is; it goes when the server goes.

Parity: CoreDNS (caddy ``caddy.go`` writePidFile, and what its ``init`` adds to OnProcessExit).
"""

import logging
import os
from pathlib import Path

from svcdns.errors import ConfigError, about_file

log = logging.getLogger(__name__)


class PidFile:
    """One file, or none."""

    def __init__(self, path: str) -> None:
        """Name the file; empty: there is none."""
        self._path = path
        self._written_by = 0

    def write(self) -> None:
        """Write this process's ID.

        Raises:
            ConfigError: It cannot be written.
        """
        if not self._path:
            return
        try:
            Path(self._path).write_text(f"{os.getpid()}\n")
        except OSError as error:
            raise ConfigError(f"could not write pidfile: {about_file(error)}") from error
        self._written_by = os.getpid()

    def remove(self) -> None:
        """Remove the file, if this process has written it; somebody else may have removed it."""
        if self._written_by != os.getpid():
            return
        self._written_by = 0
        try:
            Path(self._path).unlink(missing_ok=True)
        except OSError as error:
            log.warning("the pidfile stays behind: %s", about_file(error))
