from dataclasses import dataclass

from svcdns.proxy.affinity import AffinityTable


@dataclass(eq=False)
class Place:
    removed: bool = False


def test_a_client_stays_until_it_has_idled_for_the_timeout_r66() -> None:
    table, place = AffinityTable[Place](10), Place()
    table.pin("192.0.2.1", place, now=0)
    assert table.get("192.0.2.1", now=9.9) is place
    assert table.get("192.0.2.1", now=10) is None


def test_every_new_connection_begins_the_time_again_r66() -> None:
    table, place = AffinityTable[Place](10), Place()
    for now in range(0, 100, 9):
        table.pin("192.0.2.1", place, now)
    assert table.get("192.0.2.1", now=108) is place
    assert table.get("192.0.2.1", now=109) is None


def test_looking_does_not_refresh() -> None:
    table, place = AffinityTable[Place](10), Place()
    table.pin("192.0.2.1", place, now=0)
    table.get("192.0.2.1", now=9)
    assert table.get("192.0.2.1", now=11) is None


def test_an_endpoint_that_left_loses_its_clients_at_once_r67() -> None:
    table, place = AffinityTable[Place](10), Place()
    table.pin("192.0.2.1", place, now=0)
    place.removed = True
    assert table.get("192.0.2.1", now=1) is None
    assert len(table) == 0


def test_the_client_longest_unseen_is_forgotten_when_the_table_is_full() -> None:
    table, place = AffinityTable[Place](10, limit=2), Place()
    table.pin("192.0.2.1", place, now=0)
    table.pin("192.0.2.2", place, now=0)
    table.pin("192.0.2.1", place, now=1)
    table.pin("192.0.2.3", place, now=1)
    assert table.get("192.0.2.1", now=2) is place
    assert table.get("192.0.2.2", now=2) is None
    assert len(table) == 2


def test_a_shorter_timeout_holds_for_clients_already_there() -> None:
    table, place = AffinityTable[Place](100), Place()
    table.pin("192.0.2.1", place, now=0)
    table.timeout = 5
    assert table.get("192.0.2.1", now=6) is None
