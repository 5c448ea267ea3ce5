import msgspec

from svcdns.kube.nodes import Node


def test_a_node_is_read_with_the_names_that_the_api_writes() -> None:
    body = b"""{"metadata":{"name":"node-1"},
        "spec":{"podCIDR":"10.1.0.0/24","podCIDRs":["10.1.0.0/24"],"taints":[{"key":"a"}]},
        "status":{"addresses":[{"type":"InternalIP","address":"192.0.2.1"}]}}"""
    node = msgspec.json.decode(body, type=Node)

    assert node.key == ("", "node-1")
    assert (node.spec.pod_cidr, node.spec.pod_cidrs) == ("10.1.0.0/24", ("10.1.0.0/24",))
    assert [taint.key for taint in node.spec.taints or ()] == ["a"]
    assert [one.address for one in node.status.addresses or ()] == ["192.0.2.1"]
