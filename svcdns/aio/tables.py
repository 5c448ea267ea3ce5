"""The kernel's tables follow the plan, and are put right whatever happens to them.

Every change is one transaction for each address family.  When one fails, nothing of it was
applied, and the table is put right in three steps, each for when the one before did not help: the
table is listed and the difference to what it should be is applied, which leaves pins of session
affinity alone; it is made from nothing in one transaction; the service ports that nft refuses are
found by halves, named and left out, and it is made without them.

The kernel tells of every transaction that touches our tables.  When there was one that is not ours,
the table is listed and put right; not without a pause, lest two who disagree keep the node busy.

Rules R100 to R108.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

from msgspec import Struct

from svcdns.aio.nft import Nft, first_line
from svcdns.errors import NftError
from svcdns.metrics import Registry
from svcdns.proxy.metrics import ProxyMetrics
from svcdns.proxy.model import ForwardingPlan, PlanChange, PlanKey
from svcdns.proxy.nft import Table, Transaction
from svcdns.proxy.ruleset import Ruleset
from svcdns.proxy.schema import TABLE_NAME, RulesetOptions

COLLECT_AFTER = 2.0
"""Seconds after the last change at which idle chains are deleted (rule R106: at least 1)."""

LOOK_SHARE = 2
"""A look at the tables that took so long is not repeated before so many times as long."""

log = logging.getLogger(__name__)


class Synced(Struct, frozen=True):
    """What became of one family."""

    family: int
    seconds: float
    operations: int
    ok: bool
    full: bool = False


class Tables:
    """Our tables in this network namespace."""

    def __init__(
        self,
        nft: Nft,
        families: Iterable[int],
        options: RulesetOptions,
        metrics: ProxyMetrics,
        registry: Registry,
        *,
        generation: Callable[[], int],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare; nothing is written before :meth:`start`.

        Args:
            nft: Runs transactions.
            families: 4, 6 or both.
            options: Of the rules.
            metrics: Counts failures.
            registry: For the metrics that kube-proxy has not.
            generation: Gives the kernel's count of transactions that touch our tables; raises
                OSError.
            clock: Monotonic seconds.
        """
        self._nft = nft
        self._metrics = metrics
        self._generation = generation
        self._clock = clock
        self._rulesets = [Ruleset(family, options) for family in families]
        self._expected: int | None = None
        "The kernel's count after our last transaction."
        self._look_at = 0.0
        "When the tables may be looked at again."
        self._changed_at: float | None = None
        self._unwell: set[int] = set()
        "Families whose table could not be put right."
        self._operations = registry.counter(
            "svcdns_proxy_nft_operations_total", "Operations applied to the tables"
        ).cell()
        self._repairs = registry.counter(
            "svcdns_proxy_nft_repairs_total",
            "Tables that were not what they should be and were put right",
        ).cell()
        self._excluded = registry.gauge(
            "svcdns_proxy_nft_excluded_service_ports",
            "Service ports that nft refuses, so that they have no rules",
        ).cell()

    async def start(self, plan: ForwardingPlan) -> list[Synced]:
        """Take over the tables of an earlier process, or make new ones (rules R100 and R105)."""
        found = []
        for ruleset in self._rulesets:
            # Half a second for 100,000 endpoints, twice: probes do not wait for that.
            await asyncio.to_thread(ruleset.take, plan)
            found.append(await self._timed(ruleset, self._restore(ruleset), True))
        self._note()
        return found

    async def follow(self, plan: ForwardingPlan, change: PlanChange) -> list[Synced]:
        """Carry a change out."""
        found = []
        for ruleset in self._rulesets:
            tx = ruleset.update(plan, change.services)
            found.append(await self._timed(ruleset, self._apply(ruleset, tx), False))
        self._changed_at = self._clock()
        return found

    async def _timed(self, ruleset: Ruleset, work: Awaitable[int], full: bool) -> Synced:
        began = self._clock()
        try:
            count = await work
        except NftError as error:
            self._metrics.failed(ruleset.family)
            self._unwell.add(ruleset.family)
            log.error(
                "%s could not be written and stays as it was; trying again: %s",
                ruleset.schema.table,
                first_line(error.stderr),
            )
            return Synced(ruleset.family, self._clock() - began, 0, False, full)
        self._unwell.discard(ruleset.family)
        return Synced(ruleset.family, self._clock() - began, count, True, full)

    async def _apply(self, ruleset: Ruleset, tx: Transaction) -> int:
        """Run a transaction, and whatever it takes if it fails; the number of operations."""
        try:
            return await self._run(tx)
        except NftError as error:
            self._metrics.failed(ruleset.family)
            log.warning(
                "%s: a change of %d operations was refused, the table is put right as a whole: %s",
                ruleset.schema.table,
                len(tx),
                first_line(error.stderr),
            )
            return await self._restore(ruleset)

    async def _restore(self, ruleset: Ruleset) -> int:
        """Make a table what it should be, whatever it is now."""
        try:
            listing = await self._nft.listing(ruleset.schema.table)
            if listing is not None:
                return await self._run(await asyncio.to_thread(ruleset.adopt, listing))
            return sum([await self._run(tx) for tx in ruleset.parts()])
        except NftError as error:
            log.warning(
                "%s is made from nothing: %s", ruleset.schema.table, first_line(error.stderr)
            )
        try:
            return await self._run(ruleset.rebuild())
        except NftError as error:
            await self._exclude(ruleset, first_line(error.stderr))
        return await self._run(ruleset.rebuild())

    async def _run(self, tx: Transaction) -> int:
        await self._nft.run(tx)
        if tx.operations:
            self._operations.value += len(tx)
            if self._expected is not None:
                self._expected += 1
        return len(tx)

    async def _exclude(self, ruleset: Ruleset, why: str) -> None:
        """Find out which service ports nft refuses, and go on without them."""
        if await self._nft.refusal(str(ruleset.trial(()))):
            log.error("%s: nft refuses it even empty: %s", ruleset.schema.table, why)
            return
        async for key, reason in _refused(self._nft, ruleset, ruleset.keys):
            log.error("%s: nft refuses its rules, it goes without: %s", key[0], reason)
            ruleset.exclude((key,))
        self._excluded.value = sum(len(one.excluded) for one in self._rulesets)

    # -- in quiet times

    async def collect(self) -> None:
        """Delete idle chains when the last change is a while ago."""
        if self._changed_at is None or self._clock() - self._changed_at < COLLECT_AFTER:
            return
        self._changed_at = None
        for ruleset in self._rulesets:
            tx = ruleset.collect()
            try:
                await self._run(tx)
            except NftError:
                ruleset.retain(tx)
                self._metrics.cleanup_failed(ruleset.family)
                self._changed_at = self._clock()

    async def look(self, *, always: bool = False) -> list[Synced]:
        """Put the tables right if somebody else may have changed them.

        Args:
            always: Look even if nobody did (rule R101: once an hour).
        """
        if not always and (not self._somebody_was_here() or self._clock() < self._look_at):
            return []
        began, found = self._clock(), []
        self._note()  # what comes from here on is seen at the next look
        for ruleset in self._rulesets:
            unwell = ruleset.family in self._unwell
            done = await self._timed(ruleset, self._restore(ruleset), True)
            found.append(done)
            if unwell and done.ok:
                log.info("%s is right again", ruleset.schema.table)
            elif done.operations:
                self._repairs.value += 1
                log.warning(
                    "%s was changed by somebody else: put right with %d operations;"
                    " nobody but svcdns may write in it",
                    ruleset.schema.table,
                    done.operations,
                )
        self._look_at = self._clock() + LOOK_SHARE * (self._clock() - began)
        return found

    def _somebody_was_here(self) -> bool:
        try:
            return self._generation() != self._expected
        except OSError:
            return False  # then the hourly look is all there is

    def _note(self) -> None:
        try:
            self._expected = self._generation()
        except OSError:
            self._expected = None


async def _refused(
    nft: Nft, ruleset: Ruleset, keys: list[PlanKey]
) -> AsyncIterator[tuple[PlanKey, str]]:
    """Find the service ports that nft refuses, by halves."""
    reason = await nft.refusal(str(ruleset.trial(keys)))
    if not reason or not keys:
        return
    if len(keys) == 1:
        yield keys[0], reason
        return
    middle = len(keys) // 2
    for half in (keys[:middle], keys[middle:]):
        async for found in _refused(nft, ruleset, half):
            yield found


async def clean_up(nft: Nft, families: Iterable[int]) -> bool:
    """Delete our tables (rule R107); whether that worked."""
    done = True
    for family in families:
        table = Table(family, TABLE_NAME)
        tx = Transaction(table)
        tx.add(table)  # deleting needs one
        tx.delete(table)
        try:
            await nft.run(tx)
        except NftError as error:
            log.error("%s could not be deleted: %s", table, first_line(error.stderr))
            done = False
        else:
            log.info("no table %s is left", table)
    return done
