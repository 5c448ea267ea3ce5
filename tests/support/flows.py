"""Cases for the proxy as data: objects of a cluster, and what connections must come to.

One case is asserted on the pure plan, on the rendered table by an interpreter, in a real kernel
and through the relays.  A case is plain data (:func:`msgspec.to_builtins` and back)::

    {name, rules, config, node,
     steps: [{apply: [objects as the API has them], delete: ["Kind/namespace/name"],
              flows: [{source, protocol, address, port, expect, to, masquerade}]}]}

*source* is a place of the world below (``p1``, ``node``, ``external``) or an address; *address*
may be ``NODE``, this node's address in the family of the case.  *expect* is ``dnat`` (to exactly
the endpoints in *to*, each reachable), ``reject``, ``drop`` or ``pass``.  *masquerade* says
whether endpoints other than the client itself see the node's address; a client that reaches
itself is always masqueraded (hairpin, rule R74).

The world: this node is ``node-1`` in zone ``a`` with the pods ``p1`` and ``p2``; ``node-2`` in zone
``b`` has ``p3`` and ``p4``; ``external`` is a host outside.  Every pod serves TCP and UDP 8080.
"""

from collections.abc import Iterable, Iterator
from itertools import product
from typing import Any, Literal

import msgspec
from msgspec import Struct, field

from svcdns.kube.objects import Kind, KubeObject
from svcdns.kube.resources import RESOURCES
from svcdns.kube.store import Store

NODE = "node-1"
ZONES = {"node-1": "a", "node-2": "b"}
NODE_OF = {"p1": "node-1", "p2": "node-1", "p3": "node-2", "p4": "node-2"}
ADDRESSES = {
    4: {
        "p1": "10.244.1.11",
        "p2": "10.244.1.12",
        "p3": "10.244.2.21",
        "p4": "10.244.2.22",
        "node": "172.18.0.3",
        "node-2": "172.18.0.4",
        "external": "198.51.100.7",
    },
    6: {
        "p1": "fd00:10:244:1::11",
        "p2": "fd00:10:244:1::12",
        "p3": "fd00:10:244:2::21",
        "p4": "fd00:10:244:2::22",
        "node": "fd00:172:18::3",
        "node-2": "fd00:172:18::4",
        "external": "2001:db8:51::7",
    },
}
POD_CIDRS = {4: "10.244.0.0/16", 6: "fd00:10:244::/48"}
SERVICE_CIDRS = {4: "10.96.0.0/16", 6: "fd00:10:96::/112"}
POD_PORT = 8080

Expect = Literal["dnat", "reject", "drop", "pass"]


class Config(Struct, frozen=True):
    """What of the configuration a case depends on."""

    cluster_cidrs: tuple[str, ...] = (POD_CIDRS[4], POD_CIDRS[6])
    "Empty: no detector (rule R73)."
    masquerade_all: bool = False
    node_port_addresses: tuple[str, ...] = ("primary",)


class Flow(Struct, frozen=True):
    """One connection and what must become of it."""

    source: str
    protocol: str
    address: str
    port: int
    expect: Expect
    to: tuple[str, ...] = ()
    "``address:port``, or ``[address]:port``, sorted."
    masquerade: bool = False
    rule: str = ""

    def source_address(self, family: int) -> str:
        """Address the client has before any translation."""
        return ADDRESSES[family].get(self.source, self.source)

    def target(self, family: int) -> str:
        """Address the client connects to."""
        return ADDRESSES[family]["node"] if self.address == "NODE" else self.address


class Step(Struct, frozen=True):
    """Changes that arrive together, and the connections to try afterwards."""

    apply: tuple[dict[str, Any], ...] = ()
    delete: tuple[str, ...] = ()
    "``Kind/namespace/name``."
    flows: tuple[Flow, ...] = ()

    def feed(self, store: Store) -> None:
        """Change *store* as the API source would."""
        for text in self.delete:
            kind, namespace, name = text.split("/")
            store.delete(Kind(kind), (namespace, name))
        for one in self.apply:
            store.apply(decode(one))


class Case(Struct, frozen=True):
    """A story with expectations."""

    name: str
    rules: tuple[str, ...]
    steps: tuple[Step, ...]
    config: Config = field(default_factory=Config)
    node: str = NODE
    family: int = 4


def decode(raw: dict[str, Any]) -> KubeObject:
    """Decode an object as the API source does."""
    found: KubeObject = msgspec.convert(raw, RESOURCES[Kind(raw["kind"])].type)
    return found


