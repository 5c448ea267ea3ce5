"""A zone from a zone file.

Name
----
*file*: serves zones with full authority from files in the format of RFC 1035.

Syntax
------
::

    file DBFILE [ZONES...] {
        reload DURATION
        reload_by_mtime
        fallthrough [ZONES...]
    }

DBFILE is below ``root`` unless absolute.  Every DURATION (1 minute by default, 0: never) it is
read again; a new SOA serial puts the new zone in force.  With ``reload_by_mtime`` any change does.
Files that it includes (``$INCLUDE``) are looked at as well.

Examples:
--------
::

    example.org {
        file db.example.org {
            reload 30s
        }
        transfer {
            to *
        }
    }

Differences
-----------
* A file that is missing at start is waited for, as in CoreDNS; its zone gets SERVFAIL.
* Records of ``$GENERATE`` without a TTL have that of ``$TTL``; CoreDNS gives them an hour.
* A zone with NSEC3 is served, with signatures and without proofs of what is not there.

Parity: CoreDNS ``plugin/file``.
"""

from collections.abc import Callable, Iterator, Sequence

from msgspec import Struct
from msgspec.structs import replace

from svcdns.corefile.fallthrough import Fallthrough
from svcdns.corefile.options import Line, each
from svcdns.corefile.syntax import Directive
from svcdns.dns.name import to_text
from svcdns.dns.response import Record
from svcdns.plugins.base import Context, Handler, Need, Outcome, Request, WatchFile
from svcdns.plugins.slices import Slices
from svcdns.plugins.zoneanswers import Zones
from svcdns.plugins.zonedata import Zone
from svcdns.plugins.zonefile import Read, parse, reader

NAME = "file"

DEFAULT_RELOAD = 60.0
"""Seconds."""


class Settings(Struct, frozen=True):
    """One ``file`` directive."""

    path: str
    zones: tuple[bytes, ...]
    reload: float = DEFAULT_RELOAD
    "Seconds between looks at the file; 0 reads it once."
    by_mtime: bool = False
    fallthrough: Fallthrough = Fallthrough()
    included: tuple[str, ...] = ()
    "Paths of the files that it includes, as found at start."


class Taken:
    """Which contents of files are in force, so that none is read twice."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._hashes: dict[str, int] = {}

    def holds(self, path: str, content: bytes) -> bool:
        """Whether a file's content is the one that was taken last."""
        return self._hashes.get(path) == hash(content)

    def note(self, path: str, content: bytes) -> None:
        """Note that a file's content is taken."""
        self._hashes[path] = hash(content)

    def read(self, path: str) -> bytes:
        """Read a file, to take it; raises OSError."""
        content = self._read(path)
        self.note(path, content)
        return content


