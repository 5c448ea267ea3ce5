"""The register of CoreDNS's peculiarities."""

from svcdns.plugins.register import REGISTER, table


def test_every_peculiarity_has_a_decision_and_an_id_of_its_own() -> None:
    ids = [row.id for row in REGISTER]

    assert len(set(ids)) == len(ids)
    assert {f"K{number}" for number in range(1, 22)} <= set(ids)
    assert all(row.decision.startswith(("copied", "left out", "see ")) for row in REGISTER)
    assert table().count("\n") == len(REGISTER) + 2
