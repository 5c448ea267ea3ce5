import pytest

from svcdns.plugins.slices import Slices, finish


def _count(until: int, seen: list[int]) -> Slices[str]:
    for number in range(until):
        seen.append(number)
        yield
    if until > 3:
        raise ValueError("too far")
    return "done"


@pytest.mark.parametrize("until", [0, 1, 3])
def test_work_is_finished_and_its_result_given(until: int) -> None:
    seen: list[int] = []

    assert finish(_count(until, seen)) == "done"
    assert seen == list(range(until))


def test_what_goes_wrong_in_a_slice_comes_out() -> None:
    with pytest.raises(ValueError, match="too far"):
        finish(_count(4, []))
