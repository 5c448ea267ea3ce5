"""Stories about Services, one or more for every rule that shows in connections.

Data for :mod:`tests.support.flows`; the ids are those of the proxy rules.
"""

from typing import Any

from tests.support.flows import (
    ADDRESSES,
    Case,
    Config,
    Flow,
    Step,
    at,
    cross_product,
    endpoint,
    node_object,
    port,
    service,
    service_cidr_object,
    slice_of,
)

IP = "10.96.5.5"
IP6 = "fd00:10:96::5"
WORLD = (node_object(), node_object("node-2"), service_cidr_object())


def to(*pods: str, source: str = "p1", address: str = IP, number: int = 80, **more: Any) -> Flow:
    """Expect an answer from exactly *pods*; ``protocol``, ``masquerade`` and ``pod_port`` in *more*."""
    pod_port, family = more.pop("pod_port", 8080), more.pop("family", 4)
    found = tuple(sorted(at(pod, family=family, number=pod_port) for pod in pods))
    return Flow(source, more.pop("protocol", "TCP"), address, number, "dnat", found, **more)


def no(
    expect: Any, source: str = "p1", address: str = IP, number: int = 80, protocol: str = "TCP"
) -> Flow:
    """Expect ``reject``, ``drop`` or ``pass``."""
    return Flow(source, protocol, address, number, expect)


def case(name: str, *rules: str, steps: tuple[Step, ...], **more: Any) -> Case:
    """Build a case whose first step has the nodes and the ServiceCIDR as well."""
    first = Step((*WORLD, *steps[0].apply), steps[0].delete, steps[0].flows)
    return Case(name, rules, (first, *steps[1:]), **more)


WEB = service("web", IP)
TWO = slice_of("web", [endpoint("p2"), endpoint("p3")])
BOTH = to("p2", "p3")

