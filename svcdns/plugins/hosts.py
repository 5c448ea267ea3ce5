"""Answers from a hosts file, and from lines like its own in the Corefile.

Name
----
*hosts*: serves A, AAAA and PTR records from a file like ``/etc/hosts``, read again when it changes.

Syntax
------
::

    hosts [FILE [ZONES...]] {
        [INLINE]
        ttl SECONDS
        no_reverse
        reload DURATION
        fallthrough [ZONES...]
        fallthrough_unsupported
    }

* FILE: the hosts file, ``/etc/hosts`` by default, below ``root`` unless absolute.
* ZONES: only names in these zones; those of the server block by default.
* INLINE: lines of a hosts file, all of them before ``fallthrough``.  The file is read all the same.
* ``ttl``: of the records, 1 to 65535 seconds, 3600 by default.
* ``no_reverse``: no PTR records are made of the entries.
* ``reload``: how often to look for a changed file, 5 s by default; 0 reads it once.
* ``fallthrough``: names that are not there are the next plugin's business, all or those in ZONES.
  Without it they get SERVFAIL.  PTR of other addresses falls through in any case.
* ``fallthrough_unsupported``: so are other types than A and AAAA of names that are there.

An entry ``*.example.net`` is for names with one more label that have no entry themselves.

Examples:
--------
::

    . {
        hosts example.hosts example.net {
            10.0.0.1 example.net www.example.net
            fd00::1  example.net
            ttl 60
            fallthrough
        }
        forward . 172.31.0.10
    }

Metrics
-------
``coredns_hosts_entries``: addresses of names and names of addresses.
``coredns_hosts_reload_timestamp_seconds``: when the file was read last.

Differences
-----------
* The owner of a record has the case of the question, not lower case.
* An entry ``*.example.net`` is for names with one label in front, as in the newest versions of
  CoreDNS; others take the asterisk as it stands.
* An entry that is there twice counts once, so no answer holds a record twice (RFC 2181 §5).
* The time of the last reload is that of the reading, not that of the file.

Parity: CoreDNS ``plugin/hosts`` (rules J20, K14).
"""

from collections.abc import Callable, Iterator

from msgspec import Struct
from msgspec.structs import replace

from svcdns.corefile.fallthrough import Fallthrough
from svcdns.corefile.options import Line, once
from svcdns.corefile.syntax import Directive
from svcdns.dns.constants import MAX_MESSAGE, Rcode, RRType
from svcdns.dns.name import is_subdomain
from svcdns.dns.response import Record, Response
from svcdns.plugins import hostsfile
from svcdns.plugins.base import (
    Context,
    Failed,
    Handler,
    Need,
    Outcome,
    Owner,
    Reply,
    Request,
    Storable,
    WatchFile,
    then,
)

NAME = "hosts"

DEFAULT_FILE = "/etc/hosts"

DEFAULT_TTL = 3600
"""Seconds."""

DEFAULT_RELOAD_SECONDS = 5.0

_ADDRESSES = frozenset({RRType.A, RRType.AAAA})

_MOST = MAX_MESSAGE // 12
"""More records than any message can hold: a block list has one address for all its names."""


class Settings(Struct, frozen=True):
    """What the directive says."""

    path: str = DEFAULT_FILE
    zones: tuple[bytes, ...] = ()
    "Lower-case wire names."
    inline: bytes = b""
    "Lines of a hosts file."
    ttl: int = DEFAULT_TTL
    "Seconds."
    reverse: bool = True
    reload: float = DEFAULT_RELOAD_SECONDS
    "Seconds; 0: never."
    fallthrough: Fallthrough = Fallthrough()
    fallthrough_unsupported: bool = False


