"""List/watch state machine of one resource, without I/O.

The caller asks for the :meth:`Reflector.next_command`, carries it out, and reports what came of
it; the machine brings the store up to date and decides what is next.  It reads no clock and opens
no connection.

One round is: a WatchList where the server has it, pages of a list where not; then watches, each
from the last resource version seen, until the server says that this version is too old.  Objects
are applied as they come; what a list did *not* name is deleted when the list is complete.

Spec: https://kubernetes.io/docs/reference/using-api/api-concepts/ (efficient detection of
      changes; streaming lists; resource versions; bookmarks).  KEP-3157 (WatchList).
Parity: client-go ``tools/cache/reflector.go`` (rules I3 and I4).
"""

from collections.abc import Callable
from typing import TypeAlias, assert_never

from msgspec import Struct

from svcdns.errors import ApiError, ApiUnavailable, ResourceExpired
from svcdns.kube.decode import Applied, Bookmark, Deleted, Event, Failed, Garbage, Malformed
from svcdns.kube.metadata import ObjectKey
from svcdns.kube.objects import Kind, KubeObject
from svcdns.kube.store import Store

PAGE_LIMIT = 500
"""Objects per page; client-go's default."""

WATCH_STALL_SECONDS = 90.0
"""Silence after which a stream counts as half-open; a bookmark comes about once a minute."""

LIST_STALL_SECONDS = 70.0
"""Silence after which a list is given up; the server's own limit of a request is 60 s."""

INITIAL_EVENTS_IDLE_SECONDS = 10.0
"""Silence before the bookmark that ends a WatchList: a server that does not know WatchList."""

INITIAL_EVENTS_SECONDS = 120.0
"""Longest time for all initial events, however busy the stream is."""

HEALTHY_SECONDS = 2.0
"""A stream that lived this long ends the backoff; shorter ones must not make a hot loop (client-go
calls a watch of less than a second very short)."""

SILENT_STREAMS = 2
"""Streams in a row without one octet before the version itself is doubted: a version from before
a restore of etcd lies in the future, and such a watch waits for ever without an error."""

MAX_RETRY_AFTER_SECONDS = 300.0
"""Bound on what a server may ask for."""

UNTRUSTED = "UntrustedCertificate"
"""Reason of an :class:`ApiUnavailable` whose TLS failed: authority or certificate may be new."""

BACKOFF_SECONDS = 0.8
"""First delay; client-go's."""

MAX_BACKOFF_SECONDS = 30.0
"""Longest delay; client-go's."""


def backoff(failures: int, uniform: float) -> float:
    """Give the delay in seconds after so many failures in a row.

    Args:
        failures: 1 for the first one.
        uniform: A random number in [0, 1): the delay is between half and all of its nominal value,
            so that many clients do not come back at once.
    """
    nominal = min(MAX_BACKOFF_SECONDS, BACKOFF_SECONDS * 2.0 ** min(failures - 1, 10))
    return nominal * (0.5 + uniform / 2)


class List(Struct, frozen=True):
    """Get a page; report its items with :meth:`Reflector.item`, then :meth:`Reflector.page_end`."""

    continue_token: str = ""
    limit: int = PAGE_LIMIT
    "0: everything at once."


class WatchList(Struct, frozen=True):
    """Open a watch that starts with all objects; report as for :class:`Watch`."""


class Watch(Struct, frozen=True):
    """Open a watch; report :meth:`Reflector.opened`, its events, and how it ended."""

    resource_version: str
    "Opaque; never ordered."


class Wait(Struct, frozen=True):
    """Do nothing until then (monotonic seconds), and ask again."""

    until: float


class ReloadCredentials(Struct, frozen=True):
    """Read token and certificates again, and ask again: the server did not know us."""


Command: TypeAlias = List | WatchList | Watch | Wait | ReloadCredentials


