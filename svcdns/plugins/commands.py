"""What plugins have done outside, and what comes of it.

A plugin touches no socket: it returns a command, the shell carries it out, and the result goes to
the plugin (:class:`svcdns.plugins.base.Ask`).
"""

from collections.abc import Callable
from enum import StrEnum
from typing import TypeAlias

from msgspec import Struct


class Transport(StrEnum):
    """How a message travelled; the values are CoreDNS's ``proto`` label for upstreams."""

    UDP = "udp"
    TCP = "tcp"
    TLS = "tcp-tls"
    HTTPS = "https"


class Upstream(Struct, frozen=True):
    """Where to send a query."""

    address: str
    port: int
    transport: Transport = Transport.UDP
    server_name: str = ""
    "For TLS: the name to verify, or empty for the address."
    tls: tuple[str, ...] = ()
    "Paths: certificate, key, CA; as many as the Corefile gives."
    url_path: str = "/dns-query"
    "For DNS over HTTPS (RFC 8484)."
    method: str = "POST"
    "For DNS over HTTPS."
    source: str = ""
    "Local address to send from, or empty."


class Exchange(Struct, frozen=True):
    """Send a message to an upstream and wait for the matching answer.

    The shell picks an unpredictable ID and port and matches address, ID and question (RFC 5452).
    """

    upstream: Upstream
    wire: bytes
    "The query with ID 0."
    timeout: float
    "Seconds."
    max_idle: float = 10.0
    "Seconds that a TCP or TLS connection may be kept for further queries."
    max_age: float = 0.0
    "Seconds after which a connection is not used again; 0: no limit."


class Delay(Struct, frozen=True):
    """Let time pass (``erratic``)."""

    seconds: float


class Fetch(Struct, frozen=True):
    """An HTTP request (``etcd``)."""

    method: str
    url: str
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    timeout: float = 5.0
    tls: tuple[str, ...] = ()


def _nothing() -> None:
    """There is nothing left to do."""


class ReadZone(Struct, frozen=True):
    """Send a message over a connection of its own, and give every answer to *take*.

    It ends when *take* says that it was the last one, and then *finish* is called; or when *take*
    raises ValueError.
    """

    upstream: Upstream
    wire: bytes
    "The query with ID 0."
    take: Callable[[bytes], bool]
    finish: Callable[[], None] = _nothing
    "May take long: it is called beside the loop, and touches nothing that others use."
    timeout: float = 10.0
    "Seconds for the connection, and for each message."
    total: float = 300.0
    "Seconds for everything."


Command: TypeAlias = Exchange | Delay | Fetch | ReadZone


class Exchanged(Struct, frozen=True):
    """An upstream's answer, or the body of a fetched page."""

    wire: bytes
    seconds: float
    status: int = 200
    reused: bool = False
    "Whether an existing connection served."


class Unanswered(Struct, frozen=True):
    """Why there is no answer."""

    reason: str
    "As the operator should read it: ``read udp 10.0.0.1:53: i/o timeout``."
    timeout: bool = False
    ours: bool = False
    "The upstream was not even asked, for want of descriptors or room; it is not to blame."


Result: TypeAlias = Exchanged | Unanswered | None
