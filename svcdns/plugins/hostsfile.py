"""Hosts files: text to names and addresses.

A line is an address and the names it has; ``#`` starts a comment.  A line or a name that makes no
sense is left out without a word, as every reader of ``/etc/hosts`` does it.

Spec: hosts(5).  Parity: CoreDNS ``plugin/hosts/hostsfile.go``.
"""

from collections.abc import Generator, Iterable, Iterator

from msgspec import Struct

from svcdns.dns.name import ROOT, from_text, is_subdomain
from svcdns.dns.reverse import address_of
from svcdns.zones.records import packed

_WILDCARD = b"\x01*"


class Hosts(Struct, frozen=True):
    """What a hosts file says."""

    addresses: dict[bytes, dict[int, tuple[bytes, ...]]] = {}
    "By lower-case wire name, then by type (A, AAAA): rdata, in the order of the lines."
    names: dict[bytes, tuple[bytes, ...]] = {}
    "By address as rdata: the names for PTR."
    entries: int = 0
    "Addresses of names and names of addresses (``coredns_hosts_entries``)."

    def find(self, name: bytes) -> dict[int, tuple[bytes, ...]] | None:
        """Give a name's addresses by type, or ``None``: the name is not there.

        An entry ``*.example.net`` is for names with one label in front of ``example.net`` that
        have no entry themselves.

        Args:
            name: Lower-case wire name.
        """
        found = self.addresses.get(name)
        if found is None and len(name) > 1:
            return self.addresses.get(_WILDCARD + name[1 + name[0] :])
        return found

    def pointers(self, name: bytes) -> tuple[bytes, ...]:
        """Give the names of the address that a reverse name stands for."""
        text = address_of(name) if self.names else None
        found = packed(text) if text else None
        return self.names.get(found[1], ()) if found else ()


SLICE = 500
"""Entries that are read in one go, which takes about 2 ms."""


def parse(text: bytes, zones: Iterable[bytes], *, reverse: bool = True) -> Hosts:
    """Read a hosts file; never raises.

    Args:
        text: Any octets.
        zones: Lower-case wire names; names outside them are left out.
        reverse: Whether addresses get their names for PTR; wildcards never do.
    """
    slices = parse_slices(text, zones, reverse=reverse)
    while True:
        try:
            next(slices)
        except StopIteration as end:
            found: Hosts = end.value
            return found


def parse_slices(
    text: bytes, zones: Iterable[bytes], *, reverse: bool = True
) -> Generator[None, None, Hosts]:
    """Read a hosts file as :func:`parse` does, and pause after every :data:`SLICE` entries."""
    zones = tuple(zones)
    everywhere = ROOT in zones
    forward: dict[bytes, dict[int, tuple[bytes, ...]]] = {}
    backward: dict[bytes, dict[bytes, None]] = {}
    entries = 0
    for number, (rrtype, rdata, name) in enumerate(_entries(text), 1):
        if not number % SLICE:
            yield
        if not everywhere and not any(is_subdomain(name, zone) for zone in zones):
            continue
        types = forward.get(name)
        if types is None:
            forward[name] = {rrtype: (rdata,)}
            entries += 1
        elif rdata not in types.get(rrtype, ()):
            types[rrtype] = (*types.get(rrtype, ()), rdata)
            entries += 1
        if reverse and not name.startswith(_WILDCARD):
            # A block list gives one address a hundred thousand names, so no tuple grows here.
            names = backward.setdefault(rdata, {})
            entries += name not in names
            names[name] = None
    pointers = {rdata: tuple(names) for rdata, names in backward.items()}
    return Hosts(forward, pointers, entries)


def _entries(text: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    for line in text.split(b"\n"):
        fields = line.partition(b"#")[0].split()
        if len(fields) < 2:
            continue
        # The zone of fe80::1%eth0 means something on one machine only, so it is cut off.
        address = packed(fields[0].partition(b"%")[0].decode("ascii", "replace"))
        if address is None:
            continue
        for field in fields[1:]:
            name = _name(field)
            if name is not None:
                yield *address, name


def _name(field: bytes) -> bytes | None:
    try:
        return from_text(field.decode()).lower()
    except ValueError:
        return None
