import pytest

from svcdns.errors import CorefileError
from svcdns.plugins import root
from tests.support.corefile import directives, set_up


@pytest.mark.parametrize(
    ("text", "path"), [("root /etc/coredns", "/etc/coredns"), ("root a\nroot b", "b")]
)
def test_the_last_directory_counts(text: str, path: str) -> None:
    assert root.path(directives(text)) == path
    set_up(root.setup, text)


def test_without_the_directive_it_is_the_current_one() -> None:
    assert root.path(()) == ""


@pytest.mark.parametrize("text", ["root", "root a b", "root a {\nx\n}"])
def test_what_is_refused(text: str) -> None:
    with pytest.raises(CorefileError):
        set_up(root.setup, text)
