"""People read a cause once."""

from svcdns.proxy.condense import FEW, condense


def lines(count: int, cause: str) -> list[str]:
    return [f"ns/s{n}: cannot listen on 127.0.0.{n} port 80/TCP: {cause}" for n in range(count)]


def test_nothing_gives_nothing() -> None:
    assert condense([], "frontends") == ([], [])


def test_a_few_are_told_one_by_one() -> None:
    assert condense(lines(FEW, "in use"), "frontends") == (lines(FEW, "in use"), [])


def test_many_are_one_line_with_the_number_the_cause_and_an_example() -> None:
    many = lines(500, "in use")
    assert condense(many, "frontends") == ([f"500 frontends: in use; the first: {many[0]}"], many)


def test_other_causes_do_not_drown_in_it() -> None:
    many, other = lines(FEW + 1, "in use"), "ns/x: SCTP is not forwarded"
    said, details = condense([*many[:1], other, *many[1:]], "frontends")
    assert said == [f"{FEW + 1} frontends: in use; the first: {many[0]}", other]
    assert details == many
