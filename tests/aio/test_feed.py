"""The whole feed against a server that does what real ones do."""

import asyncio
import gc
from pathlib import Path

import pytest

from svcdns.aio import feed as feed_module
from svcdns.errors import CredentialsError
from svcdns.kube import reflector
from svcdns.kube.objects import Kind
from svcdns.kube.source import ApiSource
from svcdns.kube.store import Store
from svcdns.metrics import Registry
from tests.support import apistate
from tests.support.apiserver import FakeApiServer
from tests.support.certificates import Certificate, authority
from tests.support.feeding import feeding, recording, source_of
from tests.support.waiting import until


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short delays; what they are in earnest, the reflector's own tests say."""
    monkeypatch.setattr(feed_module, "_delay", lambda failures: 0.01)


def certificate_text(certificate: Certificate) -> str:
    return Path(certificate.authority).read_text()


def filled(server: FakeApiServer, *names: str) -> FakeApiServer:
    for name in names:
        server.state.put(apistate.service(f"ns/{name}"))
    return server


async def run(source: ApiSource, store: Store) -> None:
    log, _ = recording()
    await feed_module.feed(source, store, log=log, registry=Registry(), environ={})


async def test_objects_arrive_and_change_and_go() -> None:
    async with FakeApiServer() as server, feeding(source_of(filled(server, "a").url)) as feed:
        await feed.synced()
        assert feed.names() == {"a"}
        filled(server, "b")
        await feed.until(lambda: feed.names() == {"a", "b"})
        server.state.put(apistate.service("ns/b", "10.96.0.9"))
        await feed.until(lambda: feed.store.services["ns", "b"].addresses == ("10.96.0.9",))
        server.state.delete(Kind.SERVICE, "ns", "a")
        await feed.until(lambda: feed.names() == {"b"})
        assert feed.log.having("INFO synced with the Kubernetes API", "1 services")


@pytest.mark.parametrize("watch_list", ["on", "invalid", "etcd-3.4"])
async def test_every_server_is_listed_in_the_way_it_knows(watch_list: str) -> None:
    async with FakeApiServer() as server:
        server.watch_list = watch_list
        filled(server, *(f"s{number}" for number in range(1100)))
        async with feeding(source_of(server.url)) as feed:
            await feed.synced()
            assert len(feed.store.services) == 1100
            filled(server, "last")
            await feed.until(lambda: "last" in feed.names())
            pages = server.asked("list")
            assert len(pages) == (0 if watch_list == "on" else 3)
            assert len({one.query.get("continue") for one in pages}) == len(pages)
            assert feed.log.having("WARNING") == []


async def test_a_server_that_ignores_watch_list_is_listed_after_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reflector, "INITIAL_EVENTS_IDLE_SECONDS", 0.05)
    async with FakeApiServer() as server:
        server.watch_list = "ignored"
        async with feeding(source_of(filled(server, "a", "b").url)) as feed:
            await feed.synced()
            assert feed.names() == {"a", "b"}
            assert len(server.asked("list")) == 1


@pytest.mark.parametrize("size", [1, 7, 1000])
async def test_chunks_may_be_cut_anywhere(size: int) -> None:
    async with FakeApiServer() as server:
        server.octets_per_write = size
        async with feeding(source_of(filled(server, "a", "b").url)) as feed:
            await feed.synced()
            filled(server, "c")
            await feed.until(lambda: feed.names() == {"a", "b", "c"})


@pytest.mark.slow
async def test_a_line_of_five_megabytes_is_one_event() -> None:
    async with FakeApiServer() as server:
        source = source_of(server.url, Kind.ENDPOINT_SLICE)
        async with feeding(source) as feed:
            await feed.synced()
            addresses = [f"10.{a}.{b}.{c}" for a in range(2) for b in range(80) for c in range(160)]
            found = apistate.endpoint_slice("ns/big", addresses)
            assert len(apistate.encode(found)) > 5_000_000
            server.state.put(found)
            await feed.until(lambda: feed.store.slices)
            (slice,) = feed.store.slices.values()
            assert len(slice.endpoints or ()) == len(addresses)
            assert len(server.asked("watch")) == 1


