"""From an owner to the keys of its answers, and back to nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svcdns.plugins.dependents import FEW, Dependents

WEB = ("prod", "web")


def test_keys_are_found_by_each_of_their_owners() -> None:
    found = Dependents()
    found.add(b"a", WEB)
    found.add(b"b", WEB)
    found.add(b"c", ("prod", "api"))
    found.add(b"d", ())

    assert set(found.of("web")) == {b"a", b"b"}
    assert set(found.of("prod")) == {b"a", b"b", b"c"}
    assert set(found.of("unknown")) == set()


def test_answers_with_equal_owners_share_them() -> None:
    found = Dependents()
    first = found.add(b"a", ("prod", "".join(("we", "b"))))
    again = found.add(b"b", ("prod", "".join(("w", "eb"))))

    assert first is again
    assert first == WEB
    assert found.add(b"c", ()) == ()


@pytest.mark.parametrize("count", [1, 2, FEW, FEW + 1, 100])
def test_nothing_stays_of_a_group_without_keys(count: int) -> None:
    found = Dependents()
    keys = [b"%d" % number for number in range(count)]
    for key in keys:
        found.add(key, ("prod", "web", "prod"))
    found.add(b"other", ("prod", "api"))

    for key in keys:
        found.remove(key, ("prod", "web", "prod"))

    assert list(found.of("web")) == []
    assert list(found.of("prod")) == [b"other"]
    found.remove(b"other", ("prod", "api"))
    assert not found._groups
    assert not found._by_owner


def test_a_key_that_is_not_here_is_no_loss() -> None:
    found = Dependents()
    found.remove(b"a", WEB)
    found.add(b"a", WEB)
    found.remove(b"b", WEB)
    found.remove(b"c", ())

    assert list(found.of("web")) == [b"a"]


@pytest.mark.parametrize("count", [FEW, FEW + 1])
def test_keys_may_go_while_they_are_looked_at(count: int) -> None:
    found = Dependents()
    for number in range(count):
        found.add(b"%d" % number, WEB if number % 2 else ("prod",))

    for key in found.of("prod"):
        found.remove(key, WEB if int(key) % 2 else ("prod",))

    assert list(found.of("prod")) == []


def test_clear_forgets_everything() -> None:
    found = Dependents()
    found.add(b"a", WEB)
    found.clear()
    assert list(found.of("web")) == []


STEPS = st.lists(
    st.tuples(st.integers(0, 30), st.sampled_from([(), (1,), (2,), (1, 2), (2, 1), (1, 1)])),
    max_size=60,
)


@given(STEPS)
def test_it_is_what_a_plain_mapping_would_say(steps: list[tuple[int, tuple[int, ...]]]) -> None:
    found = Dependents()
    plain: dict[bytes, tuple[int, ...]] = {}
    for number, owners in steps:
        key = bytes((number,))
        if key in plain:
            found.remove(key, plain.pop(key))
        else:
            plain[key] = owners
            assert found.add(key, owners) == owners
        for owner in (1, 2):
            expected = sorted(key for key, held in plain.items() if owner in held)
            assert sorted(set(found.of(owner))) == expected
