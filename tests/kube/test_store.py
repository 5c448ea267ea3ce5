from svcdns.kube.objects import Kind
from svcdns.kube.store import Delta, Store
from tests.support.cluster import endpoint_slice, namespace, pod, service

WEB = ("ns", "web")


def listening(store: Store) -> list[Delta]:
    heard: list[Delta] = []
    store.subscribe(heard.append)
    return heard


def test_an_addition_a_change_and_a_deletion_are_told_with_old_and_new() -> None:
    store = Store()
    heard = listening(store)
    one, other = service("ns/web", "10.0.0.1"), service("ns/web", "10.0.0.2")
    store.apply(one)
    store.apply(other)
    store.delete(Kind.SERVICE, WEB)

    assert heard == [
        Delta(Kind.SERVICE, WEB, None, one),
        Delta(Kind.SERVICE, WEB, one, other),
        Delta(Kind.SERVICE, WEB, other, None),
    ]


def test_what_changes_nothing_is_not_told() -> None:
    store = Store()
    store.apply(service("ns/web", "10.0.0.1"))
    heard = listening(store)

    assert store.apply(service("ns/web", "10.0.0.1")) is None
    assert store.delete(Kind.SERVICE, ("ns", "unknown")) is None
    assert heard == []


def test_the_store_has_changed_when_a_change_is_told() -> None:
    store = Store()
    seen: list[int] = []
    store.subscribe(lambda delta: seen.append(len(store.services)))
    store.apply(service("ns/web", "10.0.0.1"))
    store.delete(Kind.SERVICE, WEB)

    assert seen == [1, 0]


def test_i4_a_full_list_deletes_what_it_does_not_name_and_only_of_its_kind() -> None:
    store = Store()
    store.apply(service("ns/web", "10.0.0.1"))
    store.apply(service("ns/old", "10.0.0.2"))
    store.apply(namespace("ns"))
    deltas = store.replace(Kind.SERVICE, [WEB])

    assert [(one.key, one.new) for one in deltas] == [(("ns", "old"), None)]
    assert set(store.services) == {WEB}
    assert set(store.namespaces) == {("", "ns")}


def test_i4_a_list_may_be_compared_with_what_was_there_when_it_began() -> None:
    store = Store()
    for name in ("web", "old", "gone"):
        store.apply(service(f"ns/{name}", "10.0.0.1"))
    unnamed = store.held(Kind.SERVICE)
    store.apply(service("ns/new", "10.0.0.2"))
    store.delete(Kind.SERVICE, ("ns", "gone"))
    del unnamed[WEB]
    deltas = store.complete(Kind.SERVICE, unnamed)

    assert [(one.key, one.new) for one in deltas] == [(("ns", "old"), None)]
    assert set(store.services) == {WEB, ("ns", "new")}
    assert Kind.SERVICE in store.listed


def test_i3_synced_needs_every_wanted_kind_and_never_goes_back() -> None:
    store = Store()
    store.wanted = {Kind.SERVICE, Kind.NAMESPACE}
    assert not store.synced
    store.replace(Kind.SERVICE, ())
    assert not store.synced
    store.replace(Kind.NAMESPACE, ())
    assert store.synced
    store.apply(service("ns/web"))
    assert store.synced


def test_slices_are_found_by_service_whether_or_not_it_exists() -> None:
    store = Store()
    store.apply(endpoint_slice("ns/web-1", "10.0.0.1", of="web"))
    store.apply(endpoint_slice("ns/web-2", "10.0.0.2", of="web"))
    store.apply(endpoint_slice("ns/none", "10.0.0.3", of=""))

    assert {one.metadata.name for one in store.slices_of(WEB)} == {"web-1", "web-2"}
    assert list(store.slices_of(("ns", "other"))) == []
    assert store.count(Kind.ENDPOINT_SLICE) == 3


def test_r4_a_slice_that_changes_its_label_moves() -> None:
    store = Store()
    store.apply(endpoint_slice("ns/s", "10.0.0.1", of="web"))
    store.apply(endpoint_slice("ns/s", "10.0.0.1", of="api"))

    assert list(store.slices_of(WEB)) == []
    assert len(list(store.slices_of(("ns", "api")))) == 1
    store.delete(Kind.ENDPOINT_SLICE, ("ns", "s"))
    assert list(store.slices_of(("ns", "api"))) == []


def test_a_subscriber_may_leave_while_it_is_told() -> None:
    store = Store()
    heard: list[Delta] = []

    def once(delta: Delta) -> None:
        heard.append(delta)
        store.unsubscribe(once)

    store.subscribe(once)
    other = listening(store)
    store.apply(pod("ns/a", "10.0.0.1"))
    store.apply(pod("ns/b", "10.0.0.2"))

    assert (len(heard), len(other)) == (1, 2)
