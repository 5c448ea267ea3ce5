from svcdns.kube.objects import Kind
from svcdns.kube.resources import KIND_OF, RESOURCES


def test_every_kind_has_a_resource_and_a_type() -> None:
    assert set(RESOURCES) == set(Kind) == set(KIND_OF.values())


def test_the_path_of_a_collection_is_the_apis() -> None:
    paths = {kind: resource.collection for kind, resource in RESOURCES.items()}

    assert paths[Kind.NODE] == "/api/v1/nodes"
    assert paths[Kind.ENDPOINT_SLICE] == "/apis/discovery.k8s.io/v1/endpointslices"
