"""The table's fixed part: accepted by nft, the same for any cluster."""

import shutil
import subprocess

import pytest

from svcdns.proxy.model import LocalDetector
from svcdns.proxy.nft import Transaction
from svcdns.proxy.schema import (
    DROP,
    LOCAL_BIT,
    LOCAL_POLICY,
    OURS,
    REFUSE,
    REFUSE_NODE_PORT,
    RulesetOptions,
    Schema,
    Way,
)

DETECTORS = [
    LocalDetector(("10.244.0.0/16", "fd00:10:244::/48")),
    LocalDetector(interface="cbr0"),
    LocalDetector(prefix="veth"),
    LocalDetector(),
]


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("detector", DETECTORS)
@pytest.mark.parametrize("masquerade_all", [True, False])
def test_nft_takes_every_chain_and_set(
    family: int, detector: LocalDetector, masquerade_all: bool
) -> None:
    if not shutil.which("nft") or not shutil.which("unshare"):
        pytest.skip("needs nft and unshare")
    schema = Schema(family, RulesetOptions(detector, masquerade_all))
    tx = Transaction(schema.table)
    tx.start_over()
    tx.add(*schema.sets(), *schema.fixed_chains(masquerade_all))
    # Chains that come later meet sets that nft has read from the kernel: nft 1.0.6 is
    # particular about these.
    later = Transaction(schema.table)
    for way in Way:
        for node_port in (True, False):
            later.add(schema.counted(way, 1, node_port), schema.counted(way, 300, node_port))
    later.add(schema.affinity(0x12345678))
    for session in (0x12345678, 0x12345678 | LOCAL_BIT):
        later.add(schema.session(session, 3, 10800), schema.masquerade_session(session))
    script = f"nft -f - <<X && nft -f - <<X && nft -j list ruleset >/dev/null\n{tx}X\n{later}X\n"
    done = subprocess.run(
        ["unshare", "-rn", "sh", "-c", script], capture_output=True, text=True, check=False
    )
    if "unshare" in done.stderr:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stderr


def test_the_mark_is_the_configured_bit_and_no_other_is_touched_r72() -> None:
    schema = Schema(4, RulesetOptions(masquerade_mark=0x20))
    text = "\n".join(rule for chain in schema.fixed_chains(False) for rule in chain.rules)
    assert "meta mark and 0x20 == 0x20" in text
    assert "meta mark set meta mark and 0xffffffdf" in text
    assert "meta mark set meta mark or 0x20" in schema.counted(Way.MASQUERADE, 2, False).rules


def test_slots_and_pins_are_known_by_their_first_bits() -> None:
    schema = Schema(4, RulesetOptions())
    (postrouting,) = (c for c in schema.fixed_chains(False) if c.name == "postrouting")
    assert postrouting.rules[0].startswith(f"meta priority and 0xf0000000 == {OURS:#x}")


def test_every_lead_has_a_number_of_its_own() -> None:
    """Maps hold these numbers over the end of a process: they must never change either."""
    counted = [
        Schema.counted_lead(way, count, node_port)
        for way in Way
        for count in (1, 2, 5_000, (1 << 20) - 1)
        for node_port in (False, True)
    ]
    sessions = [
        lead
        for session in (0x04, 0x0FFFFFFC, 0x0FFFFFFC | LOCAL_BIT)
        for lead in (Schema.session_lead(session), Schema.masquerade_session_lead(session))
    ]
    leads = [*counted, *sessions, DROP, REFUSE, REFUSE_NODE_PORT, *LOCAL_POLICY.values()]
    assert (
        len({lead.number for lead in leads}) == len({lead.verdict for lead in leads}) == len(leads)
    )
    assert all(0 < lead.number < 1 << 32 for lead in leads)
    assert Schema.counted_lead(Way.MASQUERADE, 10, True).number == 0xD060000A
    schema = Schema(4, RulesetOptions())
    assert (
        schema.counted(Way.LOCAL, 7, True).name in Schema.counted_lead(Way.LOCAL, 7, True).verdict
    )
    assert schema.masquerade_session(0x0FFFFFFC).name in sessions[3].verdict


def test_packets_that_the_kernel_calls_invalid_are_left_alone_r96() -> None:
    """Mode iptables drops them; here ``tcpBeLiberal`` is the answer to what goes wrong then."""
    for chain in Schema(4, RulesetOptions()).fixed_chains(True):
        assert not any("invalid" in rule for rule in chain.rules)
