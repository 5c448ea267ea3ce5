"""Names of endpoints."""

from typing import Any

import pytest

from svcdns.zones.endpoints import dashed, endpoint_name, ready_addresses
from tests.support.cluster import endpoint, endpoint_slice


@pytest.mark.parametrize(
    ("address", "label"),
    [("10.1.0.7", "10-1-0-7"), ("fd00::5", "fd00--5"), ("fd00::", "fd00--0"), ("::1", "--1")],
)
def test_an_address_becomes_a_label(address: str, label: str) -> None:
    """D9."""
    assert dashed(address) == label


NAMES = [
    ("hostname first", {"hostname": "db-0", "targetRef": {"name": "p"}}, True, "db-0"),
    ("pod when asked for", {"targetRef": {"name": "p"}}, True, "p"),
    ("address otherwise", {"targetRef": {"name": "p"}}, False, "10-0-0-1"),
    ("pod names of 64 are too long", {"targetRef": {"name": "p" * 64}}, True, "10-0-0-1"),
    ("pod names of 63 are not", {"targetRef": {"name": "p" * 63}}, True, "p" * 63),
]


@pytest.mark.parametrize(("why", "fields", "pod_names", "name"), NAMES)
def test_the_first_name_that_applies_wins(
    why: str, fields: dict[str, Any], pod_names: bool, name: str
) -> None:
    """D8."""
    found = (endpoint_slice("ns/a", endpoint("10.0.0.1", **fields)).endpoints or ())[0]

    assert endpoint_name(found, "10.0.0.1", pod_names=pod_names) == name, why


def test_only_ready_or_unknown_endpoints_count_and_all_their_addresses() -> None:
    """D2, D10."""
    piece = endpoint_slice(
        "ns/a",
        endpoint("10.0.0.1", ready=True),
        endpoint("10.0.0.2", ready=False),
        {"addresses": ["10.0.0.3", "10.0.0.4"]},
        {"addresses": None},
    )

    found = list(ready_addresses([piece]))

    assert [address.address for address in found] == ["10.0.0.1", "10.0.0.3", "10.0.0.4"]
    assert {port.port for address in found for port in address.ports} == {-1}
