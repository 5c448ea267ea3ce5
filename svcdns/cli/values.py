"""What flags of several commands hold: addresses, ports, cluster zones, names of namespaces.

Each reader gives the value in its usual form, or says in one line which flag holds what instead.
"""

import re
from ipaddress import ip_address

from svcdns.corefile.endpoints import split_host_port
from svcdns.corefile.keys import MAX_PORT
from svcdns.dns.name import MAX_LABEL, from_text, is_subdomain
from svcdns.errors import ConfigError

_ZONE = re.compile(r"[a-z0-9_]([-a-z0-9_.]*[a-z0-9_])?")
_NAMESPACE = re.compile(rf"(?=.{{1,{MAX_LABEL}}}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_REVERSE = tuple(from_text(zone) for zone in ("in-addr.arpa", "ip6.arpa"))


def address(flag: str, text: str) -> str:
    """Read an IP address.

    Raises:
        ConfigError: It is none.
    """
    try:
        return str(ip_address(text))
    except ValueError as error:
        raise ConfigError(f"{flag}: {text!r} is not an IP address") from error


def port(flag: str, number: int) -> int:
    """Check a port that somebody is to connect to.

    Raises:
        ConfigError: It cannot be one.
    """
    if not 0 < number <= MAX_PORT:
        raise ConfigError(f"{flag}: the port must be 1 to {MAX_PORT}, not {number}")
    return number


def endpoint(flag: str, text: str, default_port: int) -> tuple[str, int]:
    """Read ADDRESS or ADDRESS:PORT; an IPv6 address with a port stands in brackets.

    Raises:
        ConfigError: It is neither.
    """
    try:
        host, number = split_host_port(text, default_port)
    except ValueError as error:
        raise ConfigError(f"{flag}: {text!r} is not ADDRESS[:PORT]: {error}") from error
    if not host:
        raise ConfigError(f"{flag}: {text!r} is not ADDRESS[:PORT]: the address is missing")
    return address(flag, host), port(flag, number)


def zone(flag: str, text: str) -> str:
    """Read a cluster zone; gives it in lower case, without a final dot.

    Raises:
        ConfigError: It is no domain name, or a zone of addresses.
    """
    found = text.lower().removesuffix(".")
    wrong = f"{flag}: {text!r} is not a domain name"
    if not _ZONE.fullmatch(found):
        raise ConfigError(wrong)
    try:
        wire = from_text(found)
    except ValueError as error:
        raise ConfigError(f"{wrong}: {error}") from error
    if any(is_subdomain(wire, one) for one in _REVERSE):
        raise ConfigError(f"{flag}: {text!r} is for the names of addresses: take another one")
    return found


def namespace(flag: str, text: str) -> str:
    """Read the name of a Namespace (RFC 1123 label, as the API server has it).

    Raises:
        ConfigError: No Namespace can have it.
    """
    if not _NAMESPACE.fullmatch(text):
        raise ConfigError(f"{flag}: {text!r} cannot be the name of a Namespace")
    return text
