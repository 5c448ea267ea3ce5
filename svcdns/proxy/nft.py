"""What nft is told: objects of one table, and transactions of operations on them.

A change is a value.  ``str(transaction)`` is exactly the input of ``nft -f -``, so that logs,
tests and bug reports show the same thing; the kernel carries a transaction out as a whole or not
at all.  Only what nft 1.0.1 to 1.1 understand alike is written: no ``destroy``, and sets by
``type``, because 1.0.6 cannot use a set by ``typeof`` again once it has read it from the kernel.

The idea is knftables' (``sigs.k8s.io/knftables``).  Parity: ``nft(8)``.
"""

from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import TypeAlias
from zlib import crc32

from msgspec import Struct

ELEMENTS_PER_LINE = 2000
"""Elements of one set that share a command: fewer commands are parsed faster, up to here."""


class Table(Struct, frozen=True):
    """A table of one address family; everything else belongs to one."""

    family: int
    "4 or 6."
    name: str
    comment: str = ""

    def __str__(self) -> str:
        return f"{'ip' if self.family == 4 else 'ip6'} {self.name}"


class Hook(Struct, frozen=True):
    """Where a base chain is called from."""

    type: str
    "``nat`` or ``filter``."
    hook: str
    "``prerouting``, ``output``, ``postrouting`` and so on."
    priority: int


class Chain(Struct, frozen=True):
    """A chain with all its rules, in order."""

    name: str
    rules: tuple[str, ...]
    hook: Hook | None = None

    def comments(self) -> list[str]:
        """Give the comment of each rule: what tells our rules from others in a listing."""
        return [digest(rule) for rule in self.rules]


class Set(Struct, frozen=True):
    """A set; with *value* a map."""

    name: str
    key: str
    "Type of the key: ``ipv4_addr . inet_service``."
    value: str = ""
    "Type of the value, or ``verdict``."
    flags: tuple[str, ...] = ()
    size: int = 0
    "Most elements of a set that packets fill; 0: the kernel's limit."

    @property
    def word(self) -> str:
        """What nft calls it."""
        return "map" if self.value else "set"


class Element(Struct, frozen=True, order=True, gc=False):
    """An element of a set or map."""

    of: str
    "Name of the set."
    key: str
    value: str = ""

    def __str__(self) -> str:
        return f"{self.key} : {self.value}" if self.value else self.key


class Verb(StrEnum):
    """What is done with an object."""

    ADD = "add"
    FLUSH = "flush"
    DELETE = "delete"


Thing: TypeAlias = Table | Chain | Set | Element


class Operation(Struct, frozen=True, gc=False):
    """One thing to do."""

    verb: Verb
    thing: Thing


def digest(rule: str) -> str:
    """Give the comment of a rule.

    nft lists rules in words of its own, which differ between versions, so that a listing cannot
    be compared with what was asked for.  Comments come back as they were.
    """
    return f"svcdns {crc32(rule.encode()):08x}"


class Transaction:
    """Operations on one table, in order."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.operations: list[Operation] = []

    def __len__(self) -> int:
        return len(self.operations)

    def add(self, *things: Thing) -> None:
        """Add things; a chain comes with its rules, which follow those that it has."""
        self.operations += [Operation(Verb.ADD, thing) for thing in things]

    def flush(self, *things: Thing) -> None:
        """Empty chains, sets or the table of rules."""
        self.operations += [Operation(Verb.FLUSH, thing) for thing in things]

    def delete(self, *things: Thing) -> None:
        """Delete things, which must exist."""
        self.operations += [Operation(Verb.DELETE, thing) for thing in things]

    def start_over(self) -> None:
        """Delete the table, whether there is one or not, and add it anew."""
        self.add(self.table)  # deleting needs one: ``destroy`` is newer than nft 1.0.6
        self.delete(self.table)
        self.add(self.table)

    def parts(self, size: int) -> "Iterator[Transaction]":
        """Cut the transaction up, for those who may not run it as a whole.

        Args:
            size: Operations of a part.
        """
        for start in range(0, len(self.operations), size):
            part = Transaction(self.table)
            part.operations = self.operations[start : start + size]
            yield part

    def __str__(self) -> str:
        return "\n".join(self.lines()) + "\n" if self.operations else ""

    def lines(self) -> Iterator[str]:
        """Write the commands; neighbouring elements of one set share one."""
        run: list[str] = []
        head = ""
        for operation in self.operations:
            thing = operation.thing
            if isinstance(thing, Element):
                own = f"{operation.verb.value} element {self.table} {thing.of}"
                if own != head or len(run) >= ELEMENTS_PER_LINE:
                    yield from _elements(head, run)
                    head, run = own, []
                run.append(thing.key if operation.verb is Verb.DELETE else str(thing))
                continue
            yield from _elements(head, run)
            head, run = "", []
            yield from self._commands(operation.verb, thing)
        yield from _elements(head, run)

    def _commands(self, verb: Verb, thing: Table | Chain | Set) -> Iterator[str]:
        match thing:
            case Table(comment=comment):
                more = f' {{ comment "{comment}" ; }}' if comment and verb is Verb.ADD else ""
                yield f"{verb.value} table {self.table}{more}"
            case Chain():
                yield from self._chain(verb, thing)
            case Set():
                body = f" {{ {_declaration(thing)} }}" if verb is Verb.ADD else ""
                yield f"{verb.value} {thing.word} {self.table} {thing.name}{body}"

    def _chain(self, verb: Verb, chain: Chain) -> Iterator[str]:
        hook = chain.hook
        body = (
            f" {{ type {hook.type} hook {hook.hook} priority {hook.priority} ; }}"
            if hook and verb is Verb.ADD
            else ""
        )
        yield f"{verb.value} chain {self.table} {chain.name}{body}"
        if verb is Verb.ADD:
            for rule in chain.rules:
                yield f'add rule {self.table} {chain.name} {rule} comment "{digest(rule)}"'


def _elements(head: str, run: Iterable[str]) -> Iterator[str]:
    if head:
        yield f"{head} {{ {', '.join(run)} }}"


def _declaration(thing: Set) -> str:
    parts = [f"type {thing.key} : {thing.value} ;" if thing.value else f"type {thing.key} ;"]
    if thing.flags:
        parts.append(f"flags {','.join(thing.flags)} ;")
    if thing.size:
        parts.append(f"size {thing.size} ;")
    return " ".join(parts)
