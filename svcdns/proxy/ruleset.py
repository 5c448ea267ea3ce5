"""The table that carries a forwarding plan out, kept up to date by transactions.

:class:`Ruleset` holds what the table should contain.  :meth:`Ruleset.take` tells it a first plan;
:meth:`Ruleset.update` gives the operations for a change of some service ports, at their cost alone;
:meth:`Ruleset.adopt` those that turn a table as it was found into the right one;
:meth:`Ruleset.parts` those that make it where there is none, in bites, and :meth:`Ruleset.rebuild`
those that replace whatever is there, in one.  However it came about, the table has the same
elements, but for which backend of a frontend has which slot (:mod:`svcdns.proxy.slots`).

The caller runs every transaction.  When one fails nothing of it was applied, and the caller goes
on with a rebuild.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from ipaddress import ip_address
from itertools import islice
from typing import Any

from svcdns.proxy import schema
from svcdns.proxy.elements import (
    Contribution,
    Placed,
    collapsed,
    contribution,
    place,
    seated,
    session_of,
)
from svcdns.proxy.listing import Listing
from svcdns.proxy.model import ForwardingPlan, PlanKey, ServicePlan
from svcdns.proxy.nft import Chain, Element, Set, Transaction
from svcdns.proxy.schema import RulesetOptions, Schema

PART = 20_000
"""Operations of one part of a new table: nft needs 2 KB of memory for each while it runs."""


class Ruleset:
    """What the table of one address family should contain."""

    def __init__(self, family: int, options: RulesetOptions) -> None:
        self.schema = Schema(family, options)
        self.excluded: set[PlanKey] = set()
        "Service ports that are kept out of the table until their plan changes."
        self._placed: dict[PlanKey, Placed] = {}
        self._sessions: dict[int, PlanKey] = {}
        self._shared: Counter[Element] = Counter()
        self._uses: Counter[str] = Counter()
        self._chains: dict[str, Chain] = {}
        "Chains that the table has; those that nothing leads to are there without rules."
        self._pins: dict[str, Set] = {}
        "Maps of sessions that the table has, by name."
        self._fixed = self.schema.fixed_chains(False)
        self._node: frozenset[Element] = frozenset()

    @property
    def family(self) -> int:
        """4 or 6."""
        return self.schema.family

    @property
    def keys(self) -> list[PlanKey]:
        """The service ports in the table, sorted."""
        return sorted(self._placed)

    def take(self, plan: ForwardingPlan) -> None:
        """Start from *plan*, with no table in mind yet: :meth:`parts` or :meth:`adopt` is next."""
        changes = _Changes(elements=False)
        for key in sorted(plan.services):
            if key[1] == self.family:
                self._replace(key, plan.services[key], changes)
        unused = Transaction(self.schema.table)
        self._follow_node(plan, unused, changes)
        self._write(changes, unused)

    def update(self, plan: ForwardingPlan, changed: Iterable[PlanKey]) -> Transaction:
        """Follow *plan*, which differs from the last one in *changed* and in the node's part.

        Keys of the other family are passed over.  An excluded service port gets another chance.
        """
        changes = _Changes()
        for key in sorted(changed):
            if key[1] == self.family:
                self.excluded.discard(key)
                self._replace(key, plan.services.get(key), changes)
        tx = Transaction(self.schema.table)
        self._follow_node(plan, tx, changes)
        self._write(changes, tx)
        return tx

    def exclude(self, keys: Iterable[PlanKey]) -> Transaction:
        """Keep service ports out of the table, because nft refuses them."""
        changes = _Changes()
        for key in keys:
            self.excluded.add(key)
            self._replace(key, None, changes)
        tx = Transaction(self.schema.table)
        self._write(changes, tx)
        return tx

    def _replace(self, key: PlanKey, plan: ServicePlan | None, changes: "_Changes") -> None:
        before = self._placed.pop(key, None)
        if before and before.session and not (plan and plan.affinity):
            del self._sessions[before.session]
        after = None
        if plan is not None:
            after = self._placed[key] = place(plan, self._session(plan), before)
        changes.replace(contribution(self.schema, before), contribution(self.schema, after))

    def _session(self, plan: ServicePlan) -> int:
        """Find the identity of a service port's pins; another one where two meet by chance."""
        if not plan.affinity:
            return 0
        session = session_of(plan.id)
        while self._sessions.setdefault(session, plan.key) != plan.key:
            session = (session + schema.FIRST_SESSION) & schema.SESSIONS or schema.FIRST_SESSION
        return session

    def _follow_node(self, plan: ForwardingPlan, tx: Transaction, changes: "_Changes") -> None:
        wanted = frozenset(self._node_elements(plan))
        changes.deleted += self._node - wanted
        changes.added += wanted - self._node
        self._node = wanted
        fixed = self.schema.fixed_chains(self.family in plan.node_ports.any_of)
        for old, new in zip(self._fixed, fixed, strict=True):
            if old != new:
                tx.flush(new)
                tx.add(new)
        self._fixed = fixed

    def _node_elements(self, plan: ForwardingPlan) -> Iterator[Element]:
        for address in plan.node_ports.addresses:
            if ip_address(address).version == self.family:
                yield Element(schema.NODE_PORT_ADDRESSES, address)
        for cidr in collapsed(c for c in plan.service_cidrs if self._mine(c)):
            yield Element(schema.SERVICE_CIDRS, cidr)

    def _mine(self, address: str) -> bool:
        return (":" in address) == (self.family == 6)

    def _write(self, changes: "_Changes", tx: Transaction) -> None:
        """Turn changes into operations: what goes, chains, what comes."""
        gone, come = _settle(self._shared, changes.shared)
        tx.delete(*_by_set([*changes.deleted, *gone]))
        for name, one in self._wanted_pins().items():
            if name not in self._pins:
                tx.add(one)
                self._pins[name] = one
        _settle(self._uses, changes.uses)
        for name in changes.uses:
            old = self._chains.get(name)
            if self._uses[name]:
                new = changes.chains.get(name, old)
            else:
                new = old and Chain(name, ())
            if old == new or new is None:
                continue
            if old and old.rules:
                tx.flush(new)
            if new.rules:
                tx.add(new)
            self._chains[name] = new
        tx.add(*_by_set([*changes.added, *come]))

    def _wanted_pins(self) -> dict[str, Set]:
        """Give the maps of all sessions: few, in most clusters none."""
        return {one.name: one for one in map(self.schema.affinity, self._sessions)}

    def collect(self) -> Transaction:
        """Delete the chains that nothing leads to, and the pins of sessions that ended.

        Their rules went when they fell idle.  Kernels before 6.2 call a chain busy in the
        transaction that takes the last way to it, and for a moment afterwards, so the caller does
        this a second or more after an update (rule R106); should it fail all the same, it calls
        :meth:`retain`.
        """
        tx = Transaction(self.schema.table)
        tx.delete(*(chain for name, chain in self._chains.items() if not self._uses[name]))
        self._chains = {name: c for name, c in self._chains.items() if self._uses[name]}
        wanted = self._wanted_pins()
        tx.delete(*(one for name, one in self._pins.items() if name not in wanted))
        self._pins = wanted
        return tx

    def retain(self, refused: Transaction) -> None:
        """Take note that a :meth:`collect` was refused: what it deletes is still there."""
        for operation in refused.operations:
            match operation.thing:
                case Chain() as chain:
                    self._chains.setdefault(chain.name, chain)
                case Set() as one:
                    self._pins.setdefault(one.name, one)

    def parts(self, size: int = PART) -> Iterator[Transaction]:
        """Make the table where there is none, in transactions to be run one after the other.

        A packet sees nothing of it before the last one, which has the chains that packets enter by,
        so the whole takes effect at once all the same (rule R103).  Each part is made when it is
        asked for: no more than one of them needs memory, here and in nft.

        Args:
            size: Operations of a part, about.
        """
        self._chains = {name: c for name, c in self._chains.items() if self._uses[name]}
        self._pins = self._wanted_pins()
        yield from self._from_nothing(self._chains.values(), self._elements(), size)

    def rebuild(self) -> Transaction:
        """Replace whatever table there is, in one transaction."""
        return self._joined(self.parts())

    def trial(self, keys: Iterable[PlanKey]) -> Transaction:
        """Make a table with these service ports only, to find out which of them nft refuses."""
        chains: dict[str, Chain] = {}
        elements: set[Element] = set()
        for key in keys:
            own = contribution(self.schema, self._placed[key])
            chains.update(own.chains)
            elements.update(own.shared, _elements(own))
        return self._joined(self._from_nothing(chains.values(), sorted(elements), PART))

    def _from_nothing(
        self, chains: Iterable[Chain], elements: Iterable[Element], size: int
    ) -> Iterator[Transaction]:
        tx = Transaction(self.schema.table)
        tx.start_over()
        tx.add(*self.schema.sets(), *self._wanted_pins().values())
        tx.add(*(chain for chain in self._fixed if not chain.hook), *chains)
        for some in _batched(elements, size):
            tx.add(*_by_set(some))
            yield tx
            tx = Transaction(self.schema.table)
        tx.add(*(chain for chain in self._fixed if chain.hook))
        yield tx

    def _joined(self, parts: Iterable[Transaction]) -> Transaction:
        tx = Transaction(self.schema.table)
        for part in parts:
            tx.operations += part.operations
        return tx

    def adopt(self, found: Listing) -> Transaction:
        """Turn a table as it was found into the right one, changing only what is wrong.

        Backends keep the slots that they have there, and pins of session affinity stay.  The
        listing is used up.
        """
        pins = {name for name in found.sets if name.startswith(schema.AFFINITY)}
        fixed = {one.name: one.word for one in self.schema.sets()}
        if {name: word for name, word in found.sets.items() if name not in pins} != fixed:
            return self.rebuild()
        for key, placed in list(self._placed.items()):
            self._placed[key] = place(
                placed.plan, placed.session, seated(self.schema, found.elements, placed)
            )
        for name in pins:
            del found.elements[name]  # these are made by connections
        tx = Transaction(self.schema.table)
        wanted = self._wanted_pins()
        tx.add(*(one for name, one in wanted.items() if name not in pins))
        # The rest is for the next collect.
        self._pins = {**wanted, **{name: Set(name, "", "classid") for name in pins - wanted.keys()}}
        stale, missing = found.settle(self._elements())
        tx.delete(*stale)
        self._adopt_chains(found, tx)
        tx.add(*_by_set(missing))
        return tx

    def _adopt_chains(self, found: Listing, tx: Transaction) -> None:
        self._chains = {name: c for name, c in self._chains.items() if self._uses[name]}
        for chain in (*self._fixed, *self._chains.values()):
            comments = found.chains.get(chain.name)
            if comments != chain.comments():
                if comments is not None:
                    tx.flush(chain)
                tx.add(chain)
        own = {chain.name for chain in self._fixed} | self._chains.keys()
        strange = [Chain(name, ()) for name in found.chains if name not in own]
        tx.flush(*(chain for chain in strange if found.chains[chain.name]))
        for chain in strange:
            self._chains[chain.name] = chain  # for the next collect

    def _elements(self) -> Iterator[Element]:
        """List all elements but those that connections make."""
        yield from self._node
        yield from (element for element, uses in self._shared.items() if uses)
        for placed in self._placed.values():
            yield from _elements(contribution(self.schema, placed))


