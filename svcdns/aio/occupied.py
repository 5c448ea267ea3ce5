"""Whether somebody else has the addresses that we are about to serve.

Addresses on loopback follow from the names of Services, so a second ``svcdns up`` on the same
manifests wants exactly those of the first.  One address that is taken is a matter of one Service;
all of them are another process like us.
"""

import errno
import socket
from collections.abc import Iterable

from svcdns.aio.addresses import sockaddr
from svcdns.proxy.listeners import Listener

_TYPES = {"TCP": socket.SOCK_STREAM, "UDP": socket.SOCK_DGRAM}


def taken(address: str, port: int, protocol: str) -> bool:
    """Try whether another socket has this place; what cannot be bound at all is not taken."""
    try:
        where = sockaddr(address, port)
        with socket.socket(where.family, _TYPES[protocol]) as sock:
            # connections that have just ended hold nothing that we need
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, int(protocol == "TCP"))
            sock.bind(where.value)
    except OSError as error:
        return error.errno == errno.EADDRINUSE
    return False


def complaint(places: Iterable[Listener]) -> str:
    """Say that all *places* are taken, which and what to do; empty when one is free, or none asked.

    Looks no further than the first that is free.
    """
    first, count = None, 0
    for one in places:
        if not taken(one.address, one.port, one.protocol):
            return ""
        first = first or one
        count += 1
    if first is None:
        return ""
    many = f"all {count} are in use, the first is" if count > 1 else "it is in use:"
    return (
        f"addresses of Services: {many} {first.address} port {first.port}/{first.protocol}:"
        " another 'svcdns up' seems to serve these manifests; stop it, or give this one a network"
        " of its own (unshare -rn), or --no-proxy for names only"
    )
