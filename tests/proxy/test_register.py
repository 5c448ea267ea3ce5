"""The register of deviations from kube-proxy."""

from svcdns.proxy.register import REGISTER, table


def test_every_deviation_says_what_both_do() -> None:
    assert all(row.rule and row.kube_proxy and row.svcdns for row in REGISTER)
    assert len({row.rule for row in REGISTER}) == len(REGISTER)
    assert table().count("\n") == len(REGISTER) + 2
