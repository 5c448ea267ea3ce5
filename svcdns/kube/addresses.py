"""Loopback addresses for Services and Pods that have none that can be bound.

On Linux all of 127.0.0.0/8 is local without configuration and without privileges, so each Service
and each Pod of a directory of manifests can have an address of its own on one machine.

Where they come from:

- An address that the manifest gives is kept when it can be bound: it is in 127/8, or the machine
  has it routed as local (``ip route add local 10.96.0.0/16 dev lo``).
- An IPv4 address that cannot be bound, as in manifests exported from a cluster, moves to loopback
  by its first octet: 10.96.0.10 becomes 127.96.0.10, so that it is recognised.
- Everything else gets an address from the hash of its kind, namespace and name: the same after a
  restart and after any edit of other objects.  Only when two names hash alike (one in 10,000 for
  a hundred Services) does the one that sorts first decide, and the other probes on.

Services are given 127.96.0.0/12, where kubeadm's default ServiceCIDR 10.96.0.0/12 would be moved
to; Pods 127.244.0.0/14, which holds the moved form of the usual Pod network 10.244.0.0/16.
127.0.0.0/16 is never given: 127.0.0.1, 127.0.0.53 (systemd-resolved) and 127.0.1.1 (Debian's own
name) live there.
"""

from collections.abc import Callable, Container, Iterable
from enum import StrEnum
from hashlib import blake2b
from ipaddress import IPv4Address, IPv4Network, ip_address

from msgspec import Struct
from msgspec.structs import replace

from svcdns.kube.metadata import ObjectKey
from svcdns.kube.objects import Kind, Service, ServicePort

SERVICES = IPv4Network("127.96.0.0/12")
PODS = IPv4Network("127.244.0.0/14")
RESERVED = IPv4Network("127.0.0.0/16")
LOOPBACK = IPv4Network("127.0.0.0/8")

NODE_PORTS = range(30000, 32768)
"""Node ports that are given, the API server's ``--service-node-port-range`` default."""

MAX_PROBES = 1 << 16
"""Attempts for one name before there is none to give; a range has 260,000 addresses or more."""


class Claim(Struct, frozen=True):
    """An object that needs an address."""

    kind: Kind
    key: ObjectKey
    wanted: str = ""
    "The IPv4 address that its manifest gives, or empty."
    must_bind: bool = True
    "Whether we listen there; otherwise any address that is given is kept (a Pod elsewhere)."
    shared: bool = False
    "Whether others may hold the same given address (Pods in the host's network)."


class Origin(StrEnum):
    """Why an object has its address."""

    GIVEN = "given"
    "The manifest says so."
    MOVED = "moved"
    "The manifest's cannot be bound here."
    TAKEN = "taken"
    "The manifest's belongs to another object."
    CHOSEN = "chosen"
    "The manifest says nothing."


class Lease(Struct, frozen=True):
    """An address that was given."""

    address: str
    origin: Origin


def in_loopback(address: str) -> bool:
    """Tell whether any Linux user may bind this address."""
    found = ip_address(address)
    return isinstance(found, IPv4Address) and found in LOOPBACK


def allocate(
    claims: Iterable[Claim],
    *,
    reserved: Container[str] = (),
    bindable: Callable[[str], bool] = in_loopback,
) -> dict[tuple[Kind, ObjectKey], Lease]:
    """Give every claim an address; the result depends on the claims only, not on their order.

    Args:
        claims: One for each object.
        reserved: Addresses that nobody gets unless a manifest names them (that of the DNS server).
        bindable: Whether this machine lets us listen on an address.
    """
    ordered = sorted(claims, key=lambda claim: (claim.kind, claim.key))
    leases: dict[tuple[Kind, ObjectKey], Lease] = {}
    taken: set[str] = set()
    left: list[tuple[Claim, Origin]] = []
    for claim in ordered:
        if not claim.wanted:
            left.append((claim, Origin.CHOSEN))
        elif claim.must_bind and not bindable(claim.wanted):
            left.append((claim, Origin.MOVED))
        elif claim.wanted in taken and not claim.shared:
            left.append((claim, Origin.TAKEN))
        else:
            taken.add(claim.wanted)
            leases[claim.kind, claim.key] = Lease(claim.wanted, Origin.GIVEN)
    # the moved before the chosen: what a manifest names is looked for at its place
    left.sort(key=lambda pair: pair[1] is Origin.CHOSEN)
    for claim, origin in left:
        address = _moved(claim.wanted) if origin is Origin.MOVED else ""
        if not address or address in taken or address in reserved:
            address = _probe(claim, taken, reserved)
        taken.add(address)
        leases[claim.kind, claim.key] = Lease(address, origin)
    return leases


def _moved(wanted: str) -> str:
    """Move an address to loopback; empty where it would land among the reserved ones."""
    address = IPv4Address(int(IPv4Address(wanted)) & 0x00FFFFFF | 127 << 24)
    return "" if address in RESERVED or _awkward(address) else str(address)


def _awkward(address: IPv4Address) -> bool:
    """Tell whether the last octet looks like a network or a broadcast address."""
    return int(address) & 0xFF in (0, 0xFF)


def _probe(claim: Claim, taken: Container[str], reserved: Container[str]) -> str:
    pool = PODS if claim.kind is Kind.POD else SERVICES
    name = f"{claim.kind}/{claim.key[0]}/{claim.key[1]}"
    for attempt in range(MAX_PROBES):
        digest = blake2b(f"{name}#{attempt}".encode(), digest_size=8).digest()
        address = pool[int.from_bytes(digest) % pool.num_addresses]
        text = str(address)
        if text not in taken and text not in reserved and not _awkward(address):
            return text
    raise AssertionError(f"no address left in {pool} for {name}")


def allocate_node_ports(services: Iterable[Service]) -> dict[ObjectKey, tuple[ServicePort, ...]]:
    """Give node ports to the Services that want some and name none, as the API server does.

    Chosen by hash, as addresses are.  A number counts once for a protocol, so a port that a
    Service has for TCP and UDP may get the same number for both, or not.

    Returns:
        The ports of every Service of which one was given a number.
    """
    exposed = [one for one in services if one.spec.type in ("NodePort", "LoadBalancer")]
    taken = {(port.node_port, port.protocol) for one in exposed for port in one.ports}
    found: dict[ObjectKey, tuple[ServicePort, ...]] = {}
    for one in sorted(exposed, key=lambda service: service.key):
        if all(port.node_port for port in one.ports):
            continue
        ports = []
        for port in one.ports:
            number = port.node_port or _probe_port(one.key, port, taken)
            taken.add((number, port.protocol))
            ports.append(replace(port, node_port=number))
        found[one.key] = tuple(ports)
    return found


def _probe_port(key: ObjectKey, port: ServicePort, taken: Container[tuple[int, str]]) -> int:
    """Choose a number; 0 when all are taken, and then the port has none."""
    name = f"{key[0]}/{key[1]}:{port.name or port.port}/{port.protocol}"
    digest = blake2b(name.encode(), digest_size=8).digest()
    start = int.from_bytes(digest) % len(NODE_PORTS)
    for step in range(len(NODE_PORTS)):
        number = NODE_PORTS[(start + step) % len(NODE_PORTS)]
        if (number, port.protocol) not in taken:
            return number
    return 0
