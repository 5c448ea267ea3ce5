"""Which Corefile a server runs on, to be read again for every reload.

Parity: CoreDNS ``coremain/run.go`` (confLoader, defaultLoader).
"""

import os
from collections.abc import Callable, Container
from pathlib import Path

from msgspec import Struct

from svcdns.aio.corefiles import STDIN, load_imports, read_text
from svcdns.corefile.fingerprint import fingerprint
from svcdns.corefile.parser import parse
from svcdns.corefile.syntax import ServerBlock
from svcdns.errors import ConfigError

DEFAULT_FILE = "Corefile"
"""In the current directory, without ``-conf``."""

BUILT_IN = """\
.:{port} {{
    whoami
    log
}}
"""
"""Without any Corefile, or with one that has no server block."""


class Loaded(Struct, frozen=True):
    """A Corefile as it was read."""

    blocks: tuple[ServerBlock, ...]
    fingerprint: str
    "Of the words of the Corefile and of everything it imports."


class CorefileSource:
    """One Corefile, with all it imports."""

    def __init__(
        self,
        path: str,
        *,
        port: int = 53,
        known: Container[str] | None = None,
        warn: Callable[[str], None],
    ) -> None:
        """Name the Corefile.

        Args:
            path: From ``-conf``: a file, or ``stdin``, which is read once; empty: the default
                file, if there is one.
            port: From ``-dns.port``.
            known: The directives there are.
            warn: Told what is odd.

        Raises:
            ConfigError: Standard input cannot be read.
        """
        self._path = path
        self._port = port
        self._known = known
        self._warn = warn
        self._stdin = _read(STDIN) if path == STDIN else None

    def read(self) -> Loaded:
        """Read it with everything it imports.

        Raises:
            ConfigError: It cannot be read, or is no Corefile.
        """
        text, name = self._find()
        blocks = self._parse(text, name)
        if not blocks:
            # CoreDNS does the same, with an emptied ConfigMap too.
            blocks = self._parse(BUILT_IN.format(port=self._port), DEFAULT_FILE)
        return Loaded(blocks, fingerprint(blocks))

    def _find(self) -> tuple[str, str]:
        if self._stdin is not None:
            return self._stdin, STDIN
        name = self._path or DEFAULT_FILE
        if not self._path and not Path(name).exists():
            return "", name
        return _read(name), name

    def _parse(self, text: str, name: str) -> tuple[ServerBlock, ...]:
        return parse(
            text,
            name,
            os.environ,
            load_imports,
            self._warn,
            default_port=self._port,
            known=self._known,
        )


def _read(name: str) -> str:
    try:
        return read_text(name)
    except OSError as error:
        what = (error.strerror or str(error)).lower()
        raise ConfigError(f"open {name}: {what}") from error
