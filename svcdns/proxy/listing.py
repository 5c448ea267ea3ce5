"""A table as nft lists it: what ``nft -j list table`` prints, in the words that we write.

Rules are known by their comments (:func:`svcdns.proxy.nft.digest`): nft spells rules in ways that
differ between versions.  Elements are read back into exactly the text they were written as.
"""

from typing import Any

import msgspec
from msgspec import Struct

from svcdns.proxy.nft import Element


class Listing(Struct, frozen=True):
    """What a table contains."""

    sets: dict[str, str]
    "Name to ``set`` or ``map``."
    chains: dict[str, list[str]]
    "Name to the comments of its rules, in order; empty text for a rule without."
    elements: dict[str, dict[str, str]]
    "Key to value, by set."

    def difference(self, wanted: dict[str, dict[str, str]]) -> tuple[list[Element], list[Element]]:
        """Give the elements that are wrong here, and those that are missing, of *wanted*'s sets."""
        stale = [
            Element(name, key, value)
            for name, elements in wanted.items()
            for key, value in self.elements.get(name, {}).items()
            if elements.get(key) != value
        ]
        missing = [
            Element(name, key, value)
            for name, elements in wanted.items()
            for key, value in elements.items()
            if self.elements.get(name, {}).get(key) != value
        ]
        return stale, missing


class _Set(Struct, gc=False):
    name: str
    elem: list[Any] = []


class _Chain(Struct, gc=False):
    name: str


class _Rule(Struct, gc=False):
    chain: str
    comment: str = ""


class _Item(Struct, gc=False):
    set: _Set | None = None
    map: _Set | None = None
    chain: _Chain | None = None
    rule: _Rule | None = None


class _Document(Struct):
    nftables: list[_Item]


_DECODER = msgspec.json.Decoder(_Document)


def parse(text: bytes) -> Listing:
    """Read the JSON of one table.

    Raises:
        ValueError: It is not what nft prints.
    """
    sets: dict[str, str] = {}
    chains: dict[str, list[str]] = {}
    elements: dict[str, dict[str, str]] = {}
    for item in _DECODER.decode(text).nftables:
        for word, found in (("set", item.set), ("map", item.map)):
            if found:
                sets[found.name] = word
                elements[found.name] = dict(_element(one, word == "map") for one in found.elem)
        if item.chain:
            chains[item.chain.name] = []
        if item.rule:
            chains.setdefault(item.rule.chain, []).append(item.rule.comment)
    return Listing(sets, chains, elements)


def _element(raw: Any, mapped: bool) -> tuple[str, str]:
    key, value = raw if mapped else (raw, None)
    if isinstance(key, dict) and "elem" in key:
        key = key["elem"]["val"]
    return _text(key), "" if value is None else _text(value)


def _text(raw: Any) -> str:
    """Spell one value or expression."""
    match raw:
        case str():
            return _class_id(raw)
        case int():
            return str(raw)
        case {"concat": parts}:
            return " . ".join([_text(part) for part in parts])
        case {"prefix": {"addr": address, "len": length}}:
            return f"{address}/{length}"
        case {"range": [first, last]}:
            return f"{_text(first)}-{_text(last)}"
        case {"goto": {"target": chain}}:
            return f"goto {chain}"
        case {"jump": {"target": chain}}:
            return f"jump {chain}"
        case {"drop": None}:
            return "drop"
        case _:
            return msgspec.json.encode(raw).decode()


def _class_id(text: str) -> str:
    """Spell a packet's priority as one number: ``d123:4567`` is 0xd1234567; others stay."""
    major, colon, minor = text.partition(":")
    if not colon or not minor or ":" in minor or "." in minor:
        return text
    try:
        return f"{int(major, 16) << 16 | int(minor, 16):#010x}"
    except ValueError:
        return text
