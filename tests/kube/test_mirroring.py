"""From v1 Endpoints to EndpointSlices (rule R6)."""

from typing import Any

import msgspec
import pytest

from svcdns.kube.mirroring import Endpoints, mirror
from svcdns.kube.objects import EndpointSlice


def slices(
    *subsets: dict[str, Any], labels: dict[str, str] | None = None
) -> tuple[EndpointSlice, ...]:
    value = {"metadata": {"name": "db", "namespace": "a", "labels": labels}, "subsets": subsets}
    return mirror(msgspec.convert(value, Endpoints))


def test_a_subset_becomes_a_slice_with_ready_and_not_ready_endpoints() -> None:
    (one,) = slices(
        {
            "addresses": [{"ip": "10.0.0.1", "hostname": "db-0", "nodeName": "n"}],
            "notReadyAddresses": [{"ip": "10.0.0.2"}],
            "ports": [{"port": 5432, "name": "pg", "protocol": "TCP"}],
        },
        labels={"app": "db"},
    )

    assert one.service == ("a", "db")
    assert one.address_type == "IPv4"
    assert one.metadata.labels == {
        "app": "db",
        "kubernetes.io/service-name": "db",
        "endpointslice.kubernetes.io/managed-by": "endpointslicemirroring-controller.k8s.io",
    }
    first, second = one.endpoints or ()
    assert (first.addresses, first.ready, first.hostname, first.node_name) == (
        ("10.0.0.1",),
        True,
        "db-0",
        "n",
    )
    assert (second.addresses, second.ready) == (("10.0.0.2",), False)
    assert [port.port for port in one.ports or ()] == [5432]


def test_families_and_subsets_are_slices_of_their_own() -> None:
    found = slices(
        {"addresses": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}], "ports": [{"port": 1}]},
        {"addresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 2}]},
    )

    assert [(one.address_type, [p.port for p in one.ports or ()]) for one in found] == [
        ("IPv4", [1]),
        ("IPv6", [1]),
        ("IPv4", [2]),
    ]
    assert len({one.key for one in found}) == 3


@pytest.mark.parametrize("subsets", [(), ({},), ({"ports": [{"port": 1}]},)])
def test_nothing_becomes_nothing(subsets: tuple[dict[str, Any], ...]) -> None:
    assert slices(*subsets) == ()


def test_a_label_keeps_endpoints_from_being_mirrored() -> None:
    labels = {"endpointslice.kubernetes.io/skip-mirror": "true"}
    assert slices({"addresses": [{"ip": "10.0.0.1"}]}, labels=labels) == ()
