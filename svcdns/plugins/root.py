"""Where relative paths start.

Name
----
*root*: names the directory that relative paths of the block's other directives start from.

Syntax
------
::

    root PATH

Examples:
--------
::

    . {
        root /etc/coredns/zones
        file db.example.org example.org
    }

Differences
-----------
A directory that is missing is a warning, as in CoreDNS.

Parity: CoreDNS ``plugin/root``.
"""

from svcdns.corefile.options import each
from svcdns.corefile.syntax import Directive
from svcdns.plugins.base import Context
from svcdns.plugins.passive import Passive

NAME = "root"


def setup(directives: tuple[Directive, ...], context: Context) -> Passive:
    """Read the directives; paths are put together with :func:`path`."""
    path(directives)
    return Passive(NAME)


def path(directives: tuple[Directive, ...]) -> str:
    """Give the directory, or an empty text for the current one; the last directive counts.

    Raises:
        CorefileError: Not exactly one argument.
    """
    found = ""
    for line in each(directives):
        found = line.word()
        line.end()
    return found
