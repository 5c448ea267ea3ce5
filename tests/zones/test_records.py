"""Addresses as Go reads them, and the records of a cluster."""

import pytest

from svcdns.zones.records import packed, soa, srv, txt
from tests.support.records import wire_name, zone_text


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("10.0.0.1", (1, bytes((10, 0, 0, 1)))),
        ("fd00::5", (28, bytes.fromhex("fd00" + "0" * 26 + "05"))),
        ("::ffff:1.2.3.4", (1, bytes((1, 2, 3, 4)))),
        ("010.0.0.1", None),
        ("fe80::1%eth0", None),
        ("api.example.net", None),
        ("", None),
    ],
)
def test_addresses_are_read_as_go_reads_them(text: str, found: object) -> None:
    assert packed(text) == found


def test_records_read_back_as_written() -> None:
    owner = wire_name("a.cluster.local")

    assert zone_text(txt(owner, 7, b"1.1.0")) == 'a.cluster.local. 7 TXT "1.1.0"'
    assert (
        zone_text(srv(owner, 5, weight=33, port=80, target=owner))
        == "a.cluster.local. 5 SRV 0 33 80 a.cluster.local."
    )
    assert (
        zone_text(soa(wire_name("x"), ttl=30, serial=2**32 + 5))
        == "x. 30 SOA ns.dns.x. hostmaster.x. 5 7200 1800 86400 30"
    )