OBJECTS = (
    case(
        "a Service without cluster IP, headless or ExternalName, is nobody's",
        "R1",
        steps=(
            Step((service("web", IP), TWO), flows=(BOTH,)),
            Step((service("web", "None"),), flows=(no("drop"),)),
            Step(
                (service("web", IP, type="ExternalName", externalName="db.example"),),
                flows=(no("drop"),),
            ),
            Step((service("web", ""),), flows=(no("drop"),)),
        ),
    ),
    case(
        "the label for another proxy is as good as a deletion, and its removal as a creation",
        "R2",
        steps=(
            Step((WEB, TWO), flows=(BOTH,)),
            Step(
                (service("web", IP, labels={"service.kubernetes.io/service-proxy-name": ""}),),
                flows=(no("drop"),),
            ),
            Step((WEB,), flows=(BOTH,)),
        ),
    ),
    case(
        "slices of headless Services and slices without a Service's name are not looked at",
        "R3",
        "R4",
        steps=(
            Step(
                (
                    WEB,
                    slice_of("web", [endpoint("p2")]),
                    slice_of(
                        "",
                        [endpoint("p3")],
                        name="b",
                        labels={
                            "kubernetes.io/service-name": "web",
                            "service.kubernetes.io/headless": "",
                        },
                    ),
                    slice_of("", [endpoint("p4")], name="c", labels={}),
                    slice_of(
                        "", [endpoint("p4")], name="d", labels={"kubernetes.io/service-name": ""}
                    ),
                ),
                flows=(to("p2"),),
            ),
        ),
    ),
    case(
        "FQDN slices and addresses of another family are ignored",
        "R5",
        steps=(
            Step(
                (
                    WEB,
                    slice_of("web", [endpoint("p2"), {**endpoint("p3"), "addresses": ["fd00::1"]}]),
                    {
                        **slice_of("web", [{"addresses": ["db.example"]}], name="f"),
                        "addressType": "FQDN",
                    },
                ),
                flows=(to("p2"),),
            ),
        ),
    ),
    case(
        "a renamed port has no endpoints until the slices carry the new name",
        "R7",
        "R8",
        "R17",
        "R50",
        steps=(
            Step((WEB, TWO), flows=(BOTH,)),
            Step((service("web", IP, ports=[port("web")]),), flows=(no("reject"),)),
            Step(
                (
                    slice_of(
                        "web",
                        [endpoint("p2")],
                        ports=({"name": "web", "protocol": "TCP", "port": 8080},),
                    ),
                ),
                flows=(to("p2"),),
            ),
        ),
    ),
    case(
        "the number comes from each slice, never from targetPort",
        "R8",
        steps=(
            Step(
                (
                    service("web", IP, ports=[port(targetPort=1)]),
                    slice_of("web", [endpoint("p2")], name="a"),
                    slice_of(
                        "web",
                        [endpoint("p3")],
                        name="b",
                        ports=({"name": "http", "protocol": "TCP", "port": 9090},),
                    ),
                ),
                flows=(Flow("p1", "TCP", IP, 80, "dnat", (at("p2"), at("p3", number=9090))),),
            ),
        ),
    ),
    case(
        "an unnamed port is a port; a port without a name or a number is none",
        "R9",
        steps=(
            Step(
                (
                    service("web", IP, ports=[port("", 80), port("zero", 81)]),
                    slice_of(
                        "web",
                        [endpoint("p2")],
                        name="a",
                        ports=(
                            {"name": "", "protocol": "TCP", "port": 8080},
                            {"name": "zero", "protocol": "TCP", "port": 0},
                        ),
                    ),
                    slice_of(
                        "web",
                        [endpoint("p3")],
                        name="b",
                        ports=({"protocol": "TCP", "port": 8080},),
                    ),
                    slice_of(
                        "web", [endpoint("p3")], name="c", ports=({"name": "", "protocol": "TCP"},)
                    ),
                ),
                flows=(to("p2"), no("reject", number=81)),
            ),
        ),
    ),
    case(
        "only the first address of an endpoint is used",
        "R10",
        steps=(
            Step(
                (
                    WEB,
                    slice_of(
                        "web",
                        [{**endpoint("p2"), "addresses": [ADDRESSES[4]["p2"], ADDRESSES[4]["p3"]]}],
                    ),
                ),
                flows=(to("p2"),),
            ),
        ),
    ),
    case(
        "what a slice does not say about an endpoint counts in its favour",
        "R11",
        steps=(
            Step(
                (
                    WEB,
                    slice_of(
                        "web", [endpoint("p2", "unsaid"), {"addresses": [ADDRESSES[4]["p3"]]}]
                    ),
                ),
                flows=(BOTH,),
            ),
            Step(
                (
                    slice_of(
                        "web",
                        [{**endpoint("p2"), "conditions": {"ready": False, "terminating": True}}],
                    ),
                ),
                flows=(to("p2"),),
            ),
        ),
    ),
    case(
        "slices are merged; moving an endpoint between them changes nothing",
        "R13",
        steps=(
            Step(
                (
                    WEB,
                    slice_of("web", [endpoint("p2")], name="a"),
                    slice_of("web", [endpoint("p3")], name="b"),
                ),
                flows=(BOTH,),
            ),
            Step(
                (
                    slice_of("web", [], name="a"),
                    slice_of("web", [endpoint("p3"), endpoint("p2")], name="b"),
                ),
                flows=(BOTH,),
            ),
            Step(delete=("EndpointSlice/shop/a",), flows=(BOTH,)),
            Step(delete=("EndpointSlice/shop/b",), flows=(no("reject"),)),
        ),
    ),
    case(
        "of two opinions about one endpoint the better one holds, in any order",
        "R14",
        steps=(
            Step(
                (
                    WEB,
                    slice_of("web", [endpoint("p2", "unready")], name="a"),
                    slice_of("web", [endpoint("p2")], name="b"),
                ),
                flows=(to("p2"),),
            ),
            Step(
                (
                    slice_of("web", [endpoint("p2")], name="a"),
                    slice_of("web", [endpoint("p2", "unready")], name="b"),
                ),
                flows=(to("p2"),),
            ),
        ),
    ),
    case(
        "addresses with leading zeros are the addresses without",
        "R16",
        steps=(
            Step(
                (
                    service("web", "10.096.005.005"),
                    slice_of("web", [{**endpoint("p2"), "addresses": ["10.244.001.012"]}]),
                ),
                flows=(to("p2"),),
            ),
        ),
    ),
    case(
        "slices may come before their Service and outlive it",
        "R17",
        "R109",
        steps=(
            Step((TWO,), flows=(no("drop"),)),
            Step((WEB,), flows=(BOTH,)),
            Step(delete=("Service/shop/web",), flows=(no("drop"),)),
            Step((service("next", IP), slice_of("next", [endpoint("p4")])), flows=(to("p4"),)),
        ),
    ),
)