def node_object(name: str = NODE) -> dict[str, Any]:
    """Give the Node of the world, dual-stack."""
    place = "node" if name == NODE else name
    number = name[-1]
    cidrs = [f"10.244.{number}.0/24", f"fd00:10:244:{number}::/64"]
    addresses = [{"type": "InternalIP", "address": ADDRESSES[f][place]} for f in (4, 6)]
    return {
        "kind": "Node",
        "metadata": {"name": name, "labels": {"topology.kubernetes.io/zone": ZONES[name]}},
        "spec": {"podCIDR": cidrs[0], "podCIDRs": cidrs},
        "status": {"addresses": addresses},
    }


def service_cidr_object() -> dict[str, Any]:
    """Give the ServiceCIDR object of the world."""
    return {
        "kind": "ServiceCIDR",
        "metadata": {"name": "kubernetes"},
        "spec": {"cidrs": list(SERVICE_CIDRS.values())},
    }


def service(name: str, cluster_ip: str | None, **spec: Any) -> dict[str, Any]:
    """Give a Service in namespace ``shop`` with port ``http`` 80/TCP unless *spec* says otherwise.

    ``labels``, ``annotations`` and ``ingress`` (addresses, or entries of the status) are taken
    out of *spec*.
    """
    labels, annotations = spec.pop("labels", {}), spec.pop("annotations", {})
    ingress = [{"ip": one} if isinstance(one, str) else one for one in spec.pop("ingress", ())]
    spec.setdefault("ports", [port()])
    if cluster_ip is not None:
        spec = {"clusterIP": cluster_ip, "clusterIPs": [cluster_ip], **spec}
    return {
        "kind": "Service",
        "metadata": {
            "name": name,
            "namespace": "shop",
            "labels": labels,
            "annotations": annotations,
        },
        "spec": spec,
        "status": {"loadBalancer": {"ingress": ingress}},
    }


def port(
    name: str = "http", number: int = 80, protocol: str = "TCP", **more: Any
) -> dict[str, Any]:
    """Give a port of a Service; ``nodePort`` and the like go into *more*."""
    return {"name": name, "port": number, "protocol": protocol, **more}


def endpoint(pod: str, state: str = "ready", *, family: int = 4, **more: Any) -> dict[str, Any]:
    """Give an endpoint for a pod of the world in one of :data:`STATES`; hints go into *more*."""
    return {
        "addresses": [ADDRESSES[family][pod]],
        "nodeName": NODE_OF[pod],
        "zone": ZONES[NODE_OF[pod]],
        "conditions": STATES[state],
        "targetRef": {"kind": "Pod", "namespace": "shop", "name": pod},
        **more,
    }


STATES: dict[str, dict[str, bool]] = {
    "ready": {"ready": True, "serving": True, "terminating": False},
    "draining": {"ready": False, "serving": True, "terminating": True},
    "unready": {"ready": False, "serving": False, "terminating": False},
    "dead": {"ready": False, "serving": False, "terminating": True},
    "unsaid": {},
}


def slice_of(
    service_name: str,
    endpoints: Iterable[dict[str, Any]],
    *,
    family: int = 4,
    name: str = "",
    ports: Iterable[dict[str, Any]] = ({"name": "http", "protocol": "TCP", "port": POD_PORT},),
    labels: dict[str, str] | None = None,
) -> dict[str, Any]:
    """Give an EndpointSlice of a Service in namespace ``shop``."""
    label = {"kubernetes.io/service-name": service_name}
    return {
        "kind": "EndpointSlice",
        "metadata": {
            "name": name or f"{service_name}-v{family}",
            "namespace": "shop",
            "labels": label if labels is None else labels,
        },
        "addressType": f"IPv{family}",
        "endpoints": list(endpoints),
        "ports": list(ports),
    }


def at(pod: str, *, family: int = 4, number: int = POD_PORT) -> str:
    """Spell a pod's address and port as :attr:`Flow.to` does."""
    address = ADDRESSES[family][pod]
    return f"[{address}]:{number}" if family == 6 else f"{address}:{number}"


# ---------------------------------------------------------------------------------------------
# The cross product.  What is expected is computed from the tables of the rules, written down here
# once more on purpose: nothing below may call the code under test.

KINDS = ("ClusterIP", "NodePort", "LoadBalancer", "ExternalIP")
SOURCES = ("p1", "node", "external")
POLICIES = ("Cluster", "Local")


class Situation(Struct, frozen=True):
    """One Service of the cross product."""

    internal: str
    external: str
    states: tuple[tuple[str, str], ...]
    "Pods and their states."

    def in_state(self, state: str, pods: Iterable[str] = tuple(NODE_OF)) -> list[str]:
        """Pods among *pods* that are in a state."""
        wanted = {"ready", "unsaid"} if state == "ready" else {state}
        return [pod for pod, has in self.states if has in wanted and pod in pods]


