"""Who makes room when the table of UDP sessions is full."""

from random import Random

import pytest

from svcdns.proxy.sessions import KEPT_SHARE, Row, SessionTable, Standing
from svcdns.proxy.udplife import EXCHANGE_SECONDS, FLOW_SECONDS

LIMIT = 80


class Session:
    """A session that has just begun, or has had datagrams."""

    def __init__(
        self, table: "SessionTable[Session]", standing: Standing = Standing.UNANSWERED
    ) -> None:
        self.last = 0.0
        self.patience = EXCHANGE_SECONDS
        self.row: Row[Session] = table.add(self)
        if standing:
            self.row = table.rise(self, self.row, standing)

    def expires(self) -> float:
        return self.last + self.patience


def evict(table: "SessionTable[Session]", limit: int = LIMIT) -> Session:
    victim = table.victim(limit)
    del victim.row[victim]
    return victim


def test_of_one_standing_the_one_longest_idle_goes() -> None:
    table: SessionTable[Session] = SessionTable()
    first, second, third = (Session(table) for _ in range(3))
    first.row.move_to_end(first)
    assert [evict(table, 3) for _ in range(3)] == [second, third, first]
    assert len(table) == 0


@pytest.mark.parametrize("flood", [Standing.UNANSWERED, Standing.ANSWERED])
def test_a_flood_of_made_up_clients_costs_no_flow_however_long_that_idles(flood: Standing) -> None:
    """Whether the endpoints answer to the flood or not."""
    table: SessionTable[Session] = SessionTable()
    flows = [Session(table, Standing.FLOW) for _ in range(LIMIT // 2)]
    for _ in range(10 * LIMIT):
        if len(table) >= LIMIT:
            assert evict(table) not in flows
        Session(table, flood)
    assert set(flows) <= set(table)


def test_a_session_that_was_answered_outlasts_one_that_was_not() -> None:
    table: SessionTable[Session] = SessionTable()
    answered = [Session(table, Standing.ANSWERED) for _ in range(LIMIT // 2)]
    for _ in range(10 * LIMIT):
        if len(table) >= LIMIT:
            evict(table)
        Session(table)
    assert set(answered) <= set(table)


@pytest.mark.parametrize("crowd", [Standing.ANSWERED, Standing.FLOW])
def test_a_table_full_of_better_ones_leaves_new_clients_the_time_for_an_answer(
    crowd: Standing,
) -> None:
    table: SessionTable[Session] = SessionTable()
    for _ in range(LIMIT):
        Session(table, crowd)
    asked = []
    for _ in range(LIMIT):
        evict(table)
        asked.append(Session(table))
    left = [one for one in table if one in asked]
    assert len(left) == LIMIT // KEPT_SHARE + 1
    assert left == asked[-len(left) :]


def test_the_table_stays_within_its_limit_whatever_happens() -> None:
    rng = Random(7)
    for limit in (1, 2, 3, 9, 64):
        table: SessionTable[Session] = SessionTable()
        for _ in range(500):
            if len(table) >= limit:
                evict(table, limit)
            Session(table, rng.choice(list(Standing)))
            assert len(table) == len(list(table)) <= limit


def test_an_empty_table_has_nobody_who_could_make_room() -> None:
    table: SessionTable[Session] = SessionTable()
    with pytest.raises(LookupError):
        table.victim(LIMIT)


@pytest.mark.parametrize("limit", [8, 16, 80, 10_000])
def test_with_descriptors_gone_before_the_limit_somebody_makes_room(limit: int) -> None:
    table: SessionTable[Session] = SessionTable()
    flow, answered = Session(table, Standing.FLOW), Session(table, Standing.ANSWERED)
    assert [evict(table, limit), evict(table, limit)] == [answered, flow]


@pytest.mark.parametrize("standing", Standing)
def test_idle_sessions_are_found_in_every_standing(standing: Standing) -> None:
    table: SessionTable[Session] = SessionTable()
    short, long = Session(table, standing), Session(table, standing)
    long.patience = FLOW_SECONDS
    recent = Session(table, standing)
    recent.last = 1.0
    assert table.idle(EXCHANGE_SECONDS - 0.1) == []
    assert table.idle(EXCHANGE_SECONDS) == [short]
    recent.last = FLOW_SECONDS
    assert table.idle(FLOW_SECONDS) == [short, long]
