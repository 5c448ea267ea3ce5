"""What the proxy's own node and the cluster's ranges come to: node-port addresses, ServiceCIDRs.

Rules R25 and R31 to R33.
Parity: kube-proxy ``pkg/proxy/util/nodeport_addresses.go``.
"""

from ipaddress import ip_address, ip_network

from svcdns.kube.store import Store
from svcdns.proxy.address import is_loopback, normalise_range
from svcdns.proxy.model import NodePorts, NodeView, PlanOptions


def service_cidrs(store: Store, options: PlanOptions) -> tuple[str, ...]:
    """List the ranges that Services get addresses from (rule R25), sorted."""
    texts = [text for one in store.service_cidrs.values() for text in one.spec.cidrs or ()]
    found = (normalise_range(text) for text in (*texts, *options.service_cidrs))
    return tuple(sorted({one[1] for one in found if one and one[0] in options.families}))


def node_ports(node: NodeView, options: PlanOptions) -> NodePorts:
    """Resolve ``nodePortAddresses`` to addresses of this node (rules R31 to R33)."""
    addresses: set[str] = set()
    any_of: list[int] = []
    for family in options.families:
        if "primary" in options.node_port_addresses:
            addresses.update(filter(None, [node.primary(family)]))
            continue
        found = (normalise_range(text) for text in options.node_port_addresses)
        networks = [ip_network(one[1]) for one in found if one and one[0] == family]
        if not networks or any(network.prefixlen == 0 for network in networks):
            any_of.append(family)
            continue
        for address in (*node.addresses, *node.interfaces):
            if any(ip_address(address) in network for network in networks):
                addresses.add(address)
    if not options.loopback_node_ports:
        addresses = {address for address in addresses if not is_loopback(address)}
    return NodePorts(tuple(sorted(addresses)), tuple(any_of))
