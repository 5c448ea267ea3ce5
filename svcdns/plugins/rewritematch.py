"""How ``rewrite`` finds names, and what it makes of them.

Names are text here, lower-case and with a final dot, because that is what users write patterns
for.

Parity: CoreDNS ``plugin/rewrite/name.go``.
"""

from collections.abc import Callable

from msgspec import Struct

from svcdns.plugins.goregexp import GoRegexp, expand

KINDS = ("exact", "prefix", "suffix", "substring", "regex")

Change = Callable[[str], str | None]
"""A name to another one, or ``None``: it does not match."""


class Match(Struct, frozen=True):
    """One of the five ways to match a name."""

    kind: str
    "One of :data:`KINDS`."
    text: str
    "Lower-case; with a final dot unless it is a regular expression."
    regexp: GoRegexp | None = None

    def groups(self, name: str) -> tuple[str, ...] | None:
        """Give the groups of a match, none for all but ``regex``; ``None`` without a match."""
        match self.kind:
            case "exact":
                found = name == self.text
            case "prefix":
                found = name.startswith(self.text)
            case "suffix":
                found = name.endswith(self.text)
            case "substring":
                found = self.text in name
            case _:
                assert self.regexp is not None
                return self.regexp.search(name)
        return () if found else None

    def rename(self, name: str, to: str) -> str | None:
        """Put *to* in the place of what matches; ``None`` when nothing does."""
        groups = self.groups(name)
        if groups is None:
            return None
        match self.kind:
            case "exact":
                return to
            case "prefix":
                return to + name[len(self.text) :]
            case "suffix":
                return name[: len(name) - len(self.text)] + to
            case "substring":
                return name.replace(self.text, to)
            case _:
                return expand(to, groups)


def normal(text: str) -> str:
    """Write a name in lower case and with a final dot (``plugin.Name.Normalize``).

    This holds for ``prefix`` and ``substring`` too: there they match at the end of a label.
    """
    return text.lower() if text.endswith(".") else text.lower() + "."


def read(kind: str, text: str, to: str = "") -> Match:
    """Make a match.

    Args:
        kind: One of :data:`KINDS`.
        text: What to look for.
        to: What comes instead; it may not use more groups than a regular expression has.

    Raises:
        ValueError: Something is wrong with it.
    """
    if kind not in KINDS:
        raise ValueError(
            "only exact, prefix, suffix, substring, and regex name matching are supported, "
            f"received: {kind}"
        )
    if kind != "regex":
        return Match(kind, normal(text))
    regexp = GoRegexp(text)
    used = sum(f"{{{number}}}" in to for number in range(101))
    if used > regexp.groups:
        raise ValueError(
            f"the rewrite regex pattern ({to}) uses more subexpressions than its corresponding "
            f"matching regex pattern ({text})"
        )
    return Match(kind, text, regexp)


def renaming(match: Match, to: str) -> Change:
    """Give the change of names that a match with its replacement makes."""
    return lambda name: match.rename(name, to)


def back(now: str, before: str) -> Change:
    """Give the change that leads from a rewritten name, and names below it, to the one before."""

    def change(name: str) -> str | None:
        if name == now or name.endswith("." + now):
            return name[: len(name) - len(now)] + before
        return None

    return change
