"""The functions of Go's templates, and how Go prints values.

Values are strings, integers, floats, booleans, ``None``, tuples, mappings and
:class:`Missing`.  Names are functions' names in Go.

Spec: https://pkg.go.dev/text/template#hdr-Functions, https://pkg.go.dev/fmt.
Parity: CoreDNS ``plugin/template`` (parseInt).
"""

import re
from collections.abc import Callable, Mapping
from operator import ge, gt, le, lt
from typing import Any, Final
from urllib.parse import quote_plus


class Missing:
    """What a map does not hold; prints as Go prints it."""

    def __repr__(self) -> str:
        return "<no value>"

    def __bool__(self) -> bool:
        return False


MISSING: Final = Missing()


def truth(value: object) -> bool:
    """Whether ``if`` takes it for true: not empty and not zero."""
    return bool(value)


def text(value: object) -> str:
    """Print a value as ``%v`` does."""
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case None:
            return "<nil>"
        case float():
            return f"{value:g}"
        case Mapping():
            return "map[" + " ".join(f"{key}:{text(value[key])}" for key in sorted(value)) + "]"
        case tuple():
            return "[" + " ".join([text(item) for item in value]) + "]"
        case _:
            return str(value)


def index(thing: object, *keys: object) -> object:
    """Give ``thing[key][key]…``.

    Raises:
        ValueError: There is no such item.
    """
    for key in keys:
        match thing:
            case Mapping():
                thing = thing.get(key, "")
            case tuple() | str() if isinstance(key, int) and not isinstance(key, bool):
                if not 0 <= key < len(thing):
                    raise ValueError(f"error calling index: index out of range: {key}")
                thing = ord(thing[key]) if isinstance(thing, str) else thing[key]
            case _:
                raise ValueError(f"error calling index: cannot index {_kind(thing)} by {text(key)}")
    return thing


def slice_(thing: object, *bounds: object) -> object:
    """Give ``thing[low:high]``."""
    if not isinstance(thing, str | tuple):
        raise ValueError(f"error calling slice: cannot slice {_kind(thing)}")
    numbers = [_integer("slice", bound) for bound in bounds]
    low, high = (*numbers, 0, len(thing))[0], (numbers[1] if len(numbers) > 1 else len(thing))
    if len(numbers) > 2 or not 0 <= low <= high <= len(thing):
        raise ValueError("error calling slice: index out of range")
    return thing[low:high]


def length(thing: object) -> int:
    """Count octets of a string, items of the rest."""
    match thing:
        case str():
            return len(thing.encode())
        case tuple() | Mapping():
            return len(thing)
        case _:
            raise ValueError(f"error calling len: len of type {_kind(thing)}")


def equal(first: object, *others: object) -> bool:
    """Whether the first argument equals one of the others."""
    if not others:
        raise ValueError("error calling eq: missing argument for comparison")
    for other in others:
        if _kind(first) != _kind(other) and None not in (first, other):
            raise ValueError("error calling eq: incompatible types for comparison")
    return first in others


def _ordered(name: str, compare: Callable[[Any, Any], Any]) -> Callable[..., object]:
    def call(one: object, two: object) -> bool:
        if _kind(one) != _kind(two) or not isinstance(one, str | int | float):
            raise ValueError(f"error calling {name}: incompatible types for comparison")
        return bool(compare(one, two))

    return call


def parse_int(word: object, base: object, bits: object) -> int:
    """Read an unsigned number of at most *bits* bits (Go's strconv.ParseUint).

    Raises:
        ValueError: It is none, or does not fit.
    """
    if not isinstance(word, str):
        raise ValueError(f"wrong type for value; expected string; got {_kind(word)}")
    radix, size = _integer("parseInt", base), _integer("parseInt", bits) or 64
    try:
        if not re.fullmatch("[0-9a-zA-Z]+", word):
            raise ValueError
        found = int(word, radix)
    except ValueError:
        raise ValueError(
            f'error calling parseInt: strconv.ParseUint: parsing "{word}": invalid syntax'
        ) from None
    if found >= 1 << size:
        raise ValueError(
            f'error calling parseInt: strconv.ParseUint: parsing "{word}": value out of range'
        )
    return found


_VERB = re.compile(r"%([-+# 0]*)([0-9]*)(?:\.([0-9]*))?(.)", re.DOTALL)


