"""How long a client may keep a connection.

Name
----
*timeouts*: sets the time limits of TCP, TLS and HTTPS connections.

Syntax
------
::

    timeouts {
        read DURATION
        write DURATION
        idle DURATION
        maxtcpqueries NUMBER
    }

* ``read``: until the first query is there, 3 s by default.
* ``write``: for an answer to be read by the client, 5 s by default.
* ``idle``: between queries, 10 s by default.
* ``maxtcpqueries``: queries on one connection; -1, the default, is no limit.

A DURATION without a unit is a number of seconds.

Examples:
--------
::

    tls://.:5553 {
        timeouts {
            read 10s
            idle 1m
        }
    }

Differences
-----------
None known.

Parity: CoreDNS ``plugin/timeouts`` (rule J12).
"""

from svcdns.corefile.options import Line, each
from svcdns.corefile.syntax import Directive
from svcdns.plugins.base import Context
from svcdns.plugins.passive import Passive

NAME = "timeouts"

SHORTEST, LONGEST = 1.0, 86400.0
"""Seconds."""


class Timeouts(Passive):
    """One ``timeouts`` directive; ``None`` leaves a limit as it is."""

    def __init__(self) -> None:
        super().__init__(NAME)
        self.read: float | None = None
        self.write: float | None = None
        self.idle: float | None = None
        self.queries: int | None = None


def setup(directives: tuple[Directive, ...], context: Context) -> Timeouts:
    """Read the directives; what one says stays in force unless a later one says otherwise."""
    found = Timeouts()
    for line in each(directives):
        if not line.directive.block:
            raise line.error("timeouts block with no timeouts specified")
        for option in line.options():
            _read(option, found)
    return found


def _read(option: Line, found: Timeouts) -> None:
    match option.name:
        case "read":
            found.read = option.seconds(SHORTEST, LONGEST)
        case "write":
            found.write = option.seconds(SHORTEST, LONGEST)
        case "idle":
            found.idle = option.seconds(SHORTEST, LONGEST)
        case "maxtcpqueries":
            found.queries = option.integer(-1)
        case _:
            raise option.unknown()
