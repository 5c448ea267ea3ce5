import pytest

from svcdns.errors import CorefileError
from svcdns.plugins.https import setup
from tests.support.corefile import Outside, directives, set_up


@pytest.mark.parametrize(
    ("text", "expected"),
    [("https", 200), ("https {\nmax_connections 0\n}", 0), ("https {\nmax_connections 7\n}", 7)],
)
def test_the_number_of_connections(text: str, expected: int) -> None:
    assert setup(directives(text), Outside().context()).max_connections == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("https 5", "Wrong argument count"),
        ("https {\nmax_connections\n}", "Wrong argument count"),
        ("https {\nmax_connections -1\n}", "max_connections must be at least 0"),
        ("https {\nmax_connections 1\nmax_connections 2\n}", "already defined"),
        ("https {\nmax_streams 1\n}", "unknown property 'max_streams'"),
    ],
)
def test_what_cannot_be_meant_is_told_with_its_line(text: str, message: str) -> None:
    with pytest.raises(CorefileError, match=r"Corefile:\d .*" + message):
        set_up(setup, text)
