"""What does a question cost that nobody has asked before?"""

from benchmarks import questions
from benchmarks.load import press
from benchmarks.servers import Servers
from benchmarks.table import QUICK, ROUNDS, cluster, in_turn, show

PEERS = ("knot", "nsd", "coredns", "svcdns")
COUNT = 20_000 if QUICK else 40_000
"""Questions of a round; each round has its own."""


def measure(servers: Servers) -> None:
    found = questions.cold(servers.cluster, COUNT * ROUNDS)
    rounds = [
        questions.save(servers.folder / f"cold-{at}", found[at * COUNT : (at + 1) * COUNT])
        for at in range(ROUNDS)
    ]
    running = servers.all(*PEERS)
    queue = {server.name: iter(rounds) for server in running}
    samples = in_turn(
        running, lambda server: press(server.pid, server.port, next(queue[server.name]), passes=1)
    )
    show("Cold: half new names that do not exist, half new packets for Services", running, samples)


if __name__ == "__main__":
    with Servers(cluster()) as servers:
        measure(servers)
