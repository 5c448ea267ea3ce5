"""The answer table: exact keys, owners, bounds."""

from hypothesis import given
from hypothesis import strategies as st

from svcdns.plugins.answers import SHED, TURNED_AWAY, AnswerTable, Entry, Tally


def entry(*owners: str) -> Entry:
    return Entry(b"x", Tally(), owners)


def test_an_owner_that_changes_takes_its_answers_along() -> None:
    table = AnswerTable()
    table.put(b"a", entry("web", "prod"))
    table.put(b"b", entry("api", "prod"))
    table.put(b"c", entry())

    table.drop(["web", "unknown"])
    assert set(table.entries) == {b"b", b"c"}
    table.drop(["prod"])
    assert set(table.entries) == {b"c"}


def test_an_owner_named_twice_is_one_owner() -> None:
    table = AnswerTable()
    table.put(b"a", entry("prod", "web", "prod"))

    table.drop(["prod"])

    assert not table.entries
    table.drop(["prod", "web"])


def test_the_oldest_answer_makes_room() -> None:
    table = AnswerTable(limit=2)
    for key in (b"a", b"b", b"a", b"c"):
        table.put(key, entry(key.decode()))

    assert list(table.entries) == [b"a", b"c"]
    table.drop(["b"])
    table.drop(["a", "c"])
    assert not table.entries


def test_in_a_table_half_full_an_answer_gets_its_place_when_it_is_wanted_again() -> None:
    table = AnswerTable(limit=64)
    for number in range(32):
        assert table.admits(b"%d" % number)
        table.put(b"%d" % number, entry())

    wanted = [b"once %d" % number for number in range(1000)]
    turned_away = [key for key in wanted if not table.admits(key)]
    # A trace has eight bits: a few get through at once.
    assert len(turned_away) > 900
    assert table.admits(turned_away[-1])
    assert table.admits(b"7")
    table.discard(b"7")
    assert table.admits(b"new")


def test_what_a_table_has_never_seen_was_not_asked_for() -> None:
    """A trace of one octet would be 0 for a key of 256, and 0 is where nobody has asked."""
    for number in range(3000):
        table = AnswerTable(limit=2)
        table.put(b"here", entry())

        assert not table.admits(b"%d" % number)


def test_in_a_crowded_table_few_of_those_that_are_wanted_again_get_a_place() -> None:
    table = AnswerTable(limit=64)
    table.put(b"here", entry())
    assert table.admits(b"here", crowded=True)

    rounds = [table.admits(b"wanted", crowded=True) for _ in range(1 + 5 * TURNED_AWAY)]

    assert not rounds[0]
    assert sum(rounds) == 5


def test_a_large_table_makes_room_for_several_at_once() -> None:
    table = AnswerTable(limit=2 * SHED)
    for number in range(2 * SHED):
        table.put(b"%d" % number, entry("web"))
    assert len(table.entries) == 2 * SHED

    table.put(b"new", entry("web"))

    assert len(table.entries) == 2 * SHED - 1
    assert list(table.entries) == [*(b"%d" % number for number in range(2, 2 * SHED)), b"new"]
    table.drop(["web"])
    assert not table.entries


def test_an_empty_table_has_nothing_to_shed() -> None:
    table = AnswerTable()
    table.shed()
    assert not table.entries


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.integers(0, 9), st.frozensets(st.integers(0, 3), max_size=2)),
        st.tuples(st.just("drop"), st.integers(0, 3), st.just(frozenset())),
        st.tuples(st.just("discard"), st.integers(0, 9), st.just(frozenset())),
    ),
    max_size=40,
)


@given(STEPS)
def test_what_is_left_never_belongs_to_a_dropped_owner_and_the_bound_holds(
    steps: list[tuple[str, int, frozenset[int]]],
) -> None:
    table = AnswerTable(limit=5)
    alive: dict[bytes, frozenset[int]] = {}
    for what, number, owners in steps:
        key = bytes((number,))
        if what == "put":
            table.put(key, Entry(b"x", Tally(), tuple(owners)))
            alive.pop(key, None)
            alive[key] = owners
            alive = dict(list(alive.items())[-5:])
        elif what == "discard":
            table.discard(key)
            alive.pop(key, None)
        else:
            table.drop([number])
            alive = {key: held for key, held in alive.items() if number not in held}
        assert list(table.entries) == list(alive)
    table.drop(range(4))
    assert all(not entry.owners for entry in table.entries.values())


def test_clear_forgets_everything() -> None:
    table = AnswerTable()
    table.put(b"a", entry("web"))

    table.clear()

    assert not table.entries
    table.drop(["web"])
