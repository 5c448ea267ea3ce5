"""The table: its sets, and the chains that look things up in them.

Nothing here grows with the cluster.  A new connection takes one look-up of its address and port
in the map ``services``, whose value is the number of a *lead*; ``leads`` knows the chain that goes
with it, one for each *number* of backends, which draws a slot and looks the backend up in the map
``slots``: three look-ups whatever there is, the second of them among a few dozen elements, and one
element for each frontend and for each of its backends.

The detour by ``leads`` is for the changes.  When a transaction adds a verdict to a map, the kernel
checks every verdict of every map of the table (``nf_tables_validate``), which takes 4 ms where
20,000 frontends have one each.  A new frontend of a known kind is a number, and takes none.

========================  =====================================================================
set or map                content
========================  =====================================================================
services                  frontend -> lead; node ports under address 0
inside, outside           under externalTrafficPolicy Local: for pods and the node; for others
leads                     lead -> ``goto CHAIN`` or ``drop``
leads-by-source           the same for ``inside`` and ``outside``: the kernel wants no circles
slots                     frontend and slot -> backend
guarded, admitted         LoadBalancer frontends with source ranges; frontend and range
cluster-ips               every cluster IP, for ports it does not have and for masquerade
service-cidrs             ranges of cluster IPs that nobody holds
node-port-addresses       this node's addresses that answer on node ports
refused-node-ports        protocol and port of node ports without any endpoint
hairpin                   (address, itself) of backends that may be their own client
affinity-SESSION          client -> pin; filled by connections, each with its time-out
session-slots             (session, slot) -> pin
live                      (session, pin) that may be used
pinned                    (session, pin) -> backend
========================  =====================================================================

Verdicts fall in chains of type nat, which see the first packet of a connection only, before any
other table has routed it: nothing of ours is on the path of established ones.  The exception are
node ports that refuse this node itself.  These do so on the way in, where kube-proxy does it too,
because a UDP socket whose packet is refused on the way out gets EPERM, not ECONNREFUSED.

A slot is drawn into the packet's priority, which serves as a register between rules: the mark
belongs to others as well, and while numbers can be drawn within a key, nft 1.0.6 cannot read such
a map back.  The priority is given back in postrouting, and only packets that open a connection to
a Service ever carry another one.

*Session affinity.*  A service port with affinity has chains of its own that carry its identity,
the *session*, as a constant, so that all of its addresses share their pins (rule R65).  A *pin*
stands for an endpoint and not for a slot: when an endpoint leaves, its pins die with it in the
same transaction and all others stay (rule R67).  A connection whose pin is not live loses it and
draws anew.  Each session has a map of its own for its clients: with the session in the key of one
map for all, an IPv6 key has 20 octets, and from 17 on nft 1.0.6 puts the value over its end.

Constants that stand in a key are written ``FIELD and 0 xor CONSTANT``: nft has no other way.

Rules R20 to R26, R30 to R34, R40 to R53, R65 to R67, R72 to R75.
Parity: kube-proxy ``pkg/proxy/nftables/proxier.go`` setupNFTables; the layout is another one.
"""

from collections.abc import Iterator
from enum import StrEnum

from msgspec import Struct

from svcdns.proxy.model import LocalDetector
from svcdns.proxy.nft import Chain, Hook, Set, Table

TABLE_NAME = "svcdns-proxy"

SERVICES = "services"
INSIDE = "inside"
OUTSIDE = "outside"
LEADS = "leads"
LEADS_BY_SOURCE = "leads-by-source"
SLOTS = "slots"
GUARDED = "guarded"
ADMITTED = "admitted"
CLUSTER_IPS = "cluster-ips"
SERVICE_CIDRS = "service-cidrs"
NODE_PORT_ADDRESSES = "node-port-addresses"
REFUSED_NODE_PORTS = "refused-node-ports"
HAIRPIN = "hairpin"
AFFINITY = "affinity-"
"""Beginning of the names of maps that connections fill, one for each session."""
SESSION_SLOTS = "session-slots"
LIVE = "live"
PINNED = "pinned"

