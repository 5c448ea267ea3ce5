"""The changes of the first process's stores, as octets for its workers.

A change is written once, however many workers there are, and leaves at the end of the loop's turn.
"""

import asyncio
from collections.abc import Callable, Iterable
from functools import partial

from svcdns.kube.replication import Changed, Marked, changed
from svcdns.kube.store import Delta
from svcdns.plugins.clusters import Cluster
from svcdns.plugins.workers import frame


class Broadcast:
    """Follows the copies of clusters that workers have as well."""

    def __init__(self, copies: Iterable[Cluster], send: Callable[[bytes], None]) -> None:
        """Follow *copies* from now on; *send* takes whole messages for all workers."""
        self._copies = tuple(copies)
        self._send = send
        self._waiting: list[Changed] = []
        self._handle: asyncio.Handle | None = None
        self._subscriptions = [
            (one.store, partial(self._note, one.source.identity)) for one in self._copies
        ]
        for store, subscriber in self._subscriptions:
            store.subscribe(subscriber)

    def flush(self) -> None:
        """Send what waits; who is forked afterwards knows of it already."""
        if self._handle:
            self._handle.cancel()
            self._handle = None
        if not self._waiting:
            return
        touched = {message.identity for message in self._waiting}
        parts = [frame(message) for message in self._waiting]
        parts += [frame(_marked(one)) for one in self._copies if one.source.identity in touched]
        self._waiting.clear()
        self._send(b"".join(parts))

    def mark(self) -> None:
        """Send what the stores are known by, changed or not."""
        self.flush()
        self._send(b"".join(frame(_marked(one)) for one in self._copies))

    def close(self) -> None:
        """Follow no more."""
        for store, subscriber in self._subscriptions:
            store.unsubscribe(subscriber)
        self._subscriptions.clear()

    def _note(self, identity: str, delta: Delta) -> None:
        self._waiting.append(changed(identity, delta))
        if self._handle is None:
            self._handle = asyncio.get_running_loop().call_soon(self.flush)


def _marked(one: Cluster) -> Marked:
    index = one.index
    listed = tuple(one.store.listed)
    return Marked(one.source.identity, listed, index.serial, index.multicluster_serial)
