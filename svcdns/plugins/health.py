"""The liveness probe, and the time to say goodbye.

Name
----
*health*: ``GET /health`` says ``OK`` as long as the process lives.

Syntax
------
::

    health [ADDRESS] {
        lameduck DURATION
    }

* ADDRESS: ``:8080`` by default.
* ``lameduck``: goes on answering queries and probes for DURATION after SIGTERM; ``/ready`` is
  closed at its start.

Examples:
--------
::

    . {
        health {
            lameduck 5s
        }
    }

Metrics
-------
``coredns_health_request_duration_seconds`` and ``coredns_health_request_failures_total`` are about
the server's own request to the probe, once a second: they show whether it has time for others.

Differences
-----------
None known.

Parity: CoreDNS ``plugin/health`` (corefile-features e).
"""

from svcdns.corefile.options import each
from svcdns.corefile.syntax import Directive
from svcdns.plugins.base import (
    Ask,
    Context,
    Drop,
    HttpAnswer,
    LameDuck,
    Outcome,
    Periodic,
    ServeHttp,
)
from svcdns.plugins.commands import Exchanged, Fetch, Result, Unanswered
from svcdns.plugins.passive import Passive

NAME = "health"

DEFAULT_ADDRESS = ":8080"

BUCKETS = tuple(0.00025 * 2 ** (2 * k) for k in range(8))
"""Seconds; CoreDNS's slim buckets."""

POLL_SECONDS = 1.0
POLL_TIMEOUT = 3.0
SLOW_SECONDS = 1.0
"""A probe of our own that takes longer is worth a line in the log."""


def _ok() -> HttpAnswer:
    return HttpAnswer(200, b"OK")


class _Poll:
    """Asks our own probe how long it takes."""

    def __init__(self, address: str, context: Context) -> None:
        host, _, port = address.rpartition(":")
        if host in ("", "0.0.0.0", "[::]"):
            host = "127.0.0.1"
        self._url = f"http://{host}:{port}/health"
        self._write = context.write
        self._duration = context.registry.histogram(
            "coredns_health_request_duration_seconds",
            "Time of the server's own request to /health.",
            BUCKETS,
        ).histogram()
        self._failures = context.registry.counter(
            "coredns_health_request_failures_total",
            "Failures of the server's own request to /health.",
        ).cell()
        self._waiting = False

    def run(self, _now: float) -> tuple[Ask, ...]:
        if self._waiting:
            return ()
        self._waiting = True
        return (Ask(Fetch("GET", self._url, timeout=POLL_TIMEOUT), self._answered),)

    def _answered(self, result: Result, _now: float) -> Outcome:
        self._waiting = False
        match result:
            case Exchanged(seconds=seconds):
                self._duration.observe(seconds)
                if seconds > SLOW_SECONDS:
                    self._write(
                        f"[WARNING] plugin/health: Local health request to {self._url!r}"
                        f" took more than 1s: {seconds:.3f}s"
                    )
            case Unanswered(reason=reason):
                self._failures.value += 1
                self._write(
                    f"[WARNING] plugin/health: Local health request to {self._url!r}"
                    f" failed: {reason}"
                )
        return Drop()


def setup(directives: tuple[Directive, ...], context: Context) -> Passive:
    """Read the directive."""
    # What one line says stays in force unless a later one says otherwise (setup.go parse).
    address, lameduck = DEFAULT_ADDRESS, 0.0
    lines = each(directives)
    for line in lines:
        address = line.listen(address)
        for option in line.options():
            if option.name != "lameduck":
                raise option.unknown()
            lameduck = option.duration(0)
    poll = _Poll(address, context)
    return Passive(
        NAME,
        ServeHttp(address, {"/health": _ok}, lines[-1].directive),
        LameDuck(lameduck),
        Periodic(NAME, POLL_SECONDS, poll.run),
    )
