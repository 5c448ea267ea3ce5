"""Which stored answers a change ends."""

import pytest

from svcdns.kube.objects import Kind
from svcdns.kube.store import Delta
from svcdns.zones.owners import of_address, of_import, of_namespace, of_pod, of_service, touched
from tests.support.cluster import endpoint, endpoint_slice, namespace, pod, service


def test_a_service_touches_its_names_and_old_and_new_addresses() -> None:
    old, new = service("prod/web", "10.96.0.1"), service("prod/web", "10.96.0.2")

    assert set(touched(Delta(Kind.SERVICE, old.key, old, new))) == {
        of_service("prod", "web"),
        of_address("10.96.0.1"),
        of_address("10.96.0.2"),
    }


def test_a_slice_touches_its_service_and_only_addresses_that_differ() -> None:
    old = endpoint_slice("prod/web-1", "10.1.0.1", "10.1.0.2", of="web")
    new = endpoint_slice(
        "prod/web-1", "10.1.0.1", endpoint("10.1.0.2", ready=False), "10.1.0.3", of="web"
    )

    assert set(touched(Delta(Kind.ENDPOINT_SLICE, old.key, old, new))) == {
        of_service("prod", "web"),
        of_address("10.1.0.2"),
        of_address("10.1.0.3"),
    }


@pytest.mark.parametrize(
    ("before", "after", "differ"),
    [
        ("1 2 3", "1 2 3", ""),
        ("1 2 3", "3 1 2", ""),
        ("1 2 3", "2 3", "1"),
        ("2 3", "1 2 3", "1"),
        ("1 2 3", "1 4 3", "2 4"),
        ("", "1", "1"),
        ("1", "", "1"),
    ],
)
def test_endpoints_that_only_change_places_do_not_differ(
    before: str, after: str, differ: str
) -> None:
    old = endpoint_slice("prod/web-1", *(f"10.1.0.{one}" for one in before.split()), of="web")
    new = endpoint_slice("prod/web-1", *(f"10.1.0.{one}" for one in after.split()), of="web")

    found = set(touched(Delta(Kind.ENDPOINT_SLICE, new.key, old, new)))

    assert found == {
        of_service("prod", "web"),
        *(of_address(f"10.1.0.{one}") for one in differ.split()),
    }


def test_a_slice_that_moves_touches_both_services_and_all_addresses() -> None:
    old = endpoint_slice("prod/s", "10.1.0.1", of="web")
    new = endpoint_slice("prod/s", "10.1.0.1", of="api")

    assert set(touched(Delta(Kind.ENDPOINT_SLICE, old.key, old, new))) == {
        of_service("prod", "web"),
        of_service("prod", "api"),
        of_address("10.1.0.1"),
    }


def test_imported_slices_touch_their_import() -> None:
    piece = endpoint_slice(
        "prod/s", "10.1.0.1", of="", labels={"multicluster.kubernetes.io/service-name": "web"}
    )

    assert of_import("prod", "web") in set(
        touched(Delta(Kind.ENDPOINT_SLICE, piece.key, None, piece))
    )


def test_namespaces_and_pods_touch_their_own() -> None:
    space, runner = namespace("prod"), pod("prod/a", "10.1.0.1")

    assert set(touched(Delta(Kind.NAMESPACE, space.key, None, space))) == {of_namespace("prod")}
    assert set(touched(Delta(Kind.POD, runner.key, runner, None))) == {of_pod("10.1.0.1", "prod")}
