"""Every table, one after another: ``python -m benchmarks``."""

import platform
import time

from benchmarks import (
    cold,
    cookies,
    disturbed,
    encrypted,
    hot,
    live,
    mix,
    multisocket,
    nftables,
    nodelocal,
    outside,
    randomcase,
    sizes,
    stocklimits,
    tcp,
    userspace,
)
from benchmarks.servers import Servers
from benchmarks.table import QUICK, ROUNDS, SECONDS, cluster


def main() -> None:
    started = time.monotonic()
    wanted = cluster()
    print(
        f"{platform.machine()}, Linux {platform.release()}, Python {platform.python_version()};"
        f" {wanted.services:,} services, median of {ROUNDS} rounds{', quick' if QUICK else ''}"
    )
    with Servers(wanted) as servers:
        for question in (hot, mix, cookies, randomcase, outside, cold, tcp):
            question.measure(servers)
        print("\nStart to first answer")
        for server in servers.all("knot", "nsd", "unbound", "dnsmasq", "coredns", "svcdns"):
            print(f"{server.name:10}{server.ready:8.2f} s")
    live.measure()
    disturbed.measure()
    encrypted.measure()
    nodelocal.measure()
    stocklimits.measure()
    sizes.measure()
    multisocket.measure()
    nftables.measure()
    userspace.measure(SECONDS, ROUNDS)
    print(f"\n{time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
