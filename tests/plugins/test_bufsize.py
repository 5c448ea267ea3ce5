from typing import Any

import pytest

from svcdns.dns.response import Response
from svcdns.errors import CorefileError
from svcdns.plugins import bufsize
from svcdns.plugins.base import Reply
from tests.support.corefile import Outside, directives, set_up
from tests.support.serving import always, answer, server_of


def _seen(text: str, **settings: Any) -> int | None:
    """Give the EDNS size that the rest of the chain sees."""
    rest = always(Reply(Response()))
    plugin = bufsize.setup(directives(text), Outside().context())
    answer(server_of([plugin, rest]), "a.example. A", **settings)
    edns = rest.asked[0].query.edns
    return edns.size if edns else None


@pytest.mark.parametrize(
    ("rule", "text", "asked", "seen"),
    [
        ("J23 default", "bufsize", 4096, 1232),
        ("J23 as configured", "bufsize 512", 4096, 512),
        ("smaller stays", "bufsize 1232", 600, 600),
        ("equal stays", "bufsize 1232", 1232, 1232),
    ],
)
def test_the_size_that_the_chain_sees(rule: str, text: str, asked: int, seen: int) -> None:
    assert _seen(text, use_edns=0, payload=asked) == seen


def test_a_query_without_edns_stays_without() -> None:
    assert _seen("bufsize") is None


@pytest.mark.parametrize("text", ["bufsize 511", "bufsize 4097", "bufsize x", "bufsize 512 512"])
def test_what_is_refused(text: str) -> None:
    with pytest.raises(CorefileError):
        set_up(bufsize.setup, text)
