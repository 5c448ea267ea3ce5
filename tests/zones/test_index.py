"""Addresses to objects, and the serial, along any sequence of changes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svcdns.kube.objects import Kind, KubeObject
from svcdns.kube.store import Store
from svcdns.zones.index import ClusterIndex
from tests.support.cluster import endpoint, endpoint_slice, pod, service

ADDRESSES = ("10.0.0.1", "10.0.0.2", "10.0.0.3")


def _objects() -> st.SearchStrategy[KubeObject]:
    address = st.sampled_from(ADDRESSES)
    return st.one_of(
        st.builds(lambda n, a: service(f"ns/{n}", a), st.sampled_from("ab"), address),
        st.builds(
            lambda n, of, found, ready: endpoint_slice(
                f"ns/{n}", *[endpoint(a, ready=ready) for a in found], of=of
            ),
            st.sampled_from("xyz"),
            st.sampled_from(("a", "b", "")),
            st.lists(address, max_size=3),
            st.booleans(),
        ),
        st.builds(lambda n, a: pod(f"ns/{n}", a), st.sampled_from("pq"), address),
    )


_STEPS = st.lists(
    st.one_of(
        _objects(),
        st.tuples(
            st.sampled_from((Kind.SERVICE, Kind.ENDPOINT_SLICE, Kind.POD)),
            st.sampled_from("abxyzpq"),
        ),
    ),
    max_size=25,
)


def _view(index: ClusterIndex) -> object:
    return [
        (
            {service.key for service in index.services_at(address)},
            {piece.key for piece in index.slices_at(address)},
            index.pod_at(address, "ns"),
            set(index.pods_at(address)),
        )
        for address in ADDRESSES
    ]


@given(_STEPS)
def test_following_changes_equals_a_fresh_start(steps: list[object]) -> None:
    store = Store()
    followed = ClusterIndex(store, wall=lambda: 1.0)
    for step in steps:
        if isinstance(step, tuple):
            store.delete(step[0], ("ns", step[1]))
        else:
            store.apply(step)  # type: ignore[arg-type]

    assert _view(followed) == _view(ClusterIndex(store, wall=lambda: 2.0))


WEB = service("ns/web", "10.0.0.1", ports=("http:TCP:80",))
SLICE = endpoint_slice("ns/web-1", "10.1.0.1", of="web", ports=("http:TCP:80",))

SERIAL = [
    ("A4 add", [WEB], True),
    ("A4 port", [WEB, service("ns/web", "10.0.0.1", ports=("http:TCP:81",))], True),
    ("K19 cluster IP", [WEB, service("ns/web", "10.0.0.2", ports=("http:TCP:80",))], True),
    ("A4 other fields", [WEB, service("ns/web", "10.0.0.1", ports=("http:TCP:80",), sessionAffinity="ClientIP")], False),
    ("A4 ready", [SLICE, endpoint_slice("ns/web-1", endpoint("10.1.0.1", ready=False), of="web", ports=("http:TCP:80",))], True),
    ("A4 node name", [SLICE, endpoint_slice("ns/web-1", endpoint("10.1.0.1", nodeName="n"), of="web", ports=("http:TCP:80",))], False),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "objects", "bumped"), SERIAL)
def test_the_serial_moves_when_dns_can_show_the_change(
    rule: str, objects: list[KubeObject], bumped: bool
) -> None:
    now = [100.0]
    store = Store()
    index = ClusterIndex(store, wall=lambda: now[0])
    assert index.serial == 0
    for thing in objects[:-1]:
        store.apply(thing)
    before = index.serial
    now[0] = 200.0

    store.apply(objects[-1])

    assert (index.serial != before) is bumped, rule


def test_a_closed_index_follows_no_more() -> None:
    store = Store()
    index = ClusterIndex(store, wall=lambda: 1.0)
    index.close()

    store.apply(WEB)

    assert index.services_at("10.0.0.1") == []
