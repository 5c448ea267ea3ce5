"""Sets of characters as ranges of code points, for :mod:`svcdns.plugins.goregexp`.

Spec: https://pkg.go.dev/regexp/syntax (Perl, ASCII and Unicode classes), Unicode Standard Annex 24
(scripts).
"""

from collections.abc import Iterator
from functools import lru_cache
from itertools import groupby

Ranges = tuple[tuple[int, int], ...]
"""Code points from, to; ascending and apart."""

LAST = 0x10FFFF
"""The highest code point."""

DIGIT: Ranges = ((48, 57),)
WORD: Ranges = ((48, 57), (65, 90), (95, 95), (97, 122))
SPACE: Ranges = ((9, 10), (12, 13), (32, 32))
PERL: dict[str, Ranges] = {"d": DIGIT, "w": WORD, "s": SPACE}
"""By the letter behind the backslash."""

POSIX: dict[str, Ranges] = {
    "alnum": ((48, 57), (65, 90), (97, 122)),
    "alpha": ((65, 90), (97, 122)),
    "ascii": ((0, 127),),
    "blank": ((9, 9), (32, 32)),
    "cntrl": ((0, 31), (127, 127)),
    "digit": DIGIT,
    "graph": ((33, 126),),
    "lower": ((97, 122),),
    "print": ((32, 126),),
    "punct": ((33, 47), (58, 64), (91, 96), (123, 126)),
    "space": ((9, 13), (32, 32)),
    "upper": ((65, 90),),
    "word": WORD,
    "xdigit": ((48, 57), (65, 70), (97, 102)),
}
"""By the name between ``[:`` and ``:]``."""


_UNASSIGNED = "Cn"
"""In no class of Go's."""

_SCRIPTS = (
    "Adlam Ahom Anatolian_Hieroglyphs Arabic Armenian Avestan Balinese Bamum Bassa_Vah Batak"
    " Bengali Bhaiksuki Bopomofo Brahmi Braille Buginese Buhid Canadian_Aboriginal Carian"
    " Caucasian_Albanian Chakma Cham Cherokee Chorasmian Common Coptic Cuneiform Cypriot"
    " Cypro_Minoan Cyrillic Deseret Devanagari Dives_Akuru Dogra Duployan Egyptian_Hieroglyphs"
    " Elbasan Elymaic Ethiopic Georgian Glagolitic Gothic Grantha Greek Gujarati Gunjala_Gondi"
    " Gurmukhi Han Hangul Hanifi_Rohingya Hanunoo Hatran Hebrew Hiragana Imperial_Aramaic Inherited"
    " Inscriptional_Pahlavi Inscriptional_Parthian Javanese Kaithi Kannada Katakana Kawi Kayah_Li"
    " Kharoshthi Khitan_Small_Script Khmer Khojki Khudawadi Lao Latin Lepcha Limbu Linear_A"
    " Linear_B Lisu Lycian Lydian Mahajani Makasar Malayalam Mandaic Manichaean Marchen"
    " Masaram_Gondi Medefaidrin Meetei_Mayek Mende_Kikakui Meroitic_Cursive Meroitic_Hieroglyphs"
    " Miao Modi Mongolian Mro Multani Myanmar Nabataean Nag_Mundari Nandinagari New_Tai_Lue Newa"
    " Nko Nushu Nyiakeng_Puachue_Hmong Ogham Ol_Chiki Old_Hungarian Old_Italic Old_North_Arabian"
    " Old_Permic Old_Persian Old_Sogdian Old_South_Arabian Old_Turkic Old_Uyghur Oriya Osage"
    " Osmanya Pahawh_Hmong Palmyrene Pau_Cin_Hau Phags_Pa Phoenician Psalter_Pahlavi Rejang Runic"
    " Samaritan Saurashtra Sharada Shavian Siddham SignWriting Sinhala Sogdian Sora_Sompeng Soyombo"
    " Sundanese Syloti_Nagri Syriac Tagalog Tagbanwa Tai_Le Tai_Tham Tai_Viet Takri Tamil Tangsa"
    " Tangut Telugu Thaana Thai Tibetan Tifinagh Tirhuta Toto Ugaritic Vai Vithkuqi Wancho"
    " Warang_Citi Yezidi Yi Zanabazar_Square"
)
"""Names of Go's ``unicode.Scripts``."""


@lru_cache(maxsize=1)
def _categories() -> dict[str, list[tuple[int, int]]]:
    """Give the code points of every general category; takes a moment, once."""
    import unicodedata  # a megabyte, for patterns that hardly anybody writes

    found: dict[str, list[tuple[int, int]]] = {}
    kinds = map(unicodedata.category, map(chr, range(LAST + 1)))
    start = 0
    for kind, run in groupby(kinds):
        end = start + len(tuple(run))
        found.setdefault(kind, []).append((start, end - 1))
        start = end
    found.pop(_UNASSIGNED)
    return found


def unicode_class(name: str) -> Ranges:
    r"""Give the class of ``\p{name}``: a general category, a script, or ``Any``.

    Patterns are tried on names and messages, in which whatever is not ASCII is escaped.  So a
    script is what it has of ASCII: letters are Latin, the rest is common to all.

    Raises:
        ValueError: Go knows no such class.
    """
    if name == "Any":
        return ((0, LAST),)
    if name in _SCRIPTS.split():
        latin = POSIX["alpha"]
        return {"Latin": latin, "Common": tuple(_outside(latin, 127))}.get(name, ())
    found = [
        pair for kind, pairs in _categories().items() if kind.startswith(name) for pair in pairs
    ]
    if not found or not name:
        raise ValueError(f"invalid character class range: \\p{{{name}}}")
    return merged(found)


def perl(char: str) -> Ranges:
    r"""Give the class of ``\d``, ``\w``, ``\s``, or of their negations in upper case."""
    return negated(PERL[char.lower()]) if char.isupper() else PERL[char]


def merged(ranges: list[tuple[int, int]]) -> Ranges:
    """Put ranges in order and touching ones together."""
    found: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if found and low <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(high, found[-1][1]))
        else:
            found.append((low, high))
    return tuple(found)


def union(*ranges: Ranges) -> Ranges:
    """Give what is in one of the sets."""
    return merged([pair for each in ranges for pair in each])


def negated(ranges: Ranges) -> Ranges:
    """Give what is not in the set."""
    return tuple(_outside(ranges, LAST))


def _outside(ranges: Ranges, last: int) -> Iterator[tuple[int, int]]:
    start = 0
    for low, high in ranges:
        if start < low:
            yield start, low - 1
        start = high + 1
    if start <= last:
        yield start, last


def folded(ranges: Ranges) -> Ranges:
    """Add the other case of ASCII letters."""
    found = list(ranges)
    for start, other in ((65, 97), (97, 65)):
        for low, high in ranges:
            low, high = max(low, start), min(high, start + 25)
            if low <= high:
                found.append((low - start + other, high - start + other))
    return merged(found)


def overlap(one: Ranges, two: Ranges) -> bool:
    """Whether a character is in both sets."""
    return any(low <= top and bottom <= high for low, high in one for bottom, top in two)


def written(code: int) -> str:
    """Write a code point so that it stands for itself in a class of :mod:`re`."""
    char = chr(code)
    return char if char.isascii() and char.isalnum() else f"\\U{code:08x}"
