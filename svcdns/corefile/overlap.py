"""Zones that two server blocks both claim on one address and port.

Parity: ``core/dnsserver/register.go validateZonesAndListeningAddresses``,
``core/dnsserver/address.go zoneOverlap``.
"""

from collections.abc import Iterable, Iterator

from msgspec import Struct

from svcdns.corefile.syntax import Key, ServerBlock
from svcdns.errors import CorefileError
from svcdns.hostport import bracketed


class Listener(Struct, frozen=True):
    """Where one zone is served."""

    scheme: str
    address: str
    "As ``bind`` names it: an address or an interface; empty for all."
    port: int

    def __str__(self) -> str:
        host = bracketed(self.address)
        return f"{self.scheme}://{host}:{self.port}"


def bound_addresses(block: ServerBlock) -> tuple[str, ...]:
    """Give what the block's ``bind`` lines name, in their order; empty text for all addresses."""
    named = dict.fromkeys(word for directive in block.named("bind") for word in directive.args)
    return tuple(named) or ("",)


def listeners(block: ServerBlock) -> tuple[Listener, ...]:
    """Give the block's listeners, each once, in the order of keys and ``bind``."""
    found = dict.fromkeys(
        Listener(key.scheme, address, key.port)
        for key in block.keys
        for address in bound_addresses(block)
    )
    return tuple(found)


def check_overlap(blocks: Iterable[ServerBlock]) -> None:
    """Check that every zone has one block on every listener.

    Blocks with a ``view`` may share a zone; one behind a block without a view would never be
    asked.  Interfaces count by their names, their addresses are not known here.

    Raises:
        CorefileError: With CoreDNS's message, at the line of the later block.
    """
    taken: set[tuple[str, Listener]] = set()
    unbound: dict[tuple[str, str, int], tuple[str, Listener]] = {}
    for block in blocks:
        filtered = bool(block.named("view"))
        for zone, listener in _claims(block):
            claim, everywhere = (zone, listener), (zone, listener.scheme, listener.port)
            all_addresses = (zone, Listener(listener.scheme, "", listener.port))
            other = unbound.get(everywhere)
            if claim in taken:
                reason = "it is already defined"
            elif other is not None and (not listener.address or all_addresses in taken):
                clash = _text(*other if not listener.address else all_addresses)
                reason = f"zone overlap listener capacity with {clash}"
            else:
                if not filtered:
                    taken.add(claim)
                    unbound[everywhere] = claim
                continue
            message = f"cannot serve {_text(zone, listener)} - {reason}"
            raise CorefileError(block.file, block.line, message)


def _claims(block: ServerBlock) -> Iterator[tuple[str, Listener]]:
    for key in block.keys:
        for address in bound_addresses(block):
            yield key.zone, _listener(key, address)


def _listener(key: Key, address: str) -> Listener:
    return Listener(key.scheme, address, key.port)


def _text(zone: str, listener: Listener) -> str:
    at = f" on {listener.address}" if listener.address else ""
    return f"{listener.scheme}://{zone}:{listener.port}{at}"
