"""Samples out of Prometheus text, as far as a reader of counters and gauges needs them.

A line that is no sample is passed over: what it meant is unknown, the others are still good.
``prometheus_client`` has a parser, which takes three times as long and stops at the first bad line.

Spec: Prometheus text exposition format 0.0.4, "Text format details".
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

_LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*[ \t]*=[ \t]*"(?:[^"\\\n]|\\.)*"'
_LINE = re.compile(
    r"[ \t]*(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)[ \t]*"
    rf"(?:\{{[ \t]*(?P<labels>(?:{_LABEL}[ \t]*(?:,[ \t]*{_LABEL}[ \t]*)*,?)?)[ \t]*\}})?"
    r"[ \t]*(?P<value>\S+)(?:[ \t]+-?\d+)?[ \t]*\r?"
)
_PAIR = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)[ \t]*=[ \t]*"((?:[^"\\\n]|\\.)*)"')
_ESCAPE = re.compile(r"\\(.)")
_MEANING = {"n": "\n", "\\": "\\", '"': '"'}


class Sample(NamedTuple):
    """One line: a value of a metric."""

    name: str
    labels: dict[str, str]
    value: float


def samples(text: str, prefixes: tuple[str, ...] = ("",)) -> Iterator[Sample]:
    r"""Iterate over the samples whose names begin with one of *prefixes*.

    Args:
        text: What a scrape gave; lines end in ``\n``, other line separators belong to labels.
        prefixes: Of names; lines of others are not parsed.
    """
    for line in text.split("\n"):
        if not line.startswith(prefixes) or not (found := _LINE.fullmatch(line)):
            continue
        try:
            value = float(found["value"])
        except ValueError:
            continue
        pairs = _PAIR.findall(found["labels"] or "")
        yield Sample(found["name"], {name: _plain(text) for name, text in pairs}, value)


def _plain(text: str) -> str:
    """Undo the escapes of a label's value; one that means nothing stays as it is."""
    if "\\" not in text:
        return text
    return _ESCAPE.sub(lambda found: _MEANING.get(found[1], found[0]), text)
