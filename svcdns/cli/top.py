"""``svcdns top``: what the service proxy does, live in a terminal."""

import argparse
from urllib.parse import urlsplit

from svcdns.aio.top import Settings, Top
from svcdns.errors import ConfigError
from svcdns.hostport import host_port
from svcdns.proxy.kubeproxyconfig import METRICS_PORT
from svcdns.proxy.top import UP_METRICS_ADDRESS, Sort
from svcdns.proxy.topview import View

HELP = """\
Services of a running 'svcdns up' or 'svcdns proxy', live: open connections, connections and octets
a second, retries, ejections, connections that no endpoint took, time to connect, endpoint states.

IN is what clients send, OUT what they get.  RETRIES, EJECTED and FAILED count since the process
began; CONNECT is the mean time until an endpoint took a connection, P99< what 99 of 100 stayed
below.  In nftables mode the kernel forwards, and only endpoints are known.

In the terminal e unfolds services into their endpoints, s sorts by the next column, arrows and
page keys scroll, and q or Ctrl-C ends.  Of an endpoint FAILED counts connects that it did not take.
Where there is no terminal, plain tables are printed, one after the other."""

DEFAULTS = (UP_METRICS_ADDRESS, f"127.0.0.1:{METRICS_PORT}")
"""Where ``svcdns up`` and ``svcdns proxy`` have their metrics."""

SHORTEST = 0.1
LONGEST = 3600.0
"""Seconds between scrapes."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument(
        "address", nargs="?", metavar="ADDRESS|URL",
        help=f"where the metrics are (default: {DEFAULTS[0]}, which is 'svcdns up', else"
        f" {DEFAULTS[1]}, which is 'svcdns proxy')",
    )  # fmt: skip
    parser.add_argument(
        "--interval", type=float, default=2.0, metavar="S",
        help="seconds between looks (default: 2)",
    )  # fmt: skip
    parser.add_argument(
        "--once", action="store_true", help="look twice, an interval apart, print, and exit"
    )
    parser.add_argument(
        "--output", choices=("text", "json"), default="text",
        help="json: one document, or without --once one in a line for every look",
    )  # fmt: skip
    parser.add_argument(
        "--endpoints", "-e", action="store_true",
        help="unfold services into their endpoints, each with its state",
    )  # fmt: skip
    parser.add_argument(
        "--sort", choices=[one.value for one in Sort], default=Sort.CONNECTIONS.value,
        help="what comes first (default: connections a second)",
    )  # fmt: skip
    parser.add_argument(
        "--namespace", "-n", default="", metavar="NS", help="services of this Namespace only"
    )


def run(args: argparse.Namespace) -> int:
    """Show it.

    Raises:
        ConfigError: A flag cannot be used, or nothing answers.
    """
    return Top(settings_of(args)).run()


def settings_of(args: argparse.Namespace) -> Settings:
    """Check the flags.

    Raises:
        ConfigError: One of them cannot be used.
    """
    if not SHORTEST <= args.interval <= LONGEST:
        raise ConfigError(f"--interval: must be {SHORTEST:g} to {LONGEST:g} s, not {args.interval}")
    places = (args.address,) if args.address else DEFAULTS
    urls = tuple(url(one) for one in places)
    view = View(Sort(args.sort), args.endpoints)
    return Settings(urls, args.interval, args.once, args.output == "json", view, args.namespace)


def url(text: str) -> str:
    """Complete ``127.0.0.1:1054``, ``:1054``, ``1054``, or a URL without a path.

    Raises:
        ConfigError: It is none of these.
    """
    wanted = f"{text!r} is no address: expected ADDRESS:PORT or a URL, as {DEFAULTS[0]}"
    whole = f":{text}" if text.isascii() and text.isdigit() else text
    if "://" not in whole:
        whole = f"http://{whole}"
    try:
        parts = urlsplit(whole)
        port = parts.port
    except ValueError as error:
        raise ConfigError(wanted) from error
    schemes = ("http", "https")
    if parts.scheme not in schemes or (port is None and "://" not in text) or text != text.strip():
        raise ConfigError(wanted)
    host = parts.hostname or ("127.0.0.1" if port is not None else "")
    if not host or not host.isprintable() or " " in host or parts.username is not None:
        raise ConfigError(wanted)
    query = f"?{parts.query}" if parts.query else ""
    place = host_port(host, port) if port is not None else parts.netloc
    return f"{parts.scheme}://{place}{parts.path.rstrip('/') or '/metrics'}{query}"
