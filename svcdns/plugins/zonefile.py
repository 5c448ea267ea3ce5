"""Zone files to records.

dnspython reads them: it knows all types, ``$TTL`` and ``$ORIGIN``.  What it is too strict for,
because CoreDNS takes it, is done around it: texts are rewritten where that helps, records stand as
they were written, one by one, and ``$GENERATE`` makes records of all types.  So is ``$INCLUDE``,
because nothing is opened here.

dnspython is not one of the packages that svcdns always comes with, so it is imported when a
Corefile names a zone file.

Spec: RFC 1035 §5, RFC 2308 §4 ($TTL), RFC 3597 §5 (types without a name).
Parity: CoreDNS ``plugin/file`` (Parse), miekg/dns ``scan.go``.
"""

import re
from collections.abc import Callable, Iterator
from itertools import islice
from types import ModuleType
from typing import Any, TypeAlias, cast

from msgspec import Struct
from msgspec.structs import replace

from svcdns.dns.constants import RRType
from svcdns.dns.name import is_subdomain, to_text
from svcdns.dns.response import Record
from svcdns.plugins.slices import Slices
from svcdns.plugins.zonegenerate import TTL, generate
from svcdns.plugins.zonetext import MAX_STRING, SLICE, decode, pieces, tolerable, uncommented

MISSING_PACKAGE = "zone files need dnspython, which is not installed: pip install 'svcdns[zones]'"

MAX_INCLUDES = 7
"""Files within files (miekg/dns)."""

RECORDS = 1000
"""Records chosen at a time."""

Read: TypeAlias = Callable[[str], bytes]
"""Gives the content of a file; raises OSError."""


class ZoneFile(Struct, frozen=True):
    """What a zone file and those that it includes hold."""

    records: tuple[Record, ...]
    "At and below the origin; no SOA but the one that counts."
    soa: Record | None
    "The last one in the file, which counts whatever its name (CoreDNS)."
    included: tuple[str, ...] = ()
    "Paths of the files that belong to it."


def reader() -> ModuleType:
    """Import what reads zone files.

    Raises:
        ValueError: It is not installed.
    """
    try:
        import dns.zonefile
    except ImportError as error:
        raise ValueError(MISSING_PACKAGE) from error
    return dns.zonefile


def parse(content: bytes, origin: bytes, path: str, read: Read) -> Slices[ZoneFile]:
    """Read a zone file; records outside of the zone are left out.

    Args:
        content: The file.
        origin: Lower-case wire name that relative names end in.
        path: For messages, and where relative paths of included files begin.
        read: Gives those files.

    Raises:
        ValueError: It cannot be read; the message has path and line.
    """
    reader()
    found = _Reading(read)
    yield from found.file(decode(content), path, found.start(origin), 0)
    soa = next((one for one in reversed(found.records) if one.rrtype == RRType.SOA), None)
    records = []
    for number, record in enumerate(found.records, 1):
        owner = record.owner.lower()
        if record.rrtype == RRType.SOA:
            belongs = record is soa and owner == origin
        else:
            belongs = is_subdomain(owner, origin)
        if belongs:
            records.append(record)
        if not number % RECORDS:
            yield
    return ZoneFile(tuple(records), soa, tuple(found.included))


class _State(Struct, frozen=True):
    """What a line takes over from the lines before it; names are dnspython's."""

    current_origin: Any
    last_name: Any
    last_ttl: int = 0
    last_ttl_known: bool = False
    default_ttl: int = 0
    default_ttl_known: bool = False
    default_ttl_from_soa: bool = False


