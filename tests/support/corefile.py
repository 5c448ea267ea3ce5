"""Directives and set-up contexts for tests of plugins."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from svcdns.corefile.parser import parse
from svcdns.corefile.syntax import Directive
from svcdns.dns.name import ROOT, from_text
from svcdns.metrics import Registry
from svcdns.plugins.base import Context

FILE = "Corefile"


def directives(text: str) -> tuple[Directive, ...]:
    """Parse the directives of one server block; the first one is on line 2."""
    lines = "\n".join("    " + line for line in text.strip().splitlines())
    (block,) = parse(f". {{\n{lines}\n}}\n", FILE, {}, lambda pattern, base: None, print)
    return block.directives


@dataclass
class Outside:
    """What a set-up sees of the world, and what it said."""

    files: Mapping[str, bytes] = field(default_factory=dict)
    numbers: Sequence[float] = (0.0,)
    zones: tuple[str, ...] = (".",)
    registry: Registry = field(default_factory=Registry)
    lines: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    now: float = 0.0
    shared: dict[object, object] = field(default_factory=dict)

    def read(self, path: str) -> bytes:
        if path not in self.files:
            raise FileNotFoundError(2, "No such file or directory", path)
        return self.files[path]

    def context(self) -> Context:
        turn = {"at": -1}

        def random() -> float:
            turn["at"] += 1
            return self.numbers[turn["at"] % len(self.numbers)]

        return Context(
            zones=tuple(from_text(zone) for zone in self.zones) or (ROOT,),
            server="dns://:53",
            registry=self.registry,
            read=self.read,
            random=random,
            warn=self.warnings.append,
            wall=lambda: 0.0,
            shared=self.shared,
            write=self.lines.append,
            clock=lambda: self.now,
        )


def set_up(setup: "Callable[[tuple[Directive, ...], Context], object]", text: str) -> object:
    """Run a set-up on *text* with nothing outside; for cases that must fail."""
    return setup(directives(text), Outside().context())
