"""Plugins from the text of a Corefile, as far as one plugin needs it."""

from collections.abc import Callable, Mapping

from svcdns.corefile.parser import parse
from svcdns.corefile.syntax import Directive
from svcdns.metrics import Registry
from svcdns.plugins.base import Context
from tests.support.records import wire_name


def directives(text: str, **env: str) -> tuple[Directive, ...]:
    """Read the lines of a server block."""
    (block,) = parse(
        ". {\n" + text + "\n}", "Corefile", env, lambda pattern, base: None, lambda line: None
    )
    return block.directives


def context(
    *zones: str,
    registry: Registry | None = None,
    files: Mapping[str, bytes] | None = None,
    warn: Callable[[str], None] = lambda line: None,
    wall: Callable[[], float] = lambda: 7.0,
) -> Context:
    """Make what a set-up is told; *files* are all there are."""

    def read(path: str) -> bytes:
        found = (files or {}).get(path)
        if found is None:
            raise FileNotFoundError(2, "No such file or directory", path)
        return found

    return Context(
        zones=tuple(map(wire_name, zones or (".",))),
        server="dns://:53",
        registry=registry or Registry(),
        read=read,
        random=lambda: 0.0,
        warn=warn,
        wall=wall,
        shared={},
    )


def value(registry: Registry, name: str, *labels: str) -> float:
    """Give one value of a metric."""
    (family,) = [family for family in registry.collect() if family.name == name]
    return family.cells[labels].value
