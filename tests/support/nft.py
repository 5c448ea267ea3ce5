"""An nftables of our own: runs the transactions that we write, and sends packets through them.

Only the words that :mod:`svcdns.proxy.schema` uses are known; anything else fails loudly.  What
the kernel refuses is refused: an element twice with two values, a deletion of what is not there,
a chain that something leads to.  ``tests/netns`` holds the same cases against the real thing.
"""

import copy
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network

from svcdns.proxy.listing import Listing
from svcdns.proxy.nft import Transaction
from svcdns.proxy.schema import ADMITTED, AFFINITY, LOCAL_SLOTS, SERVICE_CIDRS, SLOTS


class Refused(Exception):
    """The kernel would say no; nothing was applied."""


class _Draw(Exception):
    """A random number below *count* is needed."""

    def __init__(self, count: int) -> None:
        self.count = count


class _End(Exception):
    """The packet's way ends."""

    def __init__(self, outcome: str) -> None:
        self.outcome = outcome


@dataclass(slots=True)
class Packet:
    """The first packet of a connection."""

    saddr: str
    protocol: str
    daddr: str
    dport: int
    local: bool = False
    "Whether it starts on this node."
    interface: str = ""
    here: tuple[str, ...] = ()
    "Addresses of this node."
    mark: int = 0
    priority: int = 0
    target: str = ""
    translated: bool = False


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a packet."""

    verdict: str
    "``dnat``, ``reject``, ``drop`` or ``pass``."
    target: str = ""
    masquerade: bool = False
    mark: int = 0
    priority: int = 0


@dataclass
class Table:
    """The table of one family."""

    family: str
    exists: bool = False
    sets: dict[str, str] = field(default_factory=dict)
    hooks: dict[str, str] = field(default_factory=dict)
    chains: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    elements: dict[str, dict[str, str]] = field(default_factory=dict)
    until: dict[str, float] = field(default_factory=dict)
    "When pins end."
    intervals: set[str] = field(default_factory=set)
    transactions: int = 0

    # -- transactions ------------------------------------------------------------------------

    def run(self, tx: Transaction | str) -> None:
        """Apply all of it or nothing."""
        before = copy.deepcopy(self.__dict__)
        try:
            for line in str(tx).splitlines():
                self._command(line)
            self._check_references()
        except Refused:
            self.__dict__.update(before)
            raise
        self.transactions += 1

    def _command(self, line: str) -> None:
        found = re.fullmatch(r"(add|delete|flush) (\w+) (ip6?) svcdns-proxy ?(.*)", line)
        if not found or found[3] != self.family:
            raise AssertionError(f"not understood: {line}")
        verb, what, _, rest = found.groups()
        if what == "table":
            self._table(verb)
            return
        if not self.exists:
            raise Refused(f"no such table: {line}")
        name, _, body = rest.partition(" ")
        match what:
            case "set" | "map":
                if verb == "delete":
                    if any(
                        f"@{name} " in f"{text} " for r in self.chains.values() for text, _ in r
                    ):
                        raise Refused(f"busy: {name}")
                    del self.sets[name], self.elements[name]
                    return
                assert verb == "add"
                self.sets[name] = what
                self.elements.setdefault(name, {})
                if "flags interval" in body:
                    self.intervals.add(name)
            case "chain":
                self._chain(verb, name, body)
            case "rule":
                text = re.fullmatch(r'(.*) comment "([^"]*)"', body)
                assert text
                if name not in self.chains:
                    raise Refused(f"no such chain: {line}")
                self.chains[name].append((text[1], text[2]))
            case "element":
                for element in body.removeprefix("{ ").removesuffix(" }").split(", "):
                    self._element(verb, name, element)

    def _table(self, verb: str) -> None:
        if verb == "add":
            self.exists = True
            return
        assert verb == "delete"
        for part in (self.sets, self.hooks, self.chains, self.elements, self.until):
            part.clear()
        self.intervals.clear()
        self.exists = False

    def _chain(self, verb: str, name: str, body: str) -> None:
        if verb == "add":
            self.chains.setdefault(name, [])
            if hook := re.search(r"hook (\w+)", body):
                self.hooks[name] = hook[1]
            return
        if name not in self.chains:
            raise Refused(f"no such chain: {name}")
        if verb == "flush":
            self.chains[name].clear()
        else:
            del self.chains[name]

    def _element(self, verb: str, name: str, text: str) -> None:
        key, _, value = text.partition(" : ")
        if name not in self.sets or bool(value) != (self.sets[name] == "map" and verb == "add"):
            raise Refused(f"not an element of {name}: {text}")
        elements = self.elements[name]
        if verb == "delete":
            if key not in elements:
                raise Refused(f"no such element of {name}: {key}")
            del elements[key]
            return
        if elements.get(key, value) != value:
            raise Refused(f"file exists: {name} {text}, is {elements[key]}")
        elements[key] = value

    def _check_references(self) -> None:
        """Refuse chains and sets that are led to and missing."""
        if not self.exists:
            return
        targets = {
            value.split()[1]
            for elements in self.elements.values()
            for value in elements.values()
            if value.startswith("goto ")
        }
        for rules in self.chains.values():
            for text, _ in rules:
                targets.update(re.findall(r"(?:goto|jump) (\S+)", text))
                for name in re.findall(r"@(\S+)", text):
                    if name not in self.sets:
                        raise Refused(f"no such set: {name}")
        for name in targets:
            if name not in self.chains:
                raise Refused(f"busy, or no such chain: {name}")

    # -- looking at it -----------------------------------------------------------------------

    def listing(self) -> Listing:
        """Give what ``nft -j list table`` would say."""
        return Listing(
            dict(self.sets),
            {name: [comment for _, comment in rules] for name, rules in self.chains.items()},
            {name: dict(elements) for name, elements in self.elements.items()},
        )

    def canonical(self) -> object:
        """Give all that matters: not which slot a backend has, nor what waits to be deleted."""
        elements = {name: dict(found) for name, found in self.elements.items()}
        for name in (SLOTS, "session-slots"):
            seats: dict[tuple[str, bool], list[tuple[int, str]]] = {}
            for key, value in elements.pop(name, {}).items():
                head, _, slot = key.rpartition(" . ")
                number = int(slot, 16)
                seats.setdefault((head, number >= LOCAL_SLOTS), []).append((number, value))
            elements[name] = {}
            for (head, _), pairs in seats.items():
                numbers = sorted(number for number, _ in pairs)
                for number, value in zip(numbers, sorted(v for _, v in pairs), strict=True):
                    elements[name][f"{head} . {number:#x}"] = value
        rules = {
            name: [text for text, _ in found]
            for name, found in self.chains.items()
            if found or name in self.hooks
        }
        lost = {
            name
            for name in self.sets
            if name.startswith(AFFINITY)
            and not any(f"@{name} " in text for found in rules.values() for text in found)
        }
        sets = {name: word for name, word in self.sets.items() if name not in lost}
        elements = {name: found for name, found in elements.items() if name in sets}
        return self.exists, sets, self.hooks, rules, elements

    # -- packets -----------------------------------------------------------------------------

    def send(self, packet: Packet, now: float = 0.0) -> set[Result]:
        """Send a packet in all ways that chance allows; pins are left as they were."""
        results: set[Result] = set()
        ways: list[tuple[int, ...]] = [()]
        while ways:
            way = ways.pop()
            trial = copy.copy(self)
            trial.elements = {
                name: dict(found) if name.startswith(AFFINITY) else found
                for name, found in self.elements.items()
            }
            trial.until = dict(self.until)
            try:
                results.add(trial.connect(packet, way, now))
            except _Draw as draw:
                ways += [(*way, number) for number in range(draw.count)]
        return results

    def connect(
        self, packet: Packet, chances: tuple[int, ...] = (0,) * 9, now: float = 0.0
    ) -> Result:
        """Send a packet with these random numbers; what it pins stays pinned."""
        packet = copy.copy(packet)
        run = _Run(self, packet, iter(chances), now)
        try:
            run.hook("output" if packet.local else "prerouting")
        except _End as end:
            if end.outcome not in ("dnat", "accept"):
                return Result(end.outcome)
        if packet.local and packet.daddr in packet.here:
            try:
                packet.interface = "lo"
                run.hook("input")
            except _End as end:
                return Result(end.outcome)
        masquerade = False
        try:
            run.hook("postrouting")
        except _End as end:
            masquerade = end.outcome == "masquerade"
        verdict = "dnat" if packet.target else "pass"
        return Result(verdict, packet.target, masquerade, packet.mark, packet.priority)


class _Run:
    """One packet on its way."""

    def __init__(self, table: Table, packet: Packet, chances: Iterator[int], now: float) -> None:
        self.table = table
        self.packet = packet
        self.chances = chances
        self.now = now

    def hook(self, name: str) -> None:
        for chain, hook in self.table.hooks.items():
            if hook == name:
                self.chain(chain)

    def chain(self, name: str) -> bool:
        """Walk a chain; whether it ended in a goto, so that the caller is left as well."""
        return any(self.rule(text) for text, _ in self.table.chains[name])

    def rule(self, text: str) -> bool:
        rest = text
        while rest:
            for pattern, method in _STATEMENTS:
                if found := pattern.match(rest):
                    rest = rest[found.end() :].lstrip()
                    done = method(self, *found.groups())
                    if done is not True:
                        return done is None
                    break
            else:
                raise AssertionError(f"not understood: {rest!r} in {text!r}")
        return False

    # Statements give True: go on with the rule; False: with the next rule; None: leave the chain.

    def follow(self, verdict: str) -> bool | None:
        word, _, chain = verdict.partition(" ")
        if word in ("drop", "reject", "accept"):
            raise _End(word)
        left = self.chain(chain)
        return None if word == "goto" or left else False

    def verdict(self, text: str) -> bool | None:
        return self.follow(text)

    def dispatch(self, key: str, name: str) -> bool | None:
        found = self.lookup(key, name)
        return False if found is None else self.follow(found)

    def member(self, key: str, negated: str | None, name: str) -> bool:
        return (self.lookup(key, name) is not None) is not bool(negated)

    def inside(self, part: str, comparison: str, cidr: str) -> bool:
        within = ip_address(self.part(part)) in ip_network(cidr)
        return within is (comparison != "!=")

    def interface(self, comparison: str, name: str) -> bool:
        own = self.packet.interface
        same = own.startswith(name[:-1]) if name.endswith("*") else own == name
        return same is (comparison != "!=")

    def fib(self, which: str) -> bool:
        address = self.packet.saddr if which == "saddr" else self.packet.daddr
        return address in self.packet.here or ip_address(address).is_loopback

    def status(self) -> bool:
        return bool(self.packet.target)

    def new(self) -> bool:
        return True

    def masked(self, what: str, mask: str, value: str) -> bool:
        own: int = getattr(self.packet, what)
        return own & int(mask, 16) == int(value, 16)

    def set_mark(self, operation: str, value: str) -> bool:
        number = int(value, 16)
        mark = self.packet.mark
        self.packet.mark = mark | number if operation == "or" else mark & number
        return True

    def set_priority(self, value: str) -> bool:
        self.packet.priority = int(value, 0)
        return True

    def draw(self, count: str, first: str) -> bool:
        number = next(self.chances, None)
        if number is None:
            raise _Draw(int(count))
        self.packet.priority = int(first, 16) + number % int(count)
        return True

    def priority_from(self, key: str, name: str) -> bool:
        found = self.lookup(key, name)
        if found is None:
            return False
        self.packet.priority = int(found, 16)
        return True

    def dnat(self, key: str, name: str) -> bool:
        found = self.lookup(key, name)
        if found is None:
            return False
        address, _, port = found.partition(" . ")
        self.packet.target = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        self.packet.daddr, self.packet.dport = address, int(port)
        raise _End("dnat")

    def masquerade(self) -> bool:
        raise _End("masquerade")

    def update(self, name: str, key: str, seconds: str) -> bool:
        text = self.key(key)
        if self.lookup(key, name) is None:
            self.table.elements[name][text] = f"{self.packet.priority:#010x}"
        self.table.until[f"{name} {text}"] = self.now + int(
            seconds
        )  # the value of an element stays
        return True

    def unpin(self, name: str, key: str) -> bool:
        self.table.elements[name].pop(self.key(key), None)
        return True

    # Keys.

    def key(self, text: str) -> str:
        return " . ".join(self.part(part) for part in text.split(" . "))

    def part(self, text: str) -> str:
        field_, _, constant = text.partition(" and ")
        if constant:
            mask, _, value = constant.partition(" xor ")
            assert mask in ("0", "0.0.0.0", "::")
            return str(int(value, 16)) if value else mask
        packet = self.packet
        match field_.removeprefix("ip6 ").removeprefix("ip "):
            case "daddr":
                return packet.daddr
            case "saddr":
                return packet.saddr
            case "meta l4proto":
                return packet.protocol
            case "th dport":
                return str(packet.dport)
            case "meta priority":
                return f"{packet.priority:#010x}"
            case "meta mark":
                return str(packet.mark)
        raise AssertionError(f"not understood: {text!r}")

    def lookup(self, key: str, name: str) -> str | None:
        elements = self.table.elements[name]
        text = self.key(key)
        if name.startswith(AFFINITY) and self.table.until.get(f"{name} {text}", 0) <= self.now:
            return None
        if name not in self.table.intervals:
            return elements.get(text)
        assert name in (ADMITTED, SERVICE_CIDRS)
        head, _, address = text.rpartition(" . ")
        for element in elements:
            front, _, cidr = element.rpartition(" . ")
            if front == head and ip_address(address) in ip_network(cidr):
                return ""
        return None


_PART = r"(?:(?:ip6? [sd]addr|th dport|meta (?:l4proto|priority|mark))(?: and \S+(?: xor \S+)?)?)"
_KEY = rf"({_PART}(?: \. {_PART})*)"
_STATEMENTS = [
    (re.compile(pattern), method)
    for pattern, method in (
        (r"(drop|reject|accept|goto \S+|jump \S+)$", _Run.verdict),
        (rf"{_KEY} vmap @(\S+)$", _Run.dispatch),
        (r"meta mark set meta mark (or|and) (\S+)", _Run.set_mark),
        (r"meta priority set (0x\S+|0)(?!\S)", _Run.set_priority),
        (r"meta priority set numgen random mod (\d+) offset (\S+)", _Run.draw),
        (rf"meta priority set {_KEY} map @(\S+)", _Run.priority_from),
        (r"meta (mark|priority) and (\S+) == (\S+)", _Run.masked),
        (rf"{_KEY} (!= )?@(\S+)", _Run.member),
        (r"(ip6? [sd]addr) (==|!=) (\S+)", _Run.inside),
        (r'iifname (==|!=) "([^"]+)"', _Run.interface),
        (r"fib ([sd]addr) type local", _Run.fib),
        (r"ct status dnat", _Run.status),
        (r"ct state new", _Run.new),
        (rf"dnat ip6? to {_KEY} map @(\S+)$", _Run.dnat),
        (r"masquerade fully-random$", _Run.masquerade),
        (rf"update @(\S+) {{ {_KEY} timeout (\d+)s : meta priority }}", _Run.update),
        (rf"delete @(\S+) {{ {_KEY} : meta priority }}", _Run.unpin),
    )
]
