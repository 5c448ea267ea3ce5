"""What do names of Services cost over TLS and over HTTPS, on eight long-lived connections?

dnsperf asks with HTTP/2 and GET; 100 queries are under way.
"""

from benchmarks import questions
from benchmarks.load import Sample, press
from benchmarks.servers import COREFILE, ENCRYPTED, Running, Servers
from benchmarks.table import SECONDS, cluster, in_turn, show
from tests.support.certificates import authority

PEERS = ("unbound", "coredns", "svcdns")


def measure() -> None:
    with Servers(cluster(), corefile=COREFILE + ENCRYPTED) as servers:
        authority(servers.folder, "localhost")
        path = questions.save(servers.folder / "hot", questions.hot(servers.cluster))
        running = servers.all(*PEERS)

        for mode, name in (("dot", "TLS"), ("doh", "HTTPS")):

            def over(server: Running, mode: str = mode, passes: int = 0) -> Sample:
                port = server.tls if mode == "dot" else server.https
                seconds = 0.0 if passes else SECONDS
                return press(server.pid, port, path, seconds=seconds, passes=passes, mode=mode)

            for server in running:
                over(server, passes=1)
            show(f"1,000 names over {name}", running, in_turn(running, over))


if __name__ == "__main__":
    measure()
