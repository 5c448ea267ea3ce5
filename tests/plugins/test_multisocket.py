import pytest

from svcdns.errors import CorefileError
from svcdns.plugins import multisocket
from tests.support.corefile import set_up


@pytest.mark.parametrize("text", ["multisocket", "multisocket 1", "multisocket 1024"])
def test_it_is_accepted(text: str) -> None:
    assert isinstance(set_up(multisocket.setup, text), multisocket.Passive)


@pytest.mark.parametrize(
    "text",
    [
        "multisocket 0",
        "multisocket 1025",
        "multisocket x",
        "multisocket 1 2",
    ],
)
def test_what_is_refused(text: str) -> None:
    with pytest.raises(CorefileError):
        set_up(multisocket.setup, text)
