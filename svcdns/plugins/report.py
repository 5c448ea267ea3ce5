"""What a Corefile amounts to: which directives count, in which order, and what is in the way.

Parity: none; this is ``svcdns check``.
"""

from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from typing import TypeAlias

from msgspec import Struct

from svcdns.columns import align
from svcdns.corefile.migration import REMOVED, Change, migrate
from svcdns.corefile.overlap import check_overlap, listeners
from svcdns.corefile.printer import print_line
from svcdns.corefile.schemes import check_schemes
from svcdns.corefile.syntax import Directive, ServerBlock
from svcdns.errors import ConfigError, CorefileError
from svcdns.plugins.base import Context, Plugin
from svcdns.plugins.build import Meets
from svcdns.plugins.order import BY_NAME, Support
from svcdns.plugins.registry import set_up, support_of
from svcdns.plugins.slices import finish


class Status(StrEnum):
    """What becomes of one directive."""

    SUPPORTED = "supported"
    TRANSLATED = "translated"
    "Old words; today's are used."
    IGNORED = "ignored"
    "No influence on answers."
    REFUSED = "refused"
    "svcdns does not start with it."


class DirectiveReport(Struct, frozen=True):
    """One directive as it is written."""

    file: str
    line: int
    text: str
    status: Status
    note: str


class BlockReport(Struct, frozen=True):
    """One server block."""

    file: str
    line: int
    zones: tuple[str, ...]
    listeners: tuple[str, ...]
    chain: tuple[str, ...]
    "Plugins that see queries, the first one first."
    directives: tuple[DirectiveReport, ...]
    starts: bool
    "Whether nothing in the block is in the way."


class Report(Struct, frozen=True):
    """One file."""

    file: str
    kind: str
    starts: bool
    "Whether a server would start with it."
    blocks: tuple[BlockReport, ...] = ()
    warnings: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    "``FILE:LINE - message``."


ContextOf: TypeAlias = Callable[[int, ServerBlock, Callable[[str], None]], Context]
"""Make the context of a block from its number, itself, and where its warnings go."""


def _untried(_plugin: Plugin) -> None:
    """Stand in for trying a plugin out where there is nothing to try it with."""


def _anywhere(_block: ServerBlock) -> None:
    """Stand in for finding a block's addresses where no machine is meant."""


def inspect(
    file: str,
    blocks: tuple[ServerBlock, ...],
    context_of: ContextOf,
    warnings: Iterable[str] = (),
    try_out: Callable[[Plugin], None] = _untried,
    place: Callable[[ServerBlock], object] = _anywhere,
) -> Report:
    """Set everything up as a server would, going on after errors.

    Args:
        file: The Corefile's name.
        blocks: As parsed, before any migration.
        context_of: Gives plugins what they may use; they are thrown away afterwards.
        warnings: What parsing said already.
        try_out: Does with a plugin what can go wrong at a start; raises ConfigError.
        place: Finds the addresses of a block on this machine; raises CorefileError.
    """
    said = list(warnings)
    if not blocks:
        said.append(f"{file} has no server block: CoreDNS's own, .:53 {{ whoami; log }}, is used")
    migrated = migrate(blocks)
    said += [str(change) for change in migrated.changes]
    errors: list[CorefileError] = []
    try:
        check_schemes(migrated.blocks, said.append)
        check_overlap(migrated.blocks)
    except CorefileError as error:
        errors.append(error)
    reports = []
    for number, (old, new) in enumerate(zip(blocks, migrated.blocks, strict=True)):
        try:
            place(new)
        except CorefileError as error:
            errors.append(error)
        chain = _chain(new, context_of(number, new, said.append), errors, try_out)
        reports.append(_block(old, new, chain, migrated.changes, errors))
    errors.sort(key=lambda error: (error.file, error.line))
    return Report(
        file,
        kind="Corefile",
        starts=not errors,
        blocks=tuple(reports),
        warnings=tuple(dict.fromkeys(said)),
        errors=tuple([str(error) for error in errors]),
    )


