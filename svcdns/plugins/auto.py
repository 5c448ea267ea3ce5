r"""Zones from the zone files of a directory.

Name
----
*auto*: serves every zone file of a directory; files that come, change and go are noticed.

Syntax
------
::

    auto [ZONES...] {
        directory DIR [REGEXP ORIGIN_TEMPLATE]
        reload DURATION
    }

DIR is below ``root`` unless absolute, and is searched with all below it.  A file whose name
matches REGEXP (``db\.(.*)`` by default) holds the zone that ORIGIN_TEMPLATE (``{1}``) makes of it.
Every DURATION (1 minute by default, 0: never) it is looked at again; a zone with a new SOA serial
is put in force.  Only names of ZONES are answered.

Examples:
--------
::

    . {
        auto example.org {
            directory /etc/coredns/zones (.*) {1}
        }
        forward . /etc/resolv.conf
    }

Differences
-----------
* A change of a file that a zone file includes counts when the zone file itself changes.
* Of two files with one zone the last by name counts.

Parity: CoreDNS ``plugin/auto``.
"""

from collections.abc import Iterator, Mapping

from msgspec import Struct
from msgspec.structs import replace

from svcdns.corefile.fallthrough import Fallthrough
from svcdns.corefile.options import Line, last
from svcdns.corefile.syntax import Directive
from svcdns.dns.name import from_text, to_text
from svcdns.dns.response import Record
from svcdns.plugins.base import Context, Handler, Need, Outcome, Request, WatchDirectory
from svcdns.plugins.file import load
from svcdns.plugins.goregexp import GoRegexp, expand
from svcdns.plugins.zoneanswers import Zones
from svcdns.plugins.zonedata import within
from svcdns.plugins.zonefile import reader

NAME = "auto"

DEFAULT_RELOAD = 60.0
"""Seconds."""


class Settings(Struct, frozen=True):
    """One ``auto`` directive."""

    zones: tuple[bytes, ...]
    directory: str = ""
    names: GoRegexp = GoRegexp(r"db\.(.*)")
    template: str = "{1}"
    reload: float = DEFAULT_RELOAD
    "Seconds."

    def origin(self, path: str) -> bytes | None:
        """Give the zone of a file; ``None``: it is none of ours."""
        groups = self.names.search(path.rpartition("/")[2])
        if groups is None:
            return None
        try:
            return from_text(expand(self.template, groups).lower())
        except ValueError:
            return None


class Auto:
    """One ``auto`` directive."""

    name = NAME

    def __init__(self, settings: Settings, zones: Zones, context: Context) -> None:
        self._settings = settings
        self._zones = zones
        self._say = context.tell
        self._read = context.read

    @property
    def needs(self) -> tuple[Need, ...]:
        """The directory."""
        settings = self._settings
        if not settings.directory:
            return ()
        return (
            WatchDirectory(
                settings.directory,
                settings.reload,
                lambda path: settings.origin(path) is not None,
                self._take,
            ),
        )

    def zone_records(self, origin: bytes) -> tuple[Record, ...] | None:
        """Give a whole zone; asked by ``transfer``."""
        found = self._zones.records(origin)
        return None if found is None else tuple(found)

    def zone_serial(self, origin: bytes) -> int | None:
        """Give the serial of a zone; asked by ``transfer``."""
        return self._zones.serial(origin)

    def serve(self, request: Request, proceed: Handler) -> Outcome:
        """Answer names of the zones; leave the others to the next plugin."""
        if within(request.query.name, self._settings.zones) is None:
            return proceed(request)
        return self._zones.serve(request, proceed, Fallthrough())

    def _take(self, files: Mapping[str, bytes]) -> Iterator[None]:
        """Take what the directory holds now; what cannot be read leaves its zone as it is."""
        seen: set[bytes] = set()
        for path in sorted(files):
            origin = self._settings.origin(path)
            if origin is None:
                continue
            seen.add(origin)
            try:
                zone, _ = yield from load(files[path], origin, path, self._read)
            except ValueError as error:
                self._say(f"[WARNING] plugin/{NAME}: Parse zone {to_text(origin)!r}: {error}")
                continue
            known = self._zones.zones.get(origin)
            if known is None or known.serial != zone.serial:
                self._zones.put(origin, zone)
                what = "Inserting" if known is None else "Reloading"
                self._say(f'[INFO] plugin/{NAME}: {what} zone "{to_text(origin)}" from: {path}')
        for origin in set(self._zones.zones) - seen:
            self._zones.remove(origin)
            self._say(f'[INFO] plugin/{NAME}: Deleting zone "{to_text(origin)}"')


def setup(directives: tuple[Directive, ...], context: Context) -> Auto:
    """Read the directive."""
    line = last(directives, context.warn)
    settings = Settings(line.zones(context.zones))
    for option in line.options():
        settings = _option(option, settings, context)
    if not settings.directory:
        context.warn(f"plugin/{NAME}: there is no `directory`, so there are no zones")
    try:
        reader()
    except ValueError as error:
        raise line.error(str(error)) from error
    return Auto(settings, Zones(NAME, context.changed), context)


def _option(option: Line, settings: Settings, context: Context) -> Settings:
    match option.name:
        case "directory":
            settings = replace(settings, directory=context.path(option.word()))
            if option.more:
                names, template = option.read(GoRegexp), option.word()
                if not names.groups:
                    raise option.error("the regular expression needs a group in parentheses")
                settings = replace(settings, names=names, template=template)
            return settings
        case "reload":
            settings = replace(settings, reload=option.duration(low=0))
            option.ignore_rest()
            return settings
        case "upstream":
            option.rest()  # targets are always looked up; the option says nothing any more
            return settings
        case _:
            raise option.unknown()
