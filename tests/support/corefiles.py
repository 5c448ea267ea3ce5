"""Corefiles in documents: where they are, and whether they are read."""

import re
from pathlib import Path

from svcdns.corefile.migration import REMOVED
from svcdns.corefile.overlap import check_overlap
from svcdns.corefile.parser import parse
from svcdns.errors import CorefileError
from svcdns.metrics import Registry
from svcdns.plugins.build import Environment, build
from svcdns.plugins.clusters import Clusters
from svcdns.plugins.order import BY_NAME

_FENCE = re.compile(r"^```[ \t]*(\w*)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
_LOOKS_LIKE_ONE = re.compile(r"\A(#.*\n)*([\w.:/-]+,? )+\{\n")


def in_markdown(text: str) -> list[str]:
    """Give the fenced Corefiles: those called so, and those that look like it without a name."""
    return [
        body
        for language, body in _FENCE.findall(text)
        if language.lower() == "corefile" or (not language and _LOOKS_LIKE_ONE.match(body))
    ]


def in_docstring(text: str) -> list[str]:
    """Give the examples of a plugin's docstring."""
    _, _, after = text.partition("\nExamples")
    found = re.findall(r"::\n\n((?:(?:    .*)?\n)+)", after + "\n")
    return [re.sub(r"^    ", "", body, flags=re.MULTILINE) for body in found]


def problem(text: str) -> str | None:
    """Say what is wrong with a Corefile, or nothing; files it imports count as empty."""
    try:
        blocks = parse(
            text, "Corefile", {}, lambda path, _: [(path, "")], lambda _: None,
            known=BY_NAME.keys() | REMOVED,
        )  # fmt: skip
        check_overlap(blocks)
    except CorefileError as error:
        return str(error)
    return None if blocks else "no server block"


def obstacle(text: str) -> str | None:
    """Say why a server would not start with a Corefile; only resolv.conf is there to be read."""

    def read(path: str) -> bytes:
        if path.endswith("resolv.conf"):
            return b"nameserver 192.0.2.53\n"
        raise FileNotFoundError(2, "No such file or directory", path)

    said: list[object] = []
    environment = Environment(
        registry=Registry(),
        clusters=Clusters(lambda: 0.0),
        read=read,
        random=lambda: 0.0,
        clock=lambda: 0.0,
        wall=lambda: 0.0,
        warn=said.append,
        write=said.append,
        panic=lambda question, error: said.append(error),
        spawn=said.append,
    )
    try:
        build(parse(text, "Corefile", {}, lambda *_: None, said.append, known=BY_NAME), environment)
    except CorefileError as error:
        return str(error)
    return None


def files(root: Path) -> list[Path]:
    """Give the files under *root* that are Corefiles by their names."""
    return sorted(
        path
        for path in root.rglob("*")
        if path.is_file() and (path.name == "Corefile" or path.suffix == ".Corefile")
    )
