"""Each test is a script of what the server does; time is a number."""

import itertools

import msgspec
import pytest

from svcdns.errors import ApiError, ApiUnavailable, ResourceExpired
from svcdns.kube.decode import (
    Applied,
    Bookmark,
    Deleted,
    Failed,
    Garbage,
    Malformed,
)
from svcdns.kube.objects import Kind, Service
from svcdns.kube.reflector import (
    HEALTHY_SECONDS,
    INITIAL_EVENTS_IDLE_SECONDS,
    INITIAL_EVENTS_SECONDS,
    LIST_STALL_SECONDS,
    MAX_RETRY_AFTER_SECONDS,
    UNTRUSTED,
    WATCH_STALL_SECONDS,
    List,
    Reflector,
    ReloadCredentials,
    Wait,
    Watch,
    WatchList,
    backoff,
)
from svcdns.kube.store import Store
from tests.support import cluster

GONE = ResourceExpired(410, "Expired", "too old resource version")
REFUSED = ApiUnavailable(0, "", "connection refused")
END = "end of the initial events"


def service(name: str, version: str = "", address: str = "10.0.0.1") -> Service:
    found = cluster.service(f"ns/{name}", address)
    metadata = msgspec.structs.replace(found.metadata, resource_version=version)
    return msgspec.structs.replace(found, metadata=metadata)


class Script:
    """A reflector and its store; the clock stands at :attr:`now`."""

    def __init__(self, *, watch_list: bool = True) -> None:
        self.store = Store()
        self.store.wanted = {Kind.SERVICE}
        self.now = 100.0
        self.reflector = Reflector(
            Kind.SERVICE,
            self.store,
            delay=lambda failures: float(failures),
            now=self.now,
            watch_list=watch_list,
        )

    def command(self) -> object:
        return self.reflector.next_command(self.now)

    def start(self) -> object:
        command = self.command()
        self.reflector.started(self.now)
        self.reflector.received(self.now)
        return command

    def page(self, *names: str, version: str = "10", token: str = "") -> None:
        for name in names:
            self.reflector.item(service(name))
        self.reflector.page_end(version, token)

    def events(self, *events: object) -> list[ApiError]:
        self.reflector.received(self.now)
        told = [self.reflector.event(one) for one in events]  # type: ignore[arg-type]  # unions
        return [error for error in told if error]

    def fail(self, error: ApiError) -> None:
        self.reflector.failed(error, self.now)

    def names(self) -> set[str]:
        return {name for _, name in self.store.services}

    def listed(self, *names: str, version: str = "10") -> "Script":
        """Bring it to a healthy watch."""
        assert isinstance(self.start(), WatchList)
        self.events(*(Applied(service(name)) for name in names), Bookmark(version, True))
        self.now += HEALTHY_SECONDS
        return self


def test_watch_list_comes_first_and_its_bookmark_ends_the_list() -> None:
    script = Script()
    assert script.start() == WatchList()
    script.events(Applied(service("a", "3")), Bookmark("9"))
    assert not script.store.synced
    assert script.reflector.resource_version == ""
    script.events(Bookmark("10", True))

    assert script.store.synced
    assert script.names() == {"a"}
    assert script.reflector.resource_version == "10"


def test_a_watch_resumes_from_the_last_version_seen() -> None:
    script = Script().listed("a")
    seen = []
    for event in (
        Applied(service("b", "11")),
        Deleted(("ns", "a"), "12"),
        Malformed(Kind.SERVICE, "odd", ("ns", "c"), "13"),
        Bookmark("20"),
    ):
        script.events(event)
        seen.append(script.reflector.resource_version)
    script.reflector.closed(script.now)

    assert seen == ["11", "12", "13", "20"]
    assert script.command() == Watch("20")
    assert script.names() == {"b"}


def test_a_bookmark_with_the_mark_in_an_ordinary_watch_deletes_nothing() -> None:
    script = Script(watch_list=False)
    script.start()
    script.page("a", "b")
    script.start()
    script.events(Bookmark("20", True))

    assert script.names() == {"a", "b"}
    assert script.reflector.resource_version == "20"


def test_versions_of_initial_events_are_not_where_to_resume() -> None:
    script = Script()
    script.start()
    script.events(Applied(service("a", "90")))
    script.fail(REFUSED)
    script.now += 10

    assert script.command() == WatchList()