CLUSTER_IP = (
    case(
        "ports are independent, and so are protocols on one number",
        "R20",
        "R22",
        "R23",
        steps=(
            Step(
                (
                    service(
                        "web",
                        IP,
                        ports=[
                            port("a", 80),
                            port("b", 80, "UDP"),
                            port("c", 80, "SCTP"),
                            port("d", 443),
                        ],
                    ),
                    slice_of(
                        "web",
                        [endpoint("p2")],
                        name="1",
                        ports=(
                            {"name": "a", "protocol": "TCP", "port": 8080},
                            {"name": "b", "protocol": "UDP", "port": 8080},
                        ),
                    ),
                    slice_of(
                        "web",
                        [endpoint("p3")],
                        name="2",
                        ports=({"name": "c", "protocol": "SCTP", "port": 8080},),
                    ),
                ),
                flows=(
                    to("p2"),
                    to("p2", protocol="UDP"),
                    to("p3", protocol="SCTP"),
                    no("reject", number=443),
                ),
            ),
            Step(
                (service("web", IP, ports=[port("a", 80)]),),
                flows=(
                    to("p2"),
                    no("reject", protocol="UDP"),
                    no("reject", protocol="SCTP"),
                    no("reject", number=443),
                ),
            ),
        ),
    ),
    case(
        "an unknown port of a cluster IP is refused, an unused address of the range is silent",
        "R23",
        "R25",
        "R34",
        "R48",
        steps=(
            Step(
                (service("web", IP, type="NodePort", ports=[port(nodePort=30080)]), TWO),
                flows=(
                    no("reject", number=81),
                    no("reject", number=81, source="node"),
                    no("reject", number=30080),
                    no("reject", protocol="UDP"),
                    no("drop", address="10.96.200.200"),
                    no("drop", address="10.96.200.200", source="node"),
                    no("pass", address="192.0.2.200"),
                    no("pass", address=ADDRESSES[4]["node-2"], number=30080),
                ),
            ),
            Step(
                delete=("ServiceCIDR//kubernetes",),
                flows=(no("pass", address="10.96.200.200"), no("reject", number=81)),
            ),
        ),
    ),
    case(
        "pods keep their address; the node and hosts outside are masqueraded",
        "R21",
        "R26",
        steps=(
            Step(
                (WEB, TWO),
                flows=(
                    BOTH,
                    to("p2", "p3", source="node", masquerade=True),
                    to("p2", "p3", source="external", masquerade=True),
                ),
            ),
        ),
    ),
    case(
        "without a detector nobody is masqueraded on the way to a cluster IP",
        "R73",
        steps=(
            Step(
                (WEB, TWO),
                flows=(BOTH, to("p2", "p3", source="node"), to("p2", "p3", source="external")),
            ),
        ),
        config=Config(cluster_cidrs=()),
    ),
    case(
        "masqueradeAll masquerades everybody on the way to a cluster IP",
        "R72",
        steps=(
            Step(
                (WEB, TWO),
                flows=(
                    to("p2", "p3", masquerade=True),
                    to("p2", "p3", source="node", masquerade=True),
                ),
            ),
        ),
        config=Config(masquerade_all=True),
    ),
    case(
        "a pod reaches itself through its Service",
        "R74",
        steps=(Step((WEB, slice_of("web", [endpoint("p1")])), flows=(to("p1"),)),),
    ),
    case(
        "each family has its own endpoints",
        "R29",
        steps=(
            Step(
                (
                    {
                        **service("web", IP),
                        "spec": {"clusterIP": IP, "clusterIPs": [IP, IP6], "ports": [port()]},
                    },
                    slice_of("web", [endpoint("p2")]),
                    slice_of("web", [endpoint("p3", family=6)], family=6),
                ),
                flows=(to("p3", address=IP6, family=6), no("drop", address="fd00:10:96::99")),
            ),
            Step((WEB,), flows=(no("drop", address=IP6),)),
        ),
        family=6,
    ),
)

NODE_PORTS = (
    case(
        "a node port is open on the primary address only",
        "R30",
        "R31",
        "R32",
        "R39",
        steps=(
            Step(
                (service("web", IP, type="NodePort", ports=[port(nodePort=30080)]), TWO),
                flows=(
                    to("p2", "p3", address="NODE", number=30080, masquerade=True),
                    to(
                        "p2", "p3", source="external", address="NODE", number=30080, masquerade=True
                    ),
                    no("pass", source="external", address="NODE", number=30081),
                ),
            ),
            Step(
                (service("web", IP, type="NodePort", ports=[port(nodePort=30081)]),),
                flows=(
                    no("pass", address="NODE", number=30080),
                    to("p2", "p3", address="NODE", number=30081, masquerade=True),
                ),
            ),
        ),
    ),
    case(
        "nodePortAddresses that miss the node close its node ports",
        "R31",
        steps=(
            Step(
                (service("web", IP, type="NodePort", ports=[port(nodePort=30080)]), TWO),
                flows=(no("pass", source="external", address="NODE", number=30080), BOTH),
            ),
        ),
        config=Config(node_port_addresses=("192.0.2.0/24",)),
    ),
    case(
        "a range for all opens node ports on every local address but loopback",
        "R31",
        "R33",
        steps=(
            Step(
                (service("web", IP, type="NodePort", ports=[port(nodePort=30080)]), TWO),
                flows=(
                    to(
                        "p2", "p3", source="external", address="NODE", number=30080, masquerade=True
                    ),
                    no("pass", source="node", address="127.0.0.1", number=30080),
                ),
            ),
        ),
        config=Config(node_port_addresses=("0.0.0.0/0",)),
    ),
    case(
        "a node port without any endpoint refuses",
        "R38",
        steps=(
            Step(
                (service("web", IP, type="NodePort", ports=[port(nodePort=30080)]),),
                flows=(no("reject", source="external", address="NODE", number=30080),),
            ),
        ),
    ),
)

