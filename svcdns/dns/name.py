"""Domain names in uncompressed wire form, and their text.

A name is ``bytes``: length octet, label, …, zero.  Lower-casing a whole name with
``bytes.lower()`` is exact, because length octets (0 to 63) are below ``A`` (65).  A name is a
subdomain of another when it ends with it *at a label boundary*; see :func:`is_subdomain`.

Spec: RFC 1035 §3.1 and §5.1 (text escapes), RFC 4343 (case).
"""

MAX_NAME = 255
"""Octets of a name on the wire, the final zero included (RFC 1035 §2.3.4)."""

MAX_LABEL = 63
"""Octets of a label (RFC 1035 §2.3.4)."""

ROOT = b"\x00"
"""The root name."""

_ESCAPED = frozenset(b'."\\();@$')
_DOT = ord(".")
_BACKSLASH = ord("\\")


def labels(name: bytes) -> tuple[bytes, ...]:
    """Split a wire name into labels, leftmost first, without the root label."""
    found = []
    at = 0
    while size := name[at]:
        found.append(name[at + 1 : at + 1 + size])
        at += 1 + size
    return tuple(found)


def join(parts: tuple[bytes, ...] | list[bytes], suffix: bytes = ROOT) -> bytes:
    """Put labels in front of a wire name; the caller knows that the result fits."""
    return b"".join([bytes((len(part),)) + part for part in parts]) + suffix


def is_subdomain(name: bytes, parent: bytes) -> bool:
    """Tell whether *name* is *parent* or below it; both in the same case."""
    if not name.endswith(parent):
        return False
    boundary = len(name) - len(parent)
    at = 0
    while at < boundary:
        at += 1 + name[at]
    return at == boundary


def from_text(text: str) -> bytes:
    r"""Read a name from text; a missing final dot is added.

    Args:
        text: Labels with dots between, ``\.`` and ``\DDD`` escapes (RFC 1035 §5.1).  Characters
            outside ASCII are taken as their UTF-8 octets.

    Raises:
        ValueError: An empty label, a label over 63 octets, a name over 255, a bad escape.
    """
    if text in ("", "."):
        return ROOT
    wire = bytearray()
    for label in _split_text(text.encode()):
        if not label:
            raise ValueError(f"empty label in {text!r}")
        if len(label) > MAX_LABEL:
            raise ValueError(f"label over {MAX_LABEL} octets in {text!r}")
        wire.append(len(label))
        wire += label
    wire.append(0)
    if len(wire) > MAX_NAME:
        raise ValueError(f"name over {MAX_NAME} octets: {text[:80]!r}")
    return bytes(wire)


def _split_text(raw: bytes) -> list[bytes]:
    found, label = [], bytearray()
    at, end = 0, len(raw)
    while at < end:
        octet = raw[at]
        if octet == _DOT:
            found.append(bytes(label))
            label.clear()
            at += 1
        elif octet == _BACKSLASH:
            value, at = _unescape(raw, at + 1)
            label.append(value)
        else:
            label.append(octet)
            at += 1
    if label or raw[-1:] != b"." or raw[-2:-1] == b"\\":
        found.append(bytes(label))
    return found


def _unescape(raw: bytes, at: int) -> tuple[int, int]:
    digits = raw[at : at + 3]
    if len(digits) == 3 and digits.isdigit():
        value = int(digits)
        if value > 255:
            raise ValueError(f"escape \\{digits.decode()} is over 255")
        return value, at + 3
    if at >= len(raw) or raw[at : at + 1].isdigit():
        raise ValueError("bad escape at the end of a name")
    return raw[at], at + 1


def to_text(name: bytes) -> str:
    """Write a wire name as text with a final dot; octets that would mislead are escaped."""
    if name == ROOT:
        return "."
    out = []
    for label in labels(name):
        if label.isalnum():
            out.append(label.decode())
        else:
            out.append("".join([_escape(octet) for octet in label]))
    return ".".join(out) + "."


def _escape(octet: int) -> str:
    if octet in _ESCAPED:
        return "\\" + chr(octet)
    if 0x20 < octet < 0x7F:
        return chr(octet)
    return f"\\{octet:03d}"
