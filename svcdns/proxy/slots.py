"""Slots: the numbers under which the kernel finds a frontend's backends.

Backends of a frontend occupy the slots 0 to N-1 without a gap, because a connection draws a random
number below N.  Which backend has which slot means nothing to a client, so a change moves as few
as it can: new backends take the slots of those that left, and if more left than came, backends
from the end move into the gaps.  One endpoint more or less touches two slots at most, however
many there are.
"""

from collections.abc import Iterable, Sequence

from svcdns.proxy.model import Backend


def arrange(before: Sequence[Backend | None], wanted: Iterable[Backend]) -> tuple[Backend, ...]:
    """Give slots to *wanted*.

    Args:
        before: Who has which slot now; ``None`` for a gap.
        wanted: Who should have one, each address and port once.
    """
    if not before:
        return tuple(wanted)
    missing = {(one.address, one.port): one for one in wanted}
    slots: list[Backend | None] = [
        one and missing.pop((one.address, one.port), None) for one in before
    ]
    newcomers = list(missing.values())[::-1]
    for index, occupant in enumerate(slots):
        if occupant is None and newcomers:
            slots[index] = newcomers.pop()
    return _closed([*slots, *newcomers[::-1]])


def _closed(slots: list[Backend | None]) -> tuple[Backend, ...]:
    """Move backends from the end into the gaps."""
    index = 0
    while index < len(slots):
        if slots[-1] is None:
            slots.pop()
        elif slots[index] is None:
            slots[index] = slots.pop()
        else:
            index += 1
    return tuple(one for one in slots if one is not None)
