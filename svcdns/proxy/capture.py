"""Which addresses are captured: ranges of Services that become local to a network namespace.

With a *local route* for a range every address in it is this machine's own: a connection to a
cluster IP ends at a socket of ours, where without it it would leave by the default route.  That is
what ``ip route add local 10.96.0.0/12 dev lo`` does; :func:`request` writes the same for rtnetlink,
because an image need not have ``ip``.

Our routes carry a protocol number of their own, so that only ours are ever taken back.

Spec: ``rtnetlink(7)``; Linux ``include/uapi/linux/rtnetlink.h``.
"""

import struct
from collections.abc import Iterable
from enum import IntEnum
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from msgspec import Struct

from svcdns.errors import ProxyConfigError
from svcdns.proxy.address import normalise, normalise_range
from svcdns.proxy.flags import SOURCE

FLAG = "--capture-cidrs"

ROUTE_PROTOCOL = 83
"""Origin of our routes (``rtm_protocol``): a number that ``rt_protos`` of iproute2 leaves free."""

WIDEST = {4: 8, 6: 48}
"""Shortest prefix lengths taken: kubeadm has a /12 and a /108, API servers allow no IPv6 range
wider than /108; anything much wider is a slip that would swallow other people's addresses."""

_AF = {4: 2, 6: 10}
_REQUEST, _ACK, _EXCLUSIVE, _CREATE = 0x1, 0x4, 0x200, 0x400
_TABLE_LOCAL, _TYPE_LOCAL = 255, 2
_SCOPE = {4: 254, 6: 0}
"""``RT_SCOPE_HOST``; IPv6 routes have no scope."""
_DESTINATION, _INTERFACE = 1, 4
_MESSAGE = struct.Struct("=IHHII")
_ROUTE = struct.Struct("=BBBBBBBBI")
_ATTRIBUTE = struct.Struct("=HH")


class Action(IntEnum):
    """Types of messages."""

    ADD = 24
    DELETE = 25
    LOOK_UP = 26


class Captured(Struct, frozen=True):
    """One range that becomes local."""

    family: int
    "4 or 6."
    cidr: str

    @property
    def network(self) -> IPv4Network | IPv6Network:
        """The range as such."""
        return ip_network(self.cidr)


def ranges(texts: Iterable[str]) -> tuple[Captured, ...]:
    """Read the ranges of the flag; what is in another one is left out.

    Raises:
        ProxyConfigError: One is no range, or no range that Services can have.
    """
    found: list[Captured] = []
    for text in texts:
        one = _range(text)
        if not any(_within(one, other) for other in found):
            found = [other for other in found if not _within(other, one)] + [one]
    return tuple(found)


def _range(text: str) -> Captured:
    normal = normalise_range(text)
    if normal is None:
        raise ProxyConfigError(SOURCE, FLAG, f"{text!r} is no CIDR, as 10.96.0.0/12 is")
    one = Captured(*normal)
    network = one.network
    if normalise(text.strip().partition("/")[0]) != (one.family, str(network.network_address)):
        raise ProxyConfigError(SOURCE, FLAG, f"{text!r} has host bits set: {network} is meant?")
    if network.prefixlen < WIDEST[one.family]:
        widest = WIDEST[one.family]
        raise ProxyConfigError(SOURCE, FLAG, f"{text!r} is wider than /{widest}, too wide")
    if network.is_loopback or network.is_multicast or network.is_link_local:
        raise ProxyConfigError(SOURCE, FLAG, f"{text!r} is not a range that Services can have")
    return one


def _within(inner: Captured, outer: Captured) -> bool:
    return (
        inner.family == outer.family
        and inner.network.prefixlen >= outer.network.prefixlen
        and inner.network.network_address in outer.network
    )


def check_own(captured: Iterable[Captured], own: Iterable[str]) -> None:
    """See to it that no address that an interface has is captured.

    Args:
        captured: From :func:`ranges`.
        own: Addresses of this network namespace; link-local ones may have their interface.

    Raises:
        ProxyConfigError: One of them is in a range: that is where Pods are, not Services.
    """
    own = list(own)
    for one in captured:
        for address in own:
            plain = ip_address(address.partition("%")[0])
            if plain.version == one.family and plain in one.network:
                raise ProxyConfigError(
                    SOURCE,
                    FLAG,
                    f"{one.cidr} has {address}, an address of this machine: name the range of"
                    " Services, not of Pods or nodes",
                )


def holds(captured: tuple[Captured, ...], address: str) -> bool:
    """Whether *address* is in one of the ranges."""
    if not captured:
        return False
    found = ip_address(address)
    return any(one.family == found.version and found in one.network for one in captured)


def request(action: Action, captured: Captured, interface: int, sequence: int) -> bytes:
    """Write the message that adds or deletes a local route, or asks where the range leads.

    The answer to the former is an ERROR message, with 0 when it is done
    (:func:`svcdns.proxy.ctnetlink.error_code`); adding what is there is ``EEXIST``.  The answer to
    the latter is an ADD message, for :func:`leads_here`; nobody needs a privilege to ask.

    Args:
        action: What to do.
        captured: The range.
        interface: Index of the loopback interface.
        sequence: Comes back with the answer.
    """
    network = captured.network
    family = captured.family
    destination = _attribute(_DESTINATION, network.network_address.packed)
    if action is Action.LOOK_UP:
        flags = _REQUEST
        route = _ROUTE.pack(_AF[family], network.max_prefixlen, 0, 0, 0, 0, 0, 0, 0)
        body = route + destination
    else:
        flags = _REQUEST | _ACK | (_EXCLUSIVE | _CREATE if action is Action.ADD else 0)
        route = _ROUTE.pack(
            _AF[family], network.prefixlen, 0, 0,
            _TABLE_LOCAL, ROUTE_PROTOCOL, _SCOPE[family], _TYPE_LOCAL, 0,
        )  # fmt: skip
        body = route + destination + _attribute(_INTERFACE, struct.pack("=I", interface))
    return _MESSAGE.pack(_MESSAGE.size + len(body), action, flags, sequence, 0) + body


def leads_here(content: bytes) -> bool:
    """Read the answer to LOOK_UP: whether the first address of the range is local."""
    return len(content) >= _ROUTE.size and _ROUTE.unpack_from(content)[7] == _TYPE_LOCAL


def _attribute(kind: int, value: bytes) -> bytes:
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind) + value
