"""New configuration without a restart.

Name
----
*reload*: looks at the Corefile and what it imports, and takes a changed one into use.

Syntax
------
::

    reload [INTERVAL] [JITTER]

* INTERVAL: 30 s by default, 2 s at least.
* JITTER: 15 s by default, 1 s at least, at most half the interval.

SIGUSR1 reloads at once, with or without the directive.

Examples:
--------
::

    . {
        reload 10s 5s
    }

Metrics
-------
``coredns_reload_failed_total``, ``coredns_reload_version_info{hash, value}``.

Differences
-----------
Probes stay open during a reload, and the Kubernetes cluster is not listed again when its options
are the same.

Parity: CoreDNS ``plugin/reload`` (corefile-features g).
"""

from svcdns.corefile.options import first
from svcdns.corefile.syntax import Directive
from svcdns.plugins.base import Context, Reload
from svcdns.plugins.passive import Passive

NAME = "reload"

DEFAULT_INTERVAL = 30.0
DEFAULT_JITTER = 15.0
MIN_INTERVAL = 2.0
MIN_JITTER = 1.0
"""Seconds, all of them; CoreDNS raises smaller values to these without a word."""


def setup(directives: tuple[Directive, ...], context: Context) -> Passive:
    """Read the directive."""
    line = first(directives, context.warn)
    interval = max(line.duration(default=DEFAULT_INTERVAL), MIN_INTERVAL)
    jitter = max(line.duration(default=DEFAULT_JITTER), MIN_JITTER)
    line.ignore_block()
    line.end()
    return Passive(NAME, Reload(interval, min(jitter, interval / 2)))
