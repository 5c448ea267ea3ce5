"""Debug lines in the log.

Name
----
*debug*: has the process write ``[DEBUG]`` lines.

Syntax
------
::

    debug

Examples:
--------
::

    . {
        debug
    }

Differences
-----------
A bug in a plugin costs its query and is logged with its trace in any case; CoreDNS ends the process
when ``debug`` is on.

Parity: CoreDNS ``plugin/debug``.
"""

from svcdns.corefile.options import each
from svcdns.corefile.syntax import Directive
from svcdns.plugins.base import Context
from svcdns.plugins.passive import Passive

NAME = "debug"


def setup(directives: tuple[Directive, ...], context: Context) -> Passive:
    """Read the directives; the shell looks whether there is one."""
    for line in each(directives):
        line.end()
    return Passive(NAME)
