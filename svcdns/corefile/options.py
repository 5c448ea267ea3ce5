"""Arguments to values: what every plugin's set-up reads its directive with.

A set-up reads a :class:`Line` from left to right and then its options; whatever it leaves unread
is an error, so that nothing in a Corefile is silently without effect::

    def setup(directives: tuple[Directive, ...], context: Context) -> Plugin:
        line = once(directives)
        zones = line.zones(context.zones)
        ttl, through = 5, Fallthrough()
        for option in line.options():
            match option.name:
                case "ttl":
                    ttl = option.integer(0, 3600)
                case "fallthrough":
                    through = option.fallthrough()
                case _:
                    raise option.unknown()
        return Example(zones, ttl, through)

Every error is a CorefileError at the line's place, in CoreDNS's words where it has some.

Parity: ``caddy:caddyfile/dispenser.go``, ``plugin/plugin.go Error``,
``plugin/normalize.go``.
"""

from collections.abc import Callable, Iterator
from ipaddress import IPv4Network, IPv6Network
from typing import TypeVar

from svcdns.corefile.durations import format_duration, parse_duration
from svcdns.corefile.endpoints import parse_network, split_host_port
from svcdns.corefile.fallthrough import Fallthrough
from svcdns.corefile.keys import split_port, split_scheme, zones_of
from svcdns.corefile.syntax import Directive
from svcdns.dns.name import ROOT, from_text
from svcdns.errors import CorefileError, legible

Value = TypeVar("Value")


def _unheard(_message: str) -> None:
    """Nobody listens to warnings."""


class Line:
    """One line of a directive, read from left to right."""

    def __init__(
        self, directive: Directive, plugin: str = "", warn: Callable[[str], None] = _unheard
    ) -> None:
        """Read *directive*, or with *plugin* a line of its block; *warn* hears what is odd."""
        self.directive = directive
        self._warn = warn
        self.name = directive.name
        self._plugin = plugin or directive.name
        self._left = list(directive.args[::-1])
        self._block_read = not directive.block

    # -- errors

    def error(self, message: str) -> CorefileError:
        """Make the error for this line."""
        text = f"Error during parsing: plugin/{self._plugin}: {message}"
        return CorefileError(self.directive.file, self.directive.line, text)

    def arity(self) -> CorefileError:
        """Make the error for too few or too many arguments."""
        last = self.directive.tokens[-1]
        return self.error(f"Wrong argument count or unexpected line ending after '{last}'")

    def unknown(self) -> CorefileError:
        """Make the error for an option that the plugin does not have."""
        return self.error(f"unknown property '{self.name}'")

    def warn(self, message: str) -> None:
        """Say what is odd about this line, with its place."""
        place = f"{self.directive.file}:{self.directive.line}"
        self._warn(f"{place} - {self.name}: {legible(message)}")

    # -- words

    @property
    def more(self) -> bool:
        """Whether arguments are left."""
        return bool(self._left)

    @property
    def next(self) -> str:
        """The next argument, not taken; empty at the end."""
        return self._left[-1] if self._left else ""

    def word(self, *allowed: str, default: str | None = None) -> str:
        """Take an argument; with *allowed* it must be one of them."""
        found = self._take(str, default)
        if allowed and found not in allowed:
            raise self.error(f"unknown value '{found}', expecting one of {', '.join(allowed)}")
        return found

    def rest(self, at_least: int = 0) -> tuple[str, ...]:
        """Take all that is left."""
        found = tuple(self._left[::-1])
        if len(found) < at_least:
            raise self.arity()
        self._left.clear()
        return found

    def read(self, parse: Callable[[str], Value], default: Value | None = None) -> Value:
        """Take an argument and have *parse*, which raises ValueError, make a value of it."""
        return self._take(parse, default)

    def _take(self, parse: Callable[[str], Value], default: Value | None) -> Value:
        if not self._left:
            if default is None:
                raise self.arity()
            return default
        try:
            return parse(self._left.pop())
        except ValueError as error:
            raise self.error(str(error)) from error

    # -- numbers

    def integer(
        self, low: int | None = None, high: int | None = None, default: int | None = None
    ) -> int:
        """Take a whole number from *low* to *high*."""
        found = self._take(_parse_integer, default)
        if (low is not None and found < low) or (high is not None and found > high):
            raise self.error(f"{self.name} must be {_range(low, high, str)}, not {found}")
        return found

    def duration(
        self, low: float | None = None, high: float | None = None, default: float | None = None
    ) -> float:
        """Take a duration in Go's syntax from *low* to *high* seconds.

        Returns:
            Seconds.
        """
        found = self._take(parse_duration, default)
        if (low is not None and found < low) or (high is not None and found > high):
            expected, got = _range(low, high, format_duration), format_duration(found)
            raise self.error(f"{self.name} must be {expected}, not {got}")
        return found

    def seconds(self, low: float | None = None, high: float | None = None) -> float:
        """Take a duration, or a number of seconds without a unit, from *low* to *high* seconds.

        Parity: CoreDNS ``plugin/pkg/durations``.
        """
        if self.next.isascii() and self.next.isdigit():
            self._left[-1] += "s"
        return self.duration(low, high)

    def percent(self, low: int = 0, high: int = 100, default: int | None = None) -> int:
        """Take a whole number with ``%`` behind it."""
        found = self._take(_parse_percent, default)
        if not low <= found <= high:
            raise self.error(f"{self.name} must be {_range(low, high, str)} percent, not {found}")
        return found

    # -- names and addresses

    def zones(self, default: tuple[bytes, ...] = ()) -> tuple[bytes, ...]:
        """Take all that is left as zones; *default*, the server block's, if there is nothing.

        A network stands for its reverse zones (rule F12), a scheme and a port are taken off, a
        zone named twice is one.  A word that is no zone, such as a variable that is not set, is
        passed over with a warning, as CoreDNS does without one (``plugin/normalize.go
        OriginsFromArgsOrServerBlock``).

        Returns:
            Lower-case wire names; none when there are words and no zone among them.
        """
        if not self._left:
            return default
        found: dict[bytes, None] = {}
        for word in self.rest():
            try:
                found |= dict.fromkeys(_parse_zones(word))
            except ValueError as error:
                self.warn(f"{word!r} is no zone and is ignored: {error}")
        return tuple(found)

    def zone(self) -> tuple[bytes, ...]:
        """Take one argument as a zone, or as a network with several; see :meth:`zones`."""
        return self._take(_parse_zones, None)

    def fallthrough(self) -> Fallthrough:
        """Take all that is left as the zones of ``fallthrough``; none means every name (G5)."""
        return Fallthrough(self.zones((ROOT,)))

    def address(self, default_port: int | None = None) -> tuple[str, int]:
        """Take HOST:PORT; without *default_port* the port must be there."""
        return self._take(lambda text: split_host_port(text, default_port), None)

    def listen(self, default: str) -> str:
        """Take an address to listen on, as :class:`~svcdns.plugins.base.ServeHttp` wants it."""
        found = self._take(str, default)
        if found.endswith(":"):
            found += "0"  # to Go no port is port 0, which the system chooses
        try:
            split_host_port(found)
        except ValueError as error:
            raise self.error(str(error)) from error
        return found

    def network(self) -> IPv4Network | IPv6Network:
        """Take an address or a network."""
        return self._take(parse_network, None)

    # -- the end

    def end(self) -> None:
        """Check that nothing is left unread."""
        if self._left:
            raise self.arity()
        if not self._block_read:
            raise self.error(f"'{self.name}' takes no block")

    def ignore_rest(self) -> None:
        """Leave arguments unread, with a warning, where CoreDNS's set-up does not look at them."""
        if self._left:
            self.warn(f"`{' '.join(self.rest())}` has no effect")

    def ignore_block(self) -> None:
        """Leave the block unread, with a warning, where CoreDNS's set-up does not look at it."""
        if not self._block_read:
            self._block_read = True
            self.warn("its block has no effect")

    def options(self) -> Iterator["Line"]:
        """Give the lines of the block, each to be read to its end before the next one comes."""
        self._block_read = True
        self.end()
        for line in self.directive.block or ():
            option = Line(line, self._plugin, self._warn)
            yield option
            option.end()


