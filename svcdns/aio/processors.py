"""How many processors this process may use.

Parity: Go's GOMAXPROCS (1.25), by which CoreDNS's ``multisocket`` counts: the variable of that
name, else the processors of the affinity mask, and of the control group's limit at least two.
"""

import math
import os
from collections.abc import Mapping
from pathlib import Path

CPU_MAX = Path("/sys/fs/cgroup/cpu.max")
"""Microseconds of CPU time in a period, and the period (control groups, version 2)."""

LEAST_BY_LIMIT = 2


def processors(environ: Mapping[str, str] = os.environ, cpu_max: Path = CPU_MAX) -> int:
    """Count them; at least one."""
    said = environ.get("GOMAXPROCS", "")
    if said.isascii() and said.isdigit() and int(said):
        return int(said)
    usable = len(os.sched_getaffinity(0))
    try:
        quota, period = cpu_max.read_text().split()
        limit = math.ceil(int(quota) / int(period))
    except (OSError, ValueError, ZeroDivisionError):
        return usable  # no control group, or "max": no limit
    return min(usable, max(LEAST_BY_LIMIT, limit))
