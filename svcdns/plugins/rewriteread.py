"""Reads the lines of ``rewrite``: in one line, in a block, and as older Corefiles have them.

Parity: CoreDNS ``plugin/rewrite/setup.go`` and the ``new…Rule`` functions.
"""

from collections.abc import Callable, Sequence

from svcdns.corefile.options import Line as Read
from svcdns.corefile.syntax import Directive
from svcdns.dns.constants import EdnsOption, class_number, rcode_number, type_number
from svcdns.plugins import rewriteanswers
from svcdns.plugins.rewriteanswers import Undo
from svcdns.plugins.rewriteedns import ACTIONS, VARIABLES, EdnsRule
from svcdns.plugins.rewritematch import Match, normal, read, renaming
from svcdns.plugins.rewriterules import (
    AnswerRule,
    ClassRule,
    CnameRule,
    Line,
    NameRule,
    Rule,
    TypeRule,
)

_TTL_LIMIT = 2**31 - 1
_RCODE_LIMIT = 23
"""Numbers that ``rcode`` takes (CoreDNS)."""


def rule_of(directive: Directive) -> Line:
    """Read one directive.

    Raises:
        CorefileError: It is no rule.
    """
    line = Read(directive)
    words = list(line.rest())
    if len(words) < 2:
        for option in line.options():
            words += [option.name, *option.rest()]
    line.end()
    stop = True
    if words and words[0].lower() in ("continue", "stop"):
        stop = words.pop(0).lower() == "stop"
    if not words:
        raise line.error("no rule type specified for rewrite")
    kind, *rest = words
    make = _MAKERS.get(kind.lower())
    if make is None:
        if kind.lower() == "answer":
            raise line.error("response rewrites must begin with a name rule")
        raise line.error(f"invalid rule type {kind!r}")
    try:
        return Line(make(rest), stop)
    except ValueError as error:
        raise line.error(str(error)) from error


def _name(words: Sequence[str]) -> Rule:
    if len(words) < 2:
        raise ValueError("too few arguments for a name rule")
    if len(words) == 2:
        words = ("exact", *words)
    kind, text, to, *rest = words
    kind = kind.lower()
    match = read(kind, text, to)
    auto, undo = _answers(kind, rest)
    return NameRule(match, normal(to), auto or kind == "exact", undo)


def _answers(kind: str, words: Sequence[str]) -> tuple[bool, tuple[Undo, ...]]:
    """Read ``answer auto``, ``answer name FROM TO`` and ``answer value FROM TO``, in any number."""
    left = list(words)
    auto, explicit = False, False
    undo: list[Undo] = []
    if left and left[0] != "answer":
        raise ValueError(
            f"exceeded the number of arguments for a non-answer rule argument for {kind} rule"
        )
    while left:
        if left[0] == "answer":
            left.pop(0)
        if not left:
            raise ValueError(f"type missing for answer rule for {kind} rule")
        what = left.pop(0)
        if what == "auto":
            auto = True
            continue
        if what not in ("name", "value"):
            raise ValueError(f"invalid type {what!r} for answer rule for {kind} rule")
        if len(left) < 2:
            raise ValueError(f"{what} answer rule for {kind} rule: 2 arguments required")
        text, to = left.pop(0), left.pop(0)
        change = renaming(read("regex", text, to), normal(to))
        undo.append(
            rewriteanswers.owners(change) if what == "name" else rewriteanswers.values(change)
        )
        explicit = explicit or what == "name"
    if auto and explicit:
        raise ValueError("auto name answer rule cannot be combined with explicit name answer rules")
    return auto, tuple(undo)


def _pair(what: str, words: Sequence[str], number: Callable[[str], int | None]) -> tuple[int, int]:
    if len(words) != 2:
        raise ValueError(f"{what} rules must have exactly two arguments")
    found = [number(word) for word in words]
    for word, value in zip(words, found, strict=True):
        if value is None:
            raise ValueError(f"invalid {what} {word!r}")
    old, new = found
    assert old is not None
    assert new is not None
    return old, new


def _type(words: Sequence[str]) -> Rule:
    return TypeRule(*_pair("type", words, type_number))


def _class(words: Sequence[str]) -> Rule:
    return ClassRule(*_pair("class", words, class_number))


