"""What does the mix cost over 100 long-lived, pipelined TCP connections?"""

from benchmarks import questions
from benchmarks.servers import Servers
from benchmarks.table import cluster, compare

PEERS = ("knot", "nsd", "coredns", "svcdns")


def measure(servers: Servers) -> None:
    # Streams and datagrams share the room for answers: 50,000 of each are another question.
    for server in servers.all("svcdns"):
        servers.stop(server)
    path = questions.save(servers.folder / "tcp", questions.mix(servers.cluster))
    compare("Mix over 100 pipelined TCP connections", servers, PEERS, path, tcp=True)


if __name__ == "__main__":
    with Servers(cluster()) as servers:
        measure(servers)
