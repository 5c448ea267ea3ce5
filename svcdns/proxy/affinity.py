"""ClientIP session affinity: which endpoint a client was sent to last, and until when that holds.

One table serves one service port, whichever of its addresses a client uses (rule R65).  The time
slides: every new connection begins it again (rule R66).  An entry whose endpoint has left the
service is void (rule R67), also when an endpoint of the same address joins later.
"""

from typing import Generic, Protocol, TypeVar

from cachetools import LRUCache

CLIENTS_LIMIT = 16_384
"""Clients remembered a service port; beyond it the one longest unseen is balanced anew.

kube-proxy's sets are bounded at 65,535 elements.  At about 300 octets an entry this is 5 MiB for a
port that everybody calls.
"""


class Removable(Protocol):
    """Something that may have left the service."""

    removed: bool


E = TypeVar("E", bound=Removable)


class AffinityTable(Generic[E]):
    """Endpoints by client address, bounded, with a sliding time-out in seconds."""

    def __init__(self, timeout: float, limit: int = CLIENTS_LIMIT) -> None:
        self.timeout = timeout
        "Seconds without a new connection after which a client is balanced anew; may be changed."
        self._entries: LRUCache[str, tuple[E, float]] = LRUCache(limit)

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, client: str, now: float) -> E | None:
        """Give the endpoint *client* is pinned to, or None; does not refresh."""
        entry = self._entries.get(client)
        if entry is None:
            return None
        endpoint, seen = entry
        if endpoint.removed or now - seen >= self.timeout:
            del self._entries[client]
            return None
        return endpoint

    def pin(self, client: str, endpoint: E, now: float) -> None:
        """Pin *client* to *endpoint* for the time-out, counted from *now*."""
        self._entries[client] = (endpoint, now)
