"""A line for every query.

Name
----
*log*: writes queries and what became of them to standard output.

Syntax
------
::

    log [NAMES...] [FORMAT] {
        class all|success|denial|error ...
    }

* NAMES: only names at and below these; all by default.
* FORMAT: ``{common}`` by default, ``{combined}``, or a text with placeholders: ``{type}``,
  ``{name}``, ``{class}``, ``{proto}``, ``{remote}``, ``{local}``, ``{port}``, ``{size}``,
  ``{duration}``, ``{rcode}``, ``{rsize}``, ``{>rflags}``, ``{>bufsize}``, ``{>do}``, ``{>id}``,
  ``{>opcode}`` and ``{/LABEL}`` for metadata.
* ``class``: only answers of these classes; ``denial`` is NXDOMAIN and NODATA.

Several directives add up; the first one whose NAMES fit decides.

Examples:
--------
::

    . {
        log . {
            class denial error
        }
    }

Differences
-----------
None known.  Queries that are logged are never answered from the table of ready answers, so this
directive costs more than in CoreDNS.

Parity: CoreDNS ``plugin/log`` (corefile-features f).
"""

from collections.abc import Callable

from msgspec import Struct
from msgspec.structs import replace

from svcdns.corefile.options import Line, each
from svcdns.corefile.syntax import Directive
from svcdns.dns.name import ROOT, is_subdomain
from svcdns.plugins.base import Context, Handler, Need, Outcome, Reply, Request, then
from svcdns.plugins.logformat import COMMON, Entry, Placeholder, classify, compile_format

NAME = "log"

CLASSES = ("all", "success", "denial", "error")


class Rule(Struct, frozen=True):
    """What to write about one name and the names below it."""

    zone: bytes
    "Lower-case wire name."
    classes: frozenset[str]
    write: Placeholder


class Log:
    """All ``log`` directives of a block."""

    name = NAME
    needs: tuple[Need, ...] = ()

    def __init__(
        self,
        rules: tuple[Rule, ...],
        write: Callable[[str], None],
        clock: Callable[[], float],
    ) -> None:
        self._rules = rules
        self._write = write
        self._clock = clock

    def serve(self, request: Request, proceed: Handler) -> Outcome:
        """Write a line when the rest of the chain is done."""
        rule = self._rule(request.query.name)
        if rule is None:
            return proceed(request)

        def note(outcome: Outcome, _now: float) -> Outcome:
            response = outcome.response if isinstance(outcome, Reply) else None
            if "all" not in rule.classes and classify(request, response) not in rule.classes:
                return outcome
            entry = Entry(request, response, self._clock() - request.now)
            self._write(f"[INFO] {rule.write(entry)}")
            if isinstance(outcome, Reply) and outcome.store is not None:
                # The next query like this one wants its own line.
                return replace(outcome, store=None)
            return outcome

        return then(proceed(request), note, request.now)

    def _rule(self, name: bytes) -> Rule | None:
        for rule in self._rules:
            if is_subdomain(name, rule.zone):
                return rule
        return None


def setup(directives: tuple[Directive, ...], context: Context) -> Log:
    """Read the directives."""
    rules = [rule for line in each(directives, context.warn) for rule in _rules(line, context.warn)]
    return Log(tuple(rules), context.write, context.clock)


def _rules(line: Line, warn: Callable[[str], None]) -> list[Rule]:
    template = COMMON
    words = list(line.rest())
    if len(words) > 1 and "{" in words[-1]:
        template = words.pop()
    elif words and "{" in words[-1]:
        line.warn(
            f"`{words[0]}` alone is taken for a zone, as in CoreDNS, so nothing is logged; write"
            " `log . FORMAT`"
        )
    if words in (["stdout"], ["stderr"]):
        line.warn(
            f"`{words[0]}` is taken for a zone, as in CoreDNS, so hardly any query is logged;"
            " write `log`, which always means the standard output"
        )
    zones = Line(replace(line.directive, args=tuple(words)), warn=warn).zones((ROOT,))
    classes: set[str] = set()
    for option in line.options():
        if option.name != "class":
            raise option.unknown()
        if not option.more:
            raise option.arity()
        while option.more:
            classes.add(option.word(*CLASSES))
    wanted = frozenset(classes or {"all"})
    write = compile_format(template)
    return [Rule(zone, wanted, write) for zone in zones]
