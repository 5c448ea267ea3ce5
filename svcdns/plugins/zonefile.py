"""Zone files to records.

dnspython reads them: it is complete (``$GENERATE``, all types) and strict.  It is not one of the
packages that svcdns always comes with, so it is imported when a Corefile names a zone file.

Spec: RFC 1035 §5, RFC 2308 §4 ($TTL).
"""

from types import ModuleType
from typing import Any

from svcdns.dns.name import is_subdomain, to_text
from svcdns.dns.response import Record

MISSING_PACKAGE = "zone files need dnspython, which is not installed: pip install 'svcdns[zones]'"


def reader() -> ModuleType:
    """Import what reads zone files.

    Raises:
        ValueError: It is not installed.
    """
    try:
        import dns.zone
    except ImportError as error:
        raise ValueError(MISSING_PACKAGE) from error
    return dns.zone


def parse(content: bytes, origin: bytes, path: str) -> tuple[Record, ...]:
    """Read a zone file; records outside of the zone are left out.

    Args:
        content: The file.
        origin: Lower-case wire name that relative names end in.
        path: For messages.

    Raises:
        ValueError: It cannot be read; the message has path and line.
    """
    zones: Any = reader()
    import dns.exception

    try:
        text = content.decode("utf-8")
        zone = zones.from_text(
            text, origin=to_text(origin), relativize=False, check_origin=False, filename=path
        )
        records = tuple(
            Record(name.to_wire(), data.rdtype, ttl, data.to_wire(), data.rdclass)
            for name, ttl, data in zone.iterate_rdatas()
        )
    except (dns.exception.DNSException, ValueError, NotImplementedError) as error:
        # dnspython puts path and line in front of what it can place.
        what = str(error)
        raise ValueError(what if what.startswith(f"{path}:") else f"{path}: {what}") from error
    return tuple([record for record in records if is_subdomain(record.owner.lower(), origin)])
