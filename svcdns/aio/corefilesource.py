"""Which Corefile a server runs on, to be read again for every reload.

What CoreDNS has removed is put into today's words on the way.

Parity: CoreDNS ``coremain/run.go`` (confLoader, defaultLoader).
"""

import os
from collections.abc import Collection
from pathlib import Path

from msgspec import Struct

from svcdns.aio.corefiles import STDIN, load_imports, read_text
from svcdns.corefile.fingerprint import fingerprint
from svcdns.corefile.migration import REMOVED, migrate
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
    warnings: tuple[str, ...] = ()
    "What is odd or was translated; to be said when it is taken into use, not at every look."


class CorefileSource:
    """One Corefile, with all it imports."""

    def __init__(
        self,
        path: str,
        *,
        port: int = 53,
        known: Collection[str] | None = None,
    ) -> None:
        """Name the Corefile.

        Args:
            path: From ``-conf``: a file, or ``stdin``, which is read once; empty: the default
                file, if there is one.
            port: From ``-dns.port``.
            known: The directives there are, without those that are translated.

        Raises:
            ConfigError: Standard input cannot be read.
        """
        self._path = path
        self._port = port
        self._known = known
        self._stdin = _read(STDIN) if path == STDIN else None

    def read(self) -> Loaded:
        """Read it with everything it imports.

        Raises:
            ConfigError: It cannot be read, or is no Corefile.
        """
        text, name = self._find()
        warnings: list[str] = []
        blocks = self._parse(text, name, warnings)
        if not blocks:
            # CoreDNS does the same, with an emptied ConfigMap too.
            blocks = self._parse(BUILT_IN.format(port=self._port), DEFAULT_FILE, warnings)
        migrated = migrate(blocks)
        warnings += [str(change) for change in migrated.changes]
        return Loaded(migrated.blocks, fingerprint(blocks), tuple(warnings))

    def _find(self) -> tuple[str, str]:
        if self._stdin is not None:
            return self._stdin, STDIN
        name = self._path or DEFAULT_FILE
        if not self._path and not Path(name).exists():
            return "", name
        return _read(name), name

    def _parse(self, text: str, name: str, warnings: list[str]) -> tuple[ServerBlock, ...]:
        return parse(
            text,
            name,
            os.environ,
            load_imports,
            warnings.append,
            default_port=self._port,
            known=None if self._known is None else frozenset(self._known) | REMOVED,
        )


def _read(name: str) -> str:
    try:
        return read_text(name)
    except OSError as error:
        what = (error.strerror or str(error)).lower()
        raise ConfigError(f"open {name}: {what}") from error
