"""Errors in the log.

Name
----
*errors*: writes a line for every query that fails because of an error.

Syntax
------
::

    errors {
        stacktrace
        consolidate DURATION REGEXP [LEVEL] [show_first]
    }

* ``stacktrace``: accepted; a bug in a plugin is logged with its trace in any case.
* ``consolidate``: gathers lines that match REGEXP for DURATION and writes how many there were, at
  LEVEL (``error`` by default; ``warning``, ``info``, ``debug``).  With ``show_first`` the first one
  is written as it is.

Examples:
--------
::

    . {
        forward . 8.8.8.8
        errors {
            consolidate 5m ".* i/o timeout$" warning
            consolidate 30s "^Failed to .+"
        }
    }

Differences
-----------
Gathered lines are written up to a second late.

Parity: CoreDNS ``plugin/errors`` (corefile-features f).
"""

from collections.abc import Callable
from dataclasses import dataclass

from svcdns.corefile.options import Line, once
from svcdns.corefile.syntax import Directive
from svcdns.dns.constants import type_text
from svcdns.dns.name import to_text
from svcdns.plugins.base import (
    Ask,
    Context,
    Failed,
    Handler,
    Need,
    Outcome,
    Periodic,
    Reply,
    Request,
    then,
)
from svcdns.plugins.goregexp import GoRegexp

NAME = "errors"

LEVELS = ("error", "warning", "info", "debug")

_LOOK_SECONDS = 1.0


@dataclass(slots=True)
class _Gathered:
    """Lines of one ``consolidate``."""

    pattern: GoRegexp
    text: str
    "Of the pattern, as in the Corefile."
    period: float
    period_text: str
    level: str = "error"
    show_first: bool = False
    count: int = 0
    until: float = 0.0


class Errors:
    """One ``errors`` directive."""

    name = NAME

    def __init__(self, gathered: tuple[_Gathered, ...], write: Callable[[str], None]) -> None:
        self._gathered = gathered
        self._write = write
        self.needs: tuple[Need, ...] = ()
        if gathered:
            self.needs = (Periodic(NAME, _LOOK_SECONDS, self.look),)

    def serve(self, request: Request, proceed: Handler) -> Outcome:
        """Write a line when the rest of the chain failed and says why."""
        reached = proceed(request)
        if isinstance(reached, Reply):
            return reached

        def note(outcome: Outcome, now: float) -> Outcome:
            if isinstance(outcome, Failed) and outcome.reason:
                query = request.query
                question = f"{to_text(query.qname)} {type_text(query.qtype)}"
                self._note(f"{outcome.rcode} {question}: {outcome.reason}", outcome.reason, now)
            return outcome

        return then(reached, note, request.now)

    def look(self, now: float) -> tuple[Ask, ...]:
        """Write sums whose time is over."""
        for one in self._gathered:
            if one.count and now >= one.until:
                self._write(
                    f"[{one.level.upper()}] plugin/errors: {one.count} errors like"
                    f" '{one.text}' occurred in last {one.period_text}"
                )
                one.count = 0
        return ()

    def _note(self, line: str, reason: str, now: float) -> None:
        for one in self._gathered:
            if one.pattern.search(reason) is not None:
                one.count += 1
                if one.count == 1:
                    one.until = now + one.period
                    if one.show_first:
                        self._write(f"[{one.level.upper()}] plugin/errors: {line}")
                return
        self._write(f"[ERROR] plugin/errors: {line}")


def setup(directives: tuple[Directive, ...], context: Context) -> Errors:
    """Read the directive."""
    line = once(directives)
    line.word("stdout", default="stdout")
    gathered = []
    for option in line.options():
        if option.name == "consolidate":
            gathered.append(_gather(option))
        elif option.name != "stacktrace":
            raise option.unknown()
    return Errors(tuple(gathered), context.write)


def _gather(option: Line) -> _Gathered:
    period_text = option.next
    period = option.duration()
    if period <= 0:
        raise option.error(f"consolidate: invalid duration {period_text!r}")
    text = option.word()
    try:
        pattern = GoRegexp(text)
    except ValueError as error:
        raise option.error(f"consolidate: bad regular expression: {error}") from error
    level = option.word(*LEVELS) if option.next not in ("", "show_first") else "error"
    show_first = option.word("show_first", default="") != "" if option.more else False
    return _Gathered(pattern, text, period, period_text, level, show_first)
