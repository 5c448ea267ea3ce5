"""Tells when the kernel has an address in its rules: ``python -m benchmarks.commits``.

Each line of the input is an IPv4 address.  It is answered at once with ``looking``, and then, when
a committed change of the ruleset contains the address, with the monotonic time in seconds.
The kernel's own notices (``NFNLGRP_NFTABLES``) are read, which are the same for every program.
"""

import socket
import sys
import time

NETLINK_NETFILTER = 12
GROUP = 1 << 6
"""``NFNLGRP_NFTABLES``, the seventh, as a bit."""
SO_RCVBUFFORCE = 33
LIMIT = 60.0
"""Seconds after which it is not going to happen."""


def main() -> None:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as sock:
        sock.bind((0, GROUP))
        try:
            sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 256 << 20)
        except PermissionError:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        for line in sys.stdin:
            _drain(sock)
            _say("looking")
            if text := line.strip():
                _say(_wait(sock, socket.inet_aton(text)))


def _wait(sock: socket.socket, wanted: bytes) -> str:
    end = time.monotonic() + LIMIT
    sock.settimeout(LIMIT)
    while time.monotonic() < end:
        try:
            if wanted in sock.recv(1 << 20):
                return f"{time.monotonic():.6f}"
        except TimeoutError:
            break
        except OSError:
            continue  # the buffer has run over: what we look for may come yet
    return "never"


def _drain(sock: socket.socket) -> None:
    sock.setblocking(False)
    while True:
        try:
            sock.recv(1 << 20)
        except BlockingIOError:
            return
        except OSError:
            continue


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
