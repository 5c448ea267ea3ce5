"""Old Corefiles: what CoreDNS has removed, in today's words.

Only what CoreDNS refuses today is changed; what it still accepts keeps its meaning.  Every change
comes with the line to write instead.

Parity: ``coredns/corefile-migration migration/versions.go``, CoreDNS release notes 0.9 to 1.8.
"""

from collections.abc import Callable, Iterable
from typing import TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from svcdns.corefile.printer import print_line
from svcdns.corefile.syntax import Directive, ServerBlock

REMOVED = frozenset({"proxy", "federation", "startup", "shutdown"})
"""Directives that plugin.cfg no longer has and that are translated."""


_HOSTS_OPTIONS = frozenset({"fallthrough", "no_reverse", "reload", "ttl"})


class Change(Struct, frozen=True):
    """One thing that was changed."""

    file: str
    line: int
    directive: str
    "The name of the directive it is in, as it was."
    reason: str
    modern: tuple[str, ...] = ()
    "Lines to write instead; none: leave it out."

    def __str__(self) -> str:
        advice = f"write `{'`, `'.join(self.modern)}`" if self.modern else "leave it out"
        return f"{self.file}:{self.line} - {self.reason}: {advice}"


class Migrated(Struct, frozen=True):
    """A Corefile in today's words."""

    blocks: tuple[ServerBlock, ...]
    changes: tuple[Change, ...]


_Changes: TypeAlias = list[Change]
_Rule: TypeAlias = Callable[[Directive, _Changes], tuple[Directive, ...]]


def migrate(blocks: Iterable[ServerBlock]) -> Migrated:
    """Translate what CoreDNS has removed."""
    changes: _Changes = []
    found = tuple(_migrate_block(block, changes) for block in blocks)
    return Migrated(found, tuple(sorted(changes, key=lambda change: (change.file, change.line))))


def _migrate_block(block: ServerBlock, changes: _Changes) -> ServerBlock:
    directives: list[Directive] = []
    for directive in block.directives:
        rule = _RULES.get(directive.name)
        directives += rule(directive, changes) if rule else (directive,)
    return replace(block, directives=tuple(_merge_hosts(directives, changes)))


# -- directives


def _change(at: Directive, of: Directive, reason: str, modern: Iterable[Directive] = ()) -> Change:
    return Change(at.file, at.line, of.name, reason, tuple(print_line(line) for line in modern))


def _proxy(directive: Directive, changes: _Changes) -> tuple[Directive, ...]:
    options: list[Directive] = []
    for line in directive.block or ():
        match line.tokens:
            case ("policy", "random" | "round_robin" | "sequential") | ("except" | "max_fails", *_):
                options.append(line)
            case ("protocol", "dns", "force_tcp"):
                modern = replace(line, name="force_tcp", args=())
                changes.append(_change(line, directive, "`protocol` went with proxy", [modern]))
                options.append(modern)
            case ("policy", "first"):
                modern = replace(line, args=("sequential",))
                changes.append(_change(line, directive, "forward has no policy `first`", [modern]))
                options.append(modern)
            case _:
                reason = f"forward has no `{print_line(line)}`"
                changes.append(_change(line, directive, reason))
    block = None if directive.block is None else tuple(options)
    forward = replace(directive, name="forward", block=block)
    reason = "CoreDNS 1.5.0 removed proxy"
    changes.append(_change(directive, directive, reason, [forward]))
    return (forward,)


def _federation(directive: Directive, changes: _Changes) -> tuple[Directive, ...]:
    changes.append(_change(directive, directive, "CoreDNS 1.7.0 removed federation"))
    return ()


def _hook(directive: Directive, changes: _Changes) -> tuple[Directive, ...]:
    modern = replace(directive, name="on", args=(directive.name, *directive.args))
    reason = f"CoreDNS 1.0.0 removed {directive.name}"
    changes.append(_change(directive, directive, reason, [modern]))
    return (modern,)


def _errors(directive: Directive, changes: _Changes) -> tuple[Directive, ...]:
    if len(directive.args) != 1 or directive.args == ("stdout",):
        return (directive,)
    modern = replace(directive, args=())
    changes.append(_change(directive, directive, "errors go to the standard output only", [modern]))
    return (modern,)


def _with_port(default: int) -> _Rule:
    def rule(directive: Directive, changes: _Changes) -> tuple[Directive, ...]:
        if len(directive.args) != 1 or ":" in directive.args[0]:
            return (directive,)
        word = directive.args[0]
        address = f":{word}" if word.isascii() and word.isdigit() else f"{word}:{default}"
        modern = replace(directive, args=(address,))
        changes.append(
            _change(directive, directive, f"`{word}` is no address with a port", [modern])
        )
        return (modern,)

    return rule


