from typing import Any

import pytest
from msgspec.structs import replace

from svcdns import __version__
from svcdns.plugins import chaos
from svcdns.plugins.base import Failed
from svcdns.plugins.commands import Transport
from svcdns.plugins.server import Server
from tests.support.corefile import Outside, directives
from tests.support.serving import always, answer, rows, server_of


def serving(text: str, *numbers: float) -> Server:
    outside = Outside(numbers=numbers or (0.0,))
    context = replace(outside.context(), hostname="ns1")
    return server_of([chaos.setup(directives(text), context), always(Failed(3), "forward")])


def texts(server: Server, name: str, **settings: Any) -> list[str]:
    message = answer(server, name, rdclass="CH", **settings)
    assert rows(message)[:2] == ("NOERROR", "qr rd")
    return [str(rdata).strip('"') for rrset in message.answer for rdata in rrset]


NAMES = [
    ("chaos", "version.bind TXT", [f"svcdns-{__version__}"]),
    ("chaos", "version.server TXT", [f"svcdns-{__version__}"]),
    ("chaos", "authors.bind TXT", ["The svcdns authors"]),
    ("chaos", "hostname.bind TXT", ["ns1"]),
    ("chaos", "ID.Server TXT", ["ns1"]),
    ("chaos v1", "version.bind TXT", ["v1"]),
    ("chaos v1", "authors.bind TXT", ["The svcdns authors"]),
    ('chaos v1 "Jo Example" "Jo Example"', "authors.bind TXT", ["Jo Example"]),
    ("chaos " + "v" * 300, "version.bind TXT", ["v" * 255]),
]


@pytest.mark.parametrize(("text", "name", "found"), NAMES)
def test_five_names_have_answers(text: str, name: str, found: list[str]) -> None:
    """J4."""
    assert texts(serving(text), name) == found


def test_records_are_of_class_chaos_and_not_to_be_kept() -> None:
    """J4."""
    found = rows(answer(serving("chaos v1"), "version.bind TXT", rdclass="CH"))

    assert found[2] == ['version.bind. 0 CH TXT "v1"']


def test_authors_come_in_a_random_order_that_is_not_stored() -> None:
    server = serving("chaos v1 a b", 0.1, 0.2, 0.2, 0.1)

    assert texts(server, "authors.bind TXT") == ["a", "b"]
    assert texts(server, "authors.bind TXT") == ["b", "a"]
    assert not server.table(Transport.UDP, "1").entries
    texts(server, "version.bind TXT")
    assert len(server.table(Transport.UDP, "1").entries) == 1


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("version.bind TXT", {}),
        ("version.bind A", {"rdclass": "CH"}),
        ("other.bind TXT", {"rdclass": "CH"}),
    ],
)
def test_other_questions_are_the_next_plugins(name: str, settings: dict[str, Any]) -> None:
    assert rows(answer(serving("chaos"), name, **settings))[0] == "NXDOMAIN"
