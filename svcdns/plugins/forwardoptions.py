"""The ``forward`` directive as values: options, and upstreams from addresses and resolv.conf files.

Parity: CoreDNS ``plugin/forward/setup.go``, ``plugin/pkg/parse/host.go``.
"""

import re
from collections.abc import Callable
from ipaddress import ip_address

from msgspec import Struct
from msgspec.structs import replace

from svcdns.corefile.endpoints import split_host_port
from svcdns.corefile.options import Line
from svcdns.dns.constants import Rcode, rcode_number
from svcdns.plugins.commands import Transport, Upstream
from svcdns.plugins.proxies import HealthCheck

NAME = "forward"

MAX_UPSTREAMS = 15
"""CoreDNS's limit."""

MAX_NAMESERVERS = 15
"""Name servers read from one resolv.conf; glibc reads 3, CoreDNS all."""

POLICIES = ("random", "round_robin", "sequential")

_HOST = re.compile(r"(?=.{1,253}\.?$)[A-Za-z0-9_]([A-Za-z0-9_-]{0,62}\.?)+(?<=[A-Za-z0-9_.])")
"""A host name, with the underscores that people use; a path of a file is none."""

_PORTS = {Transport.UDP: 53, Transport.TLS: 853, Transport.HTTPS: 443}
_SCHEMES = {"dns": Transport.UDP, "tls": Transport.TLS, "https": Transport.HTTPS}


class Options(Struct):
    """What the directive's block says."""

    excepts: tuple[bytes, ...] = ()
    "Lower-case wire names that are not forwarded."
    force_tcp: bool = False
    prefer_udp: bool = False
    expire: float = 10.0
    "Seconds that an unused connection is kept."
    max_age: float = 0.0
    read_timeout: float = 2.0
    "Seconds for one attempt."
    max_fails: int = 2
    max_connect_attempts: int = 0
    "0: two for each upstream."
    method: str = "POST"
    "Of DNS over HTTPS."
    tls: tuple[str, ...] = ()
    tls_servername: str = ""
    policy: str = "random"
    check: HealthCheck = HealthCheck()
    max_concurrent: int = 0
    next_rcodes: frozenset[int] = frozenset()
    next_on_nodata: bool = False
    failfast: bool = False
    failover: frozenset[int] = frozenset()
    source: str = ""
    resolvers: tuple[Upstream, ...] = ()
    "Who is asked for host names among the TOs; empty: those of the system."


def read_options(line: Line) -> Options:
    """Read the block of a directive.

    Raises:
        CorefileError: An option is unknown or has a value it cannot have.
    """
    found = Options()
    for option in line.options():
        if not (_read_connection(option, found) or _read_choice(option, found)):
            raise option.unknown()
    return found


def _read_connection(option: Line, found: Options) -> bool:
    """Read an option about how upstreams are reached; tell whether it is one."""
    match option.name:
        case "force_tcp":
            found.force_tcp = True
        case "prefer_udp":
            found.prefer_udp = True
        case "expire":
            found.expire = option.duration(0)
        case "max_idle_conns":
            option.integer(0)
        case "max_age":
            found.max_age = option.duration(0)
        case "read_timeout":
            found.read_timeout = option.duration(0.001)
        case "doh_method":
            found.method = option.word("GET", "POST")
        case "tls":
            found.tls = option.rest()
            if len(found.tls) > 3:
                raise option.arity()
        case "tls_servername":
            found.tls_servername = option.word()
        case "source_address":
            found.source = option.read(_address)
        case "resolver":
            for text in option.rest(at_least=1):
                upstream = _read_address(text, Transport.UDP, Options())
                if upstream is None:
                    raise option.error(f"resolver is no IP address: {text!r}")
                found.resolvers += (upstream,)
        case _:
            return False
    return True


def _read_choice(option: Line, found: Options) -> bool:
    """Read an option about which upstream is asked; tell whether it is one."""
    match option.name:
        case "except":
            found.excepts += option.zones()
        case "max_fails":
            found.max_fails = option.integer(0)
        case "max_connect_attempts":
            found.max_connect_attempts = option.integer(0)
        case "policy":
            found.policy = option.word(*POLICIES)
        case "health_check":
            found.check = _read_check(option)
        case "max_concurrent":
            found.max_concurrent = option.integer(0)
        case "next":
            found.next_rcodes |= _rcodes(option)
        case "next_on_nodata":
            found.next_on_nodata = True
        case "failfast_all_unhealthy_upstreams":
            found.failfast = True
        case "failover":
            found.failover |= _rcodes(option)
            if Rcode.NOERROR in found.failover:
                raise option.error("failover: NOERROR cannot be one of the response codes")
        case _:
            return False
    return True