OURS = 0xD0000000
"""Leading four bits of every slot and pin: how a priority is known to be one of ours."""

SLOTS_FROM = OURS
"""The first slot."""

LOCAL_SLOTS = OURS + (1 << 20)
"""The first slot of backends under policy Local where a frontend has both kinds."""

PINS = 0x0FFFFFFF
"""The bits of a pin that tell endpoints apart."""

LOCAL_BIT = 1
"""Set in a session for what holds under policy Local only."""

MASQUERADE_BIT = 2
"""Set in the lead of a session whose clients' addresses are replaced."""

SESSIONS = 0x0FFFFFFC
"""The bits of a session that tell service ports apart; never :data:`OURS`."""

FIRST_SESSION = 4

AFFINITY_SIZE = 1 << 20
"""Clients that a session remembers at most; precedent: 65,535 for each endpoint in kube-proxy."""


class RulesetOptions(Struct, frozen=True):
    """What the operator chose that changes rules."""

    detector: LocalDetector = LocalDetector()
    masquerade_all: bool = False
    masquerade_mark: int = 0x4000
    "One bit of the packet mark (rule R72)."


class Lead(Struct, frozen=True):
    """Where a frontend leads to."""

    number: int
    "Never that of another verdict, and the same in every life of the proxy."
    verdict: str

    def __str__(self) -> str:
        return f"{self.number:#010x}"


DROP = Lead(OURS | 0x0F000000, "drop")
REFUSE = Lead(OURS | 0x0F000001, "goto refuse")
REFUSE_NODE_PORT = Lead(OURS | 0x0F000002, "goto refuse-node-port")
LOCAL_POLICY = {
    False: Lead(OURS | 0x0F000003, "goto local-policy"),
    True: Lead(OURS | 0x0F000004, "goto node-port-local-policy"),
}
"""Under externalTrafficPolicy Local; for node ports and for others."""


class Way(StrEnum):
    """How a connection goes on to one of N backends."""

    FORWARD = "forward"
    MASQUERADE = "masquerade"
    "With the source replaced."
    LOCAL = "local"
    "To the slots of policy Local."


