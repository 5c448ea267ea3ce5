"""What does the mix cost when every query carries a random cookie, as dig's do?"""

from benchmarks import questions
from benchmarks.servers import Servers
from benchmarks.table import cluster, compare

PEERS = ("knot", "nsd", "coredns", "svcdns")


def measure(servers: Servers) -> None:
    path = questions.save(servers.folder / "cookies", questions.cookies(servers.cluster))
    compare("Mix with a random cookie in every query", servers, PEERS, path)


if __name__ == "__main__":
    with Servers(cluster()) as servers:
        measure(servers)