def _chain(
    block: ServerBlock,
    context: Context,
    errors: list[CorefileError],
    try_out: Callable[[Plugin], None],
) -> tuple[str, ...]:
    known = [directive for directive in block.directives if directive.name in BY_NAME]
    for directive in block.directives:
        if directive.name not in BY_NAME:
            message = f"Error during parsing: Unknown directive '{directive.name}'"
            errors.append(CorefileError(directive.file, directive.line, message))
    plugins: list[Plugin] = []
    for name in BY_NAME:
        directives = tuple(directive for directive in known if directive.name == name)
        if not directives:
            continue
        try:
            plugin = finish(set_up(directives, context))
            if plugin is not None:
                try_out(plugin)
        except CorefileError as error:
            errors.append(error)
        except ConfigError as error:
            first = directives[0]
            errors.append(CorefileError(first.file, first.line, f"plugin/{name}: {error}"))
        else:
            if plugin is not None:
                plugins.append(plugin)
    for plugin in plugins:
        if isinstance(plugin, Meets):
            try:
                plugin.meet(plugins)
            except CorefileError as error:
                errors.append(error)
    return tuple([plugin.name for plugin in plugins])


def _block(
    old: ServerBlock,
    new: ServerBlock,
    chain: tuple[str, ...],
    changes: tuple[Change, ...],
    errors: Iterable[CorefileError],
) -> BlockReport:
    directives = tuple(_directive(directive, changes, errors) for directive in old.directives)
    return BlockReport(
        file=old.file,
        line=old.line,
        zones=tuple(dict.fromkeys(key.zone for key in old.keys)),
        listeners=tuple(str(listener) for listener in listeners(new)),
        chain=chain,
        directives=directives,
        starts=all(directive.status is not Status.REFUSED for directive in directives),
    )


def _directive(
    directive: Directive, changes: tuple[Change, ...], errors: Iterable[CorefileError]
) -> DirectiveReport:
    places = {(line.file, line.line) for line in (directive, *(directive.block or ()))}
    wrong = next((error for error in errors if (error.file, error.line) in places), None)
    changed = [
        change
        for change in changes
        if change.directive == directive.name and (change.file, change.line) in places
    ]
    entry = BY_NAME.get(directive.name)
    if directive.name in REMOVED or (changed and entry is not None):
        status = Status.TRANSLATED
        note = "; ".join([change.reason for change in changed])
    elif entry is None:
        status, note = Status.REFUSED, "CoreDNS has no such directive"
    else:
        support = support_of(entry.name)
        status = _STATUS[support]
        note = entry.note if support is Support.SUPPORTED else entry.why
    if wrong is not None and status is not Status.REFUSED:
        status, note = Status.REFUSED, wrong.message.removeprefix("Error during parsing: ")
    return DirectiveReport(directive.file, directive.line, print_line(directive), status, note)


_STATUS = {
    Support.SUPPORTED: Status.SUPPORTED,
    Support.ACCEPTED: Status.IGNORED,
    Support.REFUSED: Status.REFUSED,
}


# -- text


def to_text(report: Report) -> str:
    """Write a report for people."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Report) -> Iterator[str]:
    yield f"{report.file}: {report.kind}, {'would start' if report.starts else 'would NOT start'}"
    for error in report.errors:
        yield f"  error    {error}"
    for warning in report.warnings:
        yield f"  warning  {warning}"
    for block in report.blocks:
        yield ""
        yield f"{block.file}:{block.line} server block"
        yield f"  zones      {' '.join(block.zones)}"
        yield f"  listeners  {' '.join(block.listeners)}"
        yield f"  chain      {_chain_text(block)}"
        yield from _table(report.file, block)


def _chain_text(block: BlockReport) -> str:
    if not block.starts:
        return "(none: the block would not start)"
    return " -> ".join(block.chain) or "(empty: every query is refused)"


def _table(file: str, block: BlockReport) -> Iterator[str]:
    rows = [("LINE", "DIRECTIVE", "STATUS", "NOTE")]
    for one in block.directives:
        place = str(one.line) if one.file == file else f"{one.file}:{one.line}"
        text = one.text if len(one.text) <= TEXT_WIDTH else one.text[: TEXT_WIDTH - 1] + "…"
        rows.append((place, text.replace("\n", "\\n"), one.status.value, one.note))
    for line in align(rows):
        yield f"  {line}"


TEXT_WIDTH = 48
"""Characters of a directive's line that a table shows."""
