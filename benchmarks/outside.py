"""What does a name cost that is not the cluster's, and cached?"""

from benchmarks import questions
from benchmarks.servers import Servers
from benchmarks.table import cluster, compare

PEERS = ("unbound", "dnsmasq", "coredns", "svcdns")


def measure(servers: Servers) -> None:
    path = questions.save(servers.folder / "outside", questions.outside())
    compare("Cached outside names: 500, A", servers, PEERS, path)


if __name__ == "__main__":
    with Servers(cluster()) as servers:
        measure(servers)
