"""Environment variables in words (corefile-features a)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svcdns.corefile.environment import substitute

ENV = {"HOST": "example.org", "PORT": "8053", "AGAIN": "{$PORT}", "%ODD": "odd", "TWO": "a b"}

ROWS = [
    ("{$HOST}", "example.org"),
    ("{%HOST%}", "example.org"),
    ("{$HOST}:{%PORT%}", "example.org:8053"),
    ("dns://{$HOST}:{$PORT}", "dns://example.org:8053"),
    ("{$UNSET}", ""),
    ("a{$UNSET}b", "ab"),
    ("{$TWO}", "a b"),
    ("{%HOST}", "{%HOST}"),
    ("{$PORT$}", ""),
    ("{$}", "{$}"),
    ("{%}", "{%}"),
    ("{%%}", "{%%}"),
    ("{$$}", ""),
    ("{1}.{$HOST}.", "{1}.example.org."),
    ("^([^.]+)\\.{$HOST}\\.$", "^([^.]+)\\.example.org\\.$"),
    ("{{ $x }}", "{{ $x }}"),
    ("{{$x}}", "{}"),
    ("{remote}", "{remote}"),
    ("{$HOST", "{$HOST"),
    ("{$AGAIN}", "{$PORT}"),
]


@pytest.mark.parametrize(("text", "result"), ROWS)
def test_references_are_replaced_in_place(text: str, result: str) -> None:
    assert substitute(text, ENV) == result


@given(st.text(), st.dictionaries(st.text(), st.text()))
def test_any_text_and_any_environment_give_a_text(text: str, env: dict[str, str]) -> None:
    assert isinstance(substitute(text, env), str)


def test_a_variable_that_names_itself_ends() -> None:
    assert substitute("{$X}", {"X": "{$X}"}) == "{$X}"
