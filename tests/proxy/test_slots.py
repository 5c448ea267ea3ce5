"""Slots of backends: dense, and moved as little as can be."""

from hypothesis import given
from hypothesis import strategies as st

from svcdns.proxy.model import Backend
from svcdns.proxy.slots import arrange

A, B, C, D = (Backend(f"10.244.0.{n}", 8080) for n in range(1, 5))

_sets = st.sets(st.sampled_from([Backend(f"10.244.0.{n}", 8080) for n in range(12)]))


def test_a_fresh_arrangement_has_the_order_given() -> None:
    assert arrange((), (A, B, C)) == (A, B, C)


def test_newcomers_take_the_places_of_those_who_left() -> None:
    assert arrange((A, B, C), (A, C, D)) == (A, D, C)


def test_the_last_moves_into_a_gap() -> None:
    assert arrange((A, B, C, D), (B, C, D)) == (D, B, C)
    assert arrange((A, B, C, D), (A, B)) == (A, B)
    assert arrange((A, B, C, D), (D,)) == (D,)
    assert arrange((A, B), ()) == ()


def test_gaps_of_a_damaged_table_are_filled() -> None:
    assert arrange((None, A, None, B), (A, B, C)) == (C, A, B)


def test_what_is_said_about_a_backend_follows_without_a_move() -> None:
    moved = Backend(B.address, B.port, local=True, pod="b")
    assert arrange((A, B), (moved, A)) == (A, moved)


@given(_sets, _sets)
def test_slots_are_dense_and_a_change_moves_no_more_than_it_must(
    before: set[Backend], wanted: set[Backend]
) -> None:
    old = arrange((), sorted(before))
    new = arrange(old, sorted(wanted))
    assert set(new) == wanted
    assert len(new) == len(wanted)
    different = sum(a != b for a, b in zip(old, new, strict=False))
    assert different <= len(before - wanted)