class _Changes:
    """What a number of replaced contributions come to."""

    def __init__(self, *, elements: bool = True) -> None:
        """Begin with none.

        Args:
            elements: Whether elements are of interest, or only what service ports share.
        """
        self._wanted = elements
        self.deleted: list[Element] = []
        self.added: list[Element] = []
        self.shared: Counter[Element] = Counter()
        self.uses: Counter[str] = Counter()
        self.chains: dict[str, Chain] = {}

    def replace(self, old: Contribution, new: Contribution) -> None:
        """Note that *new* takes the place of *old*."""
        if self._wanted:
            self._replace_elements(old.elements, new.elements)
        self.shared.subtract(old.shared)
        self.shared.update(new.shared)
        self.uses.subtract(old.chains.keys())
        self.uses.update(new.chains.keys())
        self.chains.update(new.chains)

    def _replace_elements(
        self, old: dict[tuple[str, str], str], new: dict[tuple[str, str], str]
    ) -> None:
        for (name, key), value in old.items():
            if new.get((name, key)) != value:
                self.deleted.append(Element(name, key, value))
        for (name, key), value in new.items():
            if old.get((name, key)) != value:
                self.added.append(Element(name, key, value))


def _batched(elements: Iterable[Element], size: int) -> Iterator[list[Element]]:
    """Cut elements into lists of *size*."""
    rest = iter(elements)
    while some := list(islice(rest, size)):
        yield some


def _settle(counts: Counter[Any], changes: Counter[Any]) -> tuple[list[Any], list[Any]]:
    """Work changes into counts; give what is no longer counted, and what is counted now."""
    gone, come = [], []
    for thing, step in changes.items():
        if not step:
            continue
        before = counts[thing]
        counts[thing] += step
        if not before:
            come.append(thing)
        elif not counts[thing]:
            gone.append(thing)
            del counts[thing]
    return gone, come


def _elements(own: Contribution) -> Iterator[Element]:
    for (name, key), value in own.elements.items():
        yield Element(name, key, value)


def _by_set(elements: Iterable[Element]) -> Iterator[Element]:
    """Order elements so that those of one set are together, and share a command."""
    sets: dict[str, list[Element]] = {}
    for element in elements:
        sets.setdefault(element.of, []).append(element)
    for run in sets.values():
        yield from run