async def test_i4_gone_in_the_stream_lists_again() -> None:
    async with FakeApiServer() as server, feeding(source_of(filled(server, "a").url)) as feed:
        await feed.synced()
        server.gone()
        await feed.until(lambda: len(server.asked("watch")) == 2)
        filled(server, "b")
        await feed.until(lambda: feed.names() == {"a", "b"})
        assert feed.value("svcdns_kubernetes_lists_total", "Service") == 2


async def test_i4_a_restart_finds_what_vanished_meanwhile_and_keeps_the_rest_until_then() -> None:
    async with FakeApiServer() as server, feeding(source_of(filled(server, "a", "b").url)) as feed:
        await feed.synced()
        await server.stop()
        server.state.delete(Kind.SERVICE, "ns", "a")
        server.state.compact()
        await feed.until(lambda: feed.log.having("WARNING", "connection refused"))
        assert feed.names() == {"a", "b"}
        assert feed.store.synced
        await server.start()
        await feed.until(lambda: feed.names() == {"b"})
        assert feed.log.having("INFO", "answers again: services")


async def test_after_an_outage_the_first_kind_that_is_served_wakes_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def delay(failures: int) -> float:
        task = asyncio.current_task()
        assert task
        patient = failures > 1 and task.get_name() != f"reflector {Kind.SERVICE}"
        return 3600.0 if patient else 0.01

    monkeypatch.setattr(feed_module, "_delay", delay)
    kinds = (Kind.SERVICE, Kind.NAMESPACE, Kind.ENDPOINT_SLICE)
    async with FakeApiServer() as server, feeding(source_of(server.url, *kinds)) as feed:
        await feed.synced()
        await server.stop()
        for kind in ("namespaces", "endpointslices"):
            await feed.until(lambda kind=kind: feed.log.having("WARNING", kind, "in 3600.0 s"))
        server.state.put(apistate.endpoint_slice("ns/a", ["10.0.0.1"]))
        await server.start()
        await feed.until(lambda: feed.store.slices)
        await feed.until(lambda: feed.log.having("INFO", "answers again: namespaces"))


async def test_a_cut_connection_resumes_without_a_list() -> None:
    async with FakeApiServer() as server, feeding(source_of(filled(server, "a").url)) as feed:
        await feed.synced()
        server.drop()
        filled(server, "b")
        await feed.until(lambda: feed.names() == {"a", "b"})
        assert "resourceVersion" in server.asked("watch")[-1].query
        assert feed.value("svcdns_kubernetes_lists_total", "Service") == 1
        assert feed.log.having("DEBUG services: the server cut the connection")
        assert feed.log.having("WARNING") == []


async def test_a_half_open_stream_is_given_up_and_resumed(monkeypatch: pytest.MonkeyPatch) -> None:
    async with FakeApiServer() as server:
        server.frozen = True
        monkeypatch.setattr(reflector, "INITIAL_EVENTS_IDLE_SECONDS", 0.05)
        monkeypatch.setattr(reflector, "LIST_STALL_SECONDS", 0.05)
        async with feeding(source_of(filled(server, "a").url)) as feed:
            await feed.until(lambda: feed.log.having("nothing was heard for too long"))
            assert not feed.store.synced
            server.frozen = False
            await feed.synced()
            monkeypatch.setattr(reflector, "WATCH_STALL_SECONDS", 0.05)
            # The limit holds from the next octet on.
            filled(server, "b")
            await feed.until(lambda: feed.names() == {"a", "b"})
            server.frozen = True
            filled(server, "c")
            await feed.until(lambda: feed.log.having("last known state", "nothing was heard"))
            server.frozen = False
            await feed.until(lambda: feed.names() == {"a", "b", "c"})


async def test_a_server_that_closes_at_once_is_asked_with_pauses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    delays: list[int] = []

    def delay(failures: int) -> float:
        delays.append(failures)
        return 0.01

    monkeypatch.setattr(feed_module, "_delay", delay)
    async with FakeApiServer() as server:
        server.watch_list = "invalid"
        server.end_at_once = True
        async with feeding(source_of(filled(server, "a").url)) as feed:
            await feed.until(lambda: len(delays) >= 5)
            assert feed.names() == {"a"}
            assert sorted(delays) == delays
            assert feed.log.having("WARNING", "the server ended the watch at once")