def _read_check(option: Line) -> HealthCheck:
    interval, recursion, domain = option.duration(0), True, HealthCheck().domain
    while option.more:
        if option.word("no_rec", "domain") == "no_rec":
            recursion = False
        else:
            (domain, *_) = option.zone()
    return HealthCheck(interval or HealthCheck().interval, recursion, domain)


def _rcodes(option: Line) -> frozenset[int]:
    found = set()
    for text in option.rest(at_least=1):
        code = rcode_number(text)
        if code is None:
            raise option.error(f"{text} is not a valid rcode")
        found.add(code)
    return frozenset(found)


def _address(text: str) -> str:
    try:
        return str(ip_address(text))
    except ValueError:
        raise ValueError(f"source_address is no IP address: {text!r}") from None


class Target(Struct, frozen=True):
    """One TO of the directive: an upstream, or a file or a host name that stands for some."""

    upstream: Upstream | None = None
    path: str = ""
    transport: Transport = Transport.UDP
    "Of the upstreams that the file names."
    host: str = ""
    model: Upstream | None = None
    "What the upstreams of a host name are but for their address."


def find_target(text: str, options: Options, read: Callable[[str], bytes]) -> Target:
    """Read one TO: what is no address is a file, and what is no file is a host name.

    Args:
        text: As in the Corefile.
        options: For what all upstreams have in common.
        read: Gives a file's content, or raises OSError.

    Raises:
        ValueError: It is none of these.
    """
    target = read_target(text, options)
    if not target.path:
        return target
    try:
        read(target.path)
    except OSError:
        named = read_host(text, options)
        if named is None:
            raise ValueError(f"not an IP address or file: {target.path!r}") from None
        return named
    return target


def read_target(text: str, options: Options) -> Target:
    """Read one TO: ``IP``, ``IP:PORT``, ``FILE``, each perhaps behind ``dns://`` and so on.

    Args:
        text: As in the Corefile.
        options: For what all upstreams have in common.

    Raises:
        ValueError: An unknown scheme or a bad port.
    """
    scheme, separator, rest = text.partition("://")
    if not separator:
        scheme, rest = "dns", text
    if scheme not in _SCHEMES:
        raise ValueError(f"unsupported protocol {scheme!r} of {text}")
    transport = _SCHEMES[scheme]
    path = ""
    if transport is Transport.HTTPS:
        rest, slash, tail = rest.partition("/")
        path = slash + tail
    upstream = _read_address(rest, transport, options, path)
    if upstream is not None:
        return Target(upstream)
    return Target(path=rest, transport=transport)


def read_host(text: str, options: Options) -> Target | None:
    """Read one TO as a host name; ``None`` when it cannot be one.

    Args:
        text: As in the Corefile; no address, and no file of that name is there.
        options: For what all upstreams have in common.

    Raises:
        ValueError: A bad port.
    """
    scheme, separator, rest = text.partition("://")
    if not separator:
        scheme, rest = "dns", text
    transport = _SCHEMES.get(scheme)
    if transport not in (Transport.UDP, Transport.TLS):
        return None  # as in CoreDNS: a DoH server's name is part of what it serves
    name, percent, server_name = rest.partition("%")
    if percent:
        server_name, colon, port_text = server_name.partition(":")
        name += colon + port_text
    host, port = split_host_port(name, _PORTS[transport])
    if not _HOST.fullmatch(host):
        return None
    model = _read_address(f"192.0.2.0:{port}", transport, options)
    assert model is not None
    if server_name and transport is Transport.TLS:
        model = replace(model, server_name=server_name)
    return Target(transport=transport, host=host, model=model)


def _read_address(
    text: str, transport: Transport, options: Options, path: str = ""
) -> Upstream | None:
    # A bare IPv6 address has colons and no port; with one it needs brackets.
    literal, percent, scope = text.partition("%")
    if percent:
        scope, colon, port_text = scope.partition(":")
        text = f"{literal}{colon}{port_text}"
    try:
        host, port = split_host_port(text, _PORTS[transport])
        address = str(ip_address(host))
    except ValueError:
        return None
    server_name = options.tls_servername
    if percent and transport is Transport.UDP:
        address = f"{address}%{scope}"
    elif percent:
        server_name = scope  # tls://9.9.9.9%dns.quad9.net
    secure = transport is not Transport.UDP
    return Upstream(
        address,
        port,
        transport,
        server_name=server_name if secure else "",
        tls=options.tls if secure else (),
        url_path=path or "/dns-query",
        method=options.method,
        source=options.source,
    )


def read_nameservers(content: bytes, transport: Transport, options: Options) -> list[Upstream]:
    """Read the ``nameserver`` lines of a resolv.conf; other lines are none of our business."""
    found: list[Upstream] = []
    for line in content.decode("utf-8", "replace").splitlines():
        words = line.split()
        if len(words) > 1 and words[0] == "nameserver" and len(found) < MAX_NAMESERVERS:
            upstream = _read_address(words[1], transport, options)
            if upstream is not None:
                found.append(upstream)
    return found