class Schema:
    """Names, sets and chains for one address family."""

    def __init__(self, family: int, options: RulesetOptions) -> None:
        self.family = family
        self.table = Table(family, TABLE_NAME, "rules of svcdns proxy, put back when edited")
        self.any_address = "0.0.0.0" if family == 4 else "::"
        "Stands for all node-port addresses in keys."
        self._options = options
        self._ip = "ip" if family == 4 else "ip6"
        self._mark = f"meta mark set meta mark or {options.masquerade_mark:#x}"

    def key(self, node_port: bool) -> str:
        """Spell the expressions that make a packet's key in ``services`` and ``slots``."""
        address = f"{self._ip} daddr"
        if node_port:
            address += f" and {self.any_address}"
        return f"{address} . meta l4proto . th dport"

    def sets(self) -> tuple[Set, ...]:
        """Declare all sets and maps."""
        address = "ipv4_addr" if self.family == 4 else "ipv6_addr"
        key, backend = f"{address} . inet_proto . inet_service", f"{address} . inet_service"
        return (
            Set(LEADS, "classid", "verdict"),
            Set(LEADS_BY_SOURCE, "classid", "verdict"),
            Set(SERVICES, key, "classid"),
            Set(INSIDE, key, "classid"),
            Set(OUTSIDE, key, "classid"),
            Set(SLOTS, f"{key} . classid", backend),
            Set(GUARDED, key),
            Set(ADMITTED, f"{key} . {address}", flags=("interval",)),
            Set(CLUSTER_IPS, address),
            Set(SERVICE_CIDRS, address, flags=("interval",)),
            Set(NODE_PORT_ADDRESSES, address),
            Set(REFUSED_NODE_PORTS, "inet_proto . inet_service"),
            Set(HAIRPIN, f"{address} . {address}"),
            Set(SESSION_SLOTS, "mark . classid", "classid"),
            Set(LIVE, "mark . classid"),
            Set(PINNED, "mark . inet_proto . classid", backend),
        )

    def affinity(self, session: int) -> Set:
        """Declare the map of a session's clients."""
        address = "ipv4_addr" if self.family == 4 else "ipv6_addr"
        name = f"{AFFINITY}{session & ~LOCAL_BIT:08x}"
        return Set(name, address, "classid", ("dynamic", "timeout"), AFFINITY_SIZE)

    def fixed_chains(self, any_node_port_address: bool) -> tuple[Chain, ...]:
        """Give the chains that are always there, each after those that it leads to.

        Args:
            any_node_port_address: Whether node ports answer on every local address (rule R31).
        """
        return (
            Chain("refuse", ("reject",)),
            Chain("refuse-node-port", ("fib saddr type local accept", "reject")),
            Chain("local-policy", self._local_policy(False)),
            Chain("node-port-local-policy", self._local_policy(True)),
            Chain("dispatch", tuple(self._dispatch(any_node_port_address))),
            Chain("source-nat", (self._unmark(), "masquerade fully-random")),
            Chain("prerouting", ("jump dispatch",), Hook("nat", "prerouting", -100)),
            Chain("output", ("jump dispatch",), Hook("nat", "output", -100)),
            Chain("input", (self._input(any_node_port_address),), Hook("filter", "input", 0)),
            Chain("postrouting", tuple(self._postrouting()), Hook("nat", "postrouting", 100)),
        )

    def _unmark(self) -> str:
        return f"meta mark set meta mark and {0xFFFFFFFF ^ self._options.masquerade_mark:#x}"

    def _dispatch(self, any_node_port_address: bool) -> Iterator[str]:
        ip, key = self._ip, self.key(node_port=False)
        yield f"{key} @{GUARDED} {key} . {ip} saddr != @{ADMITTED} drop"
        if self._options.masquerade_all:
            yield f"{ip} daddr @{CLUSTER_IPS} {self._mark}"
        elif foreign := self._source("!="):
            yield f"{foreign} {ip} daddr @{CLUSTER_IPS} {self._mark}"
        yield _lead(key, SERVICES, LEADS)
        here = self._here(any_node_port_address)
        yield f"{here} {_lead(self.key(node_port=True), SERVICES, LEADS)}"
        yield f"{ip} daddr @{CLUSTER_IPS} {REFUSE.verdict}"
        yield f"{ip} daddr @{SERVICE_CIDRS} drop"

    def _input(self, any_node_port_address: bool) -> str:
        here = self._here(any_node_port_address)
        key = "meta l4proto . th dport"
        return f'iifname == "lo" ct state new {here} {key} @{REFUSED_NODE_PORTS} reject'

    def _here(self, any_node_port_address: bool) -> str:
        """Match packets to the addresses that node ports answer on (rules R31 and R33)."""
        if not any_node_port_address:
            return f"{self._ip} daddr @{NODE_PORT_ADDRESSES}"
        loopback = "127.0.0.0/8" if self.family == 4 else "::1"
        return f"fib daddr type local {self._ip} daddr != {loopback}"

    def _source(self, comparison: str) -> str:
        """Match packets of pods, or with ``!=`` all others (rule R73); empty without a detector."""
        detector = self._options.detector
        if cidr := detector.cidr(self.family):
            return f"{self._ip} saddr {comparison} {cidr}"
        name = detector.interface or (detector.prefix and f"{detector.prefix}*")
        return f'iifname {comparison} "{name}"' if name else ""

    def _postrouting(self) -> Iterator[str]:
        ip, mark = self._ip, self._options.masquerade_mark
        yield f"meta priority and 0xf0000000 == {OURS:#x} meta priority set 0"
        yield f"meta mark and {mark:#x} == {mark:#x} goto source-nat"
        yield f"ct status dnat {ip} saddr . {ip} daddr @{HAIRPIN} masquerade fully-random"

    def _local_policy(self, node_port: bool) -> tuple[str, ...]:
        """Sort sources under externalTrafficPolicy Local (rule R53)."""
        key = self.key(node_port)
        inside, pods = _lead(key, INSIDE, LEADS_BY_SOURCE), self._source("==")
        short_circuit = (f"{pods} {inside}",) if pods else ()
        return (
            *short_circuit,
            f"fib saddr type local {self._mark}",
            f"fib saddr type local {inside}",
            _lead(key, OUTSIDE, LEADS_BY_SOURCE),
        )

    def counted(self, way: Way, count: int, node_port: bool) -> Chain:
        """Give the chain that leads to one of *count* backends."""
        first = LOCAL_SLOTS if way is Way.LOCAL else SLOTS_FROM
        key = f"{self.key(node_port)} . meta priority"
        rules = [_draw(count, first), f"dnat {self._ip} to {key} map @{SLOTS}"]
        if way is Way.MASQUERADE:
            rules.insert(0, self._mark)
        return Chain(_counted_name(way, count, node_port), tuple(rules))

    @staticmethod
    def counted_lead(way: Way, count: int, node_port: bool) -> Lead:
        """Give what leads to the chain of :meth:`counted`."""
        number = OURS | tuple(Way).index(way) << 22 | node_port << 21 | count
        return Lead(number, f"goto {_counted_name(way, count, node_port)}")

    def session(self, session: int, count: int, timeout: int) -> Chain:
        """Give the chain of a service port with affinity.

        Args:
            session: Its identity; with :data:`LOCAL_BIT` for the backends of policy Local.
            count: Number of these backends.
            timeout: Seconds that a pin outlives the last new connection (rule R66).
        """
        own = f"meta mark and 0 xor {session:#010x}"
        shared = f"meta mark and 0 xor {session & ~LOCAL_BIT:#010x}"
        client, pins = f"{self._ip} saddr", self.affinity(session).name
        live = f"{own} . meta priority @{LIVE}"
        keep = f"update @{pins} {{ {client} timeout {timeout}s : meta priority }}"
        dnat = f"dnat {self._ip} to {shared} . meta l4proto . meta priority map @{PINNED}"
        rules = (
            "meta priority set 0",  # a socket's own priority is not a pin
            f"meta priority set {client} map @{pins}",
            f"{live} {keep}",
            f"{live} {dnat}",
            # An update leaves the value of an element as it is, so a dead pin goes first.
            f"delete @{pins} {{ {client} : meta priority }}",
            _draw(count, SLOTS_FROM),
            f"meta priority set {own} . meta priority map @{SESSION_SLOTS}",
            keep,
            dnat,
        )
        return Chain(_session_name(session), rules)

    @staticmethod
    def session_lead(session: int) -> Lead:
        """Give what leads to the chain of :meth:`session`."""
        return Lead(session, f"goto {_session_name(session)}")

    @staticmethod
    def masquerade_session_lead(session: int) -> Lead:
        """Give what leads to the chain of :meth:`masquerade_session`."""
        return Lead(session | MASQUERADE_BIT, f"goto masquerade-{_session_name(session)}")

    def masquerade_session(self, session: int) -> Chain:
        """Give the chain that replaces the source on the way to a session's backends."""
        name = _session_name(session)
        return Chain(f"masquerade-{name}", (self._mark, f"goto {name}"))


def _lead(key: str, of: str, verdicts: str) -> str:
    """Look a packet's lead up, and follow it; without one the rule ends."""
    return f"meta priority set {key} map @{of} meta priority vmap @{verdicts}"


def _counted_name(way: Way, count: int, node_port: bool) -> str:
    return f"{'node-port-' if node_port else ''}{way.value}-{count}"


def _draw(count: int, first: int) -> str:
    """Put the number of one of *count* slots into the packet's priority."""
    if count == 1:
        return f"meta priority set {first:#x}"
    return f"meta priority set numgen random mod {count} offset {first:#x}"


def _session_name(session: int) -> str:
    own = "-local" if session & LOCAL_BIT else ""
    return f"session-{session & ~LOCAL_BIT:08x}{own}"
