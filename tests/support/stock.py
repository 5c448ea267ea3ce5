"""The Corefiles that distributions install, written from what is known of them.

What matters is each one's set of directives, options and keys (corefile-features b), not its
typography.
"""

_CLUSTER = "kubernetes {zones} {{\n        pods insecure\n        fallthrough in-addr.arpa ip6.arpa\n{ttl}    }}"
_ZONES = "cluster.local in-addr.arpa ip6.arpa"
_TAIL = "    loop\n    reload\n    loadbalance\n"


def _kubernetes(ttl: int | None = None, zones: str = _ZONES) -> str:
    line = "" if ttl is None else f"        ttl {ttl}\n"
    return "    " + _CLUSTER.format(zones=zones, ttl=line) + "\n"


KUBEADM = (
    ".:53 {\n    errors\n    health {\n       lameduck 5s\n    }\n    ready\n"
    + _kubernetes(30)
    + "    prometheus :9153\n    forward . /etc/resolv.conf {\n       max_concurrent 1000\n    }\n"
    "    cache 30 {\n       disable success cluster.local\n       disable denial cluster.local\n    }\n"
    + _TAIL
    + "}\n"
)

KUBE_UP = (
    ".:53 {\n    errors\n    health {\n        lameduck 5s\n    }\n    ready\n"
    + _kubernetes(30)
    + "    prometheus :9153\n    forward . /etc/resolv.conf {\n        max_concurrent 1000\n    }\n"
    "    cache 30\n" + _TAIL + "}\n"
)

KIND_IPV6 = (
    "internal:53 {\n    errors\n    forward . fd00:10:96::a\n}\n"
    ".:53 {\n    errors\n    health {\n       lameduck 5s\n    }\n    ready\n"
    "    kubernetes " + _ZONES + " {\n       pods insecure\n       ttl 30\n    }\n"
    "    prometheus :9153\n    cache 30\n    reload\n    loadbalance\n}\n"
)

MINIKUBE = (
    ".:53 {\n    log\n    errors\n    health {\n       lameduck 5s\n    }\n    ready\n"
    + _kubernetes(30)
    + "    prometheus :9153\n    hosts {\n       192.168.49.1 host.minikube.internal\n"
    "       fallthrough\n    }\n    forward . /etc/resolv.conf {\n       max_concurrent 1000\n    }\n"
    "    cache 30 {\n       disable success cluster.local\n       disable denial cluster.local\n    }\n"
    + _TAIL
    + "}\n"
)

K3S = (
    ".:53 {\n    errors\n    health\n    ready\n"
    + _kubernetes()
    + "    hosts /etc/coredns/NodeHosts {\n      ttl 60\n      reload 15s\n      fallthrough\n    }\n"
    "    prometheus :9153\n    forward . /etc/resolv.conf\n    cache 30\n"
    + _TAIL
    + "    import /etc/coredns/custom/*.override\n}\nimport /etc/coredns/custom/*.server\n"
)

RKE2 = (
    ".:53 {\n    errors  \n    health  {\n        lameduck 10s\n    }\n    ready  \n"
    "    kubernetes   cluster.local  cluster.local in-addr.arpa ip6.arpa {\n        pods insecure\n"
    "        fallthrough in-addr.arpa ip6.arpa\n        ttl 30\n    }\n"
    "    prometheus  0.0.0.0:9153\n    forward  . /etc/resolv.conf\n    cache  30\n"
    "    loop  \n    reload  \n    loadbalance  \n}"
)

EKS = (
    ".:53 {\n    errors\n    health {\n        lameduck 5s\n      }\n    ready\n"
    + _kubernetes()
    + "    prometheus :9153\n    forward . /etc/resolv.conf\n    cache 30\n"
    + _TAIL
    + "}\n"
)

