"""Which stored answers depend on what: from an owner to the keys of its answers.

Answers come in groups that have the same owners: to one Service belong its A, AAAA and SRV in every
EDNS size.  So the owners are there once for a group, and not once for an answer.
"""

from collections.abc import Iterator

from msgspec import Struct

from svcdns.plugins.base import Owner

FEW = 8
"""Keys that a group holds as a tuple, which is smaller than a set and soon searched."""


class _Group(Struct, gc=False, eq=False):
    """Answers with the same owners."""

    owners: tuple[Owner, ...]
    keys: tuple[bytes, ...] | set[bytes] = ()


class Dependents:
    """Keys by owner."""

    def __init__(self) -> None:
        """Begin empty."""
        self._groups: dict[tuple[Owner, ...], _Group] = {}
        self._by_owner: dict[Owner, _Group | set[_Group]] = {}
        "A single group, the usual case of a Service, is held without a container of its own."

    def add(self, key: bytes, owners: tuple[Owner, ...]) -> tuple[Owner, ...]:
        """Note a key that is not here yet; give its owners as the group has them, to be kept."""
        if not owners:
            return ()
        group = self._groups.get(owners)
        if group is None:
            group = self._begin(owners)
        keys = group.keys
        if isinstance(keys, set):
            keys.add(key)
        else:
            group.keys = (*keys, key) if len(keys) < FEW else {*keys, key}
        return group.owners

    def remove(self, key: bytes, owners: tuple[Owner, ...]) -> None:
        """Forget a key that is here, with the owners it was noted with."""
        group = self._groups.get(owners)
        if group is None:
            return
        keys = group.keys
        if isinstance(keys, set):
            keys.discard(key)
        else:
            keys = group.keys = tuple([one for one in keys if one != key])
        if not keys:
            self._end(group)

    def of(self, owner: Owner) -> Iterator[bytes]:
        """Iterate over the keys that depend on an owner; they may be removed meanwhile."""
        held = self._by_owner.get(owner)
        groups = () if held is None else tuple(held) if isinstance(held, set) else (held,)
        for group in groups:
            yield from tuple(group.keys)

    def clear(self) -> None:
        """Forget everything."""
        self._groups.clear()
        self._by_owner.clear()

    def _begin(self, owners: tuple[Owner, ...]) -> _Group:
        group = self._groups[owners] = _Group(owners)
        for owner in owners:
            held = self._by_owner.setdefault(owner, group)
            if isinstance(held, set):
                held.add(group)
            elif held is not group:
                self._by_owner[owner] = {held, group}
        return group

    def _end(self, group: _Group) -> None:
        del self._groups[group.owners]
        for owner in group.owners:
            held = self._by_owner.get(owner)
            if isinstance(held, set):
                held.discard(group)
                if not held:
                    del self._by_owner[owner]
            elif held is group:
                del self._by_owner[owner]