async def test_a_garbled_line_costs_nothing_but_a_list() -> None:
    async with FakeApiServer() as server, feeding(source_of(filled(server, "a").url)) as feed:
        await feed.synced()
        server.send(b'{"type":"ADDED","obj\n\x00\xff\n')
        filled(server, "b")
        await feed.until(lambda: feed.names() == {"a", "b"})
        assert feed.value("svcdns_kubernetes_lists_total", "Service") == 2


async def test_an_unreadable_object_is_named_once_and_counted() -> None:
    odd = apistate.service("ns/odd")
    odd["spec"]["ports"] = [{"port": "http"}]
    async with FakeApiServer() as server:
        server.watch_list = "invalid"
        server.state.put(odd)
        async with feeding(source_of(filled(server, "a").url)) as feed:
            await feed.synced()
            assert feed.names() == {"a"}
            server.state.put(odd)
            filled(server, "b")
            await feed.until(lambda: "b" in feed.names())
            (line,) = feed.log.having("WARNING")
            assert "Service ns/odd: Expected `int`, got `str` - at `$.spec.ports[0].port`" in line
            assert feed.value("svcdns_kubernetes_malformed_objects_total", "Service") == 2


@pytest.mark.parametrize(
    ("code", "reason", "text"),
    [
        (403, "Forbidden", "403 Forbidden: refused by the test"),
        (404, "NotFound", "404 NotFound"),
        (429, "TooManyRequests", "429 TooManyRequests"),
        (500, "InternalError", "500 InternalError"),
        (503, "ServiceUnavailable", "503 ServiceUnavailable"),
    ],
)
async def test_i5_while_the_server_refuses_it_is_waited_for(
    code: int, reason: str, text: str
) -> None:
    async with FakeApiServer() as server:
        refusal = server.refuse(code, reason)
        async with feeding(source_of(filled(server, "a").url)) as feed:
            await feed.until(
                lambda: feed.log.having("WARNING waiting for the Kubernetes API", text)
            )
            await feed.until(lambda: len(server.requests) > 3)
            assert not feed.store.synced
            refusal.times = 0
            await feed.synced()


async def test_a_group_that_does_not_exist_yet_is_waited_for() -> None:
    async with FakeApiServer() as server:
        server.installed.discard(Kind.SERVICE_IMPORT)
        source = source_of(filled(server, "a").url, Kind.SERVICE, Kind.SERVICE_IMPORT)
        async with feeding(source) as feed:
            await feed.until(lambda: feed.log.having("serviceimports: 404: 404 page not found"))
            assert not feed.store.synced
            server.installed.add(Kind.SERVICE_IMPORT)
            await feed.synced()


async def test_overload_is_waited_for_as_long_as_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reflector, "MAX_RETRY_AFTER_SECONDS", 0.05)
    async with FakeApiServer() as server:
        server.refuse(429, "TooManyRequests", times=2, retry_after=3600)
        async with feeding(source_of(filled(server, "a").url)) as feed:
            await feed.synced()
            assert len(server.requests) == 3


async def test_a_rotated_token_is_read_again(tmp_path: Path) -> None:
    certificate = authority(tmp_path, "kubernetes.default.svc")
    account = tmp_path / "account"
    account.mkdir()
    (account / "ca.crt").write_text(certificate_text(certificate))
    (account / "token").write_text("one\n")
    async with FakeApiServer(context=certificate.server_context()) as server:
        server.tokens = {"one"}
        environ = {
            "KUBERNETES_SERVICE_HOST": "127.0.0.1",
            "KUBERNETES_SERVICE_PORT": str(server.port),
        }
        filled(server, "a")
        async with feeding(
            source_of("", Kind.SERVICE), environ=environ, service_account=account
        ) as feed:
            await feed.synced()
            server.tokens = {"two"}
            server.drop()
            await feed.until(lambda: feed.log.having("401 Unauthorized"))
            (account / "token").write_text("two\n")
            filled(server, "b")
            await feed.until(lambda: feed.names() == {"a", "b"})