@pytest.mark.parametrize(
    "error",
    [
        ApiError(400, "BadRequest", "unknown parameter"),
        ApiError(422, "Invalid", "sendInitialEvents is forbidden"),
        ApiUnavailable(500, "InternalError", "RequestWatchProgress is disabled"),
    ],
)
def test_a_server_without_watch_list_is_listed_at_once_and_for_good(error: ApiError) -> None:
    script = Script()
    script.start()
    script.fail(error)
    assert script.start() == List()
    script.page("a")
    assert script.start() == Watch("10")
    script.now += HEALTHY_SECONDS
    script.fail(GONE)

    assert script.command() == List()


@pytest.mark.parametrize("how", ["idle", "closed"])
def test_a_server_that_never_ends_the_initial_events_is_listed(how: str) -> None:
    script = Script()
    script.start()
    script.events(Applied(service("a")))
    if how == "idle":
        assert script.reflector.deadline == script.now + INITIAL_EVENTS_IDLE_SECONDS
        script.now += INITIAL_EVENTS_IDLE_SECONDS
        script.reflector.stalled(script.now)
    else:
        script.reflector.closed(script.now)
        script.now += 1

    assert script.command() == List()
    assert script.names() == {"a"}


def test_initial_events_may_take_long_but_not_for_ever() -> None:
    script = Script()
    opened = script.now
    script.start()
    for _ in range(100):
        script.now += 5
        script.events(Applied(service("a")))

    assert script.reflector.deadline == opened + INITIAL_EVENTS_SECONDS


def test_a_list_goes_page_by_page_and_deletes_at_the_end() -> None:
    script = Script(watch_list=False)
    script.store.apply(service("old"))
    assert script.start() == List("", 500)
    script.page("a", token="two")
    assert script.names() == {"old", "a"}
    assert not script.store.synced
    assert script.start() == List("two", 500)
    script.page("b")

    assert script.names() == {"a", "b"}
    assert script.store.synced
    assert script.command() == Watch("10")


def test_a_page_that_failed_is_asked_for_again() -> None:
    script = Script(watch_list=False)
    script.start()
    script.page("a", token="two")
    script.start()
    script.fail(REFUSED)
    script.now += 1
    assert script.start() == List("two", 500)
    script.page("b")

    assert script.names() == {"a", "b"}
    assert script.reflector.lists == 1


def test_a_snapshot_that_expired_between_pages_is_listed_at_once_without_pages() -> None:
    script = Script(watch_list=False)
    script.start()
    script.page("a", token="two")
    script.start()
    script.fail(GONE)
    assert script.start() == List("", 0)
    script.page("b")

    assert script.names() == {"b"}
    script.start()
    script.now += HEALTHY_SECONDS
    script.fail(GONE)
    assert script.command() == List("", 500)


def test_a_token_that_the_server_cannot_read_begins_the_list_again() -> None:
    script = Script(watch_list=False)
    script.start()
    script.page("a", token="two")
    script.start()
    script.fail(ApiError(400, "BadRequest", "invalid continue token"))
    script.now += 1

    assert script.command() == List("", 500)


@pytest.mark.parametrize("form", ["http", "event"])
def test_i4_gone_lists_again_and_finds_what_vanished(form: str) -> None:
    script = Script().listed("a", "b")
    if form == "event":
        (error,) = script.events(Failed(GONE))
        script.fail(error)
    else:
        script.reflector.closed(script.now)
        assert script.command() == Watch("10")
        script.fail(GONE)
    assert script.start() == WatchList()
    script.events(Applied(service("b")))
    assert script.names() == {"a", "b"}
    script.events(Bookmark("30", True))

    assert script.names() == {"b"}
    assert script.reflector.lists == 2


def test_gone_again_and_again_backs_off() -> None:
    script, delays = Script().listed("a"), []
    for _ in range(4):
        script.fail(GONE)
        before = script.now
        while isinstance(wait := script.command(), Wait):
            script.now = wait.until
        delays.append(script.now - before)
        script.reflector.started(script.now)
        script.events(Bookmark("30", True))

    assert delays == [0, 2, 3, 4]


def test_after_an_outage_an_expired_version_does_not_wait_as_if_it_went_on() -> None:
    script = Script().listed("a")
    for _ in range(5):
        script.fail(REFUSED)
        while isinstance(wait := script.command(), Wait):
            script.now = wait.until
    script.start()
    script.fail(GONE)

    assert script.command() == Wait(script.now + 2)


def test_an_outage_before_the_first_list_does_not_delay_the_fall_back_to_pages() -> None:
    script = Script()
    for _ in range(5):
        while isinstance(wait := script.command(), Wait):
            script.now = wait.until
        script.fail(REFUSED)
    while isinstance(wait := script.command(), Wait):
        script.now = wait.until
    script.fail(ApiError(422, "Invalid", ""))

    assert isinstance(script.command(), List)


