from itertools import product

import pytest

from svcdns.kube.objects import Conditions, Endpoint, ForNode, ForZone, Hints, TargetRef
from svcdns.proxy.model import Backend, NodeView
from svcdns.proxy.topology import Candidate, candidate, categorise, hint_weight

NODE = NodeView("node-1", "a")


def one(
    number: int,
    state: str = "ready",
    node: str = "node-2",
    zones: tuple[str, ...] = (),
    nodes: tuple[str, ...] = (),
) -> Candidate:
    ready, serving, terminating = {
        "ready": (True, True, False),
        "draining": (False, True, True),
        "unready": (False, False, False),
        "starting": (False, True, False),
        "dead": (False, False, True),
        "published": (True, False, True),
    }[state]
    backend = Backend(f"10.0.0.{number}", 80, node == NODE.name)
    return Candidate(backend, ready, serving, terminating, node, zones, nodes)


def numbers(backends: tuple[Backend, ...]) -> list[int]:
    return [int(backend.address.rpartition(".")[2]) for backend in backends]


CASES = [
    # rule, candidates, Cluster set, Local set, left out {number: rule}
    ("R56 all ready", [one(1), one(2)], [1, 2], [], {}),
    ("R56 ready before draining", [one(1), one(2, "draining")], [1], [], {2: "R56"}),
    ("R56 draining when none is ready", [one(1, "draining"), one(2, "unready")], [1], [], {2: "R58"}),
    ("R58 never", [one(1, "unready"), one(2, "dead"), one(3, "starting")], [], [], {1: "R58", 2: "R58", 3: "R58"}),
    ("R59 ready though terminating", [one(1, "published")], [1], [], {}),
    ("R57 local draining beside remote ready", [one(1, "draining", "node-1"), one(2)], [2], [1], {}),
    ("R57 local ready before local draining", [one(1, "ready", "node-1"), one(2, "draining", "node-1")], [1], [1], {2: "R56"}),
    ("R57 nothing local", [one(1), one(2)], [1, 2], [], {}),
    ("R12 no node is not local", [one(1, node="")], [1], [], {}),
    ("R60 zone", [one(1, zones=("a",)), one(2, zones=("b",))], [1], [], {2: "R60"}),
    ("R60 several zones", [one(1, zones=("b", "a")), one(2, zones=("b",))], [1], [], {2: "R60"}),
    ("R60 one without a hint", [one(1, zones=("a",)), one(2)], [1, 2], [], {}),
    ("R60 none for us", [one(1, zones=("b",)), one(2, zones=("c",))], [1, 2], [], {}),
    ("R60 node before zone", [one(1, nodes=("node-1",), zones=("b",)), one(2, nodes=("node-2",), zones=("a",))], [1], [], {2: "R60"}),
    ("R60 node hints for others fall to zones", [one(1, nodes=("x",), zones=("a",)), one(2, nodes=("y",), zones=("b",))], [1], [], {2: "R60"}),
    ("R60 one without a node hint", [one(1, nodes=("node-1",)), one(2)], [1, 2], [], {}),
    ("R60 hints of the unready do not count", [one(1, zones=("a",)), one(2, "unready")], [1], [], {2: "R58"}),
    ("R61 draining ignores hints", [one(1, "draining", zones=("a",)), one(2, "draining", zones=("b",))], [1, 2], [], {}),
    ("R61 Local ignores hints", [one(1, node="node-1", zones=("b",)), one(2, zones=("a",))], [2], [1], {}),
    ("R17 nothing", [], [], [], {}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("candidates", "cluster", "local", "left_out"),
    [case[1:] for case in CASES],
    ids=[case[0] for case in CASES],
)
def test_endpoints_are_sorted_into_policies(
    candidates: list[Candidate], cluster: list[int], local: list[int], left_out: dict[int, str]
) -> None:
    usable = categorise(candidates, NODE, cluster=True, local=True)
    assert numbers(usable.cluster) == cluster
    assert numbers(usable.local) == local
    assert usable.any_usable is bool(cluster)
    assert {int(o.address.rpartition(".")[2]): o.rule for o in usable.left_out} == left_out


def test_only_what_is_used_is_filled_r54() -> None:
    candidates = [one(1, node="node-1"), one(2)]
    cluster = categorise(candidates, NODE, cluster=True, local=False)
    local = categorise(candidates, NODE, cluster=False, local=True)
    assert (numbers(cluster.cluster), numbers(cluster.local)) == ([1, 2], [])
    assert (numbers(local.cluster), numbers(local.local)) == ([], [1])
    assert local.any_usable


@pytest.mark.parametrize(
    ("candidates", "rule", "reason"),
    [
        ([one(2)], "R57", "runs on node-2, and the policy is Local"),
        ([one(2, node="")], "R12", "its slice names no node, and the policy is Local"),
        ([one(2, "dead")], "R58", "terminating and no longer serving"),
        ([one(2, "unready")], "R58", "not ready"),
        ([one(1, node="node-1"), one(2, "draining", "node-1")], "R57", "terminating, and others on this node are ready"),
    ],
)  # fmt: skip
def test_policy_local_says_what_it_leaves_out(
    candidates: list[Candidate], rule: str, reason: str
) -> None:
    usable = categorise(candidates, NODE, cluster=False, local=True)
    (found,) = usable.left_out
    assert (found.address, found.rule, found.reason) == ("10.0.0.2", rule, reason)


def test_a_reason_names_the_hints_r60() -> None:
    candidates = [
        one(1, zones=("a",), nodes=("node-1",)),
        one(2, zones=("b", "c"), nodes=("node-2",)),
    ]
    (found,) = categorise(candidates, NODE, cluster=True, local=False).left_out
    assert found.reason == (
        "ready, but its hints name node node-2 and zone b, c, and others are meant for us"
    )


WEIGHTED = [
    ("some are for us", [one(1, zones=("a",)), one(2, zones=("b",))], [1, 2], [1]),
    ("all are for us", [one(1, zones=("a",)), one(2, zones=("a",))], [1, 2], []),
    ("none is for us", [one(1, zones=("b",)), one(2, zones=("c",))], [1, 2], []),
    ("one has no hint", [one(1, zones=("a",)), one(2)], [1, 2], []),
    ("for our node", [one(1, nodes=("node-1",)), one(2, nodes=("x",))], [1, 2], [1]),
    ("R61 draining ones have no preference", [one(1, "draining", zones=("a",)), one(2, "draining", zones=("b",))], [1, 2], []),
    ("R58 the unready are left out all the same", [one(1, zones=("a",)), one(2, "unready", zones=("b",))], [1], []),
]  # fmt: skip


@pytest.mark.parametrize(
    ("candidates", "cluster", "preferred"),
    [case[1:] for case in WEIGHTED],
    ids=[case[0] for case in WEIGHTED],
)
def test_hints_may_prefer_instead_of_filter(
    candidates: list[Candidate], cluster: list[int], preferred: list[int]
) -> None:
    usable = categorise(candidates, NODE, cluster=True, local=False, weighted=True)
    assert (numbers(usable.cluster), numbers(usable.preferred)) == (cluster, preferred)
    assert "R60" not in [one.rule for one in usable.left_out]


@pytest.mark.parametrize(
    ("text", "weight"),
    [("", 0), ("2", 2), ("16", 16), ("1", 0), ("0", 0), ("17", 0), ("-4", 0), ("4.5", 0), ("x", 0), ("²", 0)],
)  # fmt: skip
def test_a_weight_is_a_small_number(text: str, weight: int) -> None:
    assert hint_weight(text) == weight


def test_a_node_without_a_zone_ignores_zone_hints_r62() -> None:
    candidates = [one(1, zones=("",)), one(2, zones=("b",))]
    usable = categorise(candidates, NodeView("node-1"), cluster=True, local=False)
    assert numbers(usable.cluster) == [1, 2]


def test_order_of_candidates_means_nothing_r15() -> None:
    candidates = [one(3), one(1, "draining", "node-1"), one(2, node="node-1"), one(4, "unready")]
    for first, second in product(range(4), range(4)):
        shuffled = candidates[first:] + candidates[:first]
        shuffled[second], shuffled[0] = shuffled[0], shuffled[second]
        assert categorise(shuffled, NODE, cluster=True, local=True) == categorise(
            candidates, NODE, cluster=True, local=True
        )


def test_an_endpoint_is_described_as_the_slice_says() -> None:
    endpoint = Endpoint(
        conditions=Conditions(ready=False, serving=None, terminating=True),
        node_name="node-1",
        target_ref=TargetRef(kind="Pod", name="web-7"),
        hints=Hints(for_zones=(ForZone("a"),), for_nodes=(ForNode("node-1"),)),
    )
    found = candidate(endpoint, "10.0.0.9", 8080, NODE)
    assert found == Candidate(
        Backend("10.0.0.9", 8080, True, "web-7"), False, True, True, "node-1", ("a",), ("node-1",)
    )


@pytest.mark.parametrize(
    ("conditions", "ready", "serving", "terminating"),
    [
        (None, True, True, False),
        (Conditions(), True, True, False),
        (Conditions(ready=False), False, True, False),
        (Conditions(serving=False), True, False, False),
        (Conditions(terminating=True), True, True, True),
    ],
)
def test_what_is_not_said_counts_in_favour_r11(
    conditions: Conditions | None, ready: bool, serving: bool, terminating: bool
) -> None:
    found = candidate(Endpoint(conditions=conditions), "10.0.0.9", 80, NODE)
    assert (found.ready, found.serving, found.terminating) == (ready, serving, terminating)
    assert not found.backend.local, "R12: nobody said where it runs"


def test_a_proxy_without_a_node_name_has_no_local_endpoints_r12() -> None:
    assert not candidate(Endpoint(), "10.0.0.9", 80, NodeView("")).backend.local