AKS = (
    ".:53 {\n    errors\n    ready\n    health {\n      lameduck 5s\n    }\n"
    + _kubernetes(30)
    + "    prometheus :9153\n    forward . /etc/resolv.conf\n    cache 30\n"
    + _TAIL
    + "    import custom/*.override\n    template ANY ANY internal.cloudapp.net {\n"
    '      match "^(?:[^.]+\\.){4,}internal\\.cloudapp\\.net\\.$"\n      rcode NXDOMAIN\n'
    "      fallthrough\n    }\n    template ANY ANY reddog.microsoft.com {\n      rcode NXDOMAIN\n"
    "    }\n}\nimport custom/*.server\n"
)

OPENSHIFT = (
    "# stub.example\nstub.example:5353 {\n    prometheus 127.0.0.1:9153\n    forward . 192.0.2.1 [2001:db8::53]:5353 {\n"
    "        policy random\n    }\n    errors\n    log . {\n        class error\n    }\n    bufsize 1232\n"
    "    cache 900 {\n        denial 9984 30\n    }\n}\n"
    ".:5353 {\n    bufsize 1232\n    errors\n    log . {\n        class error\n    }\n"
    "    health {\n        lameduck 20s\n    }\n    ready\n"
    + _kubernetes()
    + "    prometheus 127.0.0.1:9153\n    forward . /etc/resolv.conf {\n        policy sequential\n    }\n"
    "    cache 900 {\n        denial 9984 30\n    }\n    reload\n}\n"
    "hostname.bind:5353 {\n    chaos\n}\n"
)

TALOS = KUBEADM.replace("    errors\n", "    errors\n    log . {\n        class error\n    }\n")

GARDENER = (
    ".:8053 {\n    health {\n        lameduck 15s\n    }\n    ready\n"
    + _kubernetes(30)
    + "    prometheus :9153\n    loop\n    import custom/*.override\n    errors\n    log . {\n"
    "        class error\n    }\n    loadbalance round_robin\n    reload\n"
    "    forward . /etc/resolv.conf {\n        force_tcp\n    }\n    cache 300\n}\nimport custom/*.server\n"
)

DEPLOYMENT = (
    "corp.example:53 {\n    errors\n    cache 30\n    forward . 192.0.2.1\n}\n"
    ".:53 {\n    errors\n    health {\n      lameduck 5s\n    }\n    ready\n"
    "    kubernetes cluster.local 10.96.0.0/12 fd00:96::/108 {\n      fallthrough in-addr.arpa ip6.arpa\n    }\n"
    "    prometheus :9153\n    forward . /etc/resolv.conf {\n      max_concurrent 1000\n    }\n"
    "    cache 30\n" + _TAIL + "}\n"
)


def _node_local(zone: str, cache: str, to: str, health: str = "") -> str:
    return (
        f"{zone}:53 {{\n    errors\n    {cache}\n    reload\n    loop\n"
        f"    bind 169.254.20.10 10.96.0.10\n    forward . {to} {{\n        force_tcp\n    }}\n"
        f"    prometheus :9253\n{health}}}\n"
    )


NODE_LOCAL = (
    _node_local(
        "cluster.local",
        "cache {\n        success 9984 30\n        denial 9984 5\n    }",
        "10.96.0.11",
        "    health 169.254.20.10:8080\n",
    )
    + _node_local("in-addr.arpa", "cache 30", "10.96.0.11")
    + _node_local("ip6.arpa", "cache 30", "10.96.0.11")
    + _node_local(".", "cache 30", "/etc/resolv.conf")
)

HELM = RKE2.replace("lameduck 10s", "lameduck 5s").replace(
    "cluster.local  cluster.local", "cluster.local"
)

STOCK = {
    "kubeadm": KUBEADM,
    "kind": KUBEADM,
    "kind over IPv6": KIND_IPV6,
    "kube-up": KUBE_UP,
    "minikube": MINIKUBE,
    "k3s": K3S,
    "RKE2": RKE2,
    "helm": HELM,
    "EKS": EKS,
    "AKS": AKS,
    "OpenShift": OPENSHIFT,
    "Talos": TALOS,
    "Gardener": GARDENER,
    "coredns/deployment": DEPLOYMENT,
    "NodeLocal DNSCache": NODE_LOCAL,
}