def printf(form: object, *values: object) -> str:
    """Format as Go's fmt.Sprintf, with its complaints in the text where something is wrong."""
    left = list(values)
    if not isinstance(form, str):
        raise ValueError(f"wrong type for value; expected string; got {_kind(form)}")

    def write(found: re.Match[str]) -> str:
        flags, width, precision, verb = found.groups()
        if verb == "%":
            return "%"
        if not left:
            return f"%!{verb}(MISSING)"
        body = _verb(verb, left.pop(0), flags, precision)
        if "-" in flags:
            return body.ljust(int(width or 0))
        if "0" in flags and verb in "dxXobfeg":
            sign = body[:1] if body[:1] in ("-", "+") else ""
            return sign + body[len(sign) :].rjust(int(width or 0) - len(sign), "0")
        return body.rjust(int(width or 0))

    done = _VERB.sub(write, form)
    extra = ", ".join([f"{_kind(value)}={text(value)}" for value in left])
    return f"{done}%!(EXTRA {extra})" if left else done


def _verb(verb: str, value: object, flags: str, precision: str | None) -> str:
    number = isinstance(value, int) and not isinstance(value, bool)
    match verb:
        case "v":
            return text(value)
        case "s" if isinstance(value, str):
            return value if precision is None else value[: int(precision or 0)]
        case "q" if isinstance(value, str):
            return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
        case "d" | "o" | "b" if number:
            return format(value, ("+" if "+" in flags else "") + verb)
        case "x" | "X" if number:
            return ("0" + verb if "#" in flags else "") + format(value, verb)
        case "x" | "X" if isinstance(value, str):
            digits = value.encode().hex()
            return digits if verb == "x" else digits.upper()
        case "c" if number:
            assert isinstance(value, int)
            return chr(value)
        case "t" if isinstance(value, bool):
            return text(value)
        case "f" | "e" | "g" if isinstance(value, float):
            return format(value, f".{6 if precision is None else precision or 0}{verb}")
        case "T":
            return _kind(value)
        case _:
            return f"%!{verb}({_kind(value)}={text(value)})"


def printed(*values: object) -> str:
    """Print values, with a blank between two that are not strings (Go's fmt.Sprint)."""
    out = ""
    for number, value in enumerate(values):
        if number and not isinstance(value, str) and not isinstance(values[number - 1], str):
            out += " "
        out += text(value)
    return out


_HTML: dict[str, str | int | None] = {
    "\0": "\ufffd",
    '"': "&#34;",
    "'": "&#39;",
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
}
_JS = {
    **{character: f"\\{character}" for character in "\\'\""},
    **{character: f"\\u{ord(character):04X}" for character in "<>&="},
}


def html(*values: object) -> str:
    """Escape for HTML (Go's HTMLEscaper)."""
    return printed(*values).translate(str.maketrans(_HTML))


def js(*values: object) -> str:
    """Escape for JavaScript (Go's JSEscaper)."""
    return "".join(
        [
            _JS.get(
                character, f"\\u{ord(character):04X}" if not character.isprintable() else character
            )
            for character in printed(*values)
        ]
    )


def urlquery(*values: object) -> str:
    """Escape for the query of a URL (Go's url.QueryEscape)."""
    return quote_plus(printed(*values), safe="")


def call(thing: object, *_arguments: object) -> object:
    """Refuse to call: no value is a function here, those of fields are called as they are named.

    Raises:
        ValueError: Always.
    """
    raise ValueError(f"error calling call: non-function of type {_kind(thing)}")


def _integer(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"error calling {name}: expected integer; got {_kind(value)}")
    return value


def _kind(value: object) -> str:
    match value:
        case bool():
            return "bool"
        case str():
            return "string"
        case int():
            return "int"
        case float():
            return "float64"
        case tuple():
            return "[]string"
        case Mapping():
            return "map[string]string"
        case None:
            return "nil"
        case _:
            return type(value).__name__


FUNCTIONS: Final[Mapping[str, Callable[..., object]]] = {
    # and, or stop at the first argument that decides; that is the interpreter's business
    "and": lambda *values: next((value for value in values if not truth(value)), values[-1]),
    "or": lambda *values: next((value for value in values if truth(value)), values[-1]),
    "not": lambda value: not truth(value),
    "eq": equal,
    "ne": lambda one, two: not equal(one, two),
    "lt": _ordered("lt", lt),
    "le": _ordered("le", le),
    "gt": _ordered("gt", gt),
    "ge": _ordered("ge", ge),
    "index": index,
    "slice": slice_,
    "len": length,
    "print": printed,
    "println": lambda *values: " ".join([text(value) for value in values]) + "\n",
    "printf": printf,
    "html": html,
    "js": js,
    "urlquery": urlquery,
    "call": call,
    "parseInt": parse_int,
}
"""By name."""
