"""What a Corefile says, before any plugin reads it."""

from msgspec import Struct


class Directive(Struct, frozen=True):
    """One line of a block: a name, its arguments and, in braces, further lines.

    Lines of a sub-block are Directives too, whatever they mean (``10.0.0.1 host`` in ``hosts``
    has the *name* ``10.0.0.1``).
    """

    name: str
    args: tuple[str, ...]
    file: str
    line: int
    block: tuple["Directive", ...] | None = None
    "``None`` without braces, ``()`` for empty ones."

    @property
    def tokens(self) -> tuple[str, ...]:
        """The whole line."""
        return (self.name, *self.args)


class Key(Struct, frozen=True):
    """One key of a server block, taken apart: ``[scheme://]ZONE[:port]``."""

    text: str
    scheme: str
    "``dns``, ``tls``, ``https``, ``quic``, ``grpc`` or ``https3``."
    zone: str
    "Lower-case, with a final dot."
    port: int


class ServerBlock(Struct, frozen=True):
    """A server block with its snippets and imports already in place."""

    keys: tuple[Key, ...]
    directives: tuple[Directive, ...]
    "In the order of the file; the chain's order is CoreDNS's."
    file: str
    line: int

    def named(self, name: str) -> tuple[Directive, ...]:
        """All directives of one name, in the order of the file."""
        return tuple(directive for directive in self.directives if directive.name == name)
