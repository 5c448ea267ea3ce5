import pytest

from svcdns.kube.store import Store
from svcdns.proxy.model import NodePorts, NodeView, PlanOptions
from svcdns.proxy.node import node_ports, service_cidrs
from tests.support.flows import decode, service_cidr_object

VIEW = NodeView(
    "node-1",
    addresses=("172.18.0.3", "fd00:172:18::3"),
    interfaces=("127.0.0.1", "::1", "172.18.0.3", "192.0.2.3", "fd00:172:18::3"),
)

CASES = [
    ("R31 primary", ("primary",), ("172.18.0.3", "fd00:172:18::3"), ()),
    ("R31 nothing given", (), (), (4, 6)),
    ("R31 zero range of one family", ("0.0.0.0/0", "fd00::/8"), ("fd00:172:18::3",), (4,)),
    ("R31 no range of a family", ("172.18.0.0/16",), ("172.18.0.3",), (6,)),
    ("R31 interfaces count", ("192.0.2.0/24", "2001:db8::/32"), ("192.0.2.3",), ()),
    ("R33 loopback does not", ("127.0.0.0/8", "::1/128"), (), ()),
]


@pytest.mark.parametrize(
    ("given", "addresses", "any_of"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_node_port_addresses(
    given: tuple[str, ...], addresses: tuple[str, ...], any_of: tuple[int, ...]
) -> None:
    assert node_ports(VIEW, PlanOptions(node_port_addresses=given)) == NodePorts(addresses, any_of)


def test_relays_serve_node_ports_on_loopback_r33() -> None:
    options = PlanOptions(node_port_addresses=("127.0.0.0/8", "::1/128"), loopback_node_ports=True)
    assert node_ports(VIEW, options) == NodePorts(("127.0.0.1", "::1"))


def test_a_family_that_is_not_served_has_no_node_ports() -> None:
    assert node_ports(VIEW, PlanOptions(families=(4,))) == NodePorts(("172.18.0.3",))
    assert node_ports(NodeView("n"), PlanOptions()) == NodePorts()


def test_service_cidrs_come_from_objects_and_options_r25() -> None:
    store = Store()
    options = PlanOptions(service_cidrs=("010.97.0.0/16", "nonsense", "10.96.0.0/16"))
    assert service_cidrs(store, options) == ("10.96.0.0/16", "10.97.0.0/16")
    store.apply(decode(service_cidr_object()))
    assert service_cidrs(store, options) == ("10.96.0.0/16", "10.97.0.0/16", "fd00:10:96::/112")
    assert service_cidrs(store, PlanOptions(families=(6,))) == ("fd00:10:96::/112",)
