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

MAX_HOPS = 127
"""Compression pointers in one name, as many as it can have labels (miekg/dns: 126)."""

ROOT = b"\x00"
"""The root name."""

_POINTER = 0xC0

_ESCAPED = frozenset(b'."\\();@$')
_DOT = ord(".")
_BACKSLASH = ord("\\")


def labels(name: bytes) -> tuple[bytes, ...]:
    """Split a wire name into labels, leftmost first, without the root label."""
    found = []
    at = 0
    while size := name[at]:
        end = at + 1 + size
        found.append(name[at + 1 : end])
        at = end
    return tuple(found)


def join(parts: tuple[bytes, ...] | list[bytes], suffix: bytes = ROOT) -> bytes:
    """Put labels in front of a wire name; the caller knows that the result fits."""
    return b"".join([bytes((len(part),)) + part for part in parts]) + suffix


def from_wire(wire: bytes, at: int, known: dict[int, bytes] | None = None) -> tuple[bytes, int]:
    """Read a name, compressed or not, out of a message from anyone.

    A pointer must lead to before the labels that it follows ("prior occurrence", RFC 1035
    §4.1.4), which rules out loops; chains are bounded by :data:`MAX_HOPS`.

    Args:
        wire: The message.
        at: Offset of the name.
        known: Names read from this message by offset, looked up and added to.  With it, a message
            that points at the same names over and over costs little.

    Returns:
        The name without compression, and the offset behind it.

    Raises:
        ValueError: It runs out of the message or over 255 octets, or has a bad pointer or label.
    """
    if known is None:
        known = {}
    elif at + 1 < len(wire) and wire[at] >= _POINTER:
        # Most names in a message repeat one that was read before.
        target = (wire[at] & 0x3F) << 8 | wire[at + 1]
        whole = known.get(target)
        if whole is not None and target < at:
            return whole, at + 2
    parts: list[bytes] = []
    starts: list[int] = []
    end = -1
    room = MAX_NAME
    try:
        while True:
            start = at
            while 0 < (size := wire[at]) <= MAX_LABEL:
                at += 1 + size
                if at - start >= room:
                    raise ValueError(f"name over {MAX_NAME} octets at octet {start}")
            room -= at - start
            parts.append(wire[start:at])
            starts.append(start)
            if size == 0:
                end = at + 1 if end < 0 else end
                parts.append(ROOT)
                break
            if size < _POINTER:
                raise ValueError(f"label type {size >> 6} at octet {at}")
            target = (size & 0x3F) << 8 | wire[at + 1]
            end = at + 2 if end < 0 else end
            if target >= start or len(parts) > MAX_HOPS:
                raise ValueError(f"bad compression pointer at octet {at}")
            if (suffix := known.get(target)) is not None:
                parts.append(suffix)
                break
            at = target
    except IndexError:
        raise ValueError(f"name runs out of the message at octet {at}") from None
    return _remember(parts, starts, known), end


def _remember(parts: list[bytes], starts: list[int], known: dict[int, bytes]) -> bytes:
    name = parts.pop()
    for start, part in zip(reversed(starts), reversed(parts), strict=True):
        name = part + name
        if len(name) > MAX_NAME:
            raise ValueError(f"name over {MAX_NAME} octets")
        known[start] = name
    return name


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
    if _BACKSLASH not in raw:
        # Hosts files hold a hundred thousand names without escapes.
        found = raw.split(b".")
        return found[:-1] if not found[-1] else found
    found, label = [], bytearray()
    at, end = 0, len(raw)
    absolute = False
    while at < end:
        octet = raw[at]
        absolute = octet == _DOT
        if absolute:
            found.append(bytes(label))
            label.clear()
            at += 1
        elif octet == _BACKSLASH:
            value, at = unescape(raw, at + 1)
            label.append(value)
        else:
            label.append(octet)
            at += 1
    if not absolute:
        found.append(bytes(label))
    return found


def unescape(raw: bytes, at: int) -> tuple[int, int]:
    """Read what follows a backslash in zone text (RFC 1035 §5.1).

    Returns:
        The octet, and the offset behind the escape.

    Raises:
        ValueError: There is nothing, too few digits, or a number over 255.
    """
    digits = raw[at : at + 3]
    if len(digits) == 3 and digits.isdigit():
        value = int(digits)
        if value > 255:
            raise ValueError(f"escape \\{digits.decode()} is over 255")
        return value, at + 3
    if at >= len(raw) or raw[at : at + 1].isdigit():
        raise ValueError("a backslash without a character or three digits")
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
