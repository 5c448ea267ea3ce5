"""What does a query for one of 1,000 hot names cost?"""

from benchmarks import questions
from benchmarks.servers import Servers
from benchmarks.table import cluster, compare

PEERS = ("knot", "nsd", "unbound", "dnsmasq", "coredns", "svcdns")


def measure(servers: Servers) -> None:
    path = questions.save(servers.folder / "hot", questions.hot(servers.cluster))
    compare("Hot names: 1,000 Services, A", servers, PEERS, path)


if __name__ == "__main__":
    with Servers(cluster()) as servers:
        measure(servers)
