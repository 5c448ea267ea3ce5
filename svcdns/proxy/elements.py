"""What one service port puts into the table: elements, and the chains that they lead to.

Rules R20 to R24, R30 to R38, R40 to R47, R50 to R53, R65 to R67, R74.
"""

from collections.abc import Iterable, Iterator
from hashlib import blake2s
from ipaddress import ip_network

from msgspec import Struct

from svcdns.proxy import schema
from svcdns.proxy.model import Backend, Exposure, Frontend, Policy, PortId, ServicePlan, Verdict
from svcdns.proxy.nft import Chain, Element
from svcdns.proxy.schema import LOCAL_BIT, LOCAL_SLOTS, SLOTS_FROM, Lead, Schema, Way
from svcdns.proxy.slots import arrange


class Placed(Struct, frozen=True):
    """A service port as it is in the table."""

    plan: ServicePlan
    cluster: tuple[Backend, ...] = ()
    "Backends of policy Cluster by slot."
    local: tuple[Backend, ...] = ()
    "Backends of policy Local by slot."
    session: int = 0
    "Identity of its pins, within :data:`svcdns.proxy.schema.SESSIONS`; 0: no affinity."

    def backends(self, policy: Policy) -> tuple[Backend, ...]:
        """Backends under a policy, by slot."""
        return self.cluster if policy is Policy.CLUSTER else self.local


class Contribution(Struct, frozen=True):
    """What a service port puts into the table."""

    elements: dict[tuple[str, str], str]
    "Set and key to value; these are nobody else's."
    shared: frozenset[Element]
    "Elements that other service ports may have as well."
    chains: dict[str, Chain]
    "By name; others may need them as well."


NOTHING = Contribution({}, frozenset(), {})


def place(plan: ServicePlan, session: int, before: Placed | None) -> Placed:
    """Give the backends of *plan* their slots, close to where they were."""
    return Placed(
        plan,
        arrange(before.cluster if before else (), plan.cluster),
        arrange(before.local if before else (), plan.local),
        session if plan.affinity else 0,
    )


def session_of(port: PortId) -> int:
    """Give the identity that pins of a service port have; the same in every life of the proxy."""
    found = int.from_bytes(blake2s(str(port).encode(), digest_size=4).digest())
    return found & schema.SESSIONS or schema.FIRST_SESSION


def pins(backends: Iterable[Backend]) -> dict[tuple[str, int], int]:
    """Give each endpoint of one service port the number that stands for it.

    The number depends on the endpoint alone, unless two of the same service port meet by chance.
    """
    found: dict[tuple[str, int], int] = {}
    taken: set[int] = set()
    for address, port in sorted({(one.address, one.port) for one in backends}):
        hashed = blake2s(f"{address} {port}".encode(), digest_size=4).digest()
        pin = int.from_bytes(hashed) & schema.PINS
        while pin in taken:
            pin = (pin + 1) & schema.PINS
        taken.add(pin)
        found[address, port] = schema.OURS | pin
    return found


class _Writer:
    """Collects what one service port contributes."""

    def __init__(self, tables: Schema, placed: Placed) -> None:
        self.schema = tables
        self.placed = placed
        self.protocol = placed.plan.id.protocol.lower()
        self.elements: dict[tuple[str, str], str] = {}
        self.shared: set[Element] = set()
        self.chains: dict[str, Chain] = {}

    def frontend(self, frontend: Frontend) -> None:
        plan, node_port = self.placed.plan, not frontend.address
        address = frontend.address or self.schema.any_address
        key = f"{address} . {self.protocol} . {frontend.port}"
        if frontend.exposure is Exposure.CLUSTER_IP:
            self.shared.add(Element(schema.CLUSTER_IPS, frontend.address))
            lead = self._lead(key, plan.internal, Way.FORWARD, node_port)
        elif plan.external is Policy.CLUSTER:
            lead = self._lead(key, Policy.CLUSTER, Way.MASQUERADE, node_port)
        else:
            lead = self._local_policy(key, node_port)
        if node_port and lead == schema.REFUSE:
            self.elements[schema.REFUSED_NODE_PORTS, f"{self.protocol} . {frontend.port}"] = ""
            lead = schema.REFUSE_NODE_PORT
        self._write(schema.SERVICES, key, lead)
        if frontend.exposure is Exposure.LOAD_BALANCER and plan.source_ranges:
            self._guard(key)

    def _write(self, name: str, key: str, lead: Lead) -> None:
        self.elements[name, key] = str(lead)
        verdicts = schema.LEADS if name == schema.SERVICES else schema.LEADS_BY_SOURCE
        self.shared.add(Element(verdicts, str(lead), lead.verdict))

    def _local_policy(self, key: str, node_port: bool) -> Lead:
        inside = self._lead(key, Policy.CLUSTER, Way.FORWARD, node_port)
        outside = self._lead(key, Policy.LOCAL, Way.LOCAL, node_port)
        if inside == outside:
            return inside
        self._write(schema.INSIDE, key, inside)
        self._write(schema.OUTSIDE, key, outside)
        return schema.LOCAL_POLICY[node_port]

    def _lead(self, key: str, policy: Policy, way: Way, node_port: bool) -> Lead:
        """Write what leads from a key to the backends of a policy; the beginning of it."""
        match self.placed.plan.verdict(policy):
            case Verdict.REJECT:
                return schema.REFUSE
            case Verdict.DROP:
                return schema.DROP
        if self.placed.session:
            return self._session(policy, way)
        backends = self.placed.backends(policy)
        first = LOCAL_SLOTS if way is Way.LOCAL else SLOTS_FROM
        for slot, backend in enumerate(backends, first):
            value = f"{backend.address} . {backend.port}"
            self.elements[schema.SLOTS, f"{key} . {slot:#x}"] = value
        self._need(self.schema.counted(way, len(backends), node_port))
        return self.schema.counted_lead(way, len(backends), node_port)

    def _session(self, policy: Policy, way: Way) -> Lead:
        placed = self.placed
        session = placed.session | (LOCAL_BIT if policy is Policy.LOCAL else 0)
        backends = placed.backends(policy)
        numbers = pins((*placed.cluster, *placed.local))
        for slot, backend in enumerate(backends, SLOTS_FROM):
            pin = f"{numbers[backend.address, backend.port]:#010x}"
            value = f"{backend.address} . {backend.port}"
            self.elements[schema.SESSION_SLOTS, f"{session} . {slot:#x}"] = pin
            self.elements[schema.LIVE, f"{session} . {pin}"] = ""
            key = f"{placed.session} . {self.protocol} . {pin}"
            self.elements[schema.PINNED, key] = value
        plan = placed.plan
        self._need(self.schema.session(session, len(backends), plan.affinity))
        if way is not Way.MASQUERADE:
            return self.schema.session_lead(session)
        self._need(self.schema.masquerade_session(session))
        return self.schema.masquerade_session_lead(session)

    def _need(self, chain: Chain) -> None:
        self.chains[chain.name] = chain

    def _guard(self, key: str) -> None:
        self.elements[schema.GUARDED, key] = ""
        for text in collapsed(self.placed.plan.source_ranges):
            self.elements[schema.ADMITTED, f"{key} . {text}"] = ""

    def hairpins(self) -> None:
        """Note the backends that may be their own client (rules R74 and R75).

        Pods of other nodes may be as well where they come here for a node port or a balancer's
        address and keep their source (R53), which kube-proxy leaves to chance.
        """
        plan = self.placed.plan
        everybody = plan.external is Policy.LOCAL
        for backend in {*plan.cluster, *plan.local}:
            if backend.local or everybody:
                pair = f"{backend.address} . {backend.address}"
                self.shared.add(Element(schema.HAIRPIN, pair))


