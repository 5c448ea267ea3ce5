"""Orders of the address records of one answer.

Parity: CoreDNS ``plugin/loadbalance`` (rule J19): CNAMEs first, then other types, then A and AAAA
in a new order, then MX in a new order.
"""

from collections.abc import Callable, Iterator, Sequence

from msgspec.structs import replace

from svcdns.dns.constants import RRType
from svcdns.dns.response import Record, Response

ORDERS = 16
"""Stored orders of one answer: enough that clients spread, few enough that they cost little."""

_ADDRESS = frozenset({RRType.A, RRType.AAAA})


def shuffle(response: Response, random: Callable[[], float]) -> Response:
    """Put address and MX records of ANSWER and ADDITIONAL in a random order."""
    if len(response.answer) < 2 and len(response.additional) < 2:
        return response
    return replace(
        response,
        answer=_section(response.answer, random),
        additional=_section(response.additional, random),
    )


def orders(response: Response) -> Iterator[Response]:
    """Give further orders of an answer, such that every address comes first equally often.

    These are rotations: with up to :data:`ORDERS` addresses one for each but the first, with more
    addresses at even distances.
    """
    fixed = tuple(record for record in response.answer if record.rrtype not in _ADDRESS)
    moving = tuple(record for record in response.answer if record.rrtype in _ADDRESS)
    size = len(moving)
    count = min(size, ORDERS)
    for turn in range(1, count):
        at = turn * size // count
        yield replace(response, answer=(*fixed, *moving[at:], *moving[:at]))


def _section(records: Sequence[Record], random: Callable[[], float]) -> tuple[Record, ...]:
    if len(records) < 2:
        return tuple(records)
    groups: dict[str, list[Record]] = {"cname": [], "other": [], "address": [], "mx": []}
    for record in records:
        if record.rrtype == RRType.CNAME:
            groups["cname"].append(record)
        elif record.rrtype in _ADDRESS:
            groups["address"].append(record)
        elif record.rrtype == RRType.MX:
            groups["mx"].append(record)
        else:
            groups["other"].append(record)
    _shuffle_in_place(groups["address"], random)
    _shuffle_in_place(groups["mx"], random)
    return (*groups["cname"], *groups["other"], *groups["address"], *groups["mx"])


def _shuffle_in_place(records: list[Record], random: Callable[[], float]) -> None:
    """Fisher and Yates."""
    for last in range(len(records) - 1, 0, -1):
        other = int(random() * (last + 1))
        records[last], records[other] = records[other], records[last]