VIP = "203.0.113.10"


def _balanced(**spec: Any) -> dict[str, Any]:
    return service(
        "web",
        IP,
        **{"type": "LoadBalancer", "ports": [port(nodePort=30080)], "ingress": [VIP], **spec},
    )


LOAD_BALANCERS = (
    case(
        "ingress addresses are served unless they are the balancer's own business",
        "R40",
        "R41",
        "R42",
        "R48",
        "R36",
        steps=(
            Step(
                (
                    _balanced(
                        ports=[port()],
                        ingress=[
                            VIP,
                            {"ip": "203.0.113.11", "ipMode": "VIP"},
                            {"ip": "203.0.113.12", "ipMode": "Proxy"},
                            {"hostname": "lb.example"},
                        ],
                    ),
                    TWO,
                ),
                flows=(
                    to("p2", "p3", address=VIP, masquerade=True),
                    to("p2", "p3", address="203.0.113.11", masquerade=True),
                    no("pass", address="203.0.113.12"),
                    no("pass", address=VIP, number=81),
                ),
            ),
        ),
    ),
    case(
        "the status says what is served, whatever type, address and class the spec asks for",
        "R43",
        steps=(
            Step(
                (
                    _balanced(
                        type="ClusterIP",
                        ports=[port()],
                        loadBalancerIP="203.0.113.11",
                        loadBalancerClass="example.com/other",
                    ),
                    TWO,
                ),
                flows=(
                    to("p2", "p3", address=VIP, masquerade=True),
                    no("pass", address="203.0.113.11"),
                ),
            ),
        ),
    ),
    case(
        "external IPs are served, without source ranges",
        "R47",
        "R44",
        steps=(
            Step(
                (
                    _balanced(
                        externalIPs=["192.0.2.9"], loadBalancerSourceRanges=["198.51.100.0/24"]
                    ),
                    TWO,
                ),
                flows=(
                    to("p2", "p3", address="192.0.2.9", masquerade=True),
                    no("drop", address=VIP),
                ),
            ),
        ),
    ),
    case(
        "source ranges filter the ingress addresses, for pods and the node as well",
        "R37",
        "R44",
        steps=(
            Step(
                (_balanced(loadBalancerSourceRanges=[" 198.51.100.0/24 "]), TWO),
                flows=(
                    to("p2", "p3", source="external", address=VIP, masquerade=True),
                    no("drop", address=VIP),
                    no("drop", source="node", address=VIP),
                    to("p2", "p3", address="NODE", number=30080, masquerade=True),
                    BOTH,
                ),
            ),
        ),
    ),
    case(
        "a range of the other family admits nobody of this one",
        "R46",
        steps=(
            Step(
                (_balanced(loadBalancerSourceRanges=["2001:db8::/32"]), TWO),
                flows=(no("drop", source="external", address=VIP), BOTH),
            ),
        ),
    ),
    case(
        "a range with the node in it admits the node",
        "R45",
        steps=(
            Step(
                (_balanced(loadBalancerSourceRanges=["172.18.0.0/16"]), TWO),
                flows=(
                    to("p2", "p3", source="node", address=VIP, masquerade=True),
                    to("p2", "p3", source=VIP, address=VIP, masquerade=True),
                    no("drop", address=VIP),
                ),
            ),
        ),
    ),
    case(
        "externalTrafficPolicy Local: outside stays here, inside goes anywhere, no detector no pods",
        "R52",
        "R53",
        "R57",
        steps=(
            Step(
                (_balanced(externalTrafficPolicy="Local"), TWO),
                flows=(
                    to("p2", source="external", address=VIP),
                    to("p2", source="external", address="NODE", number=30080),
                    to("p2", address=VIP),
                    to("p2", "p3", source="node", address=VIP, masquerade=True),
                    to("p2", "p3"),
                ),
            ),
            Step(
                (slice_of("web", [endpoint("p3")]),),
                flows=(
                    no("drop", source="external", address=VIP),
                    no("drop", address=VIP),
                    to("p3", source="node", address=VIP, masquerade=True),
                ),
            ),
        ),
        config=Config(cluster_cidrs=()),
    ),
)

