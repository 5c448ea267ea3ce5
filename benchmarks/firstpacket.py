"""Times connections to addresses in turn: ``python -m benchmarks.firstpacket ROUNDS``.

The input is JSON, name to a list of addresses and ports; the output is JSON, name to the sorted
microseconds that each TCP connect took.  Every connection is new, so its first packet takes the
way through the rules.
"""

import json
import socket
import struct
import sys
import time

RESET = struct.pack("ii", 1, 0)
"""``SO_LINGER``: end with a reset, so that nothing is left behind in the kernel."""


def main() -> None:
    targets: dict[str, list[tuple[str, int]]] = json.load(sys.stdin)
    found: dict[str, list[float]] = {name: [] for name in targets}
    for round in range(int(sys.argv[1])):
        for name, addresses in targets.items():
            host, port = addresses[round % len(addresses)]
            found[name].append(connect(host, port))
    json.dump({name: sorted(times) for name, times in found.items()}, sys.stdout)


def connect(host: str, port: int) -> float:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        sock.settimeout(5)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        began = time.perf_counter()
        sock.connect((host, port))
        return (time.perf_counter() - began) * 1e6


if __name__ == "__main__":
    main()