def contribution(tables: Schema, placed: Placed | None) -> Contribution:
    """Give what a service port puts into the table."""
    if placed is None:
        return NOTHING
    writer = _Writer(tables, placed)
    for frontend in placed.plan.frontends:
        writer.frontend(frontend)
    writer.hairpins()
    return Contribution(writer.elements, frozenset(writer.shared), writer.chains)


def collapsed(ranges: Iterable[str]) -> Iterator[str]:
    """Merge ranges of one family that overlap: nft refuses them in one set."""
    networks = sorted({ip_network(text) for text in ranges}, key=lambda one: one.prefixlen)
    kept = [
        one
        for index, one in enumerate(networks)
        if not any(
            one.network_address in other and one.prefixlen >= other.prefixlen
            for other in networks[:index]
        )
    ]
    # Not ipaddress.collapse_addresses: it joins neighbours too, and hides what was configured.
    # nft lists a range of one address as that address.
    texts = (str(one) if one.num_addresses > 1 else str(one.network_address) for one in kept)
    yield from sorted(texts)


def seated(tables: Schema, found: dict[str, dict[str, str]], placed: Placed) -> Placed:
    """Seat backends as a table has them: what to give :func:`place` as the state before.

    Args:
        tables: Spells the keys.
        found: Elements of a table, key to value by set.
        placed: The service port, with any seats.
    """
    plan = placed.plan
    seats = {Policy.CLUSTER: placed.cluster, Policy.LOCAL: placed.local}
    for policy, backends in seats.items():
        known = {f"{one.address} . {one.port}": one for one in backends}
        if placed.session:
            taken = _session_seats(found, placed, policy)
        else:
            taken = _seats(tables, found, plan, policy)
        seats[policy] = tuple(known[text] for text in taken if text in known)
    return Placed(plan, seats[Policy.CLUSTER], seats[Policy.LOCAL], placed.session)


def _session_seats(
    found: dict[str, dict[str, str]], placed: Placed, policy: Policy
) -> Iterator[str]:
    session = placed.session | (LOCAL_BIT if policy is Policy.LOCAL else 0)
    protocol = placed.plan.id.protocol.lower()
    for slot in range(SLOTS_FROM, SLOTS_FROM + len(placed.backends(policy))):
        pin = found[schema.SESSION_SLOTS].get(f"{session} . {slot:#x}", "")
        yield found[schema.PINNED].get(f"{placed.session} . {protocol} . {pin}", "")


def _seats(
    tables: Schema, found: dict[str, dict[str, str]], plan: ServicePlan, policy: Policy
) -> Iterator[str]:
    for frontend in plan.frontends:
        exposed = frontend.exposure is not Exposure.CLUSTER_IP
        if plan.policy(frontend.exposure) is policy or (exposed and policy is Policy.CLUSTER):
            address = frontend.address or tables.any_address
            key = f"{address} . {plan.id.protocol.lower()} . {frontend.port}"
            first = LOCAL_SLOTS if exposed and policy is Policy.LOCAL else SLOTS_FROM
            for slot in range(first, first + len(plan.backends(policy))):
                yield found[schema.SLOTS].get(f"{key} . {slot:#x}", "")
            return
