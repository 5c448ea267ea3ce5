"""Zone files, good and bad."""

import sys

import pytest

from svcdns.plugins.zonefile import parse
from tests.support.records import wire_name, zone_texts

TEXT = b"""$ORIGIN example.org.
$TTL 1h
@   IN SOA ns hostmaster ( 2024 7200 1800 86400 60 ) ; a comment
    NS ns
ns  300 A 10.0.0.1
$GENERATE 1-2 host$ A 10.0.1.$
txt TXT "a;b" "c\\"d"
far.example.net. A 10.0.0.9
"""


def test_records_are_read_with_their_ttls_and_strangers_left_out() -> None:
    assert zone_texts(parse(TEXT, wire_name("example.org"), "db")) == [
        "example.org. 3600 NS ns.example.org.",
        "example.org. 3600 SOA ns.example.org. hostmaster.example.org. 2024 7200 1800 86400 60",
        "host1.example.org. 3600 A 10.0.1.1",
        "host2.example.org. 3600 A 10.0.1.2",
        "ns.example.org. 300 A 10.0.0.1",
        'txt.example.org. 3600 TXT "a;b" "c\\"d"',
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a A 10.0.0.1 10.0.0.2\n", r"db:\d: expected EOL"),
        (b"$TTL 1\na A 10.0.0\n", r"db:\d: "),
        (b"$INCLUDE other\n", "INCLUDE"),
        (b"\xff\xfe", "utf-8"),
        (b"$TTL 1\na CNAME b\na A 10.0.0.1\n", "db"),
    ],
)
def test_what_cannot_be_read_is_told_with_path_and_line(content: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        parse(content, wire_name("example.org"), "db")

    assert str(caught.value).startswith("db:")


def test_without_dnspython_the_message_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "dns.zone", None)

    with pytest.raises(ValueError, match=r"pip install 'svcdns\[zones\]'"):
        parse(TEXT, wire_name("example.org"), "db")
