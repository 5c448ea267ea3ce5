"""Copies of clusters over reloads."""

from svcdns.kube.objects import Kind
from svcdns.kube.source import ApiSource
from svcdns.plugins.clusters import Clusters
from tests.support.cluster import service

SOURCE = ApiSource(kinds=(Kind.SERVICE,), endpoint="http://a")


def test_equal_sources_share_a_copy_and_others_do_not() -> None:
    clusters = Clusters(wall=lambda: 1.0)

    assert clusters.get(SOURCE) is clusters.get(
        ApiSource(kinds=(Kind.SERVICE,), endpoint="http://a")
    )
    assert clusters.get(SOURCE) is not clusters.get(ApiSource(kinds=(Kind.SERVICE,)))


def test_a_new_copy_is_not_synced_before_it_was_fed() -> None:
    found = Clusters(wall=lambda: 1.0).get(SOURCE)

    assert not found.store.synced
    found.store.replace(Kind.SERVICE, ())
    assert found.store.synced


def test_what_no_configuration_wants_is_forgotten() -> None:
    clusters = Clusters(wall=lambda: 1.0)
    kept, gone = clusters.get(SOURCE), clusters.get(ApiSource(kinds=(Kind.SERVICE,)))

    assert clusters.retain([kept]) == [gone]
    assert clusters.get(SOURCE) is kept
    gone.store.apply(service("a/b", "10.0.0.1"))
    assert gone.index.services_at("10.0.0.1") == []
