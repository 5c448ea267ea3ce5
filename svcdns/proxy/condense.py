"""Many complaints with the same cause as one.

A second ``svcdns up`` beside another, or a Service port that an application has on every address,
gives the same line for hundreds of sockets; people need the cause once, and an example.
"""

from collections.abc import Iterable

FEW = 3
"""So many lines with one cause are shown as they are."""


def condense(lines: Iterable[str], what: str) -> tuple[list[str], list[str]]:
    """Put lines with the same cause together.

    Args:
        lines: ``subject: more: cause``; the cause is what follows the last colon and space.
        what: What the subjects are, in the plural.

    Returns:
        What to say, in the order in which causes first appear, and the lines that this stands for.
    """
    causes: dict[str, list[str]] = {}
    for line in lines:
        causes.setdefault(line.rpartition(": ")[2], []).append(line)
    said, details = [], []
    for cause, found in causes.items():
        if len(found) <= FEW:
            said += found
            continue
        said.append(f"{len(found)} {what}: {cause}; the first: {found[0]}")
        details += found
    return said, details
