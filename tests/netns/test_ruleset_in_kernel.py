"""The cases as real connections in a real kernel: who answers, and which source it sees."""

import msgspec
import pytest

from tests.support.flow_cases import ALL
from tests.support.flows import ADDRESSES, Case, Flow
from tests.support.kernel import Kernel
from tests.support.world import World

TRIES = 12
"""Connections of a flow with several backends; what luck missed is tried again with patience."""
SECONDS = 0.25
PATIENCE = 10.0


def _spell(wanted: Flow, outcomes: list[object], family: int) -> Flow:
    """Say what the connections came to in the words of the case."""
    answers = {tuple(one) for one in outcomes if isinstance(one, list)}
    failures = {one for one in outcomes if not isinstance(one, list)}
    if len(failures) > 1 or (answers and failures):
        mixed = " and ".join(sorted({str(one) for one in outcomes}))
        return msgspec.structs.replace(wanted, expect=mixed, to=())
    if failures:
        (failure,) = failures
        # Nobody listens on the nodes themselves: what is let pass to them is refused.
        lands = wanted.target(family) in (
            ADDRESSES[family]["node"],
            ADDRESSES[family]["node-2"],
            "127.0.0.1",
        )
        refused = "pass" if lands and wanted.expect == "pass" else "reject"
        spelled = {"refused": refused, "silence": "drop"}.get(str(failure), str(failure))
        return msgspec.structs.replace(wanted, expect=spelled, to=())
    if {name for name, _ in answers} == {"external"}:
        return msgspec.structs.replace(wanted, expect="pass", to=())
    ports = {text.rpartition(":")[0].strip("[]"): text for text in wanted.to}
    to = {ports.get(ADDRESSES[family][name], name) for name, _ in answers}
    own, node = wanted.source_address(family), ADDRESSES[family]["node"]
    assert {source for name, source in answers if name == wanted.source} <= {node}, "R74"
    others = {source for name, source in answers if name != wanted.source}
    assert len(others) <= 1
    told = others and own != node  # whether the source tells anything
    masquerade = others == {node} if told else wanted.masquerade
    assert others <= {own, node}
    return msgspec.structs.replace(
        wanted, expect="dnat", to=tuple(sorted(to)), masquerade=masquerade
    )


def _wrong(
    kernel: Kernel, flows: list[Flow], seconds: float, tries: int
) -> list[tuple[Flow, Flow]]:
    """Try flows, by source all at once; give those that came out otherwise."""
    wrong = []
    family = kernel.case.family
    for source in sorted({flow.source for flow in flows}):
        mine = [flow for flow in flows if flow.source == source]
        questions = [
            [f.protocol, f.target(family), f.port, tries if len(f.to) > 1 else 1, seconds]
            for f in mine
        ]
        for flow, outcomes in zip(mine, kernel.world[source].ask(questions), strict=True):
            found = _spell(flow, outcomes, family)
            if found != flow:
                wrong.append((flow, found))
    return wrong


@pytest.mark.parametrize("case", ALL, ids=lambda case: f"{' '.join(case.rules)}: {case.name}")
def test_the_kernel_does_to_every_flow_what_the_rules_say(world: World, case: Case) -> None:
    kernel = Kernel(world, case)
    for step in case.steps:
        step.feed(kernel.store)
        kernel.follow()
        # SCTP has no sockets in many kernels, and an unlisted source no place: the interpreter
        # in tests/proxy takes these flows.
        flows = [f for f in step.flows if f.protocol != "SCTP" and f.source in world.places]
        wrong = _wrong(kernel, flows, SECONDS, TRIES)
        # Silence may be a slow machine, a missing backend bad luck.
        wrong = wrong and _wrong(kernel, [flow for flow, _ in wrong], PATIENCE, 8 * TRIES)
        assert not wrong
        assert not kernel.ruleset.adopt(kernel.listing()).operations, "the table is what we think"
