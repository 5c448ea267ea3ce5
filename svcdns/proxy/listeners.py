"""Which sockets a plan needs, and what changes from one plan to the next.

What a client sees is decided here (rule R50): a reject is a socket that is not open, so that the
kernel refuses; a drop is a socket that is open and lets nobody in, so that the kernel stays silent
(:mod:`svcdns.proxy.sourcefilter`).  The two exceptions of ``externalTrafficPolicy: Local`` (rule
R53) and source ranges (rule R44) are sources that are let in.
"""

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_network

from msgspec import Struct

from svcdns.proxy.capture import Captured
from svcdns.proxy.model import Exposure, ForwardingPlan, Policy, PortId, ServicePlan, Verdict

Key = tuple[PortId, int]
"""Identity of a service port in one family: the key of a plan's services."""

PROTOCOLS = ("TCP", "UDP")
"""What relays carry.  SCTP is not (rule R134): Linux gives user space no way to relay streams."""


class Listener(Struct, frozen=True, order=True):
    """One socket: what clients connect to."""

    address: str
    port: int
    protocol: str
    family: int


class Need(Struct, frozen=True):
    """What a listener is for."""

    listener: Listener
    key: Key
    exposure: Exposure
    policy: Policy
    "For clients elsewhere."
    own_policy: Policy
    "For clients on this node or in its pods (rule R53)."
    sources: tuple[str, ...] | None = None
    "Networks that may come in; None: everybody; empty: nobody, which is a drop."


class Unbindable(Struct, frozen=True, order=True):
    """A frontend that gets no socket, and why."""

    listener: Listener
    service: str
    reason: str


class Surroundings(Struct, frozen=True):
    """What a node's relays must know besides the plan."""

    node_port_addresses: tuple[str, ...] = ()
    "Addresses that NodePorts are opened on (rule R31)."
    own_networks: tuple[str, ...] = ("127.0.0.0/8", "::1/128")
    "Where clients count as this node's own or its pods': node addresses and pod CIDRs (R53)."
    captured: tuple[Captured, ...] = ()
    "Ranges that are local by a route, not by an address of an interface."
    exclude_ports: frozenset[int] = frozenset()
    "Ports that belong to an application beside us."


class Needs(Struct, frozen=True):
    """All sockets of a plan, and the frontends that cannot have one."""

    sockets: dict[Listener, Need]
    unbindable: tuple[Unbindable, ...] = ()


class Change(Struct, frozen=True):
    """How to get from one set of sockets to another; close first, numbers may move between."""

    close: tuple[Listener, ...]
    open: tuple[Need, ...]
    retarget: tuple[Need, ...]
    "Stay open, but now mean something else; no connection notices."


def needs(plan: ForwardingPlan, around: Surroundings) -> Needs:
    """Compute the sockets that *plan* needs; see :class:`Wants`."""
    return Wants(around).of(plan)


class Wants:
    """Computes the sockets of plan after plan; a service port that did not change costs a look-up.

    When two service ports claim one socket the one that sorts first gets it, so that every node and
    every restart decides alike; the other is reported.
    """

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._known: dict[Key, tuple[ServicePlan, list[Need]]] = {}

    def of(self, plan: ForwardingPlan) -> Needs:
        """Compute the sockets that *plan* needs."""
        known, self._known = self._known, {}
        sockets: dict[Listener, Need] = {}
        losers: list[Need] = []
        for key, service in plan.services.items():
            found = known.get(key)
            if found is None or found[0] is not service:
                found = service, service_needs(service, self._around)
            self._known[key] = found
            if service.id.protocol not in PROTOCOLS:
                losers += found[1]
                continue
            for need in found[1]:
                first = sockets.setdefault(need.listener, need)
                if first is not need:
                    winner, loser = (need, first) if key < first.key else (first, need)
                    sockets[need.listener] = winner
                    losers.append(loser)
        return Needs(sockets, tuple(sorted(_unbindable(need, sockets) for need in losers)))


def _unbindable(need: Need, sockets: dict[Listener, Need]) -> Unbindable:
    """Say why a need gets no socket."""
    listener = need.listener
    winner = sockets.get(listener)
    if winner is None:
        reason = f"{listener.protocol} is not relayed in userspace mode"
    else:
        reason = f"already taken by {winner.key[0]}"
    return Unbindable(listener, str(need.key[0]), reason)


def service_needs(service: ServicePlan, around: Surroundings) -> list[Need]:
    """Compute the sockets of one service port."""
    found = []
    for frontend in service.frontends:
        for address in _addresses(frontend.address, service.family, around):
            if frontend.port in around.exclude_ports:
                continue
            listener = Listener(address, frontend.port, service.id.protocol, service.family)
            need = _need(service, listener, frontend.exposure, around)
            if need is not None:
                found.append(need)
    return found


def _addresses(address: str, family: int, around: Surroundings) -> Iterable[str]:
    if address:
        return (address,)
    return (a for a in around.node_port_addresses if (":" in a) == (family == 6))


def _need(
    service: ServicePlan, listener: Listener, exposure: Exposure, around: Surroundings
) -> Need | None:
    internal = exposure is Exposure.CLUSTER_IP
    policy = service.internal if internal else service.external
    own_policy = policy if internal else Policy.CLUSTER
    sources: tuple[str, ...] | None = None
    if service.verdict(own_policy) is Verdict.REJECT:
        return None
    if service.verdict(policy) is Verdict.DROP:
        sources = ()
        if service.verdict(own_policy) is Verdict.FORWARD:
            # A client on this machine may have the address it calls as its source.
            sources = _networks((*around.own_networks, listener.address), service.family)
    if exposure is Exposure.LOAD_BALANCER and service.source_ranges:
        sources = _both(sources, service.source_ranges)
    return Need(listener, (service.id, service.family), exposure, policy, own_policy, sources)


def _networks(texts: Iterable[str], family: int) -> tuple[str, ...]:
    return tuple(t for t in texts if (":" in t) == (family == 6))


def _both(some: tuple[str, ...] | None, others: tuple[str, ...]) -> tuple[str, ...]:
    """Give the networks that are in both lists; of two that overlap the narrower one is it."""
    if some is None:
        return others
    narrower: list[str] = []
    for mine in map(ip_network, some):
        for theirs in map(ip_network, others):
            if _within(mine, theirs):
                narrower.append(str(mine))
            elif _within(theirs, mine):
                narrower.append(str(theirs))
    return tuple(narrower)


def _within(inner: IPv4Network | IPv6Network, outer: IPv4Network | IPv6Network) -> bool:
    return (
        inner.version == outer.version
        and inner.prefixlen >= outer.prefixlen
        and inner.network_address in outer
    )


def diff(old: dict[Listener, Need], new: dict[Listener, Need]) -> Change:
    """Compute what to close, to open and to point elsewhere; equal needs are left alone."""
    return Change(
        close=tuple(sorted(old.keys() - new.keys())),
        open=tuple(new[listener] for listener in sorted(new.keys() - old.keys())),
        retarget=tuple(
            need
            for listener, need in new.items()
            if (before := old.get(listener)) is not None and before is not need and before != need
        ),
    )