def expected_pods(situation: Situation, source: str, kind: str, detector: bool) -> list[str] | str:
    """Work out who answers, or ``reject`` or ``drop`` (tables of R50, R53, R56 and R57)."""
    everywhere = situation.in_state("ready") or situation.in_state("draining")
    if not everywhere:
        return "reject"
    policy = situation.internal if kind == "ClusterIP" else situation.external
    inside = source == "node" or (source.startswith("p") and detector)
    if policy == "Cluster" or (kind != "ClusterIP" and inside):
        return everywhere
    here = [pod for pod in NODE_OF if NODE_OF[pod] == NODE]
    return situation.in_state("ready", here) or situation.in_state("draining", here) or "drop"


def expected_masquerade(
    situation: Situation, source: str, kind: str, detector: bool, masquerade_all: bool
) -> bool:
    """Work out whose source is replaced (table of section 8)."""
    if kind == "ClusterIP":
        return masquerade_all or (detector and not source.startswith("p"))
    return situation.external == "Cluster" or source == "node"


def situations() -> Iterator[Situation]:
    """Iterate over policies and states of a local and a remote endpoint, the client among them."""
    states = ("", "ready", "draining", "unready", "dead", "unsaid")
    for internal, external in product(POLICIES, POLICIES):
        for here, there in product(states, states):
            pods = (("p2", here), ("p3", there))
            yield Situation(internal, external, tuple(p for p in pods if p[1]))
        for itself in ("ready", "draining"):
            yield Situation(internal, external, (("p1", itself),))
            yield Situation(internal, external, (("p1", itself), ("p2", "ready"), ("p4", "ready")))


def cross_product(
    family: int = 4, *, detector: bool = True, masquerade_all: bool = False, protocol: str = "TCP"
) -> Case:
    """Build one case with a Service for every situation and a flow for every source and kind."""
    objects = [node_object(), node_object("node-2"), service_cidr_object()]
    flows: list[Flow] = []
    for number, situation in enumerate(situations(), 1):
        made, targets = _service_of(number, situation, family, protocol)
        objects += made
        for source, kind in product(SOURCES, KINDS):
            if source == "external" and kind == "ClusterIP":
                continue  # rule R26 has its own case: it needs a route that clusters do not have
            found = expected_pods(situation, source, kind, detector)
            address, target_port = targets[kind]
            if isinstance(found, str):
                expect: Expect = "reject" if found == "reject" else "drop"
                flows.append(Flow(source, protocol, address, target_port, expect, rule="R50"))
                continue
            to = tuple(sorted(at(pod, family=family) for pod in found))
            masquerade = expected_masquerade(situation, source, kind, detector, masquerade_all)
            flows.append(
                Flow(source, protocol, address, target_port, "dnat", to, masquerade, rule="R20")
            )
    words = [f"IPv{family}", protocol]
    words += [] if detector else ["no detector"]
    words += ["masquerade all"] if masquerade_all else []
    return Case(
        f"policy x locality x conditions x source x address ({', '.join(words)})",
        ("R20", "R21", "R30", "R40", "R47", "R50", "R51", "R52", "R53", "R56", "R57", "R58", "R74"),
        (Step(apply=tuple(objects), flows=tuple(flows)),),
        Config(() if not detector else (POD_CIDRS[4], POD_CIDRS[6]), masquerade_all),
        family=family,
    )


def _service_of(
    number: int, situation: Situation, family: int, protocol: str
) -> tuple[list[dict[str, Any]], dict[str, tuple[str, int]]]:
    name = f"s{number}"
    prefix = {
        4: ("10.96.1.", "203.0.113.", "192.0.2."),
        6: ("fd00:10:96::", "2001:db8:113::", "2001:db8:2::"),
    }
    cluster_ip, vip, external_ip = (f"{one}{number}" for one in prefix[family])
    targets = {
        "ClusterIP": (cluster_ip, 80),
        "NodePort": ("NODE", 30000 + number),
        "LoadBalancer": (vip, 80),
        "ExternalIP": (external_ip, 80),
    }
    spec: dict[str, Any] = {
        "type": "LoadBalancer",
        "internalTrafficPolicy": situation.internal,
        "externalTrafficPolicy": situation.external,
        "externalIPs": [external_ip],
        "ingress": [vip],
        "ports": [port(protocol=protocol, nodePort=30000 + number)],
    }
    endpoints = [endpoint(pod, state, family=family) for pod, state in situation.states]
    ports = ({"name": "http", "protocol": protocol, "port": POD_PORT},)
    objects = [service(name, cluster_ip, **spec)]
    if endpoints:
        objects.append(slice_of(name, endpoints, family=family, ports=ports))
    return objects, targets
