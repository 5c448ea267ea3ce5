"""The addresses of a service port, and who may reach them.

An address that a Service names twice is served once: as its cluster IP, else as its LoadBalancer
address with the source ranges, else as its external IP.

Source ranges of one family only (rule R46, accidental upstream): the other family's LoadBalancer
addresses admit nobody.  kube-proxy leaves them open to everybody, which no one who writes a range
can mean.

Rules R16, R20, R30, R36, R40 to R47.
Parity: kube-proxy ``pkg/proxy/serviceport.go`` newBaseServiceInfo.
"""

from ipaddress import ip_address, ip_network

from svcdns.kube.objects import Service, ServicePort
from svcdns.proxy.address import normalise, normalise_range
from svcdns.proxy.model import Exposure, Frontend, LeftOut, NodeView

NOBODY = {4: "0.0.0.0/32", 6: "::/128"}
"""Source ranges that match no packet (rule R46)."""


def list_frontends(
    service: Service, port: ServicePort, cluster_ip: tuple[int, str], refused: list[LeftOut]
) -> tuple[Frontend, ...]:
    """List the addresses of a port in one family (R20, R30, R36, R40 to R43, R47), each once."""
    family, first = cluster_ip
    number = port.port
    found = {first: Frontend(Exposure.CLUSTER_IP, first, number)}
    status = service.status.load_balancer if service.status else None
    ingress = (status.ingress or ()) if status else ()
    vips = (one.ip for one in ingress if one.ip and one.ip_mode in (None, "VIP"))
    for exposure, texts in (
        (Exposure.LOAD_BALANCER, vips),
        (Exposure.EXTERNAL_IP, service.spec.external_ips or ()),
    ):
        for text in texts:
            address = normalise(text)
            if address is None:
                refused.append(LeftOut(text, number, "R16", f"{exposure} is not an IP address"))
            elif address[0] == family:
                found.setdefault(address[1], Frontend(exposure, address[1], number))
    frontends = list(found.values())
    if port.node_port:
        frontends.insert(1, Frontend(Exposure.NODE_PORT, "", port.node_port))
    return tuple(frontends)


def source_ranges(
    service: Service, family: int, vips: list[str], node: NodeView
) -> tuple[str, ...]:
    """List who may reach the LoadBalancer addresses of one family (rules R44 to R46)."""
    given = service.spec.load_balancer_source_ranges
    if not given:
        return ()
    found = (normalise_range(text) for text in given)
    ranges = [one[1] for one in found if one and one[0] == family]
    if not ranges:
        return (NOBODY[family],)
    own = node.primary(family)
    if own and any(ip_address(own) in ip_network(one) for one in ranges):
        # On some clouds the VIP is an address of the node, and is what it sends from (rule R45).
        ranges += [f"{vip}/{32 if family == 4 else 128}" for vip in vips]
    return tuple(sorted(set(ranges)))
