from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from svcdns.kube.objects import Kind
from svcdns.kube.store import Store
from svcdns.proxy.model import (
    Backend,
    Exposure,
    Frontend,
    HealthCheck,
    LocalDetector,
    NodeView,
    PlanOptions,
    Policy,
    PortId,
    ServicePlan,
    Verdict,
)
from svcdns.proxy.plan import Planner, build
from tests.support.flow_cases import ALL
from tests.support.flows import (
    NODE,
    STATES,
    Case,
    decode,
    endpoint,
    node_object,
    port,
    service,
    service_cidr_object,
    slice_of,
)
from tests.support.flows import Flow as Wanted
from tests.support.outcomes import Flow, Origin, Outcome, Surroundings, decide, origin

VIEW = NodeView(NODE, "a", ("172.18.0.3", "fd00:172:18::3"))
HTTP = PortId("shop", "web", "http", "TCP")


def stored(*objects: dict[str, Any]) -> Store:
    store = Store()
    for one in objects:
        store.apply(decode(one))
    return store


def planned(*objects: dict[str, Any], family: int = 4) -> ServicePlan:
    return build(stored(*objects), VIEW).services[HTTP, family]


def balanced(**spec: Any) -> dict[str, Any]:
    given = {"type": "LoadBalancer", "ingress": ["203.0.113.9"], "healthCheckNodePort": 31000}
    return service("web", "10.96.5.5", **{**given, "externalTrafficPolicy": "Local", **spec})


def test_a_whole_plan() -> None:
    raw = service(
        "web",
        "10.96.5.5",
        type="LoadBalancer",
        ports=[port(nodePort=30080)],
        ingress=["203.0.113.9"],
        externalIPs=["192.0.2.9"],
        externalTrafficPolicy="Local",
        sessionAffinity="ClientIP",
        annotations={
            "svcdns.io/balance": " least-connections ",
            "svcdns.io/proxy-protocol": "v2",
            "svcdns.io/retry": "empty-response",
            "svcdns.io/responses": " 1 ",
            "svcdns.io/hint-weight": "4",
        },
    )
    found = planned(raw, slice_of("web", [endpoint("p2"), endpoint("p3"), endpoint("p4", "dead")]))
    here = Backend("10.244.1.12", 8080, True, "p2")
    there = Backend("10.244.2.21", 8080, False, "p3")
    assert found.left_out[0].rule == "R58"
    assert found == ServicePlan(
        id=HTTP,
        family=4,
        frontends=(
            Frontend(Exposure.CLUSTER_IP, "10.96.5.5", 80),
            Frontend(Exposure.NODE_PORT, "", 30080),
            Frontend(Exposure.LOAD_BALANCER, "203.0.113.9", 80),
            Frontend(Exposure.EXTERNAL_IP, "192.0.2.9", 80),
        ),
        cluster=(here, there),
        local=(here,),
        internal=Policy.CLUSTER,
        external=Policy.LOCAL,
        any_usable=True,
        affinity=10800,
        serving=(here, there),
        left_out=found.left_out,
        balance="least-connections",
        proxy_protocol="v2",
        retry="empty-response",
        responses="1",
        hint_weight="4",
    )


@pytest.mark.parametrize(
    ("weight", "relays", "usable", "preferred"),
    [
        ("4", True, ["p2", "p3"], ["p2"]),
        ("4", False, ["p2"], []),
        ("", True, ["p2"], []),
        ("x", True, ["p2"], []),
    ],
)
def test_hints_are_weights_where_a_service_says_so_and_a_relay_can_r60(
    weight: str, relays: bool, usable: list[str], preferred: list[str]
) -> None:
    raw = service("web", "10.96.5.5", annotations={"svcdns.io/hint-weight": weight})
    hinted = [
        endpoint(pod, hints={"forNodes": [{"name": node}]})
        for pod, node in (("p2", VIEW.name), ("p3", "elsewhere"))
    ]
    options = PlanOptions(hint_weights=relays)
    store = stored(raw, slice_of("web", hinted))
    found = build(store, VIEW, options).services[HTTP, 4]

    assert [one.pod for one in found.cluster] == usable
    assert [one.pod for one in found.preferred] == preferred


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, 0),
        ({"sessionAffinity": "None"}, 0),
        ({"sessionAffinity": "ClientIP"}, 10800),
        ({"sessionAffinity": "ClientIP", "sessionAffinityConfig": {}}, 10800),
        ({"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {}}}, 10800),
        (
            {
                "sessionAffinity": "ClientIP",
                "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 5}},
            },
            5,
        ),
    ],
)
def test_affinity_has_the_stated_timeout_or_the_default_r66(
    spec: dict[str, Any], expected: int
) -> None:
    assert planned(service("web", "10.96.5.5", **spec)).affinity == expected


