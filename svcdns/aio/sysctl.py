"""Kernel settings for connection tracking (rule R95), and our place in the out-of-memory order.

A setting that cannot be written is said and passed over: rootless and nested environments own
neither, and forwarding works without.
"""

import logging
from collections.abc import Iterable
from pathlib import Path

from svcdns.aio.addresses import reason

SYSCTLS = Path("/proc/sys")
OOM_SCORE = Path("/proc/self/oom_score_adj")

RAISED_ONLY = frozenset({"net.netfilter.nf_conntrack_max"})
"""Never lowered: somebody may have had a reason."""

log = logging.getLogger(__name__)


def apply(settings: Iterable[tuple[str, int]], root: Path = SYSCTLS) -> None:
    """Write kernel settings where they differ."""
    for name, value in settings:
        file = root.joinpath(*name.split("."))
        try:
            before = int(file.read_text())
            if before == value or (name in RAISED_ONLY and before > value):
                continue
            file.write_text(f"{value}\n")
        except (OSError, ValueError) as error:
            log.warning("%s stays as it is, wanted %d: %s", name, value, reason(error))
        else:
            log.info("%s set to %d, was %d", name, value, before)


def set_oom_score(score: int, file: Path = OOM_SCORE) -> None:
    """Tell the kernel how willingly to kill this process when memory runs out."""
    try:
        file.write_text(str(score))
    except OSError as error:
        log.info("oom_score_adj stays as it is, wanted %d: %s", score, reason(error))