class Reflector:
    """Keeps one kind of a store equal to the server's."""

    def __init__(
        self,
        kind: Kind,
        store: Store,
        *,
        delay: Callable[[int], float],
        now: float,
        watch_list: bool = True,
    ) -> None:
        """Start with nothing known.

        Args:
            kind: What to keep.
            store: Where to; only this reflector writes the kind.
            delay: Seconds to wait after so many failures in a row (:func:`backoff`).
            now: Monotonic seconds.
            watch_list: Whether to try WatchList first.
        """
        self.kind = kind
        self.lists = 0
        "Lists begun, WatchLists included; all but the first are relists."
        self.failures = 0
        "Requests in a row that got no answer to build on; a complete list ends them."
        self.short_streams = 0
        "Streams in a row that ended soon or whose version had expired; a healthy one ends them."
        self.heard = now
        "When the server last sent anything (monotonic seconds)."
        self._store = store
        self._delay = delay
        self._watch_list = watch_list
        self.not_before = 0.0
        "When the next request may be sent (monotonic seconds)."
        self._reload = False
        self._unreachable = False
        # Where we are: a version to watch from, or a list to begin or to go on with.
        self._version = ""
        self._continue = ""
        self._limit = PAGE_LIMIT
        self._unnamed: dict[ObjectKey, KubeObject] = {}
        "What was here when the list began and did not come in it yet."
        # The request under way.
        self._command: Command | None = None
        self._opened = now
        self._answered = False
        self._silent = True
        self._silent_streams = 0

    @property
    def resource_version(self) -> str:
        """The version that a watch would resume from; empty while a list is needed."""
        return self._version

    @property
    def deadline(self) -> float:
        """When the request under way counts as stalled if nothing comes (monotonic seconds)."""
        # Silence begins with the request: the last one may have ended long ago.
        quiet_since = max(self.heard, self._opened)
        if self._initial:
            return min(
                quiet_since + INITIAL_EVENTS_IDLE_SECONDS, self._opened + INITIAL_EVENTS_SECONDS
            )
        if isinstance(self._command, List):
            return quiet_since + LIST_STALL_SECONDS
        return quiet_since + WATCH_STALL_SECONDS

    def next_command(self, now: float) -> Command:
        """Say what to do now."""
        if self._reload:
            self._reload = False
            return ReloadCredentials()
        if now < self.not_before:
            return Wait(self.not_before)
        self._command = self._request()
        self._opened = now
        self._answered = False
        self._silent = True
        return self._command

    def started(self, now: float) -> bool:
        """Report that the request was answered; the time to connect is not the stream's.

        Returns:
            Whether the server could not be reached before: the others have to be told that it can
            (:meth:`reachable`).
        """
        self._opened = now
        self._answered = True
        self.heard = now
        back, self._unreachable = self._unreachable, False
        return back

    def reachable(self, now: float) -> bool:
        """Report that somebody else was answered by this server.

        An outage makes every kind wait for itself, up to half a minute; when one of them is served
        again, the others need not sit out theirs (client-go does not know of each other).

        Returns:
            Whether the wait is shorter now.
        """
        sooner = now + self._delay(1)
        if not self._unreachable or self.not_before <= sooner:
            return False
        self.not_before = sooner
        return True

    def received(self, now: float) -> None:
        """Report that octets arrived, whatever they say."""
        self.heard = now
        self._silent = False

    def item(self, found: KubeObject | Malformed) -> None:
        """Report an item of the page that was listed.

        An object that cannot be read stays as it was last read: it exists.
        """
        if isinstance(found, Malformed):
            if found.key:
                self._unnamed.pop(found.key, None)
            return
        self._unnamed.pop(found.key, None)
        self._store.apply(found)

    def page_end(self, resource_version: str, continue_token: str) -> None:
        """Report that all items of a page were given."""
        self._continue = continue_token
        if not continue_token:
            self._listed(resource_version)

    def event(self, event: Event) -> ApiError | None:
        """Report an event of a stream.

        Returns:
            Why the stream must be ended, to be reported with :meth:`failed`; usually ``None``.
        """
        match event:
            case Applied(object=found):
                self._store.apply(found)
                self._saw(found.key, found.metadata.resource_version)
            case Deleted():
                self._store.delete(self.kind, event.key)
                self._advance(event.resource_version)
            case Bookmark():
                if event.initial_events_end and not self._version and event.resource_version:
                    self._listed(event.resource_version)
                self._advance(event.resource_version)
            case Malformed():
                self._saw(event.key, event.resource_version)
            case Failed():
                return event.error
            case Garbage():
                # What it would have said is lost, so only a list can make the copy whole again.
                return ResourceExpired(0, "Garbage", event.problem)
            case _:
                assert_never(event)
        return None

    def closed(self, now: float) -> None:
        """Report that the stream ended without an error (``timeoutSeconds`` over, a restart)."""
        if self._ended_healthy(now):
            return
        if self._initial:
            self._watch_list = False
        self._fail(now, streaming=self._streaming)

    def failed(self, error: ApiError, now: float) -> None:
        """Report that the request, or its stream, failed."""
        initial, streaming = self._initial, self._streaming
        self._ended_healthy(now)
        self._unreachable = not self._answered and error.status == 0
        match error:
            case ResourceExpired():
                self._expired()
                self._fail(now, free=True, streaming=True)
            case ApiUnavailable(status=500) | ApiError(status=400 | 422) if initial:
                # No WatchList here (too old, or etcd without progress requests): not a failure.
                self._watch_list = False
            case ApiError(status=400 | 422):
                # An unusable continue token or version: begin again.
                self._relist()
                self._fail(now)
            case ApiError() if error.status == 401 or error.reason == UNTRUSTED:
                # A token that expired or an authority that was replaced is no surprise once.
                self._reload = True
                self._fail(now, free=True)
            case _:
                if self._answered and error.status not in (0, 429):
                    # An ERROR event that we know nothing about; client-go lists again, too.
                    self._relist()
                # A cut stream is resumed at once; who cannot be reached is given time.
                cut = streaming and error.status == 0
                self._fail(now, free=cut, retry_after=_bounded(error), streaming=streaming)

    def stalled(self, now: float) -> None:
        """Report that the deadline passed without an octet."""
        self._unreachable = not self._answered
        if self._initial:
            self._watch_list = False
            self._fail(now, free=True)
            return
        if isinstance(self._command, Watch) and self._silent:
            self._silent_streams += 1
            if self._silent_streams >= SILENT_STREAMS:
                self._silent_streams = 0
                self._relist()
        self._fail(now)

    @property
    def _initial(self) -> bool:
        """Whether a WatchList is under way that has not sent all objects yet."""
        return isinstance(self._command, WatchList) and not self._version

    @property
    def _streaming(self) -> bool:
        """Whether a stream is under way that goes on from a version."""
        stream = isinstance(self._command, Watch | WatchList)
        return stream and self._answered and bool(self._version)

    def _request(self) -> List | WatchList | Watch:
        if self._version:
            return Watch(self._version)
        if not self._continue:
            self._unnamed = self._store.held(self.kind)
            self.lists += 1
            if self._watch_list:
                return WatchList()
        return List(self._continue, self._limit)

    def _listed(self, resource_version: str) -> None:
        self._store.complete(self.kind, self._unnamed)
        self._unnamed = {}
        self._version = resource_version
        self._limit = PAGE_LIMIT
        self.failures = 0

    def _saw(self, key: ObjectKey | None, resource_version: str) -> None:
        if not self._version and key:
            self._unnamed.pop(key, None)
        self._advance(resource_version)

    def _advance(self, resource_version: str) -> None:
        # Initial events come in no order: their versions say nothing about what was sent.
        if self._version and resource_version:
            self._version = resource_version

    def _expired(self) -> None:
        # A snapshot that expired between pages is too large to be paged in time: client-go, too,
        # asks for everything at once then.
        if self._continue:
            self._limit = 0
        self._relist()

    def _relist(self) -> None:
        self._version = self._continue = ""

    def _ended_healthy(self, now: float) -> bool:
        """Take note of how long the request lived; tell whether that ends the backoff."""
        if not self._silent:
            self._silent_streams = 0
        healthy = self._streaming and now - self._opened >= HEALTHY_SECONDS
        if healthy:
            self.failures = self.short_streams = 0
        return healthy

    def _fail(
        self,
        now: float,
        *,
        free: bool = False,
        retry_after: float = 0.0,
        streaming: bool = False,
    ) -> None:
        """Count a failure; the first one is *free* of a delay when it is no surprise.

        Streams that end soon count apart from requests that fail: after an outage a list must not
        forget a server that ends every stream at once, and a stream that ends must not wait as if
        the outage went on.
        """
        if streaming:
            self.short_streams += 1
            count = self.short_streams
        else:
            self.failures += 1
            count = self.failures + self.short_streams
        if count > 1 or not free:
            self.not_before = now + max(retry_after, self._delay(count))


def _bounded(error: ApiError) -> float:
    """Give the seconds that the server asked to wait, within reason."""
    wished = error.retry_after if isinstance(error, ApiUnavailable) else None
    return min(max(wished or 0.0, 0.0), MAX_RETRY_AFTER_SECONDS)
