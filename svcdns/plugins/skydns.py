"""SkyDNS's layout of names in etcd: keys, the JSON in them, and the records that makes.

A name is a path of its labels from the right: ``www.example.org`` is ``/skydns/org/example/www``.
A key may be longer than the name: ``/skydns/org/example/www/1`` is one of several answers.

Parity: CoreDNS ``plugin/etcd/msg`` and ``plugin/backend_lookup.go``.
"""

from collections.abc import Iterable, Iterator
from ipaddress import ip_address
from math import floor

import msgspec
from msgspec import Struct, field

from svcdns.dns.constants import RRType
from svcdns.dns.name import from_text, labels
from svcdns.dns.rdata import mx, srv, txt
from svcdns.dns.response import Record

DEFAULT_PRIORITY = 10
DEFAULT_TTL = 300
"""Seconds."""

_WILD = (b"*", b"any")


class Service(Struct, frozen=True):
    """What a key holds."""

    host: str = ""
    "An address or a name."
    port: int = 0
    priority: int = 0
    weight: int = 0
    text: str = ""
    mail: bool = False
    "Whether it is an MX."
    ttl: int = 0
    "Seconds; 0: none is given."
    target_strip: int = field(default=0, name="targetstrip")
    "Labels that a target made of the key loses on the left."
    group: str = ""
    key: str = ""

    @property
    def kind(self) -> int:
        """A, AAAA, TXT or CNAME: what it is in itself."""
        known = _address(self.host)
        if known is not None:
            return known[0]
        return RRType.TXT if self.text else RRType.CNAME

    @property
    def address(self) -> bytes | None:
        """The host's rdata when it is an address."""
        known = _address(self.host)
        return known[1] if known else None


def _address(text: str) -> tuple[int, bytes] | None:
    try:
        found = ip_address(text)
    except ValueError:
        return None
    return (RRType.A if found.version == 4 else RRType.AAAA), found.packed


def path(name: bytes, prefix: str) -> str:
    """Give the key of a lower-case name; up to the first wildcard label if it has one."""
    parts = []
    for label in reversed(labels(name)):
        if label in _WILD:
            break
        parts.append(label.decode("latin-1"))
    return "/".join(["", prefix.strip("/"), *parts])


def belongs(key: str, name: bytes, prefix: str) -> bool:
    """Whether a key answers a name: it is the name's or below it, wildcard labels match any."""
    top = len(prefix.strip("/").split("/")) + 1
    parts = key.split("/")[top:]
    wanted = [label.decode("latin-1") for label in reversed(labels(name))]
    if len(parts) < len(wanted):
        return False
    return all(
        want == part or want.encode("latin-1") in _WILD
        for want, part in zip(wanted, parts, strict=False)
    )


def read(key: str, value: bytes, *, lease_ttl: int = 0) -> Service:
    """Read what a key holds.

    Args:
        key: Its name, for records that point to it.
        value: JSON.
        lease_ttl: Seconds that the record may live, if the key has a lease.

    Raises:
        ValueError: It is no JSON object of that shape.
    """
    try:
        found = msgspec.json.decode(value, type=Service)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{key}: {error}") from error
    ttl = found.ttl or DEFAULT_TTL
    if lease_ttl:
        ttl = min(lease_ttl, found.ttl or lease_ttl)
    priority = found.priority or DEFAULT_PRIORITY
    for number, limit in ((found.port, 0xFFFF), (priority, 0xFFFF), (ttl, 2**31 - 1)):
        if not 0 <= number <= limit:
            raise ValueError(f"{key}: {number} is not between 0 and {limit}")
    return msgspec.structs.replace(found, key=key, ttl=ttl, priority=priority)


def grouped(services: list[Service]) -> list[Service]:
    """Leave out services of other groups than that of the shortest key."""
    if not services:
        return services
    depth = min(service.key.count("/") for service in services)
    groups = {each.group for each in services if each.key.count("/") == depth}
    if len(groups) != 1 or "" in groups:
        return services
    return [service for service in services if service.group in ("", *groups)]


def target(service: Service, prefix: str) -> bytes | None:
    """Give the name that SRV, MX and NS point to: the host, or the key if that is an address."""
    if service.address is None:
        text = service.host
    else:
        top = len(prefix.strip("/").split("/")) + 1
        text = ".".join(reversed(service.key.split("/")[top:]))
    try:
        found = from_text(text)
    except ValueError:
        return None
    for _ in range(service.target_strip if service.target_strip < len(labels(found)) else 0):
        found = found[1 + found[0] :]
    return found


def targets(
    services: Iterable[Service], owner: bytes, qtype: int, prefix: str
) -> tuple[tuple[Record, ...], tuple[Record, ...]]:
    """Make SRV, MX or NS records, and the addresses that go with them."""
    found = list(services)
    weights: dict[int, int] = {}
    for each in found:
        weights[each.priority] = weights.get(each.priority, 0) + (each.weight or 100)
    answer: dict[Record, None] = {}
    additional: dict[Record, None] = {}
    for each in found:
        name = target(each, prefix)
        if name is None or each.kind == RRType.TXT or (qtype == RRType.MX and not each.mail):
            continue
        match qtype:
            case RRType.SRV:
                weight = max(1, floor(100 / weights[each.priority] * (each.weight or 100)))
                rdata = srv(each.priority, weight & 0xFFFF, each.port, name)
            case RRType.MX:
                rdata = mx(each.priority, name)
            case _:
                rdata = name
        answer[Record(owner, qtype, each.ttl, rdata)] = None
        if each.address is not None:
            additional[Record(name, each.kind, each.ttl, each.address)] = None
    return tuple(answer), tuple(additional)


def plain(services: Iterable[Service], owner: bytes, qtype: int) -> Iterator[Record]:
    """Make the A, AAAA or TXT records of services that are such in themselves, and CNAMEs."""
    for service in services:
        if service.kind == qtype != RRType.CNAME:
            rdata = txt(service.text.encode()) if qtype == RRType.TXT else service.address
            assert rdata is not None
            yield Record(owner, qtype, service.ttl, rdata)
        elif service.kind == RRType.CNAME and service.host:
            try:
                yield Record(owner, RRType.CNAME, service.ttl, from_text(service.host))
            except ValueError:
                continue  # a host that is no name has no record
