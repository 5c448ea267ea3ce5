"""Corefiles from disk: the file, what it imports, the environment.

Parity: CoreDNS ``coremain/run.go`` (``-conf``), ``caddy:caddyfile/parse.go doImport``.
"""

import glob
import os
import sys
from collections.abc import Callable, Container, Mapping
from pathlib import Path

from svcdns.corefile.parser import parse
from svcdns.corefile.syntax import ServerBlock

STDIN = "stdin"
"""What ``-conf`` calls the standard input."""


def read_text(path: str) -> str:
    """Read a Corefile; ``stdin`` is the standard input, octets that are no UTF-8 become U+FFFD.

    Raises:
        OSError: It cannot be read.
    """
    if path == STDIN:
        return sys.stdin.buffer.read().decode("utf-8", "replace")
    return Path(path).read_bytes().decode("utf-8", "replace")


def load_imports(pattern: str, relative_to: str) -> list[tuple[str, str]]:
    """Find the files of an ``import``; see :data:`svcdns.corefile.imports.Load`.

    Raises:
        OSError: A file that matches cannot be read.
    """
    folder = os.path.dirname(os.path.abspath(relative_to))
    paths = sorted(glob.glob(os.path.join(glob.escape(folder), pattern), include_hidden=True))
    return [(path, read_text(path)) for path in paths]


def parse_file(
    path: str,
    warn: Callable[[str], None],
    *,
    env: Mapping[str, str] | None = None,
    default_port: int = 53,
    known: Container[str] | None = None,
) -> tuple[ServerBlock, ...]:
    """Read a Corefile with all it imports; see :func:`svcdns.corefile.parser.parse`.

    Args:
        path: The file, or ``stdin``.
        warn: Told what is odd but no error.
        env: For ``{$NAME}``; ``None`` is the process's environment.
        default_port: ``-dns.port``.
        known: The directives there are; ``None`` takes any.

    Raises:
        OSError: The file cannot be read.
        CorefileError: It is no Corefile.
    """
    variables = os.environ if env is None else env
    return parse(
        read_text(path),
        path,
        variables,
        load_imports,
        warn,
        default_port=default_port,
        known=known,
    )
