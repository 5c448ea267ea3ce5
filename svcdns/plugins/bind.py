"""Addresses that a server block listens on.

Name
----
*bind*: listens on these addresses instead of all.

Syntax
------
::

    bind ADDRESS|INTERFACE ... {
        except ADDRESS|INTERFACE ...
    }

Several directives add up.  An interface stands for its addresses at start and at each reload,
without link-local ones of IPv6.

Examples:
--------
::

    . {
        bind 169.254.20.10 10.96.0.10
        forward . /etc/resolv.conf
    }

Differences
-----------
None known.

Parity: CoreDNS ``plugin/bind``.
"""

from collections.abc import Mapping
from ipaddress import ip_address

from svcdns.corefile.options import Line, each
from svcdns.corefile.syntax import Directive
from svcdns.plugins.base import Context
from svcdns.plugins.passive import Passive

NAME = "bind"


def setup(directives: tuple[Directive, ...], context: Context) -> Passive:
    """Read the directives; the listeners are made from :func:`addresses`."""
    return Passive(NAME)


def addresses(
    directives: tuple[Directive, ...], interfaces: Mapping[str, tuple[str, ...]]
) -> tuple[str, ...]:
    """Give the addresses to listen on, in the order of the file; none means all.

    Args:
        directives: All ``bind`` lines of a block.
        interfaces: The machine's addresses by interface name.

    Raises:
        CorefileError: Neither an address nor an interface, or nothing is left.
    """
    found: dict[str, None] = {}
    for line in each(directives):
        wanted = _resolve(line, interfaces)
        excluded: set[str] = set()
        for option in line.options():
            if option.name != "except":
                raise option.unknown()
            excluded.update(_resolve(option, interfaces))
        chosen = [address for address in wanted if address not in excluded]
        if not chosen:
            raise line.error("no address is left to listen on")
        found |= dict.fromkeys(chosen)
    return tuple(found)


def _resolve(line: Line, interfaces: Mapping[str, tuple[str, ...]]) -> list[str]:
    found: list[str] = []
    for text in line.rest(at_least=1):
        literal, _, scope = text.partition("%")
        try:
            address = str(ip_address(literal))
        except ValueError:
            if text not in interfaces:
                message = f"not a valid IP address or interface name: {text!r}"
                raise line.error(message) from None
            # README of CoreDNS's plugin: all addresses but IPv6 link-local ones.
            found.extend(one for one in interfaces[text] if not one.startswith("fe80:"))
        else:
            found.append(f"{address}%{scope}" if scope else address)
    return found