@pytest.mark.parametrize(
    ("spec", "external"),
    [
        ({"type": "ClusterIP", "externalTrafficPolicy": "Local"}, Policy.CLUSTER),
        ({"type": "NodePort", "externalTrafficPolicy": "Local"}, Policy.CLUSTER),
        (
            {
                "type": "NodePort",
                "externalTrafficPolicy": "Local",
                "ports": [port(nodePort=30080)],
            },
            Policy.LOCAL,
        ),
        (
            {
                "type": "ClusterIP",
                "externalTrafficPolicy": "Local",
                "externalIPs": ["192.0.2.9"],
            },
            Policy.LOCAL,
        ),
    ],
)
def test_external_policy_needs_something_external_r52(
    spec: dict[str, Any], external: Policy
) -> None:
    assert planned(service("web", "10.96.5.5", **spec)).external is external


@pytest.mark.parametrize(
    ("spec", "cluster", "local"),
    [
        ({}, 2, 0),
        ({"internalTrafficPolicy": "Local"}, 0, 1),
        ({"internalTrafficPolicy": "Local", "externalIPs": ["192.0.2.9"]}, 2, 1),
        ({"externalTrafficPolicy": "Local", "externalIPs": ["192.0.2.9"]}, 2, 1),
        ({"internalTrafficPolicy": None}, 2, 0),
    ],
)
def test_sets_that_no_policy_uses_stay_empty_r54(
    spec: dict[str, Any], cluster: int, local: int
) -> None:
    found = planned(
        service("web", "10.96.5.5", **spec), slice_of("web", [endpoint("p2"), endpoint("p3")])
    )
    assert (len(found.cluster), len(found.local), found.any_usable) == (cluster, local, True)


@pytest.mark.parametrize(
    ("states", "policy", "verdict"),
    [
        ({}, Policy.CLUSTER, Verdict.REJECT),
        ({}, Policy.LOCAL, Verdict.REJECT),
        ({"p3": "unready"}, Policy.LOCAL, Verdict.REJECT),
        ({"p3": "ready"}, Policy.CLUSTER, Verdict.FORWARD),
        ({"p3": "ready"}, Policy.LOCAL, Verdict.DROP),
        ({"p3": "draining"}, Policy.LOCAL, Verdict.DROP),
        ({"p2": "ready"}, Policy.LOCAL, Verdict.FORWARD),
        ({"p2": "draining", "p3": "ready"}, Policy.LOCAL, Verdict.FORWARD),
    ],
)
def test_the_table_of_verdicts_r50(
    states: dict[str, str], policy: Policy, verdict: Verdict
) -> None:
    found = planned(
        service("web", "10.96.5.5", externalIPs=["192.0.2.9"], internalTrafficPolicy="Local"),
        slice_of("web", [endpoint(pod, state) for pod, state in states.items()]),
    )
    assert found.verdict(policy) is verdict


@pytest.mark.parametrize(
    "raw",
    [
        service("web", "None"),
        service("web", ""),
        service("web", None),
        service("web", "not-an-address"),
        service("web", "10.96.5.5", type="ExternalName", externalName="db.example"),
        service("web", "10.96.5.5", labels={"service.kubernetes.io/service-proxy-name": "x"}),
        service("web", "10.96.5.5", ports=None),
    ],
)
def test_services_that_are_not_ours_r1_r2(raw: dict[str, Any]) -> None:
    assert build(stored(raw, slice_of("web", [endpoint("p2")])), VIEW).services == {}


