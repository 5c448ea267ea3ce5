import pytest

from svcdns.errors import CorefileError
from svcdns.plugins import timeouts
from tests.support.corefile import Outside, directives, set_up


def test_what_is_not_said_stays_as_it_is() -> None:
    text = "timeouts {\nread 10s\nidle 1m\nmaxtcpqueries 100\n}"
    plugin = timeouts.setup(directives(text), Outside().context())

    assert (plugin.read, plugin.write, plugin.idle, plugin.queries) == (10.0, None, 60.0, 100)


def test_all_may_be_said() -> None:
    text = "timeouts {\nread 1s\nwrite 24h\nidle 2s\nmaxtcpqueries -1\n}"
    plugin = timeouts.setup(directives(text), Outside().context())

    assert (plugin.read, plugin.write, plugin.idle, plugin.queries) == (1.0, 86400.0, 2.0, -1)


def test_several_directives_add_up() -> None:
    text = "timeouts {\nread 1s\nidle 2s\n}\ntimeouts {\nidle 3s\n}"
    plugin = timeouts.setup(directives(text), Outside().context())

    assert (plugin.read, plugin.idle) == (1.0, 3.0)


def test_a_number_without_a_unit_is_one_of_seconds() -> None:
    plugin = timeouts.setup(directives("timeouts {\nread 10\nidle 60\n}"), Outside().context())

    assert (plugin.read, plugin.idle) == (10.0, 60.0)


@pytest.mark.parametrize(
    "text",
    [
        "timeouts",
        "timeouts {\n}",
        "timeouts {\nread 0s\n}",
        "timeouts {\nread 25h\n}",
        "timeouts {\nread\n}",
        "timeouts {\nmaxtcpqueries -2\n}",
        "timeouts {\nx 1s\n}",
    ],
)
def test_what_is_refused(text: str) -> None:
    with pytest.raises(CorefileError):
        set_up(timeouts.setup, text)