def _is_hosts_option(line: Directive) -> bool:
    """Whether a line of ``hosts`` is no entry."""
    return line.name in _HOSTS_OPTIONS


def _merge_hosts(directives: list[Directive], changes: _Changes) -> list[Directive]:
    """Make one ``hosts`` of several, unless they name different files or zones."""
    several = [directive for directive in directives if directive.name == "hosts"]
    named = {directive.args for directive in several if directive.args}
    if len(several) < 2 or len(named) > 1:
        return directives
    lines = dict.fromkeys(
        replace(line, line=0) for directive in several for line in directive.block or ()
    )
    places = {
        replace(line, line=0): line for directive in several[::-1] for line in directive.block or ()
    }
    merged = replace(
        several[0],
        args=next(iter(named), ()),
        # Options last: CoreDNS takes no entry behind `fallthrough`.
        block=tuple(sorted((places[line] for line in lines), key=_is_hosts_option))
        if lines
        else several[0].block,
    )
    for directive in several[1:]:
        reason = f"a server block has one hosts; its lines join those of line {merged.line}"
        changes.append(_change(directive, directive, reason, [merged]))
    found = [directive for directive in directives if directive.name != "hosts"]
    found.insert(directives.index(several[0]), merged)
    return found


# -- options


def _kubernetes(directive: Directive, changes: _Changes) -> tuple[Directive, ...]:
    kept: list[Directive] = []
    beside: list[Directive] = []
    zones = directive.args
    for line in directive.block or ():
        match line.name:
            case "upstream" | "resyncperiod" | "federation":
                reason = f"kubernetes has no option `{line.name}` any more"
                changes.append(_change(line, directive, reason))
            case "endpoint" if len(line.args) > 1:
                modern = replace(line, args=line.args[:1])
                reason = "kubernetes uses one endpoint, the first"
                changes.append(_change(line, directive, reason, [modern]))
                kept.append(modern)
            case "cidrs":
                zones += line.args
                modern = replace(directive, args=zones, block=None)
                changes.append(_change(line, directive, "networks are zones", [modern]))
            case "autopath":
                modern = replace(line, args=("@kubernetes",), block=None)
                reason = "autopath is a plugin of its own"
                changes.append(_change(line, directive, reason, [modern]))
                beside.append(modern)
            case _:
                kept.append(line)
    block = None if directive.block is None else tuple(kept)
    return _without_transfer(replace(directive, args=zones, block=block), zones, changes) + tuple(
        beside
    )


def _records(directive: Directive, changes: _Changes) -> tuple[Directive, ...]:
    kept: list[Directive] = []
    for line in directive.block or ():
        match line.name:
            case "upstream" | "stubzones":
                reason = f"{directive.name} has no option `{line.name}` any more"
                changes.append(_change(line, directive, reason))
            case "no_reload":
                modern = replace(line, name="reload", args=("0",))
                changes.append(_change(line, directive, "`no_reload` is gone", [modern]))
                kept.append(modern)
            case "directory" if directive.name == "auto" and len(line.args) == 4:
                lines = (
                    replace(line, args=line.args[:3]),
                    replace(line, name="reload", args=(f"{line.args[3]}s",)),
                )
                reason = "`directory` has no TIMEOUT any more"
                changes.append(_change(line, directive, reason, lines))
                kept += lines
            case _:
                kept.append(line)
    block = None if directive.block is None else tuple(kept)
    zones = directive.args[1:] if directive.name == "file" else directive.args
    return _without_transfer(replace(directive, block=block), zones, changes)


def _without_transfer(
    directive: Directive, zones: tuple[str, ...], changes: _Changes
) -> tuple[Directive, ...]:
    """Move ``transfer to`` out of a plugin, to the plugin ``transfer``."""
    lines = directive.block or ()
    moved = [line for line in lines if line.tokens[:2] == ("transfer", "to")]
    if not moved:
        return (directive,)
    kept = tuple(line for line in lines if line not in moved)
    targets = tuple(replace(line, name="to", args=line.args[1:]) for line in moved)
    transfer = replace(moved[0], name="transfer", args=zones, block=targets)
    reason = f"CoreDNS 1.8.0 moved `transfer to` out of {directive.name}"
    changes.append(_change(moved[0], directive, reason, [transfer, *targets]))
    return (replace(directive, block=kept), transfer)


_RULES: dict[str, _Rule] = {
    "proxy": _proxy,
    "federation": _federation,
    "startup": _hook,
    "shutdown": _hook,
    "errors": _errors,
    "health": _with_port(8080),
    "ready": _with_port(8181),
    "prometheus": _with_port(9153),
    "kubernetes": _kubernetes,
    "file": _records,
    "auto": _records,
    "secondary": _records,
    "etcd": _records,
    "template": _records,
}
