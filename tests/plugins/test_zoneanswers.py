"""Zones that come, change and go."""

from svcdns.corefile.fallthrough import Fallthrough
from svcdns.plugins.base import Failed, Outcome, Reply
from svcdns.plugins.zoneanswers import Zones
from tests.support.examplezone import ORIGIN, ZONE
from tests.support.serving import request


def serve(zones: Zones, text: str) -> Outcome:
    return zones.serve(request(text), lambda request: Failed(5), Fallthrough())


def test_zones_come_and_go_and_their_stored_answers_with_them() -> None:
    ended: list[object] = []
    zones = Zones("auto", ended.extend)

    assert serve(zones, "web.example.org A") == Failed(5)
    zones.put(ORIGIN, None)
    assert serve(zones, "web.example.org A") == Failed(2, "plugin/auto: zone is not loaded", "auto")
    assert zones.records(ORIGIN) is None
    zones.put(ORIGIN, ZONE)
    found = serve(zones, "web.example.org A")
    assert isinstance(found, Reply)
    assert found.store is not None
    assert set(found.store.owners) == set(ended)
    assert zones.records(ORIGIN) == ZONE.records()
    zones.remove(ORIGIN)
    assert serve(zones, "web.example.org A") == Failed(5)
    assert len(ended) == 3
