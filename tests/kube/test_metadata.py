import pytest

from svcdns.kube.metadata import Metadata, ObjectKey


@pytest.mark.parametrize(
    ("metadata", "key"),
    [
        (Metadata(name="web", namespace="prod"), ("prod", "web")),
        (Metadata(name="node-1"), ("", "node-1")),
        (Metadata(name="node-1", namespace=""), ("", "node-1")),
    ],
)
def test_an_object_is_known_by_namespace_and_name(metadata: Metadata, key: ObjectKey) -> None:
    assert metadata.key == key
