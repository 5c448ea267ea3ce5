"""What does a query of a cluster's usual mix cost?"""

from benchmarks import questions
from benchmarks.servers import Servers
from benchmarks.table import cluster, compare

PEERS = ("knot", "nsd", "coredns", "svcdns")


def measure(servers: Servers) -> None:
    path = questions.save(servers.folder / "mix", questions.mix(servers.cluster))
    shares = "60 % A, 20 % search paths, 10 % AAAA, 5 % headless A, 5 % SRV"
    compare(f"Mix: 50,000 questions; {shares}", servers, PEERS, path)


if __name__ == "__main__":
    with Servers(cluster()) as servers:
        measure(servers)