def test_when_another_kind_is_served_again_an_outage_is_not_sat_out() -> None:
    script = Script().listed("a")
    for _ in range(20):
        script.command()
        script.fail(REFUSED)
        script.now = script.reflector.not_before
    script.command()
    script.fail(REFUSED)

    assert script.reflector.reachable(script.now)
    assert script.command() == Wait(script.now + 1.0)
    assert not script.reflector.reachable(script.now), "it must not be pushed away again and again"
    script.now += 1.0
    script.command()
    assert script.reflector.started(script.now), "the others are told"
    assert not script.reflector.started(script.now)


@pytest.mark.parametrize(
    "error", [ApiUnavailable(429, "TooManyRequests", "", retry_after=60.0), ApiError(403, "", "no")]
)
def test_who_was_refused_and_not_unreached_waits_on(error: ApiError) -> None:
    script = Script()
    for _ in range(3):
        script.command()
        script.fail(error)
        waits = script.reflector.not_before
        assert not script.reflector.reachable(script.now)
        assert script.reflector.not_before == waits
        script.now = waits


def test_a_list_ends_the_count_of_an_outage() -> None:
    script = Script(watch_list=False)
    for _ in range(5):
        while isinstance(wait := script.command(), Wait):
            script.now = wait.until
        script.fail(REFUSED)
    while isinstance(wait := script.command(), Wait):
        script.now = wait.until
    script.page("a")
    script.command()
    script.fail(REFUSED)

    assert script.command() == Wait(script.now + 1)


def test_a_garbled_line_lists_again_because_what_it_said_is_lost() -> None:
    script = Script().listed("a")
    (error,) = script.events(Garbage("not a watch event"))
    script.fail(error)

    assert script.command() == WatchList()


def test_a_clean_end_of_a_healthy_stream_reconnects_at_once() -> None:
    script = Script().listed("a")
    script.reflector.closed(script.now)

    assert script.command() == Watch("10")
    assert script.reflector.failures == 0


def test_a_server_that_closes_at_once_is_not_asked_in_a_loop() -> None:
    script = Script().listed("a")
    script.reflector.closed(script.now)
    began = script.now
    for _ in range(5):
        assert script.start() == Watch("10")
        script.events(Bookmark("10"))
        script.reflector.closed(script.now)
        wait = script.command()
        assert isinstance(wait, Wait)
        script.now = wait.until

    assert script.now - began == 1 + 2 + 3 + 4 + 5


def test_a_cut_stream_is_resumed_at_once_but_not_again_and_again() -> None:
    script = Script().listed("a")
    script.fail(REFUSED)
    assert script.start() == Watch("10")
    script.fail(REFUSED)
    assert script.command() == Wait(script.now + 2)
    script.now += 2
    script.start()
    script.now += HEALTHY_SECONDS
    script.fail(REFUSED)
    assert script.command() == Watch("10")


def test_failure_backs_off_from_the_time_it_happened_and_a_healthy_stream_forgets_it() -> None:
    script = Script().listed("a")
    script.reflector.closed(script.now)
    script.command()
    for failures in (1, 2, 3):
        script.fail(REFUSED)
        assert script.command() == Wait(script.now + failures)
        script.now += failures
        script.command()
    script.reflector.started(script.now)
    script.now += HEALTHY_SECONDS
    script.reflector.closed(script.now)
    script.command()
    script.fail(REFUSED)

    assert script.command() == Wait(script.now + 1)


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [(7.0, 7.0), (0.0, 1.0), (None, 1.0), (-5.0, 1.0), (1e12, MAX_RETRY_AFTER_SECONDS)],
)
def test_overload_waits_as_long_as_the_server_says(
    retry_after: float | None, seconds: float
) -> None:
    script = Script()
    script.start()
    script.fail(ApiUnavailable(429, "TooManyRequests", "", retry_after=retry_after))

    assert script.command() == Wait(script.now + seconds)


@pytest.mark.parametrize(
    "error", [ApiError(401, "Unauthorized", ""), ApiUnavailable(0, UNTRUSTED, "tls")]
)
def test_strangers_read_their_credentials_again(error: ApiError) -> None:
    script = Script().listed("a")
    script.fail(error)
    assert script.command() == ReloadCredentials()
    assert script.command() == Watch("10")
    script.fail(error)

    assert script.command() == ReloadCredentials()
    assert script.command() == Wait(script.now + 2)


@pytest.mark.parametrize(
    "error", [ApiError(403, "Forbidden", ""), ApiError(404, "", "404 page not found")]
)
def test_i5_a_kind_that_is_forbidden_or_missing_is_waited_for(error: ApiError) -> None:
    script = Script()
    for failures in range(1, 4):
        assert script.command() == WatchList()
        script.fail(error)
        assert script.command() == Wait(script.now + failures)
        script.now += failures

    assert not script.store.synced


