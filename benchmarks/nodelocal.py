"""What does a cache on the node cost, which knows no cluster and asks others (NodeLocal DNSCache)?

Over UDP, as Pods ask it, and over 100 long-lived connections.
"""

from benchmarks import questions
from benchmarks.servers import Servers
from benchmarks.table import cluster, compare

PEERS = ("unbound", "coredns", "svcdns")

COREFILE = """\
cluster.local:{port} {{
    errors
    cache {{
        success 9984 30
        denial 9984 5
    }}
    loop
    forward . 127.0.0.1:{upstream} {{
        force_tcp
    }}
    prometheus 127.0.0.1:{metrics}
}}
.:{port} {{
    errors
    cache 30
    loop
    forward . 127.0.0.1:{upstream}
    prometheus 127.0.0.1:{metrics}
}}
"""
"""That of the stock manifest, but for addresses."""


def measure() -> None:
    with Servers(cluster(), corefile=COREFILE) as servers:
        path = questions.save(servers.folder / "node", questions.outside())
        compare("Cache on the node: 500 names, UDP", servers, PEERS, path)
        compare("Cache on the node: 500 names, 100 connections", servers, PEERS, path, tcp=True)


if __name__ == "__main__":
    measure()
