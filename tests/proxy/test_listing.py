"""Listings are compared with what is wanted."""

from svcdns.proxy.listing import Listing
from svcdns.proxy.nft import Element


def test_a_listing_is_settled_by_what_to_delete_and_what_to_add() -> None:
    found = Listing({}, {}, {"m": {"a": "1", "b": "2"}, "s": {"x": ""}})
    wanted = [Element("m", "a", "1"), Element("m", "b", "3"), Element("t", "k")]
    stale, missing = found.settle(wanted)
    assert stale == [Element("m", "b", "2"), Element("s", "x")]
    assert missing == [Element("m", "b", "3"), Element("t", "k")]
