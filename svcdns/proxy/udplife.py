"""When a UDP session is over.

Sessions end when they idle.  Envoy waits 60 s, kube-proxy's old mode 250 ms (rule R133), the
kernel's conntrack 30 s before and 120 s after a flow has shown that it is a stream.  Like conntrack
we tell a flow (QUIC: 60 s, under which its clients send keep-alives) from a question with its
answer (DNS: its source port is not used again; 10 s outlast a resolver's repetition).

Where it is known how many datagrams answer one, a session is over as soon as all are there (nginx's
``proxy_responses``), and its socket serves the next one.  Of DNS it is known (RFC 1035 §4.2.1: one
message, one datagram); other Services say it with
``svcdns.io/responses``.
"""

from collections.abc import Collection

OPEN_END = "any"
"""Value of the ``svcdns.io/responses`` annotation: nothing is known, not even of DNS."""

MAX_RESPONSES = 1000

_DNS = 53

FLOW_SECONDS = 60.0
"""Idle time of a session with more than one datagram in some direction (Envoy's default)."""

EXCHANGE_SECONDS = 10.0
"""Idle time of a session with at most one datagram in each direction."""


def idle_seconds(sent: int, received: int) -> float:
    """Tell how long a session may idle after so many datagrams to its endpoint and back."""
    return FLOW_SECONDS if sent > 1 or received > 1 else EXCHANGE_SECONDS


def responses(text: str, ports: Collection[int]) -> int | None:
    """Tell how many datagrams answer each datagram of a client.

    Args:
        text: Value of the annotation; empty without one.
        ports: Those that clients reach the service port at.

    Returns:
        0: nobody knows.  None: the value is none of those that have a meaning.
    """
    if not text:
        return int(_DNS in ports)
    if text == OPEN_END:
        return 0
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 5 else 0
    return number if 0 < number <= MAX_RESPONSES else None
