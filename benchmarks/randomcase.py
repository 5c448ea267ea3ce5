"""What does the mix cost in random case (0x20)?"""

from benchmarks import questions
from benchmarks.servers import Servers
from benchmarks.table import cluster, compare

PEERS = ("knot", "nsd", "coredns", "svcdns")


def measure(servers: Servers) -> None:
    path = questions.save(servers.folder / "randomcase", questions.random_case(servers.cluster))
    compare("Mix in random case", servers, PEERS, path)


if __name__ == "__main__":
    with Servers(cluster()) as servers:
        measure(servers)