class Hosts:
    """One ``hosts`` directive."""

    name = NAME

    def __init__(self, settings: Settings, context: Context) -> None:
        self.settings = settings
        self._owner: Owner = (NAME, context.block)
        self._changed = context.changed
        self._wall: Callable[[], float] = context.wall
        self._reads = 0
        registry = context.registry
        self._entries = registry.gauge(
            "coredns_hosts_entries", "Entries of the hosts file and the Corefile."
        ).cell()
        self._read_at = registry.gauge(
            "coredns_hosts_reload_timestamp_seconds", "When the hosts file was read last."
        )
        self._hosts = hostsfile.Hosts()
        self._take(hostsfile.parse(settings.inline, settings.zones, reverse=settings.reverse))

    @property
    def needs(self) -> tuple[Need, ...]:
        """The file."""
        return (WatchFile(self.settings.path, self.settings.reload, self.read),)

    def read(self, content: bytes | None) -> Iterator[None]:
        """Take what the file holds now, in slices; when it is gone, what it held last stays."""
        if content is None:
            return
        settings = self.settings
        # The file comes first: its addresses stand before the inline ones of the same name.
        text = content + b"\n" + settings.inline
        self._take(
            (yield from hostsfile.parse_slices(text, settings.zones, reverse=settings.reverse))
        )
        self._read_at.cell().value = self._wall()
        self._reads += 1
        self._changed((self._owner,))

    def _take(self, hosts: hostsfile.Hosts) -> None:
        self._hosts = hosts
        self._entries.value = hosts.entries

    def serve(self, request: Request, proceed: Handler) -> Outcome:
        """Answer for names that are there (rule J20)."""
        query, settings = request.query, self.settings
        if query.qtype == RRType.PTR:
            # Reverse zones need not be among the zones.
            names = self._hosts.pointers(query.name)
            return self._reply(request, names) if names else self._fall(request, proceed)
        if not any(is_subdomain(query.name, zone) for zone in settings.zones):
            return proceed(request)
        found = self._hosts.find(query.name)
        through = settings.fallthrough.through(query.name)
        if found is None:
            # There is no SOA to deny a name with (register K14).
            return self._fall(request, proceed) if through else Failed(Rcode.SERVFAIL, plugin=NAME)
        if settings.fallthrough_unsupported and through and query.qtype not in _ADDRESSES:
            return self._fall(request, proceed)
        return self._reply(request, found.get(query.qtype, ()))

    def _reply(self, request: Request, rdatas: tuple[bytes, ...]) -> Reply:
        query, ttl = request.query, self.settings.ttl
        answer = tuple([Record(query.qname, query.qtype, ttl, rdata) for rdata in rdatas[:_MOST]])
        return Reply(Response(answer=answer, aa=True), NAME, Storable((self._owner,)))

    def _fall(self, request: Request, proceed: Handler) -> Outcome:
        """Have the next plugin answer; a stored answer ends when the name may be here."""
        asked_at = self._reads

        def depend(outcome: Outcome, _now: float) -> Outcome:
            if not isinstance(outcome, Reply) or outcome.store is None:
                return outcome
            if self._reads != asked_at:
                # The file changed while somebody else was asked.
                return replace(outcome, store=None)
            store = replace(outcome.store, owners=(*outcome.store.owners, self._owner))
            return replace(outcome, store=store)

        return then(proceed(request), depend, request.now)


def setup(directives: tuple[Directive, ...], context: Context) -> Hosts:
    """Read the directive."""
    line = once(directives, context.warn)
    settings = Settings()
    if line.more:
        settings = replace(settings, path=context.path(line.word()))
        _look(settings.path, context)
    settings = replace(settings, zones=line.zones(context.zones))
    inline: list[str] = []
    for option in line.options():
        if not _is_option(option) and not settings.fallthrough.zones:
            inline.append(" ".join((option.name, *option.rest())))
        else:
            settings = _read(settings, option)
    if settings.fallthrough_unsupported and not settings.fallthrough.zones:
        raise line.error("fallthrough_unsupported requires fallthrough")
    return Hosts(replace(settings, inline="\n".join(inline).encode()), context)


def _is_option(option: Line) -> bool:
    return option.name in (
        "fallthrough",
        "fallthrough_unsupported",
        "no_reverse",
        "reload",
        "ttl",
    )


def _read(settings: Settings, option: Line) -> Settings:
    match option.name:
        case "fallthrough":
            return replace(settings, fallthrough=option.fallthrough())
        case "fallthrough_unsupported":
            return replace(settings, fallthrough_unsupported=True)
        case "no_reverse":
            return replace(settings, reverse=False)
        case "ttl":
            ttl = option.integer(1, 65535)
            option.ignore_rest()
            return replace(settings, ttl=ttl)
        case "reload":
            return replace(settings, reload=option.duration(low=0.0))
        case _:
            raise option.unknown()


def _look(path: str, context: Context) -> None:
    """Warn of a file that cannot be read yet; it may come later.

    Raises:
        OSError: The path leads through something that is no directory.
    """
    try:
        context.read(path)
    except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
        context.warn(f"plugin/hosts: {path}: {error.strerror or error}")
