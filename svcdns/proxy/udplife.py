"""When a UDP session is over.

Sessions end when they idle.  Envoy waits 60 s, kube-proxy's old mode 250 ms (rule R133), the
kernel's conntrack 30 s before and 120 s after a flow has shown that it is a stream.  Like conntrack
we tell a flow (QUIC: 60 s, under which its clients send keep-alives) from a question with its
answer (DNS: its source port is not used again; 10 s outlast a resolver's repetition).
"""

FLOW_SECONDS = 60.0
"""Idle time of a session with more than one datagram in some direction (Envoy's default)."""

EXCHANGE_SECONDS = 10.0
"""Idle time of a session with at most one datagram in each direction."""


def idle_seconds(sent: int, received: int) -> float:
    """Tell how long a session may idle after so many datagrams to its endpoint and back."""
    return FLOW_SECONDS if sent > 1 or received > 1 else EXCHANGE_SECONDS
