from typing import Any

import dns.edns
import pytest
from msgspec.structs import replace

from svcdns.dns.response import Record, Response
from svcdns.errors import CorefileError
from svcdns.plugins import nsid
from svcdns.plugins.base import Failed, Reply, Storable
from svcdns.plugins.server import Server
from tests.support.corefile import Outside, directives, set_up
from tests.support.records import wire_name
from tests.support.serving import always, answer, server_of

NSID = dns.edns.GenericOption(dns.edns.OptionType.NSID, b"")
COOKIE = dns.edns.GenericOption(dns.edns.OptionType.COOKIE, b"12345678")


def serving(text: str = "nsid", outcome: Reply | Failed | None = None) -> Server:
    context = replace(Outside().context(), hostname="ns1")
    record = Record(wire_name("a.test"), 1, 5, bytes((10, 0, 0, 1)))
    reply = Reply(Response(answer=(record,)), store=Storable())
    return server_of([nsid.setup(directives(text), context), always(outcome or reply)])


def options(server: Server, **settings: Any) -> dict[int, bytes]:
    message = answer(server, "a.test A", **settings)
    return {option.otype: option.to_wire() or b"" for option in message.options}


@pytest.mark.parametrize(
    ("text", "data"), [("nsid", b"ns1"), ("nsid one two", b"one two"), ('nsid "a  b"', b"a  b")]
)
def test_clients_that_ask_are_told(text: str, data: bytes) -> None:
    """J9."""
    assert options(serving(text), use_edns=0, options=[NSID]) == {3: data}


def test_other_clients_are_not() -> None:
    """J9."""
    assert options(serving(), use_edns=0) == {}
    assert options(serving()) == {}
    assert options(serving(), use_edns=0, options=[COOKIE]) == {10: b"12345678"}


def test_an_answer_stored_for_another_client_does_not_stand_in_the_way() -> None:
    server = serving()
    for settings in ({}, {"use_edns": 0}, {"use_edns": 0, "options": [COOKIE]}):
        options(server, **settings)
        answer(server, "A.test A", **settings)

    assert options(server, use_edns=0, options=[NSID]) == {3: b"ns1"}


def test_bare_errors_are_not_signed() -> None:
    assert options(serving(outcome=Failed(5)), use_edns=0, options=[NSID]) == {3: b""}


@pytest.mark.parametrize("text", ["nsid\nnsid", "nsid {\nx\n}"])
def test_what_is_refused(text: str) -> None:
    with pytest.raises(CorefileError):
        set_up(nsid.setup, text)
