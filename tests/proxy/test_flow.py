"""The cases as data, held against the pure plan: built whole, and followed change by change."""

import msgspec
import pytest

from svcdns.kube.store import Store
from svcdns.proxy.flow import Flow, Origin, Outcome, Surroundings, decide, origin
from svcdns.proxy.model import LocalDetector, NodeView, PlanOptions, Verdict
from svcdns.proxy.plan import Planner, build
from tests.support import flows
from tests.support.flow_cases import ALL
from tests.support.flows import Case

WORDS = {Verdict.FORWARD: "dnat", Verdict.REJECT: "reject", Verdict.DROP: "drop", None: "pass"}


def _as_expected(outcome: Outcome, flow: Flow, wanted: flows.Flow) -> flows.Flow:
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
