"""How do CPU a query, memory and start grow with the cluster?"""

from benchmarks import questions
from benchmarks.cluster import Cluster
from benchmarks.load import median, press, rss
from benchmarks.servers import Servers
from benchmarks.table import QUICK, SECONDS, warm

SIZES = (100, 1_000, 10_000) if QUICK else (100, 1_000, 10_000, 50_000)
ROUNDS = 3


def measure() -> None:
    print("\nSizes of cluster: svcdns alone, 10 endpoints a Service")
    columns = ("services", "hot us", "mix us", "cold us", "start s", "RSS MiB", "peak MiB")
    print("".join(f"{one:>9}" for one in columns))
    for size in SIZES:
        with Servers(Cluster(size)) as servers:
            server = servers.start("svcdns")
            resident, peak = rss(server.pid), rss(server.pid, "VmHWM")
            costs = []
            for name, asked in (
                ("hot", questions.hot(servers.cluster)),
                ("mix", questions.mix(servers.cluster)),
            ):
                path = questions.save(servers.folder / name, asked)
                warm(server, path)
                samples = [
                    press(server.pid, server.port, path, seconds=SECONDS) for _ in range(ROUNDS)
                ]
                costs.append(median(samples).cpu)
            path = questions.save(servers.folder / "cold", questions.cold(servers.cluster, 40_000))
            costs.append(press(server.pid, server.port, path, passes=1).cpu)
            print(
                f"{size:9,}{costs[0]:9.2f}{costs[1]:9.2f}{costs[2]:9.2f}"
                f"{server.ready:9.2f}{resident:9.1f}{peak:9.0f}",
                flush=True,
            )


if __name__ == "__main__":
    measure()
