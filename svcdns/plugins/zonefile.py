"""Zone files to records.

dnspython reads them: it knows all types, ``$TTL``, ``$ORIGIN`` and ``$GENERATE``.  What it is too
strict for, because CoreDNS takes it, is done around it: texts longer than 255 octets are cut up,
octets that are no UTF-8 are escaped, records stand as they were written, one by one.  So is
``$INCLUDE``, because nothing is opened here.

dnspython is not one of the packages that svcdns always comes with, so it is imported when a
Corefile names a zone file.

Spec: RFC 1035 §5, RFC 2308 §4 ($TTL), RFC 3597 §5 (types without a name).
Parity: CoreDNS ``plugin/file`` (Parse), miekg/dns ``scan.go``.
"""

import re
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, TypeAlias, cast

from msgspec import Struct
from msgspec.structs import replace

from svcdns.dns.constants import RRType
from svcdns.dns.name import is_subdomain, to_text
from svcdns.dns.response import Record
from svcdns.plugins.slices import Slices

MISSING_PACKAGE = "zone files need dnspython, which is not installed: pip install 'svcdns[zones]'"

MAX_INCLUDES = 7
"""Files within files (miekg/dns)."""

SLICE = 50
"""Lines read at a time: about 3 ms."""

RECORDS = 1000
"""Records chosen at a time."""

MAX_GENERATED = 65536
"""Numbers that one ``$GENERATE`` runs through (miekg/dns ``generate.go``)."""

MAX_STRING = 255
"""Octets of one character string (RFC 1035 §3.3)."""

Read: TypeAlias = Callable[[str], bytes]
"""Gives the content of a file; raises OSError."""

_QUOTED = re.compile(r'"((?:[^"\\\n]|\\.){256,})"')
_NO_UTF8 = re.compile("[\udc80-\udcff]")
_GENERATE = re.compile(r"(?i)(\$GENERATE\s+)([0-9]{1,10})-([0-9]{1,10})(?:/([0-9]{1,10}))?(?=\s)")
_MARKS = re.compile(r'["()]')
_OCTETS = re.compile(r"\\[0-9]{3}|\\.|.", re.DOTALL)


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
    yield from found.file(_text(content), path, found.start(origin), 0)
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
        for line, piece, directive in _pieces(text, path):
            state = self._piece(piece, path, line, state)
            yield
            if directive:
                at = line + piece.count("\n")
                try:
                    yield from self._include(directive, path, state, depth)
                except OSError as error:
                    what = f"{directive.strip()}: {error.strerror or error}"
                    raise ValueError(f"{path}:{at}: {what}") from error
                except _IncludeError as error:
                    raise ValueError(f"{path}:{at}: {error}") from error

    def _piece(self, text: str, path: str, line: int, state: _State) -> _State:
        """Read lines without ``$INCLUDE``; give what they leave to those behind."""
        import dns.rdataclass
        import dns.tokenizer
        import dns.zonefile

        tokens = dns.tokenizer.Tokenizer(_QUOTED.sub(_cut, text), path)
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
            what = re.sub(rf"^{re.escape(path)}:\d+: ", "", str(error))
            raise ValueError(f"{path}:{begin or tokens.line_number}: {what}") from error
        return _State(*[getattr(rows, name) for name in _State.__struct_fields__])

    def _include(self, directive: str, path: str, state: _State, depth: int) -> Iterator[None]:
        import dns.exception
        import dns.name
        import dns.tokenizer

        if depth == MAX_INCLUDES:
            raise _IncludeError(f"files are included more than {MAX_INCLUDES} deep")
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
            raise _IncludeError(f"$INCLUDE FILE [ORIGIN] is expected: {error}") from error
        other = name if name.startswith("/") else "".join((*path.rpartition("/")[:2], name))
        text = _text(self._read(other))
        self.included[other] = None
        # What the file says about origin and TTL ends with it (RFC 1035 §5.1).
        yield from self.file(text, other, state, depth + 1)


class _IncludeError(Exception):
    """A line with ``$INCLUDE`` cannot be followed."""


def _pieces(text: str, path: str) -> Iterator[tuple[int, str, str]]:
    """Cut a text between records: at ``$INCLUDE``, within ``$GENERATE``, after so many lines.

    Yields:
        The number of the first line, the lines, and the directive behind them, if there is one.

    Raises:
        ValueError: A ``$GENERATE`` is larger than anybody means; with path and line.
    """
    begin, depth, quoted = 1, 0, False
    lines: list[str] = []
    for number, line in enumerate(text.split("\n"), 1):
        between = not depth and not quoted
        if between and line[:1] == "$" and re.match(r"(?i)\$INCLUDE\s", line):
            yield begin, "".join(lines), line
            begin, lines = number + 1, []
            continue
        if between and (generate := _GENERATE.match(line)):
            yield begin, "".join(lines), ""
            begin, lines = number + 1, []
            for part in _parts(generate, line, f"{path}:{number}"):
                yield number, part + "\n", ""
            continue
        if between and len(lines) >= SLICE:
            yield begin, "".join(lines), ""
            begin, lines = number, []
        if _MARKS.search(line):
            depth, quoted = _open_after(line, depth, quoted)
        lines.append(line + "\n")
    yield begin, "".join(lines), ""


def _parts(generate: re.Match[str], line: str, where: str) -> Iterator[str]:
    """Make several ``$GENERATE`` of a large one: all of them together would take seconds."""
    start, stop, step = int(generate[2]), int(generate[3]), int(generate[4] or 1)
    if stop - start >= MAX_GENERATED:
        raise ValueError(f"{where}: $GENERATE: more than {MAX_GENERATED:,} numbers")
    if not step or stop < start:
        yield line  # for the reader to refuse
        return
    for first in range(start, stop + 1, step * SLICE):
        last = min(stop, first + step * (SLICE - 1))
        yield f"{generate[1]}{first}-{last}/{step}{line[generate.end() :]}"


def _open_after(line: str, depth: int, quoted: bool) -> tuple[int, bool]:
    """Tell how many parentheses are open after a line, and whether a quote is."""
    for octet in _OCTETS.finditer(line):
        match octet[0]:
            case '"':
                quoted = not quoted
            case ";" if not quoted:
                break
            case "(" if not quoted:
                depth += 1
            case ")" if not quoted:
                depth = max(0, depth - 1)
    return depth, quoted


def _text(content: bytes) -> str:
    """Decode a file; octets that are no UTF-8 become escapes (miekg/dns)."""
    if content.isascii():
        return content.decode()
    text = content.decode("utf-8", "surrogateescape").removeprefix("\ufeff")
    return _NO_UTF8.sub(lambda match: f"\\{ord(match[0]) - 0xDC00:03}", text)


def _cut(match: re.Match[str]) -> str:
    """Make several strings of one that is too long (miekg/dns)."""
    pieces, room = [""], MAX_STRING
    for octet in _OCTETS.findall(match[1]):
        size = 1 if octet.startswith("\\") else len(octet.encode())
        if size > room:
            pieces.append("")
            room = MAX_STRING
        pieces[-1] += octet
        room -= size
    return " ".join(f'"{piece}"' for piece in pieces)