class File:
    """All ``file`` directives of a block."""

    name = NAME

    def __init__(
        self,
        files: Sequence[Settings],
        zones: Zones,
        taken: Taken,
        say: Callable[[str], None],
    ) -> None:
        self._files = tuple(files)
        self._zones = zones
        self._taken = taken
        self._say = say
        # The last directive speaks for all, as in CoreDNS.
        self._fallthrough = files[-1].fallthrough

    @property
    def needs(self) -> tuple[Need, ...]:
        """The files."""
        watched = [settings for settings in self._files if settings.reload > 0]
        return (
            *[WatchFile(one.path, one.reload, self._taking(one, one.path)) for one in watched],
            *[
                WatchFile(path, one.reload, self._taking(one, path))
                for one in watched
                for path in one.included
            ],
        )

    def zone_records(self, origin: bytes) -> Sequence[Record] | None:
        """Give a whole zone; asked by ``transfer``."""
        return self._zones.records(origin)

    def zone_serial(self, origin: bytes) -> int | None:
        """Give the serial of a zone; asked by ``transfer``."""
        return self._zones.serial(origin)

    def serve(self, request: Request, proceed: Handler) -> Outcome:
        """Answer names of the zones; leave the others to the next plugin."""
        return self._zones.serve(request, proceed, self._fallthrough)

    def _taking(
        self, settings: Settings, path: str
    ) -> Callable[[bytes | None], Iterator[None] | None]:
        """Give what takes a file again because it, or *path* that it includes, has changed."""

        def take(content: bytes | None) -> Iterator[None] | None:
            if content is None or self._taken.holds(path, content):
                return None
            if path == settings.path:
                return self._take(settings, content)
            try:
                return self._take(settings, self._taken.read(settings.path))
            except OSError:
                return None  # the zone stays as it is, as it does when its file goes

        return take

    def _take(self, settings: Settings, content: bytes) -> Iterator[None]:
        """Take a file's new content; what cannot be read leaves the zone as it is."""
        self._taken.note(settings.path, content)
        for origin in settings.zones:
            try:
                zone, _ = yield from load(content, origin, settings.path, self._taken.read)
            except ValueError as error:
                self._say(f"[ERROR] plugin/{NAME}: parsing zone {to_text(origin)!r}: {error}")
                continue
            if self._newer(origin, zone, settings):
                self._zones.put(origin, zone)
                self._say(
                    f"[INFO] plugin/{NAME}: Successfully reloaded zone "
                    f'"{to_text(origin)}" in "{settings.path}" with {zone.serial} SOA serial'
                )

    def _newer(self, origin: bytes, zone: Zone, settings: Settings) -> bool:
        known = self._zones.zones.get(origin)
        if known is None:
            return True
        if settings.by_mtime:
            return not known.same(zone)
        return known.serial != zone.serial


def load(
    content: bytes, origin: bytes, path: str, read: Read
) -> Slices[tuple[Zone, tuple[str, ...]]]:
    """Make a zone of a file's content.

    Returns:
        The zone, and the paths of the files that belong to it.

    Raises:
        ValueError: It cannot be read, or has no SOA.
    """
    found = yield from parse(content, origin, path, read)
    try:
        zone = yield from Zone.slices(origin, found.records, found.soa)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return zone, found.included


def setup(directives: tuple[Directive, ...], context: Context) -> Slices[File]:
    """Read the directives and their files."""
    zones, taken = Zones(NAME, context.changed), Taken(context.read)
    files = []
    for line in each(directives, context.warn):
        try:
            reader()
        except ValueError as error:
            raise line.error(str(error)) from error
        settings = _read(line, context)
        try:
            content = taken.read(settings.path)
        except OSError as error:
            if not settings.reload:
                raise
            context.warn(
                f"plugin/{NAME}: Failed to open {settings.path!r}: {error.strerror or error}; "
                f"trying again in {settings.reload:g}s"
            )
            for origin in settings.zones:
                zones.put(origin, None)
            files.append(settings)
            continue
        included: tuple[str, ...] = ()
        for origin in settings.zones:
            try:
                zone, included = yield from load(content, origin, settings.path, taken.read)
            except ValueError as error:
                raise line.error(str(error)) from error
            zones.put(origin, zone)
            if zone.soa.owner.lower() != origin:
                line.warn(
                    f"{settings.path} has the SOA of {to_text(zone.soa.owner)}, not one of"
                    f" {to_text(origin)}: give the zone behind the file"
                )
        files.append(replace(settings, included=included))
    return File(files, zones, taken, context.tell)


def _read(line: Line, context: Context) -> Settings:
    settings = Settings(context.path(line.word()), line.zones(context.zones))
    for option in line.options():
        match option.name:
            case "reload":
                settings = replace(settings, reload=option.duration(low=0))
                option.ignore_rest()
            case "reload_by_mtime":
                settings = replace(settings, by_mtime=True)
            case "fallthrough":
                settings = replace(settings, fallthrough=option.fallthrough())
            case "upstream":
                option.rest()  # targets are always looked up; the option says nothing any more
            case _:
                raise option.unknown()
    return settings
