import pytest

from svcdns.errors import CorefileError
from svcdns.plugins import debug
from svcdns.plugins.passive import Passive
from tests.support.corefile import set_up


def test_it_takes_no_part_in_queries() -> None:
    plugin = set_up(debug.setup, "debug\ndebug")

    assert isinstance(plugin, Passive)
    assert plugin.needs == ()


@pytest.mark.parametrize("text", ["debug on", "debug {\nx\n}"])
def test_what_is_refused(text: str) -> None:
    with pytest.raises(CorefileError):
        set_up(debug.setup, text)