@pytest.mark.parametrize("code", [403, 500, 503])
def test_an_unknown_error_event_lists_again(code: int) -> None:
    script = Script().listed("a")
    (error,) = script.events(Failed(ApiUnavailable(code, "Surprise", "")))
    script.fail(error)
    script.now += 1

    assert script.command() == WatchList()


def test_silence_reconnects_and_resumes() -> None:
    script = Script().listed("a")
    script.events(Bookmark("20"))
    assert script.reflector.deadline == script.now + WATCH_STALL_SECONDS
    script.now += WATCH_STALL_SECONDS
    script.reflector.stalled(script.now)
    while isinstance(wait := script.command(), Wait):
        script.now = wait.until

    assert script.command() == Watch("20")


def test_a_version_that_only_meets_silence_is_doubted() -> None:
    script = Script().listed("a")
    script.reflector.closed(script.now)
    commands = []
    for _ in range(3):
        commands.append(script.command())
        script.reflector.started(script.now)
        script.now += WATCH_STALL_SECONDS
        script.reflector.stalled(script.now)
        while isinstance(wait := script.command(), Wait):
            script.now = wait.until

    assert commands == [Watch("10"), Watch("10"), WatchList()]


def test_a_request_that_is_not_answered_stalls_from_when_it_was_sent() -> None:
    script = Script(watch_list=False)
    script.now += 1000
    script.command()

    assert script.reflector.deadline == script.now + LIST_STALL_SECONDS


def test_an_unreadable_object_stays_as_it_was_and_does_not_lose_the_list() -> None:
    script = Script(watch_list=False)
    script.store.apply(service("odd"))
    script.start()
    script.reflector.item(Malformed(Kind.SERVICE, "bad", ("ns", "odd")))
    script.reflector.item(Malformed(Kind.SERVICE, "bad"))
    script.page("a")

    assert script.names() == {"odd", "a"}


def test_duplicates_and_deletions_of_the_unknown_change_nothing() -> None:
    script = Script().listed("a")
    heard: list[object] = []
    script.store.subscribe(heard.append)
    script.events(Applied(service("a")), Deleted(("ns", "ghost"), "11"))

    assert heard == []


def test_an_object_deleted_during_the_initial_events_is_gone() -> None:
    script = Script()
    script.start()
    script.events(Applied(service("a")), Deleted(("ns", "a"), "9"), Bookmark("10", True))

    assert script.names() == set()


def test_i4_of_a_list_that_breaks_off_nothing_is_remembered() -> None:
    script = Script().listed("a", "b", "c")
    script.fail(GONE)
    script.start()
    script.events(Applied(service("a")), Applied(service("d")))
    script.fail(GONE)
    script.now += 10
    script.start()
    script.events(Applied(service("b")), Bookmark("30", True))

    assert script.names() == {"b"}


def test_age_counts_from_the_last_octet() -> None:
    script = Script().listed("a")
    script.now += 50
    assert script.now - script.reflector.heard == 50 + HEALTHY_SECONDS
    script.reflector.received(script.now)
    assert script.reflector.heard == script.now


@pytest.mark.parametrize(
    ("failures", "least", "most"),
    [(1, 0.4, 0.8), (2, 0.8, 1.6), (3, 1.6, 3.2), (6, 12.8, 25.6), (7, 15, 30), (10_000, 15, 30)],
)
def test_backoff_grows_to_half_a_minute_with_jitter(
    failures: int, least: float, most: float
) -> None:
    assert backoff(failures, 0.0) == pytest.approx(least)
    assert backoff(failures, 0.999_999_9) == pytest.approx(most, rel=1e-5)


def test_no_error_makes_a_hot_loop() -> None:
    """Whatever a server answers, over and over: requests become rare."""
    statuses = (0, 400, 401, 403, 404, 410, 422, 429, 500, 503, 504)
    for first, second in itertools.product(statuses, repeat=2):
        script = Script()
        requests, errors = 0, itertools.cycle((first, second))
        while script.now < 200:
            match script.command():
                case Wait(until=until):
                    script.now = until
                case ReloadCredentials():
                    pass
                case _:
                    requests += 1
                    status = next(errors)
                    kind = {410: ResourceExpired, 400: ApiError, 422: ApiError}.get(
                        status, ApiUnavailable if status in (0, 429) or status >= 500 else ApiError
                    )
                    script.fail(kind(status, "", ""))
            assert requests < 20, (first, second)