async def test_a_new_authority_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("svcdns.aio.connection.RELOAD_SECONDS", 0.0)
    first, second, account = tmp_path / "1", tmp_path / "2", tmp_path / "account"
    for directory in (first, second, account):
        directory.mkdir()
    old, new = authority(first, "a"), authority(second, "a")
    (account / "ca.crt").write_text(certificate_text(old))
    (account / "token").write_text("one")
    server = FakeApiServer(context=new.server_context())
    async with filled(server, "a"):
        environ = {
            "KUBERNETES_SERVICE_HOST": "127.0.0.1",
            "KUBERNETES_SERVICE_PORT": str(server.port),
        }
        async with feeding(
            source_of("", Kind.SERVICE), environ=environ, service_account=account
        ) as feed:
            await feed.until(
                lambda: feed.log.having("WARNING", "tls: failed to verify certificate")
            )
            (account / "ca.crt").write_text(certificate_text(new))
            await feed.synced()


async def test_credentials_that_cannot_be_used_end_the_feed_at_start() -> None:
    with pytest.raises(CredentialsError, match="unable to load in-cluster configuration"):
        await run(source_of(""), Store())


async def test_g3_selectors_reach_the_server_and_leaving_the_selection_is_a_deletion() -> None:
    async with FakeApiServer() as server:
        source = source_of(server.url, Kind.SERVICE, label_selectors={Kind.SERVICE: "app=web"})
        server.state.put(apistate.service("ns/in", labels={"app": "web"}))
        server.state.put(apistate.service("ns/out", labels={"app": "db"}))
        async with feeding(source) as feed:
            await feed.synced()
            assert feed.names() == {"in"}
            server.state.put(apistate.service("ns/in", labels={"app": "db"}))
            await feed.until(lambda: feed.names() == set())


async def test_i5_no_more_is_asked_than_rbac_grants() -> None:
    async with FakeApiServer() as server:
        server.watch_list = "invalid"
        kinds = (Kind.NAMESPACE, Kind.SERVICE, Kind.ENDPOINT_SLICE)
        async with feeding(source_of(server.url, *kinds)) as feed:
            await feed.synced()
            await feed.until(lambda: len(server.streams) == 3)
            assert server.rights() == {
                (verb, group, resource)
                for verb in ("list", "watch")
                for group, resource in (
                    ("", "namespaces"), ("", "services"), ("discovery.k8s.io", "endpointslices"),
                )
            }  # fmt: skip
            assert {one.headers["User-Agent"] for one in server.requests} == {"svcdns"}


async def test_the_age_of_the_copy_can_be_scraped_and_ends_with_the_feed() -> None:
    name = "svcdns_kubernetes_watch_age_seconds"
    async with FakeApiServer() as server:
        async with feeding(source_of(server.url)) as feed:
            await feed.synced()
            assert 0 <= feed.value(name, "Service") < 10
            (family,) = (one for one in feed.registry.collect() if one.name == name)
        assert family.cells == {}


async def test_cancelling_leaves_no_connection_and_no_task() -> None:
    before = len(asyncio.all_tasks())
    async with FakeApiServer() as server:
        async with feeding(source_of(server.url, Kind.SERVICE, Kind.NAMESPACE)) as feed:
            await feed.synced()
            assert len(server.streams) == 2
        await until(lambda: not server.streams)
    await until(lambda: len(asyncio.all_tasks()) == before)


async def test_a_bug_ends_the_feed_loudly(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    async with FakeApiServer() as server:
        store = Store()
        store.subscribe(broken)
        filled(server, "a")
        with pytest.raises(ExceptionGroup, match="unhandled errors") as caught:
            await run(source_of(server.url), store)
        assert caught.value.subgroup(RuntimeError)


async def test_what_was_loaded_is_no_work_for_the_collector() -> None:
    gc.unfreeze()
    async with FakeApiServer() as server, feeding(source_of(server.url)) as feed:
        await feed.synced()
        await feed.until(lambda: feed.log.having("synced"))
        assert gc.get_freeze_count() > 0
    gc.unfreeze()


async def test_the_loop_is_free_between_the_items_of_a_list() -> None:
    async with FakeApiServer() as server:
        server.watch_list = "invalid"
        filled(server, *(f"s{number}" for number in range(500)))
        async with feeding(source_of(server.url)) as feed:
            sizes: set[int] = set()

            async def look() -> None:
                while not feed.store.synced:
                    sizes.add(len(feed.store.services))
                    await asyncio.sleep(0)

            await asyncio.wait_for(look(), 30)
            assert len([size for size in sizes if 0 < size < 500]) > 0
