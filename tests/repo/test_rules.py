"""Every rule of the proxy's behaviour has a test row that names it, or a reason why it has none."""

import re
from itertools import chain
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]

RULES = tuple(
    chain(
        range(1, 18),  # which objects are looked at
        range(20, 30),  # cluster IPs
        range(30, 40),  # node ports
        range(40, 50),  # balancers' addresses and external IPs
        range(50, 56),  # empty Services and traffic policies
        range(56, 63),  # ready, serving, terminating, topology
        range(65, 71),  # session affinity
        range(72, 76),  # masquerade and hairpin
        range(80, 86),  # healthCheckNodePort
        range(90, 97),  # conntrack
        range(100, 111),  # synchronisation
        range(120, 124),  # probes and metrics
        range(130, 136),  # relays
    )
)

WITHOUT_ROW = {
    27: "says that the proxy asks no DNS: nothing in svcdns.proxy could",
    70: "is about Cilium and cloud-provider-kind",
    130: "is about how kube-proxy's former userspace mode was fed by iptables; ours binds addresses",
    135: "lists what that mode was bad at; benchmarks/userspace.py measures ours",
}

_NAMED = re.compile(r"(?<![A-Za-z0-9])[Rr]([0-9]{1,3})(?![0-9A-Za-z])")


def _named() -> set[int]:
    found: set[int] = set()
    for path in TESTS.rglob("*.py"):
        if path != Path(__file__):
            text = path.read_text().replace("_", " ")
            found.update(int(number) for number in _NAMED.findall(text))
    return found


def test_every_rule_has_a_row() -> None:
    missing = set(RULES) - _named() - WITHOUT_ROW.keys()
    assert not missing, f"no test names R{sorted(missing)}"


def test_every_rule_that_is_named_exists() -> None:
    assert _named() <= set(RULES)


@pytest.mark.parametrize("rule", WITHOUT_ROW)
def test_what_has_a_row_needs_no_excuse(rule: int) -> None:
    assert rule not in _named()
