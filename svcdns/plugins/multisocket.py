"""Several sockets for one address, and a process for each.

Name
----
*multisocket*: answers from several processes, for servers that one core is not enough for.

Syntax
------
::

    multisocket [NUMBER]

* NUMBER: 1 to 1024; by default the processors that this process may use, or ``GOMAXPROCS``.

Examples:
--------
::

    . {
        multisocket 4
    }

Differences
-----------
CoreDNS opens NUMBER sockets with SO_REUSEPORT and reads them with threads of one process.  Here
each socket is read by a process of its own, and memory makes more than two for each processor a
waste: that is the limit, and a warning tells when it is reached.  Only the first process watches
the Kubernetes API, has the probes and the metrics, and takes signals; ``/metrics`` shows the sum.

Parity: CoreDNS ``plugin/multisocket``.
"""

from collections.abc import Iterable

from svcdns.corefile.options import first
from svcdns.corefile.syntax import Directive
from svcdns.plugins.base import Context, Need, Periodic, WatchDirectory, WatchFile
from svcdns.plugins.passive import Passive

NAME = "multisocket"

MAX_SOCKETS = 1024

FOR_EACH_PROCESSOR = 2
"""Processes that one processor is shared by at most."""

_FIRST_ONLY = frozenset({"health"})
"""Periodic work about what only the first process has: ``health`` polls its own site."""


class Multisocket(Passive):
    """One ``multisocket`` directive."""

    def __init__(self, sockets: int) -> None:
        super().__init__(NAME)
        self.sockets = sockets
        "One for each process."


def setup(directives: tuple[Directive, ...], context: Context) -> Multisocket:
    """Read the directive."""
    line = first(directives, context.warn)
    wanted = line.integer(1, MAX_SOCKETS, default=min(context.processors, MAX_SOCKETS))
    line.ignore_block()
    line.end()
    most = max(2, FOR_EACH_PROCESSOR * context.processors)
    if wanted > most:
        context.warn(
            f"plugin/multisocket: {wanted} sockets are wanted, {most} are opened: each is a"
            f" process here, and {context.processors} processors can be used"
        )
    return Multisocket(min(wanted, most))


def work_of_worker(needs: Iterable[Need]) -> tuple[Need, ...]:
    """Choose from a configuration's needs what a further process sees to itself.

    Files are read and upstreams are probed by each, because each has its own copy of what comes of
    it.  Sites, signals, the Corefile and the cluster are the first process's.
    """
    return tuple(
        need
        for need in needs
        if isinstance(need, WatchFile | WatchDirectory)
        or (isinstance(need, Periodic) and need.name not in _FIRST_ONLY)
    )
