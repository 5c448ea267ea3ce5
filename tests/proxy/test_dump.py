import json

from svcdns.kube.store import Store
from svcdns.proxy.dump import as_json, table
from svcdns.proxy.model import NodeView, PlanOptions
from svcdns.proxy.plan import build
from tests.support.flows import (
    decode,
    endpoint,
    port,
    service,
    service_cidr_object,
    slice_of,
)

VIEW = NodeView("node-1", "a", ("172.18.0.3",))


def stored() -> Store:
    store = Store()
    for one in (
        service_cidr_object(),
        service(
            "web",
            "10.96.5.5",
            type="LoadBalancer",
            ports=[port(nodePort=30080)],
            ingress=["203.0.113.9"],
            externalTrafficPolicy="Local",
            healthCheckNodePort=31000,
            loadBalancerSourceRanges=["198.51.100.0/24"],
            sessionAffinity="ClientIP",
            annotations={
                "svcdns.io/balance": "round-robin",
                "svcdns.io/proxy-protocol": "v1",
                "svcdns.io/retry": "empty-response",
                "svcdns.io/responses": "1",
            },
        ),
        slice_of("web", [endpoint("p3"), endpoint("p4", "unready")]),
        service("six", "fd00:10:96::6"),
    ):
        store.apply(decode(one))
    return store


EXPECTED = """\
SERVICE PORT            KIND          FRONTEND            POLICY   VERDICT  BACKENDS
shop/six:http/TCP IPv6  ClusterIP     [fd00:10:96::6]:80  Cluster  reject   no usable endpoint anywhere (R50)
shop/web:http/TCP IPv4  ClusterIP     10.96.5.5:80        Cluster  forward  10.244.2.21:8080 p3
                        NodePort      172.18.0.3:30080    Local    drop     no usable endpoint on this node (R50)
                        LoadBalancer  203.0.113.9:80      Local    drop     no usable endpoint on this node (R50)
    session affinity: ClientIP, 10800 s
    LoadBalancer only from: 198.51.100.0/24
    balance: round-robin
    PROXY protocol: v1
    retry: empty-response
    responses: 1
    left out: 10.244.2.22:8080: not ready (R58)
health check of shop/web at port 31000: 0 ready here
unused addresses are dropped in: 10.96.0.0/16, fd00:10:96::/112 (R25)
"""


def test_the_table_says_what_leads_where_and_what_is_left_out() -> None:
    assert table(build(stored(), VIEW)) == EXPECTED


def test_node_ports_on_every_address_and_on_none() -> None:
    everywhere = build(stored(), VIEW, PlanOptions(node_port_addresses=()))
    assert "*:30080" in table(everywhere)
    nowhere = build(
        stored(), VIEW, PlanOptions(node_port_addresses=("192.0.2.0/24", "2001:db8::/32"))
    )
    assert "(no address):30080" in table(nowhere)


def test_a_local_backend_is_marked() -> None:
    store = stored()
    store.apply(decode(slice_of("web", [endpoint("p2")])))
    assert "10.244.1.12:8080 p2 here" in table(build(store, VIEW))


def test_nothing_to_show() -> None:
    assert table(build(Store(), VIEW)) == "no service ports\n"
    assert json.loads(as_json(build(Store(), VIEW)))["services"] == []


def test_an_endpoint_without_the_port_is_shown_without_a_port_r8() -> None:
    store = stored()
    store.apply(decode(slice_of("web", [endpoint("p2")], ports=[{"name": "x", "port": 1}])))
    expected = "left out: 10.244.1.12: slice web-v4 has no port 'http' with protocol TCP (R8)"
    assert expected in table(build(store, VIEW))


def test_json_has_the_verdict_of_every_frontend() -> None:
    found = json.loads(as_json(build(stored(), VIEW)))
    six, web = found["services"]
    assert six["frontends"][0]["verdict"] == "reject"
    assert [(f["exposure"], f["policy"], f["verdict"]) for f in web["frontends"]] == [
        ("ClusterIP", "Cluster", "forward"),
        ("NodePort", "Local", "drop"),
        ("LoadBalancer", "Local", "drop"),
    ]
    assert web["left_out"][0]["rule"] == "R58"
    assert found["healthChecks"][0]["port"] == 31000
    assert found["serviceCIDRs"] == ["10.96.0.0/16", "fd00:10:96::/112"]
    assert found["nodePorts"]["addresses"] == ["172.18.0.3"]
