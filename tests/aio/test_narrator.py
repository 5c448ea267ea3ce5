import gc

import pytest

from svcdns.aio.narrator import Narrator
from svcdns.errors import ApiUnavailable
from svcdns.kube.decode import Malformed
from svcdns.kube.objects import Kind
from svcdns.kube.reflector import Reflector
from svcdns.kube.store import Store
from svcdns.metrics import Registry
from tests.support.cluster import service
from tests.support.feeding import recording

URL = "https://10.96.0.1:443"
DOWN = ApiUnavailable(0, "", "connection refused")


class Told:
    def __init__(self) -> None:
        self.now = 1000.0
        self.store = Store()
        self.store.wanted = {Kind.SERVICE}
        self.reflector = Reflector(
            Kind.SERVICE, self.store, delay=lambda failures: 3.0, now=self.now
        )
        self.registry = Registry()
        log, self.log = recording()
        self.narrator = Narrator(
            self.store, URL, [self.reflector], log, self.registry, lambda: self.now
        )

    def fail(self, problem: str = "connection refused") -> None:
        self.reflector.next_command(self.now)
        self.reflector.failed(DOWN, self.now)
        self.narrator.failed(self.reflector, problem)

    def lines(self) -> list[str]:
        found, self.log.lines = self.log.lines, []
        return found

    def cells(self, name: str) -> dict[tuple[str, ...], float]:
        (family,) = (one for one in self.registry.collect() if one.name == name)
        return {key: cell.value for key, cell in family.cells.items()}


@pytest.fixture
def told() -> Told:
    return Told()


def test_i1_before_the_first_list_it_says_what_it_waits_for(told: Told) -> None:
    told.fail()

    assert told.lines() == [
        f"WARNING waiting for the Kubernetes API at {URL}: services: connection refused;"
        " trying again in 3.0 s"
    ]


def test_i3_after_it_that_the_last_known_state_stays(told: Told) -> None:
    told.store.replace(Kind.SERVICE, ())
    told.fail()

    assert told.lines()[0].startswith(
        f"WARNING going on with the last known state at {URL}: services: connection refused"
    )


def test_the_same_complaint_comes_once_a_minute_and_a_new_one_at_once(told: Told) -> None:
    told.fail()
    told.now += 30
    told.fail()
    assert len(told.lines()) == 1
    told.now += 30
    told.fail()
    assert len(told.lines()) == 1
    told.fail("i/o timeout")
    assert len(told.lines()) == 1


def test_what_is_tried_again_at_once_is_no_warning(told: Told) -> None:
    told.narrator.failed(told.reflector, "410 Expired")

    assert [line.split()[0] for line in told.lines()] == ["DEBUG"]


def test_the_end_of_an_outage_is_told_with_its_length(told: Told) -> None:
    told.fail()
    told.now += 34
    told.lines()
    told.narrator.working(told.reflector)
    told.narrator.working(told.reflector)

    assert told.lines() == [
        f"INFO the Kubernetes API at {URL} answers again: services, after 34.0 s"
    ]


def test_the_first_complete_copy_is_told_once_and_frozen(told: Told) -> None:
    gc.unfreeze()
    told.store.apply(service("ns/a"))
    told.narrator.working(told.reflector)
    assert told.lines() == []
    told.now += 1.5
    told.store.replace(Kind.SERVICE, [("ns", "a")])
    told.narrator.working(told.reflector)
    told.narrator.working(told.reflector)

    assert told.lines() == [f"INFO synced with the Kubernetes API at {URL} in 1.5 s: 1 services"]
    assert gc.get_freeze_count() > 0
    gc.unfreeze()


def test_a_malformed_object_is_told_once_and_always_counted(told: Told) -> None:
    for _ in range(3):
        told.narrator.malformed(Malformed(Kind.SERVICE, "bad", ("ns", "a")))
    told.narrator.malformed(Malformed(Kind.SERVICE, "worse", ("ns", "a")))

    assert told.lines() == [
        "WARNING object skipped, it keeps the state it had: Service ns/a: bad",
        "WARNING object skipped, it keeps the state it had: Service ns/a: worse",
    ]
    name = "svcdns_kubernetes_malformed_objects_total"
    assert told.cells(name) == {("Service", "10.96.0.1:443"): 4}


def test_what_is_remembered_of_malformed_objects_is_bounded(told: Told) -> None:
    for number in range(5000):
        told.narrator.malformed(Malformed(Kind.SERVICE, str(number)))

    assert len(told.narrator._malformed) <= 256


def test_a_copy_that_grows_old_is_told_once_until_it_is_young_again(told: Told) -> None:
    told.now += 130
    told.narrator.look()
    told.narrator.look()
    assert told.lines() == [
        f"WARNING services may be out of date: nothing was heard from {URL} for 130 s"
    ]
    told.reflector.received(told.now)
    told.narrator.look()
    told.narrator.look()

    assert told.lines() == ["INFO services are up to date again"]


def test_ages_and_lists_can_be_scraped(told: Told) -> None:
    told.reflector.next_command(told.now)
    told.now += 7
    labels = ("Service", "10.96.0.1:443")

    assert told.cells("svcdns_kubernetes_watch_age_seconds") == {labels: 7.0}
    assert told.cells("svcdns_kubernetes_lists_total") == {labels: 1}
    assert told.cells("svcdns_kubernetes_lists_total") == {labels: 1}
    told.narrator.close()
    assert told.cells("svcdns_kubernetes_watch_age_seconds") == {}
    assert told.cells("svcdns_kubernetes_lists_total") == {labels: 1}