def test_a_dual_stack_service_has_a_plan_in_each_family_r29() -> None:
    raw = service(
        "web", "10.96.5.5", clusterIPs=["10.96.5.5", "FD00:10:96::5"], externalIPs=["2001:db8::9"]
    )
    store = stored(
        raw,
        slice_of("web", [endpoint("p2")]),
        slice_of("web", [endpoint("p3", family=6)], family=6),
    )
    found = build(store, VIEW).services
    assert found[HTTP, 4].frontends == (Frontend(Exposure.CLUSTER_IP, "10.96.5.5", 80),)
    assert [one.address for one in found[HTTP, 6].frontends] == ["fd00:10:96::5", "2001:db8::9"]
    assert [one.address for one in found[HTTP, 4].cluster] == ["10.244.1.12"]
    assert [one.address for one in found[HTTP, 6].cluster] == ["fd00:10:244:2::21"]
    only = build(store, VIEW, PlanOptions(families=(6,))).services
    assert list(only) == [(HTTP, 6)]


SERVING = [
    ("ready and draining", {"p2": "ready", "p3": "draining"}, ["10.244.1.12", "10.244.2.21"]),
    ("R92 whatever topology says", {"p2": "draining", "p3": "dead", "p4": "unready"}, ["10.244.1.12"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("states", "expected"), [c[1:] for c in SERVING], ids=[c[0] for c in SERVING]
)
def test_flows_to_what_serves_live_on_r90(states: dict[str, str], expected: list[str]) -> None:
    raw = slice_of("web", [endpoint(pod, state) for pod, state in states.items()])
    found = planned(service("web", "10.96.5.5", internalTrafficPolicy="Local"), raw)
    assert [one.address for one in found.serving] == expected


def test_flows_to_what_is_published_though_not_serving_live_on_r90() -> None:
    published = {**endpoint("p2"), "conditions": {"ready": True, "serving": False}}
    found = planned(service("web", "10.96.5.5"), slice_of("web", [published]))
    assert found.serving == found.cluster != ()


HEALTH = [
    ("R83 ready and local", balanced(), ["p1", "p2", "p3"], "ready", 2),
    ("R83 draining does not count", balanced(), ["p2"], "draining", 0),
    ("R80 type", balanced(type="NodePort"), ["p2"], "ready", None),
    ("R80 policy", balanced(externalTrafficPolicy="Cluster"), ["p2"], "ready", None),
    ("R80 port", balanced(healthCheckNodePort=0), ["p2"], "ready", None),
    ("R80 headless", {**balanced(), "spec": {**balanced()["spec"], "clusterIP": "None", "clusterIPs": ["None"]}}, ["p2"], "ready", None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("raw", "pods", "state", "count"), [c[1:] for c in HEALTH], ids=[c[0] for c in HEALTH]
)
def test_health_check_node_ports(
    raw: dict[str, Any], pods: list[str], state: str, count: int | None
) -> None:
    store = stored(raw, slice_of("web", [endpoint(pod, state) for pod in pods]))
    expected = {} if count is None else {("shop", "web"): HealthCheck("shop", "web", 31000, count)}
    assert build(store, VIEW).health_checks == expected


def test_an_endpoint_counts_once_over_ports_and_families_r83() -> None:
    raw = balanced(clusterIPs=["10.96.5.5", "fd00:10:96::5"], ports=[port("a"), port("b", 81)])
    ports = [
        {"name": "a", "protocol": "TCP", "port": 1},
        {"name": "b", "protocol": "TCP", "port": 2},
    ]
    store = stored(
        raw,
        slice_of("web", [endpoint("p2")], ports=ports),
        slice_of(
            "web", [endpoint("p2", family=6), endpoint("p1", family=6)], family=6, ports=ports
        ),
    )
    assert build(store, VIEW).health_checks[("shop", "web")].local_endpoints == 2


class TestPlanner:
    def test_a_change_reports_old_and_new_of_its_service_only(self) -> None:
        store = stored(service("web", "10.96.5.5"), service("other", "10.96.5.6"))
        planner = Planner(store, VIEW)
        first = planner.update()
        assert len(first.services) == 2
        assert first.node, "node ports were not known before"
        store.apply(decode(slice_of("web", [endpoint("p2")])))
        old = planner.plan.services[HTTP, 4]
        change = planner.update()
        assert change.services == {(HTTP, 4): (old, planner.plan.services[HTTP, 4])}
        assert not planner.update()

    def test_what_goes_is_reported_as_gone(self) -> None:
        store = stored(balanced())
        planner = Planner(store, VIEW)
        planner.update()
        old = planner.plan.services[HTTP, 4]
        store.delete(Kind.SERVICE, ("shop", "web"))
        change = planner.update()
        assert change.services == {(HTTP, 4): (old, None)}
        assert change.health_checks == {("shop", "web"): None}
        assert planner.plan == build(store, VIEW)

    def test_a_renamed_port_is_one_gone_and_one_new_r7(self) -> None:
        store = stored(service("web", "10.96.5.5"))
        planner = Planner(store, VIEW)
        planner.update()
        store.apply(decode(service("web", "10.96.5.5", ports=[port("web")])))
        pairs = planner.update().services
        assert {key[0].port: (old is None, new is None) for key, (old, new) in pairs.items()} == {
            "http": (False, True),
            "web": (True, False),
        }

    def test_moving_an_endpoint_between_slices_changes_nothing_r13(self) -> None:
        store = stored(service("web", "10.96.5.5"), slice_of("web", [endpoint("p2")], name="a"))
        planner = Planner(store, VIEW)
        planner.update()
        store.apply(decode(slice_of("web", [endpoint("p2")], name="b")))
        store.delete(Kind.ENDPOINT_SLICE, ("shop", "a"))
        assert not planner.update()

    def test_another_zone_of_this_node_recomputes_everything_r62(self) -> None:
        hints: dict[str, Any] = {"hints": {"forZones": [{"name": "b"}]}}
        store = stored(
            node_object(),
            service("web", "10.96.5.5"),
            slice_of(
                "web",
                [endpoint("p2", hints={"forZones": [{"name": "a"}]}), endpoint("p3", **hints)],
            ),
        )
        planner = Planner(store, VIEW)
        planner.update()
        assert len(planner.plan.services[HTTP, 4].cluster) == 1
        moved = node_object()
        moved["metadata"]["labels"] = {"topology.kubernetes.io/zone": "b"}
        store.apply(decode(moved))
        planner.update()
        assert [one.pod for one in planner.plan.services[HTTP, 4].cluster] == ["p3"]

    def test_a_node_that_is_in_the_store_already_is_seen_r62(self) -> None:
        planner = Planner(stored(node_object()), NodeView(NODE, interfaces=("127.0.0.1",)))
        assert (planner.node.zone, planner.node.primary(4)) == ("a", "172.18.0.3")
        assert planner.node.interfaces == ("127.0.0.1",)

    def test_a_node_that_goes_leaves_the_view_as_it_is(self) -> None:
        store = stored(node_object(), service("web", "10.96.5.5"))
        planner = Planner(store, VIEW)
        planner.update()
        store.delete(Kind.NODE, ("", NODE))
        assert planner.idle
        store.apply(decode(node_object("node-2")))
        assert planner.idle

    def test_the_bind_address_outlives_a_node_event(self) -> None:
        store = stored()
        planner = Planner(store, NodeView.from_node(NODE, None, bind_address="192.0.2.1"))
        store.apply(decode(node_object()))
        planner.update()
        assert planner.node.primary(4) == "192.0.2.1"
        assert planner.plan.node_ports.addresses == ("192.0.2.1", "fd00:172:18::3")

    def test_service_cidrs_change_the_plan_and_no_service_r25(self) -> None:
        store = stored(service("web", "10.96.5.5"))
        planner = Planner(store, VIEW)
        planner.update()
        store.apply(decode(service_cidr_object()))
        change = planner.update()
        assert (change.node, change.services) == (True, {})
        assert planner.plan.service_cidrs == ("10.96.0.0/16", "fd00:10:96::/112")
        store.delete(Kind.SERVICE_CIDR, ("", "kubernetes"))
        assert planner.update().node

    def test_changes_and_triggers_are_counted_r122(self) -> None:
        store = stored()
        planner = Planner(store, VIEW)
        planner.update()
        raw = slice_of("web", [endpoint("p2")])
        raw["metadata"]["annotations"] = {
            "endpoints.kubernetes.io/last-change-trigger-time": "2026-11-21T10:00:00Z"
        }
        store.apply(decode(raw))
        store.apply(decode(service("web", "10.96.5.5")))
        assert (planner.service_changes, planner.endpoint_changes, planner.pending) == (
            1,
            1,
            (1, 1),
        )
        assert planner.update().triggers == ("2026-11-21T10:00:00Z",)
        assert planner.pending == (0, 0)
        store.delete(Kind.ENDPOINT_SLICE, ("shop", "web-v4"))
        assert planner.update().triggers == (), "a deletion is not timed"

    def test_a_closed_planner_hears_nothing(self) -> None:
        store = stored()
        planner = Planner(store, VIEW)
        planner.update()
        planner.close()
        store.apply(decode(service("web", "10.96.5.5")))
        assert planner.idle

    def test_a_slice_that_changes_its_service_touches_both_r4(self) -> None:
        store = stored(
            service("web", "10.96.5.5"),
            service("other", "10.96.5.6"),
            slice_of("web", [endpoint("p2")], name="s"),
        )
        planner = Planner(store, VIEW)
        planner.update()
        store.apply(decode(slice_of("other", [endpoint("p2")], name="s")))
        assert {key[0].service for key in planner.update().services} == {"web", "other"}
        assert planner.plan == build(store, VIEW)


NAMES = st.sampled_from(["web", "db"])
TEXTS = st.sampled_from(["10.96.0.1", "10.096.0.1", "fd00::5", "None", "", "x", "203.0.113.9"])
PODS = st.sampled_from(["p1", "p2", "p3", "p4"])
ZONE_HINTS = st.sampled_from(
    [{}, {"hints": {"forZones": [{"name": "a"}]}}, {"hints": {"forNodes": [{"name": NODE}]}}]
)


@st.composite
def services(draw: st.DrawFn) -> dict[str, Any]:
    ports = draw(
        st.lists(
            st.sampled_from([port(), port("http", 81, "UDP"), port("b", 82, nodePort=30082)]),
            max_size=3,
        )
    )
    return service(
        draw(NAMES),
        draw(TEXTS),
        clusterIPs=draw(st.none() | st.lists(TEXTS, max_size=2)),
        type=draw(st.sampled_from(["ClusterIP", "LoadBalancer", "ExternalName"])),
        ports=ports,
        ingress=draw(st.lists(TEXTS, max_size=2)),
        externalIPs=draw(st.none() | st.lists(TEXTS, max_size=2)),
        internalTrafficPolicy=draw(st.sampled_from([None, "Cluster", "Local"])),
        externalTrafficPolicy=draw(st.sampled_from([None, "Cluster", "Local"])),
        healthCheckNodePort=draw(st.sampled_from([0, 31000])),
        loadBalancerSourceRanges=draw(
            st.none() | st.lists(st.sampled_from(["172.16.0.0/12", "x", "::/0"]))
        ),
        labels=draw(st.sampled_from([{}, {}, {"service.kubernetes.io/service-proxy-name": "x"}])),
    )


@st.composite
def endpoint_slices(draw: st.DrawFn) -> dict[str, Any]:
    family = draw(st.sampled_from([4, 6]))
    endpoints = [
        endpoint(pod, draw(st.sampled_from(sorted(STATES))), family=family, **draw(ZONE_HINTS))
        for pod in draw(st.lists(PODS, max_size=3))
    ]
    ports = draw(
        st.lists(
            st.sampled_from(
                [
                    {"name": "http", "protocol": "TCP", "port": 1},
                    {"name": "http", "protocol": "UDP", "port": 2},
                    {"name": "b", "port": 0},
                ]
            ),
            max_size=2,
        )
    )
    name = draw(st.sampled_from(["a", "b", "c"]))
    return slice_of(draw(NAMES), endpoints, family=family, name=name, ports=ports)


@st.composite
def nodes(draw: st.DrawFn) -> dict[str, Any]:
    found = node_object(draw(st.sampled_from([NODE, "node-2"])))
    found["metadata"]["labels"] = draw(st.sampled_from([{}, {"topology.kubernetes.io/zone": "a"}]))
    found["status"]["addresses"] = draw(st.sampled_from([[], found["status"]["addresses"]]))
    return found


DELETIONS = st.sampled_from(
    [
        *(("Service", ("shop", name)) for name in ("web", "db")),
        *(("EndpointSlice", ("shop", name)) for name in ("a", "b", "c")),
        ("ServiceCIDR", ("", "kubernetes")),
        ("Node", ("", NODE)),
    ]
)
EVENTS = st.one_of(
    services(),
    endpoint_slices(),
    nodes(),
    st.just(service_cidr_object()),
    DELETIONS,
    st.just("update"),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(EVENTS, max_size=25))
def test_any_sequence_of_events_ends_where_a_rebuild_ends(
    events: list[dict[str, Any] | tuple[str, tuple[str, str]] | str],
) -> None:
    store = Store()
    planner = Planner(store, VIEW)
    followed: dict[Any, ServicePlan] = {}

    def update() -> None:
        change = planner.update()
        for key, (old, new) in change.services.items():
            assert followed.get(key) == old != new
            if new:
                followed[key] = new
            else:
                del followed[key]
        assert followed == planner.plan.services
        assert planner.plan == build(store, planner.node)

    for event in events:
        match event:
            case dict():
                store.apply(decode(event))
            case (kind, key):
                store.delete(Kind(kind), key)
            case _:
                update()
    update()


WORDS = {Verdict.FORWARD: "dnat", Verdict.REJECT: "reject", Verdict.DROP: "drop", None: "pass"}


def _as_expected(outcome: Outcome, flow: Flow, wanted: Wanted) -> Wanted:
    """Spell an outcome as the case spells its expectation."""
    to = tuple(
        sorted(
            f"[{b.address}]:{b.port}" if ":" in b.address else f"{b.address}:{b.port}"
            for b in outcome.backends
        )
    )
    assert all(
        outcome.masquerades(flow, b) for b in outcome.backends if b.address == flow.source
    ), "R74"
    expect = WORDS[outcome.verdict]
    masquerade = outcome.masquerade and expect == "dnat"
    return msgspec.structs.replace(wanted, expect=expect, to=to, masquerade=masquerade)


@pytest.mark.parametrize("case", ALL, ids=lambda case: f"{' '.join(case.rules)}: {case.name}")
def test_the_plan_does_to_every_flow_what_the_rules_say(case: Case) -> None:
    store = Store()
    options = PlanOptions(node_port_addresses=case.config.node_port_addresses)
    planner = Planner(store, NodeView.from_node(case.node, None), options)
    detector = LocalDetector(case.config.cluster_cidrs)
    for step in case.steps:
        step.feed(store)
        planner.update()
        assert planner.plan == build(store, planner.node, options)
        around = Surroundings(planner.node, detector, case.config.masquerade_all)
        for wanted in step.flows:
            flow = Flow(
                wanted.source_address(case.family),
                wanted.protocol,
                wanted.target(case.family),
                wanted.port,
            )
            outcome = decide(planner.plan, flow, around)
            assert _as_expected(outcome, flow, wanted) == wanted


def test_cases_are_plain_data() -> None:
    for case in ALL:
        assert msgspec.json.decode(msgspec.json.encode(case), type=Case) == case


@pytest.mark.parametrize(
    ("detector", "source", "interface", "expected"),
    [
        (LocalDetector(("10.244.0.0/16",)), "10.244.9.9", "eth0", Origin.POD),
        (LocalDetector(("10.244.0.0/16",)), "10.245.9.9", "eth0", Origin.OUTSIDE),
        (LocalDetector(("fd00::/64",)), "10.244.9.9", "eth0", Origin.OUTSIDE),
        (LocalDetector(), "10.244.9.9", "eth0", Origin.OUTSIDE),
        (LocalDetector(interface="cbr0"), "192.0.2.1", "cbr0", Origin.POD),
        (LocalDetector(interface="cbr0"), "192.0.2.1", "cbr01", Origin.OUTSIDE),
        (LocalDetector(prefix="veth"), "192.0.2.1", "veth7", Origin.POD),
        (LocalDetector(prefix="veth"), "192.0.2.1", "eth0", Origin.OUTSIDE),
        (LocalDetector(prefix="veth"), "172.18.0.3", "", Origin.NODE),
        (LocalDetector(), "127.0.0.1", "lo", Origin.NODE),
        (LocalDetector(), "172.18.0.9", "eth0", Origin.NODE),
    ],
)
def test_pods_are_told_by_range_or_interface_r73(
    detector: LocalDetector, source: str, interface: str, expected: Origin
) -> None:
    node = NodeView("node-1", addresses=("172.18.0.3",), interfaces=("172.18.0.9",))
    flow = Flow(source, "TCP", "10.96.0.1", 80, interface)
    assert origin(flow, Surroundings(node, detector)) is expected
