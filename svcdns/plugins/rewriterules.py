"""The rules of ``rewrite``: what each does to a question, and what has to be undone afterwards.

Parity: CoreDNS ``plugin/rewrite`` (name.go, type.go, class.go, ttl.go, rcode.go,
cname_target.go).
"""

from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from svcdns.dns.name import from_text, to_text
from svcdns.dns.query import Query
from svcdns.plugins import rewriteanswers
from svcdns.plugins.base import Request
from svcdns.plugins.rewriteanswers import Undo
from svcdns.plugins.rewritematch import Match, back, renaming


class Applied(Struct, frozen=True):
    """What a rule that matched made of a question."""

    query: Query
    undo: tuple[Undo, ...] = ()
    "In the order of the rule; applied from the last one on."
    per_client: bool = False
    "Whether another client's question may have become another one."


class Rule(Protocol):
    """One line of ``rewrite``."""

    def apply(self, request: Request) -> Applied | None:
        """Rewrite, or give ``None``: the rule does not match.

        Raises:
            ValueError: What comes out is no domain name.
        """
        ...


class Line(Struct, frozen=True):
    """A rule, and whether it is the last one when it matches."""

    rule: Rule
    stop: bool = True


class NameRule(Struct, frozen=True):
    """``name``."""

    match: Match
    to: str
    auto: bool
    "Whether answers get the client's names back; ``exact`` always does that."
    undo: tuple[Undo, ...] = ()
    "``answer name`` and ``answer value``."

    def apply(self, request: Request) -> Applied | None:
        """Rename the question."""
        before = to_text(request.query.name)
        after = self.match.rename(before, self.to)
        if after is None:
            return None
        try:
            wire = from_text(after)
        except ValueError as error:
            raise ValueError(f"invalid name after rewrite: {after[:300]}") from error
        query = replace(request.query, qname=wire, name=wire.lower())
        return Applied(query, (*self._automatic(to_text(wire.lower()), before), *self.undo))

    def _automatic(self, after: str, before: str) -> tuple[Undo, ...]:
        if not self.auto:
            return ()
        change = back(after, before)
        if self.match.kind == "suffix":
            # The whole zone goes back, not only the name that was asked for.
            change = renaming(Match("suffix", self.to), self.match.text)
        return rewriteanswers.owners(change), rewriteanswers.values(change)


class TypeRule(Struct, frozen=True):
    """``type``."""

    old: int
    new: int

    def apply(self, request: Request) -> Applied | None:
        """Ask for another type."""
        query = request.query
        return Applied(replace(query, qtype=self.new)) if query.qtype == self.old else None


class ClassRule(Struct, frozen=True):
    """``class``."""

    old: int
    new: int

    def apply(self, request: Request) -> Applied | None:
        """Ask for another class."""
        query = request.query
        return Applied(replace(query, qclass=self.new)) if query.qclass == self.old else None


class AnswerRule(Struct, frozen=True):
    """``ttl`` and ``rcode``: they match the question and change the answer."""

    match: Match
    undo: Undo

    def apply(self, request: Request) -> Applied | None:
        """Have the answer changed."""
        if self.match.groups(to_text(request.query.name)) is None:
            return None
        return Applied(request.query, (self.undo,))


class CnameRule(Struct, frozen=True):
    """``cname``: takes every question, because only the answer shows a CNAME."""

    match: Match
    to: str

    def apply(self, request: Request) -> Applied | None:
        """Have CNAMEs in the answer changed."""
        return Applied(request.query, (rewriteanswers.targets(renaming(self.match, self.to)),))
