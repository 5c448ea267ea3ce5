"""Where the upstreams of a ``forward`` directive come from: addresses, files, host names.

Files are read again when they change.  Host names are looked up at once, tried again every second
until they are found, and then again every 30 seconds, so that an upstream that moves is followed.

Parity: CoreDNS ``plugin/forward/resolve.go`` (reResolve), ``plugin/pkg/parse/host.go``.
"""

from collections.abc import Sequence
from functools import partial
from ipaddress import ip_address

from msgspec.structs import replace

from svcdns.dns.constants import RRType, rcode_text
from svcdns.dns.message import Message, build_query, parse_response
from svcdns.dns.name import from_text
from svcdns.plugins.base import Ask, Context, Drop, Need, Outcome, Periodic, WatchFile
from svcdns.plugins.commands import Exchange, Exchanged, Result, Transport, Upstream
from svcdns.plugins.forwardoptions import NAME, Options, Target, read_nameservers
from svcdns.plugins.proxies import Proxies

RESOLV_CONF_SECONDS = 5.0
"""Between looks at a resolv.conf."""

SYSTEM_RESOLVERS = "/etc/resolv.conf"
"""Asked for host names without a ``resolver`` option."""

LOOK_SECONDS = 1.0
"""Between looks whether a host name is to be asked for."""

AGAIN_SECONDS = 30.0
"""Between look-ups of a host name that was found (CoreDNS's defaultResolveInterval)."""

LOOKUP_SECONDS = 2.0
"""For the answer of a resolver."""

_TYPES = (RRType.A, RRType.AAAA)
_OCTETS: dict[int, int] = {RRType.A: 4, RRType.AAAA: 16}


class Targets:
    """Keeps a directive's upstreams what its TOs say."""

    def __init__(
        self, targets: Sequence[Target], options: Options, proxies: Proxies, context: Context
    ) -> None:
        self._targets = tuple(targets)
        self._options = options
        self._proxies = proxies
        self._context = context
        self._found: dict[Target, list[Upstream]] = {
            target: [target.upstream] for target in targets if target.upstream is not None
        }
        self._names = [_HostName(target, self) for target in targets if target.host]
        self._change()

    @property
    def needs(self) -> tuple[Need, ...]:
        """The files, and the look-ups of names."""
        needs: list[Need] = [
            WatchFile(target.path, RESOLV_CONF_SECONDS, partial(self._file_changed, target))
            for target in self._targets
            if target.path
        ]
        if self._names:
            needs.append(Periodic(NAME, LOOK_SECONDS, self._look_up))
        return tuple(needs)

    def found(self, target: Target, upstreams: list[Upstream]) -> bool:
        """Take what a TO stands for now; tell whether that is a change."""
        before = {proxy.upstream for proxy in self._proxies.all}
        self._found[target] = upstreams
        self._change()
        return {proxy.upstream for proxy in self._proxies.all} != before

    def say(self, what: str) -> None:
        """Tell the operator what the upstreams are now."""
        names = " ".join(proxy.address for proxy in self._proxies.all)
        self._context.write(f"[INFO] plugin/forward: {what}, upstreams are {names}")

    def warn(self, what: str) -> None:
        """Tell the operator what is wrong."""
        self._context.write(f"[WARNING] plugin/forward: {what}")

    def resolvers(self) -> tuple[Upstream, ...]:
        """Give whom to ask for host names."""
        if self._options.resolvers:
            return self._options.resolvers
        try:
            content = self._context.read(SYSTEM_RESOLVERS)
        except OSError:
            return ()
        return tuple(read_nameservers(content, Transport.UDP, Options()))

    def _file_changed(self, target: Target, content: bytes | None) -> None:
        found = read_nameservers(content or b"", target.transport, self._options)
        if not found:
            self.warn(f"{target.path} names no nameserver any more; the upstreams stay as they are")
        elif self.found(target, found):
            self.say(f"{target.path} changed")

    def _change(self) -> None:
        upstreams = [one for target in self._targets for one in self._found.get(target, ())]
        self._proxies.change(upstreams)

    def _look_up(self, now: float) -> tuple[Ask, ...]:
        return tuple(ask for name in self._names for ask in name.due(now))


class _HostName:
    """One TO that is a host name: asks each resolver for A and AAAA until one knows addresses."""

    def __init__(self, target: Target, targets: Targets) -> None:
        self._target = target
        self._targets = targets
        self._next = 0.0
        self._complaint = ""
        self._resolvers: tuple[Upstream, ...] = ()
        self._addresses: list[str] = []
        self._why = ""

    def due(self, now: float) -> tuple[Ask, ...]:
        """Give the first question of a look-up when it is time for one."""
        if now < self._next:
            return ()
        self._resolvers = self._targets.resolvers()
        self._addresses = []
        self._why = f"{SYSTEM_RESOLVERS} names no resolver"
        self._next = now + len(self._resolvers) * len(_TYPES) * LOOKUP_SECONDS + LOOK_SECONDS
        outcome = self._ask(0, 0, now)
        return (outcome,) if isinstance(outcome, Ask) else ()

    def _ask(self, resolver: int, kind: int, now: float) -> Outcome:
        if kind == len(_TYPES):
            if self._addresses:
                return self._found(now)
            resolver, kind = resolver + 1, 0
        if resolver >= len(self._resolvers):
            return self._failed(now)
        wire = build_query(from_text(self._target.host), _TYPES[kind], rd=True)
        command = Exchange(self._resolvers[resolver], wire, LOOKUP_SECONDS)

        def answered(result: Result, at: float) -> Outcome:
            message = parse_response(result.wire) if isinstance(result, Exchanged) else None
            if message is None:
                self._why = getattr(result, "reason", "the answer is malformed")
            else:
                self._why = f"{rcode_text(message.rcode)} without addresses"
                self._addresses += _addresses(message)
            return self._ask(resolver, kind + 1, at)

        return Ask(command, answered)

    def _found(self, now: float) -> Outcome:
        self._next = now + AGAIN_SECONDS
        self._complaint = ""
        model = self._target.model
        assert model is not None
        upstreams = [replace(model, address=address) for address in self._addresses]
        if self._targets.found(self._target, upstreams):
            self._targets.say(f"{self._target.host} was looked up")
        return Drop()

    def _failed(self, now: float) -> Outcome:
        """Keep what was found before, and try again soon; say each reason once."""
        self._next = now + LOOK_SECONDS
        if self._why != self._complaint:
            self._complaint = self._why
            self._targets.warn(f"failed to resolve {self._target.host!r}: {self._why}")
        return Drop()


def _addresses(message: Message) -> list[str]:
    """Give the addresses of an answer, those behind aliases included, in order of address.

    Resolvers answer in a new order each time; that is no change of the upstreams.
    """
    found = sorted(
        record.rdata
        for record in message.answer
        if len(record.rdata) == _OCTETS.get(record.rrtype, -1)
    )
    return [str(ip_address(rdata)) for rdata in found]