def _matching(what: str, words: Sequence[str], arguments: int) -> tuple[Match, list[str]]:
    """Read ``[KIND] NAME`` and give what follows, exactly *arguments* words."""
    if not arguments + 1 <= len(words) <= arguments + 2:
        few = "too few" if len(words) < arguments + 1 else "too many"
        raise ValueError(f"{few} ({len(words)}) arguments for a {what} rule")
    if len(words) == arguments + 1:
        words = ("exact", *words)
    return read(words[0].lower(), words[1]), list(words[2:])


def _ttl(words: Sequence[str]) -> Rule:
    match, (text,) = _matching("ttl", words, 1)
    low, dash, high = text.partition("-")
    bounds = (low or "0", (high or str(_TTL_LIMIT)) if dash else low)
    if text == "-" or not all(bound.isascii() and bound.isdigit() for bound in bounds):
        raise ValueError(f"invalid TTL {text!r} for a ttl rule")
    least, most = int(bounds[0]), int(bounds[1])
    if not least <= most < 2**32:
        raise ValueError(f"invalid TTL {text!r} for a ttl rule")
    return AnswerRule(match, rewriteanswers.ttls(least, min(most, _TTL_LIMIT)))


def _rcode(words: Sequence[str]) -> Rule:
    match, codes = _matching("rcode", words, 2)
    return AnswerRule(match, rewriteanswers.rcode(*_pair("rcode", codes, _rcode_number)))


def _rcode_number(text: str) -> int | None:
    if text.isascii() and text.isdigit() and int(text) <= _RCODE_LIMIT:
        return int(text)
    return rcode_number(text)


def _cname(words: Sequence[str]) -> Rule:
    match, (to,) = _matching("cname", words, 1)
    if match.kind == "regex":
        read("regex", words[1], to)
    return CnameRule(match, normal(to))


def _edns0(words: Sequence[str]) -> Rule:
    if len(words) < 2:
        raise ValueError("too few arguments for an EDNS0 rule")
    revert = words[-1] == "revert"
    kind, action, *rest = words[: len(words) - revert]
    kind, action = kind.lower(), action.lower()
    if action not in ACTIONS:
        raise ValueError(f"invalid action: {action!r}")
    match kind:
        case "local":
            return _local(action, rest, revert)
        case "nsid" if not rest:
            return EdnsRule(action, EdnsOption.NSID, revert=revert)
        case "nsid":
            raise ValueError("EDNS0 NSID rules can only have two args")
        case "subnet":
            return _subnet(action, rest, revert)
        case _:
            raise ValueError(f"invalid rule type {kind!r}")


def _local(action: str, words: Sequence[str], revert: bool) -> Rule:
    if len(words) != (1 if action == "unset" else 2):
        raise ValueError(
            "local unset action requires exactly two arguments"
            if action == "unset"
            else "EDNS0 local rules require exactly three args"
        )
    code = _bounded(words[0], 0xFFFF)
    data = words[1] if len(words) > 1 else ""
    if data.startswith("{") and data.endswith("}"):
        variable = data[1:-1]
        if variable not in VARIABLES and "/" not in variable.strip("/"):
            raise ValueError(f"unsupported variable name {data!r}")
        return EdnsRule(action, code, variable=variable, revert=revert)
    octets = bytes.fromhex(data[2:]) if data.startswith("0x") else data.encode()
    return EdnsRule(action, code, octets, revert=revert)


def _subnet(action: str, words: Sequence[str], revert: bool) -> Rule:
    if action == "unset" and not words:
        return EdnsRule(action, EdnsOption.ECS, revert=revert)
    if len(words) != 2:
        raise ValueError("EDNS0 subnet rules require exactly three args")
    bits = (_bounded(words[0], 32), _bounded(words[1], 128))
    return EdnsRule(action, EdnsOption.ECS, subnet=bits, revert=revert)


def _bounded(text: str, high: int) -> int:
    """Read a number as Go does with base 0: decimal, or with 0x, 0o, 0b or a leading 0."""
    octal = len(text) > 1 and text.isdigit() and text[0] == "0"
    found = int(text, 8) if octal else int(text, 0)
    if not 0 <= found <= high:
        raise ValueError(f"{text} is not between 0 and {high}")
    return found


_MAKERS: dict[str, Callable[[Sequence[str]], Rule]] = {
    "name": _name,
    "type": _type,
    "class": _class,
    "edns0": _edns0,
    "ttl": _ttl,
    "rcode": _rcode,
    "cname": _cname,
}
