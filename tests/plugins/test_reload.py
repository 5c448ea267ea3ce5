import pytest

from svcdns.errors import CorefileError
from svcdns.plugins import reload
from svcdns.plugins.base import Reload
from tests.support.corefile import Outside, directives, set_up


@pytest.mark.parametrize(
    ("text", "interval", "jitter"),
    [
        ("reload", 30.0, 15.0),
        ("reload 10s", 10.0, 5.0),
        ("reload 10s 2s", 10.0, 2.0),
        ("reload 1s 0s", 2.0, 1.0),
        ("reload 1h 1h", 3600.0, 1800.0),
    ],
)
def test_interval_and_jitter(text: str, interval: float, jitter: float) -> None:
    plugin = reload.setup(directives(text), Outside().context())

    assert plugin.needs == (Reload(interval, jitter),)


@pytest.mark.parametrize("text", ["reload x", "reload 1s 1s 1s"])
def test_what_is_refused(text: str) -> None:
    with pytest.raises(CorefileError):
        set_up(reload.setup, text)