class _Reading:
    """One zone file being read.  Takes the part of a transaction of dnspython."""

    def __init__(self, read: Read) -> None:
        self.records: list[Record] = []
        self.included: dict[str, None] = {}
        self.manager = self
        self._read = read

    # -- what dnspython's reader calls

    def origin_information(self) -> tuple[Any, bool, Any]:
        import dns.name

        return dns.name.root, False, dns.name.root

    def check_put_rdataset(self, _check: object) -> None:
        """Take everything: a CNAME beside other records, too."""

    def _set_origin(self, _origin: object) -> None:
        """Keep names absolute."""

    def add(self, name: Any, ttl: int, data: Any) -> None:
        self.records.append(Record(name.to_wire(), data.rdtype, ttl, data.to_wire(), data.rdclass))

    # -- files

    def start(self, origin: bytes) -> _State:
        import dns.name

        name = dns.name.from_text(to_text(origin))
        return _State(name, name)

    def file(self, text: str, path: str, state: _State, depth: int) -> Iterator[None]:
        for line, piece, directive, at in pieces(text):
            state = self._piece(piece, path, line, state)
            yield
            if directive:
                try:
                    if directive[1] in "Gg":
                        yield from self._generate(directive, path, state)
                    else:
                        yield from self._include(directive, path, state, depth)
                except OSError as error:
                    what = f"{directive.strip()}: {error.strerror or error}"
                    raise ValueError(f"{path}:{at}: {what}") from error
                except _DirectiveError as error:
                    raise ValueError(f"{path}:{at}: {error}") from error

    def _piece(self, text: str, path: str, line: int, state: _State) -> _State:
        """Read lines without directives of ours; give what they leave to those behind."""
        import dns.rdataclass
        import dns.tokenizer
        import dns.zonefile

        tokens = dns.tokenizer.Tokenizer(text, path)
        tokens.line_number = line
        rows: Any = dns.zonefile.Reader(tokens, dns.rdataclass.IN, cast("Any", self))
        for name in _State.__struct_fields__:
            setattr(rows, name, getattr(state, name))
        begin, read_record = 0, rows._rr_line

        def record() -> None:
            nonlocal begin
            begin = tokens.line_number
            read_record()
            begin = 0

        rows._rr_line = record
        try:
            rows.read()
        except Exception as error:
            # Beside its own errors dnspython lets others through, of struct for instance.  It puts
            # path and line in front of what it can place; the line is the next one when the whole
            # record was read before.
            what = _unplaced(error, path)
            raise ValueError(f"{path}:{begin or tokens.line_number}: {what}") from error
        return _State(*[getattr(rows, name) for name in _State.__struct_fields__])

    def _generate(self, directive: str, path: str, state: _State) -> Iterator[None]:
        """Read what a line stands for; it leaves nothing to those behind (miekg/dns)."""
        if not state.default_ttl_known:
            state = replace(state, default_ttl=TTL, default_ttl_known=True)
        try:
            lines = generate(uncommented(directive)[len("$GENERATE") :])
            while text := "".join(islice(lines, SLICE)):
                text = tolerable(text) if len(directive) > MAX_STRING else text
                self._piece(text, path, 1, state)
                yield
        except ValueError as error:
            raise _DirectiveError(_unplaced(error, path)) from error

    def _include(self, directive: str, path: str, state: _State, depth: int) -> Iterator[None]:
        import dns.exception
        import dns.name
        import dns.tokenizer

        if depth == MAX_INCLUDES:
            raise _DirectiveError(f"files are included more than {MAX_INCLUDES} deep")
        tokens = dns.tokenizer.Tokenizer(directive, path)
        tokens.get()
        try:
            name = tokens.get_string()
            token = tokens.get()
            if not token.is_eol_or_eof():
                inner = tokens.as_name(token, state.current_origin)
                state = replace(state, current_origin=inner, last_name=inner)
                tokens.get_eol()
        except dns.exception.DNSException as error:
            raise _DirectiveError(f"$INCLUDE FILE [ORIGIN] is expected: {error}") from error
        other = name if name.startswith("/") else "".join((*path.rpartition("/")[:2], name))
        text = decode(self._read(other))
        self.included[other] = None
        # What the file says about origin and TTL ends with it (RFC 1035 §5.1).
        yield from self.file(text, other, state, depth + 1)


class _DirectiveError(Exception):
    """A line with ``$INCLUDE`` or ``$GENERATE`` cannot be followed."""


def _unplaced(error: Exception, path: str) -> str:
    """Give what an error says, without the path and the line in front of it."""
    return re.sub(rf"^{re.escape(path)}:\d+: ", "", str(error))
