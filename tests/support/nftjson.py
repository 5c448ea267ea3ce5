"""What ``nft -j list table`` prints, in the words that we write: another reading of a table.

The product asks the kernel (:mod:`svcdns.aio.nftlisting`); tests compare.
"""

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from svcdns.proxy.listing import Listing


class _Named(Struct, gc=False):
    target: str


class _Prefix(Struct, gc=False):
    addr: str
    len: int


class _Expression(Struct, gc=False):
    """Any value that is more than a text or a number; one of the fields is given."""

    concat: list["str | int | _Expression"] | None = None
    prefix: _Prefix | None = None
    range: list[str | int] | None = None
    goto: _Named | None = None
    jump: _Named | None = None
    drop: UnsetType | None = UNSET
    elem: "_Timed | None" = None


_Value = str | int | _Expression


class _Timed(Struct, gc=False):
    val: _Value


class _Set(Struct, gc=False):
    name: str
    elem: list[Raw] = []


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
_ELEMENT = msgspec.json.Decoder(_Value | list[_Value])  # one at a time: a tenth of the memory


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
                elements[found.name] = dict(map(_element, found.elem))
        if item.chain:
            chains[item.chain.name] = []
        if item.rule:
            chains.setdefault(item.rule.chain, []).append(item.rule.comment)
    return Listing(sets, chains, elements)


def _element(text: Raw) -> tuple[str, str]:
    raw = _ELEMENT.decode(text)
    if isinstance(raw, list):
        key, value = raw
        return _text(key), _text(value)
    return _text(raw), ""


def _text(raw: _Value) -> str:
    """Spell one value or expression."""
    if isinstance(raw, str):
        return _class_id(raw) if ":" in raw else raw
    if isinstance(raw, int):
        return str(raw)
    if raw.concat is not None:
        return " . ".join([_text(part) for part in raw.concat])
    if raw.goto:
        return f"goto {raw.goto.target}"
    if raw.elem:
        return _text(raw.elem.val)
    if raw.prefix:
        return f"{raw.prefix.addr}/{raw.prefix.len}"
    if raw.range:
        return "-".join([_text(part) for part in raw.range])
    if raw.jump:
        return f"jump {raw.jump.target}"
    return "drop" if raw.drop is None else "something else"


def _class_id(text: str) -> str:
    """Spell a packet's priority as one number: ``d123:4567`` is 0xd1234567; addresses stay."""
    major, _, minor = text.partition(":")
    if not major or not minor or ":" in minor:
        return text
    return f"{int(major, 16) << 16 | int(minor, 16):#010x}"
