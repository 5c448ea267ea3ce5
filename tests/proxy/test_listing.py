"""Listings of nft 1.0.6, as it prints them."""

import pytest

from svcdns.proxy.listing import Listing, parse
from svcdns.proxy.nft import Element

PRINTED = b"""{"nftables": [
{"metainfo": {"version": "1.0.6", "release_name": "Lester Gooch #5", "json_schema_version": 1}},
{"table": {"family": "ip", "name": "svcdns-proxy", "handle": 1}},
{"map": {"family": "ip", "name": "services", "table": "svcdns-proxy", "type": ["ipv4_addr", "inet_proto", "inet_service"], "handle": 2, "map": "verdict", "elem": [
 [{"concat": ["10.0.0.1", "tcp", 80]}, {"goto": {"target": "forward-2"}}],
 [{"concat": ["10.0.0.1", "sctp", 81]}, {"drop": null}],
 [{"concat": ["10.0.0.1", "udp", 81]}, {"jump": {"target": "theirs"}}]]}},
{"map": {"family": "ip", "name": "slots", "table": "svcdns-proxy", "type": ["ipv4_addr", "inet_proto", "inet_service", "classid"], "handle": 3, "map": "ipv4_addr . inet_service", "elem": [
 [{"concat": ["10.0.0.1", "tcp", 80, "d000:1"]}, {"concat": ["10.1.1.1", 8080]}],
 [{"concat": ["fd00::1", "tcp", 80, "d010:ffff"]}, {"concat": ["::", 8080]}]]}},
{"map": {"family": "ip", "name": "session-slots", "table": "svcdns-proxy", "type": ["mark", "classid"], "handle": 4, "map": "classid", "elem": [
 [{"concat": [4277009103, "d000:0"]}, "d123:4567"]]}},
{"map": {"family": "ip", "name": "affinity", "table": "svcdns-proxy", "type": ["mark", "ipv4_addr"], "handle": 5, "map": "classid", "size": 65536, "flags": ["timeout", "dynamic"], "elem": [
 [{"elem": {"val": {"concat": [4277009103, "10.1.1.1"]}, "timeout": 600, "expires": 599}}, "d123:4567"]]}},
{"set": {"family": "ip", "name": "admitted", "table": "svcdns-proxy", "type": ["ipv4_addr", "inet_proto", "inet_service", "ipv4_addr"], "handle": 6, "flags": ["interval"], "elem": [
 {"concat": ["10.0.0.1", "tcp", 80, {"prefix": {"addr": "10.0.0.0", "len": 8}}]},
 {"concat": ["10.0.0.1", "tcp", 80, {"range": ["192.0.2.1", "192.0.2.9"]}]}]}},
{"set": {"family": "ip", "name": "hairpin", "table": "svcdns-proxy", "type": ["ipv4_addr", "ipv4_addr"], "handle": 7}},
{"chain": {"family": "ip", "table": "svcdns-proxy", "name": "idle", "handle": 8}},
{"chain": {"family": "ip", "table": "svcdns-proxy", "name": "refuse", "handle": 9}},
{"rule": {"family": "ip", "table": "svcdns-proxy", "chain": "refuse", "handle": 10, "comment": "svcdns a5c566b9", "expr": [{"reject": {"type": "icmp", "expr": "port-unreachable"}}]}},
{"rule": {"family": "ip", "table": "svcdns-proxy", "chain": "refuse", "handle": 11, "expr": [{"drop": null}]}}
]}"""


def test_everything_comes_back_in_our_words() -> None:
    found = parse(PRINTED)
    assert found.sets == {
        "services": "map",
        "slots": "map",
        "session-slots": "map",
        "affinity": "map",
        "admitted": "set",
        "hairpin": "set",
    }
    assert found.chains == {"idle": [], "refuse": ["svcdns a5c566b9", ""]}
    assert found.elements == {
        "services": {
            "10.0.0.1 . tcp . 80": "goto forward-2",
            "10.0.0.1 . sctp . 81": "drop",
            "10.0.0.1 . udp . 81": "jump theirs",
        },
        "slots": {
            "10.0.0.1 . tcp . 80 . 0xd0000001": "10.1.1.1 . 8080",
            "fd00::1 . tcp . 80 . 0xd010ffff": ":: . 8080",
        },
        "session-slots": {"4277009103 . 0xd0000000": "0xd1234567"},
        "affinity": {"4277009103 . 10.1.1.1": "0xd1234567"},
        "admitted": {
            "10.0.0.1 . tcp . 80 . 10.0.0.0/8": "",
            "10.0.0.1 . tcp . 80 . 192.0.2.1-192.0.2.9": "",
        },
        "hairpin": {},
    }


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'{"nftables": [{"set": {}}]}'])
def test_what_nft_does_not_print_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError):
        parse(text)


def test_a_listing_is_settled_by_what_to_delete_and_what_to_add() -> None:
    found = Listing({}, {}, {"m": {"a": "1", "b": "2"}, "s": {"x": ""}})
    wanted = [Element("m", "a", "1"), Element("m", "b", "3"), Element("t", "k")]
    stale, missing = found.settle(wanted)
    assert stale == [Element("m", "b", "2"), Element("s", "x")]
    assert missing == [Element("m", "b", "3"), Element("t", "k")]