CONTESTS = (
    case(
        "an external IP never takes a cluster IP away, and of two Services the first has it",
        "R47",
        steps=(
            Step(
                (
                    WEB,
                    TWO,
                    service("a", "10.96.5.6", externalIPs=[IP, "192.0.2.9"]),
                    slice_of("a", [endpoint("p4")]),
                    service("b", "10.96.5.7", externalIPs=["192.0.2.9"]),
                    slice_of("b", [endpoint("p3")]),
                ),
                flows=(BOTH, to("p4", address="192.0.2.9", masquerade=True)),
            ),
            Step(
                delete=("Service/shop/a",),
                flows=(BOTH, to("p3", address="192.0.2.9", masquerade=True)),
            ),
        ),
    ),
)

ZONE_A: dict[str, Any] = {"hints": {"forZones": [{"name": "a"}]}}
ZONE_B: dict[str, Any] = {"hints": {"forZones": [{"name": "b"}]}}
HERE: dict[str, Any] = {"hints": {"forNodes": [{"name": "node-1"}], "forZones": [{"name": "a"}]}}
THERE: dict[str, Any] = {"hints": {"forNodes": [{"name": "node-2"}], "forZones": [{"name": "b"}]}}
MOVED = {
    **node_object(),
    "metadata": {"name": "node-1", "labels": {"topology.kubernetes.io/zone": "b"}},
}
NOWHERE = {**node_object(), "metadata": {"name": "node-1", "labels": {}}}


def _hinted(*endpoints: dict[str, Any]) -> dict[str, Any]:
    return slice_of("web", endpoints)


TOPOLOGY = (
    case(
        "zone hints hold while all ready endpoints have them and one is for our zone",
        "R60",
        "R62",
        steps=(
            Step(
                (WEB, _hinted(endpoint("p2", **ZONE_A), endpoint("p3", **ZONE_B))),
                flows=(to("p2"),),
            ),
            Step((MOVED,), flows=(to("p3"),)),
            Step((NOWHERE,), flows=(BOTH,)),
            Step((node_object(), _hinted(endpoint("p2"), endpoint("p3", **ZONE_A))), flows=(BOTH,)),
            Step((_hinted(endpoint("p3", **ZONE_B)),), flows=(to("p3"),)),
        ),
    ),
    case(
        "node hints go before zone hints",
        "R60",
        steps=(
            Step(
                (WEB, _hinted(endpoint("p2", **HERE), endpoint("p3", **THERE))), flows=(to("p2"),)
            ),
            Step(
                (
                    _hinted(
                        endpoint("p2", **HERE), endpoint("p1", **ZONE_A), endpoint("p3", **THERE)
                    ),
                ),
                flows=(to("p1", "p2", source="p2"),),
            ),
            Step(
                (_hinted(endpoint("p4", **THERE), endpoint("p3", **THERE)),),
                flows=(to("p3", "p4"),),
            ),
        ),
    ),
    case(
        "an endpoint that is not ready has no say in hints, and draining ones have no hints",
        "R60",
        "R61",
        steps=(
            Step(
                (
                    WEB,
                    _hinted(
                        endpoint("p2", **ZONE_A),
                        endpoint("p3", "unready"),
                        endpoint("p4", **ZONE_B),
                    ),
                ),
                flows=(to("p2"),),
            ),
            Step(
                (
                    _hinted(
                        endpoint("p2", "draining", **ZONE_A), endpoint("p3", "draining", **ZONE_B)
                    ),
                ),
                flows=(BOTH,),
            ),
        ),
    ),
    case(
        "hints never move policy Local",
        "R61",
        "R51",
        steps=(
            Step(
                (
                    service("web", IP, internalTrafficPolicy="Local"),
                    _hinted(endpoint("p2", **ZONE_B), endpoint("p3", **ZONE_A)),
                ),
                flows=(to("p2"),),
            ),
        ),
    ),
)

PRODUCTS = (
    cross_product(),
    cross_product(protocol="UDP"),
    cross_product(detector=False),
    cross_product(masquerade_all=True),
    cross_product(6),
)

STORIES = (*OBJECTS, *CLUSTER_IP, *NODE_PORTS, *LOAD_BALANCERS, *CONTESTS, *TOPOLOGY)
ALL = (*STORIES, *PRODUCTS)
