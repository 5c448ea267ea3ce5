"""The table by our own interpreter: the cases, and equality of every way to the same table."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from svcdns.kube.store import Store
from svcdns.proxy import schema
from svcdns.proxy.model import (
    Backend,
    Exposure,
    ForwardingPlan,
    Frontend,
    LocalDetector,
    NodePorts,
    NodeView,
    PlanKey,
    PlanOptions,
    Policy,
    PortId,
    ServicePlan,
)
from svcdns.proxy.nft import Transaction
from svcdns.proxy.plan import Planner
from svcdns.proxy.ruleset import Ruleset
from svcdns.proxy.schema import RulesetOptions
from tests.support import flows
from tests.support.flow_cases import ALL
from tests.support.flows import ADDRESSES, Case
from tests.support.nft import Packet, Refused, Result, Table

OPTIONS = RulesetOptions(LocalDetector(("10.244.0.0/16", "fd00:10:244::/48")))
TABLES = {4: "ip", 6: "ip6"}


def _packet(flow: flows.Flow, family: int) -> Packet:
    here = (ADDRESSES[family]["node"],)
    source = flow.source_address(family)
    return Packet(
        source,
        flow.protocol.lower(),
        flow.target(family),
        flow.port,
        local=source in here,
        here=here,
    )


def _spell(results: set[Result], wanted: flows.Flow, family: int) -> flows.Flow:
    (verdict,) = {one.verdict for one in results}
    own = wanted.source_address(family)
    hairpin = {one for one in results if own in (one.target.rpartition(":")[0].strip("[]"),)}
    assert all(one.masquerade for one in hairpin), "R74"
    assert not any(one.mark or one.priority for one in results), "all that is lent is given back"
    others = {one.masquerade for one in results - hairpin}
    assert len(others) < 2
    masquerade = others == {True} if others else wanted.masquerade
    to = tuple(sorted(one.target for one in results if one.target))
    expect = "dnat" if verdict == "dnat" else verdict
    return msgspec.structs.replace(
        wanted, expect=expect, to=to, masquerade=masquerade and verdict == "dnat"
    )


@pytest.mark.parametrize("case", ALL, ids=lambda case: f"{' '.join(case.rules)}: {case.name}")
def test_the_table_does_to_every_flow_what_the_rules_say(case: Case) -> None:
    config = case.config
    ruleset = Ruleset(
        case.family,
        RulesetOptions(LocalDetector(config.cluster_cidrs), config.masquerade_all),
    )
    table = Table(TABLES[case.family])
    table.run(ruleset.rebuild())
    store = Store()
    options = PlanOptions(node_port_addresses=config.node_port_addresses)
    planner = Planner(store, NodeView.from_node(case.node, None), options)
    for step in case.steps:
        step.feed(store)
        change = planner.update()
        table.run(ruleset.update(planner.plan, change.services))
        for wanted in step.flows:
            results = table.send(_packet(wanted, case.family))
            assert _spell(results, wanted, case.family) == wanted


# -- plans by hand ---------------------------------------------------------------------------

WEB = PortId("shop", "web", "http", "TCP")
BACKENDS = tuple(Backend(f"10.244.{n % 3}.{n}", 8080, n % 2 == 0) for n in range(1, 9))


def _plan(*services: ServicePlan, **more: object) -> ForwardingPlan:
    return ForwardingPlan({one.key: one for one in services}, {}, **more)  # type: ignore[arg-type]  # fields by name


def _service(identity: PortId = WEB, *backends: Backend, **more: object) -> ServicePlan:
    fields = {
        "frontends": (
            Frontend(Exposure.CLUSTER_IP, "10.96.0.1", 80),
            Frontend(Exposure.NODE_PORT, "", 30080),
            Frontend(Exposure.LOAD_BALANCER, "203.0.113.1", 80),
        ),
        "cluster": backends,
        "local": tuple(one for one in backends if one.local),
        "any_usable": bool(backends),
        **more,
    }
    return ServicePlan(identity, 4, **fields)  # type: ignore[arg-type]  # fields by name


class Node:
    """A ruleset and the table that follows it."""

    def __init__(self, options: RulesetOptions = OPTIONS) -> None:
        self.ruleset = Ruleset(4, options)
        self.table = Table("ip")
        self.table.run(self.ruleset.rebuild())
        self.plan = _plan()

    def follow(self, plan: ForwardingPlan) -> Transaction:
        keys = {*self.plan.services, *plan.services}
        changed = [k for k in keys if self.plan.services.get(k) != plan.services.get(k)]
        tx = self.ruleset.update(plan, changed)
        self.table.run(tx)
        self.plan = plan
        return tx


def _fresh(plan: ForwardingPlan) -> Table:
    node = Node()
    node.ruleset.update(plan, plan.services)
    node.table.run(node.ruleset.rebuild())
    return node.table


_backends = st.sets(st.sampled_from(BACKENDS)).map(lambda found: tuple(sorted(found)))


@st.composite
def _services(draw: st.DrawFn, number: int) -> ServicePlan:
    """One service port in any state; frontends of two services never meet."""
    address = f"10.96.0.{number}"
    frontends = [
        Frontend(Exposure.CLUSTER_IP, address, 80),
        Frontend(Exposure.NODE_PORT, "", 30000 + number),
        Frontend(Exposure.LOAD_BALANCER, f"203.0.113.{number}", 80),
        Frontend(Exposure.EXTERNAL_IP, f"192.0.2.{number}", 80),
    ]
    cluster = draw(_backends)
    local = tuple(one for one in cluster if one.local)
    return ServicePlan(
        PortId("shop", f"s{number}", "", draw(st.sampled_from(["TCP", "UDP", "SCTP"]))),
        4,
        tuple(frontends[: draw(st.integers(1, 4))]),
        cluster,
        draw(st.sampled_from([local, local[:1], ()])),
        draw(st.sampled_from(Policy)),
        draw(st.sampled_from(Policy)),
        bool(cluster),
        draw(st.sampled_from([0, 0, 60, 10800])),
        draw(st.sampled_from([(), ("10.0.0.0/8", "10.1.0.0/16", "192.0.2.7/32")])),
    )


@st.composite
def _plans(draw: st.DrawFn) -> ForwardingPlan:
    numbers = draw(st.sets(st.integers(1, 4)))
    return _plan(
        *(draw(_services(number)) for number in sorted(numbers)),
        service_cidrs=draw(st.sampled_from([(), ("10.96.0.0/16",), ("10.96.0.0/12", "fd00::/64")])),
        node_ports=draw(
            st.sampled_from(
                [NodePorts(), NodePorts(("172.18.0.3", "fd00::3")), NodePorts((), (4,))]
            )
        ),
    )


@settings(max_examples=150, deadline=None)
@given(st.lists(_plans(), min_size=1, max_size=6), st.booleans())
def test_any_sequence_of_plans_leaves_the_table_of_a_fresh_start(
    plans: list[ForwardingPlan], collects: bool
) -> None:
    node = Node()
    for plan in plans:
        node.follow(plan)
        if collects:
            node.table.run(node.ruleset.collect())
        assert not node.ruleset.adopt(node.table.listing()).operations
    assert node.table.canonical() == _fresh(plans[-1]).canonical()


@settings(max_examples=100, deadline=None)
@given(_plans(), _plans(), st.randoms(use_true_random=False))
def test_a_damaged_table_is_put_right_without_touching_what_is_right(
    before: ForwardingPlan, plan: ForwardingPlan, random: object
) -> None:
    """A new process finds the table of an old plan, and somebody has been at it."""
    node = Node()
    node.follow(before)
    for name, elements in node.table.elements.items():
        for key in list(elements):
            if random.random() < 0.2:  # type: ignore[attr-defined]  # hypothesis's Random
                del elements[key]
        if name == schema.CLUSTER_IPS:
            elements["192.0.2.99"] = ""
    node.table.chains["dispatch"].pop(0)
    node.table.chains["theirs"] = [("drop", "")]
    later = Ruleset(4, OPTIONS)
    later.update(plan, plan.services)
    node.table.run(later.adopt(node.table.listing()))
    node.table.run(later.collect())
    assert node.table.canonical() == _fresh(plan).canonical()
    assert not later.adopt(node.table.listing()).operations


def test_a_new_process_changes_nothing_that_is_right_r105() -> None:
    node = Node()
    for count in (8, 3, 6):
        node.follow(_plan(_service(WEB, *BACKENDS[:count])))
    node.follow(_plan(_service(WEB, *BACKENDS[2:6])))
    later = Ruleset(4, OPTIONS)
    later.update(node.plan, node.plan.services)
    assert len(later.adopt(node.table.listing()).operations) == 0


def test_a_new_process_keeps_pins_r69() -> None:
    node = Node()
    node.follow(_plan(_service(WEB, *BACKENDS, affinity=60)))
    packet = Packet("10.244.1.7", "tcp", "10.96.0.1", 80)
    pinned = node.table.connect(packet, (5,))
    later = Ruleset(4, OPTIONS)
    later.update(node.plan, node.plan.services)
    tx = later.adopt(node.table.listing())
    assert not tx.operations
    assert node.table.send(packet) == {pinned}


def test_each_node_pins_for_itself_and_clients_behind_one_address_together_r68() -> None:
    plan, packet = (
        _plan(_service(WEB, *BACKENDS, affinity=60)),
        Packet("10.244.1.7", "tcp", "10.96.0.1", 80),
    )
    here, there = Node(), Node()
    for node in (here, there):
        node.follow(plan)
    first, other = here.table.connect(packet, (0,)), there.table.connect(packet, (1,))
    assert first.target != other.target
    assert here.table.send(packet) == {first}, "another connection from the same address"
    assert there.table.send(packet) == {other}


@pytest.mark.parametrize("count", [2, 10, 1000])
def test_one_endpoint_costs_a_constant_number_of_operations(count: int) -> None:
    many = tuple(Backend(f"10.244.{n // 250}.{n % 250}", 8080) for n in range(count + 1))
    node = Node()
    cluster_ip = (Frontend(Exposure.CLUSTER_IP, "10.96.0.1", 80),)
    node.follow(_plan(_service(WEB, *many[:count], frontends=cluster_ip)))
    added = node.follow(_plan(_service(WEB, *many, frontends=cluster_ip)))
    # The new slot, the lead out and in, the verdict and the chain for one more than any Service
    # had, the old verdict out, the old chain emptied.
    assert len(added) == 7
    removed = node.follow(_plan(_service(WEB, *many[1:], frontends=cluster_ip)))
    # As above, and the backend of the last slot moves: one out, one in, one slot less.
    assert len(removed) == 9
    replaced = node.follow(_plan(_service(WEB, many[0], *many[2:], frontends=cluster_ip)))
    assert len(replaced) == 2


def test_nothing_changed_is_no_operation() -> None:
    node = Node()
    node.follow(_plan(_service(WEB, *BACKENDS)))
    assert not node.ruleset.update(node.plan, node.plan.services).operations


def test_chains_depend_on_numbers_of_endpoints_and_not_on_services() -> None:
    services = [
        _service(
            PortId("shop", f"s{n}", "", "TCP"),
            *BACKENDS[: n % 4],
            frontends=(Frontend(Exposure.CLUSTER_IP, f"10.96.1.{n}", 80),),
        )
        for n in range(200)
    ]
    node = Node()
    before = len(node.table.chains)
    node.follow(_plan(*services))
    assert len(node.table.chains) == before + 3


def test_idle_chains_are_emptied_at_once_and_deleted_later_r106() -> None:
    node = Node()
    node.follow(_plan(_service(WEB, *BACKENDS[:3])))
    node.follow(_plan(_service(WEB, *BACKENDS[:4])))
    assert node.table.chains["forward-3"] == []
    refused = node.ruleset.collect()
    assert len(refused) == 3  # forward, masquerade and node-port-masquerade of three
    node.ruleset.retain(refused)
    node.table.run(node.ruleset.collect())
    assert "forward-3" not in node.table.chains
    assert not node.ruleset.collect().operations
    node.follow(_plan(_service(WEB, *BACKENDS[:3])))
    assert node.table.chains["forward-3"] != []


def test_a_service_that_nft_refuses_is_left_out_until_its_plan_changes() -> None:
    node = Node()
    other = PortId("shop", "other", "", "TCP")
    bad = _service(other, BACKENDS[0], frontends=(Frontend(Exposure.CLUSTER_IP, "10.96.0.9", 80),))
    plan = _plan(_service(WEB, *BACKENDS), bad)
    node.follow(plan)
    node.table.run(node.ruleset.exclude([bad.key]))
    assert node.table.send(Packet("10.244.1.7", "tcp", "10.96.0.9", 80)) == {Result("pass")}
    assert node.table.canonical() == _fresh(_plan(_service(WEB, *BACKENDS))).canonical()
    node.follow(_plan(_service(WEB, *BACKENDS), msgspec.structs.replace(bad, affinity=5)))
    (found,) = node.table.send(Packet("10.244.1.7", "tcp", "10.96.0.9", 80))
    assert found.verdict == "dnat"


def test_a_trial_has_just_the_services_asked_for() -> None:
    keys: list[PlanKey] = []
    node = Node()
    services = [
        _service(
            PortId("shop", f"s{n}", "", "TCP"),
            *BACKENDS[:n],
            frontends=(Frontend(Exposure.CLUSTER_IP, f"10.96.1.{n}", 80),),
        )
        for n in range(4)
    ]
    keys = [one.key for one in services]
    node.follow(_plan(*services))
    trial = Table("ip")
    trial.run(node.ruleset.trial(keys[:2]))
    assert trial.elements[schema.SERVICES].keys() == {
        "10.96.1.0 . tcp . 80",
        "10.96.1.1 . tcp . 80",
    }
    trial.run(node.ruleset.trial(keys))
    assert trial.canonical() == node.table.canonical()


def test_another_detector_or_mark_is_another_set_of_rules() -> None:
    node = Node(RulesetOptions(LocalDetector(prefix="veth"), masquerade_mark=0x20))
    node.follow(_plan(_service(WEB, *BACKENDS)))
    pod = Packet("10.244.1.7", "tcp", "10.96.0.1", 80, interface="veth12")
    other = Packet("10.244.1.7", "tcp", "10.96.0.1", 80, interface="eth0")
    assert {one.masquerade for one in node.table.send(pod)} == {False}
    assert {one.masquerade for one in node.table.send(other)} == {True}


def test_the_fake_refuses_what_the_kernel_refuses() -> None:
    node = Node()
    for text in (
        "add element ip svcdns-proxy services { 10.96.0.9 . tcp . 80 : goto nowhere }",
        "delete element ip svcdns-proxy cluster-ips { 10.96.0.9 }",
        "delete chain ip svcdns-proxy refuse",
        "add element ip svcdns-proxy cluster-ips { 10.96.0.9 : drop }",
    ):
        with pytest.raises(Refused):
            node.table.run(text)


# -- session affinity ------------------------------------------------------------------------

CLIENT = Packet("198.51.100.7", "tcp", "10.96.0.1", 80)
VIP = Packet("198.51.100.7", "tcp", "203.0.113.1", 80)


def test_all_addresses_of_a_service_port_share_its_pins_r65() -> None:
    node = Node()
    node.follow(_plan(_service(WEB, *BACKENDS, affinity=60)))
    first = node.table.connect(CLIENT, (6,))
    assert {one.target for one in node.table.send(VIP)} == {first.target}
    assert len(node.table.send(Packet("198.51.100.8", "tcp", "203.0.113.1", 80))) == 8
    other = _service(
        PortId("shop", "web", "admin", "TCP"),
        *BACKENDS,
        affinity=60,
        frontends=(Frontend(Exposure.CLUSTER_IP, "10.96.0.1", 81),),
    )
    node.follow(_plan(node.plan.services[WEB, 4], other))
    assert len(node.table.send(Packet("198.51.100.7", "tcp", "10.96.0.1", 81))) == 8


def test_new_connections_prolong_a_pin_and_idleness_ends_it_r66() -> None:
    node = Node()
    node.follow(_plan(_service(WEB, *BACKENDS, affinity=60)))
    first = node.table.connect(CLIENT, (6,), now=0)
    assert node.table.connect(CLIENT, (1,), now=59) == first
    assert node.table.connect(CLIENT, (1,), now=118) == first
    assert len(node.table.send(CLIENT, now=179)) == 8


def test_an_endpoint_that_leaves_takes_its_pins_along_and_no_others_r67() -> None:
    node = Node()
    node.follow(_plan(_service(WEB, *BACKENDS, affinity=60)))
    clients = [Packet(f"198.51.100.{n}", "tcp", "10.96.0.1", 80) for n in range(8)]
    pinned = [node.table.connect(client, (n,)) for n, client in enumerate(clients)]
    node.follow(_plan(_service(WEB, *BACKENDS[1:], affinity=60)))
    assert len(node.table.send(clients[0])) == 7
    again = node.table.connect(clients[0], (3,))
    assert node.table.send(clients[0]) == {again}, "the new pin took the dead one's place"
    for client, before in zip(clients[1:], pinned[1:], strict=True):
        assert node.table.send(client) == {before}


def test_under_policy_local_only_pins_to_endpoints_here_count_r67() -> None:
    node = Node()
    service = _service(WEB, *BACKENDS, affinity=60, external=Policy.LOCAL)
    node.follow(_plan(service))
    remote = next(n for n, one in enumerate(BACKENDS) if not one.local)
    node.table.connect(CLIENT, (remote,))
    here = {f"{one.address}:{one.port}" for one in service.local}
    assert {one.target for one in node.table.send(VIP)} == here


def test_affinity_can_be_switched_on_and_off_r69() -> None:
    node = Node()
    node.follow(_plan(_service(WEB, *BACKENDS)))
    assert len(node.table.send(CLIENT)) == 8
    node.follow(_plan(_service(WEB, *BACKENDS, affinity=60)))
    first = node.table.connect(CLIENT, (2,))
    assert node.table.send(CLIENT) == {first}
    node.follow(_plan(_service(WEB, *BACKENDS)))
    assert len(node.table.send(CLIENT)) == 8


def test_a_packet_cannot_choose_its_backend_by_priority() -> None:
    node = Node()
    node.follow(_plan(_service(WEB, *BACKENDS, affinity=60)))
    forged = Packet("198.51.100.7", "tcp", "10.96.0.1", 80, priority=schema.SLOTS_FROM)
    assert len(node.table.send(forged)) == 8
