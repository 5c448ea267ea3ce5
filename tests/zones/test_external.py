"""External names and addresses, without any plugin (J24)."""

import msgspec
import pytest

from svcdns.zones import external
from svcdns.zones.index import ClusterIndex
from svcdns.zones.options import ZoneOptions
from svcdns.zones.schema import ServiceName
from tests.support.cluster import balanced, endpoint_slice, namespace, service, store_of


def test_addresses_are_those_of_the_spec_and_of_load_balancers() -> None:
    found = balanced(
        "prod/web", {"ip": "203.0.113.2"}, {"hostname": "lb.example.net"}, {},
        externalIPs=["203.0.113.1"],
    )  # fmt: skip

    assert external.addresses(found) == ("203.0.113.1", "203.0.113.2", "lb.example.net")
    assert external.addresses(service("prod/none", "10.96.0.8")) == ()


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("prod", ServiceName("prod")),
        ("web.prod", ServiceName("prod", "web")),
        ("a.web.prod", ServiceName("prod", "web", endpoint="a")),
        ("_http._tcp.web.prod", ServiceName("prod", "web", port="http", protocol="tcp")),
        ("x._http._tcp.web.prod", None),
    ],
)
def test_names(text: str, name: ServiceName | None) -> None:
    assert external.parse(tuple(text.split("."))) == name


def test_addresses_lead_back_to_services_and_follow_changes() -> None:
    store = store_of(
        namespace("prod"), service("prod/web", "10.96.0.1", externalIPs=["203.0.113.1"])
    )
    index = ClusterIndex(store, wall=lambda: 1.0)
    reverse = external.Reverse(index)
    options = ZoneOptions(zones=(b"\0",))

    assert reverse.services_at("203.0.113.1", options) == [("web", "prod")]
    store.apply(service("prod/api", "10.96.0.2", externalIPs=["203.0.113.1"]))
    assert reverse.services_at("203.0.113.1", options) == [("web", "prod"), ("api", "prod")]
    shown = msgspec.structs.replace(options, namespaces=frozenset({"other"}))
    assert reverse.services_at("203.0.113.1", shown) == []


def test_name_servers_are_the_services_in_front_of_this_process() -> None:
    store = store_of(
        namespace("kube-system"),
        service("kube-system/dns", "10.96.0.10", externalIPs=["203.0.113.53"]),
        endpoint_slice("kube-system/dns", "10.1.0.2"),
        service("kube-system/peers", "None", clusterIPs=["None"]),
        endpoint_slice("kube-system/peers", "10.1.0.2", "10.1.0.3"),
    )
    index = ClusterIndex(store, wall=lambda: 1.0)
    inside = ZoneOptions(zones=(b"\0",), local_addresses=("10.1.0.2",))
    outside = ZoneOptions(zones=(b"\0",), local_addresses=("192.0.2.1",))

    assert external.name_servers(index, inside, headless=False) == ["203.0.113.53"]
    assert set(external.name_servers(index, inside, headless=True)) == {
        "203.0.113.53",
        "10.1.0.2",
        "10.1.0.3",
    }
    assert external.name_servers(index, outside, headless=False) == ["192.0.2.1"]
