"""Several sockets for one address.

Name
----
*multisocket*: accepted, and without effect.

Syntax
------
::

    multisocket [NUMBER]

* NUMBER: 1 to 1024.

Examples:
--------
::

    . {
        multisocket 4
    }

Differences
-----------
CoreDNS opens NUMBER sockets with SO_REUSEPORT, to spread queries over its threads.  This server
answers from one thread, for which one socket is the fastest.

Parity: CoreDNS ``plugin/multisocket``.
"""

from svcdns.corefile.options import last
from svcdns.corefile.syntax import Directive
from svcdns.plugins.base import Context
from svcdns.plugins.passive import Passive

NAME = "multisocket"

MAX_SOCKETS = 1024


def setup(directives: tuple[Directive, ...], context: Context) -> Passive:
    """Read the directive."""
    line = last(directives, context.warn)
    line.integer(1, MAX_SOCKETS, default=1)
    line.end()
    return Passive(NAME)
