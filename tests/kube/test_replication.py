import msgspec
import pytest

from svcdns.kube.objects import Kind, KubeObject
from svcdns.kube.replication import Changed, apply, changed
from svcdns.kube.store import Store
from tests.support.cluster import endpoint_slice, namespace, service

OBJECTS: list[KubeObject] = [
    namespace("default"),
    service("default/web", "10.96.0.1", ports=("http:TCP:80",)),
    service("default/out", external_name="www.example."),
    endpoint_slice(
        "default/web-1",
        "10.0.0.1",
        {"addresses": ["10.0.0.2"], "conditions": {"ready": False}, "hostname": "b"},
        of="web",
        ports=("http:TCP:8080",),
    ),
]


def pair() -> tuple[Store, Store]:
    """Give a store and its copy, which is sent every change of the first."""
    first, copy = Store(), Store()
    first.subscribe(lambda delta: apply(changed("api", delta), {"api": copy}))
    return first, copy


@pytest.mark.parametrize("found", OBJECTS, ids=lambda one: type(one).__name__)
def test_a_copy_gets_what_the_first_one_has(found: KubeObject) -> None:
    first, copy = pair()

    first.apply(found)

    for kind in Kind:
        assert copy.count(kind) == first.count(kind)
    assert list(copy.slices.values()) == list(first.slices.values())
    assert list(copy.services.values()) == list(first.services.values())


def test_a_copy_loses_what_the_first_one_loses() -> None:
    first, copy = pair()
    for found in OBJECTS:
        first.apply(found)

    first.delete(Kind.SERVICE, ("default", "web"))
    first.replace(Kind.ENDPOINT_SLICE, [])

    assert list(copy.services) == [("default", "out")]
    assert list(copy.slices_of(("default", "web"))) == []


def test_a_store_that_this_process_does_not_have_is_passed_over() -> None:
    apply(Changed("another", Kind.NAMESPACE, ("", "x"), b""), {"api": Store()})


def test_an_object_that_cannot_be_read_is_an_error() -> None:
    with pytest.raises(msgspec.DecodeError):
        apply(Changed("api", Kind.NAMESPACE, ("", "x"), b"\xc1"), {"api": Store()})