def once(directives: tuple[Directive, ...], warn: Callable[[str], None] = _unheard) -> Line:
    """Read the directive of a plugin that a server block may have only once."""
    if len(directives) > 1:
        message = "this plugin can only be used once per Server Block"
        raise Line(directives[1]).error(message)
    return Line(directives[0], warn=warn)


def first(directives: tuple[Directive, ...], warn: Callable[[str], None]) -> Line:
    """Read the directive of a plugin whose set-up in CoreDNS looks at the first one only."""
    _say_which(directives, 0, warn)
    return Line(directives[0], warn=warn)


def last(directives: tuple[Directive, ...], warn: Callable[[str], None]) -> Line:
    """Read the directive of a plugin that counts only once though a block may repeat it.

    Most set-ups of CoreDNS go through all their lines and keep what the last one says; that
    happens where a snippet and the block that imports it have the same directive.
    """
    _say_which(directives, len(directives) - 1, warn)
    return Line(directives[-1], warn=warn)


def _say_which(directives: tuple[Directive, ...], counts: int, warn: Callable[[str], None]) -> None:
    that = directives[counts]
    for number, directive in enumerate(directives):
        if number != counts:
            warn(
                f"{directive.file}:{directive.line} - {directive.name} is there again on line"
                f" {that.line} of {that.file}, and only that one counts"
            )


def each(
    directives: tuple[Directive, ...], warn: Callable[[str], None] = _unheard
) -> tuple[Line, ...]:
    """Read the directives of a plugin that a server block may have several times."""
    return tuple(Line(directive, warn=warn) for directive in directives)


def _parse_integer(text: str) -> int:
    digits = text[1:] if text[:1] in ("-", "+") else text
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 18:
        raise ValueError(f"invalid number {text[:40]!r}")
    return int(text)


def _parse_percent(text: str) -> int:
    if not text.endswith("%"):
        raise ValueError(f"last character of percentage should be '%', but is: {text[-1:]!r}")
    return _parse_integer(text[:-1])


def _parse_zones(text: str) -> tuple[bytes, ...]:
    host, _ = split_port(split_scheme(text)[1])
    return tuple(from_text(zone) for zone in zones_of(host))


def _range(low: Value | None, high: Value | None, write: Callable[[Value], str]) -> str:
    if low is not None and high is not None:
        return f"between {write(low)} and {write(high)}"
    if low is not None:
        return f"at least {write(low)}"
    return f"at most {write(high)}" if high is not None else "a value"
