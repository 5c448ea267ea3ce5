"""Finds a port for a server that is told its port before it binds one."""

import errno
import socket


def free_port(address: str) -> int:
    """Give a port of an IPv4 address that is free for UDP and TCP.

    A connection that has ended keeps its port for a minute, so a port that UDP has free is tried
    with TCP as well.  Somebody may still take it before the caller binds it.

    Raises:
        OSError: The address is not this machine's, or no port of it is free.
    """
    while True:
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
            socket.socket(socket.AF_INET, socket.SOCK_STREAM) as stream,
        ):
            datagrams.bind((address, 0))
            port = int(datagrams.getsockname()[1])
            try:
                stream.bind((address, port))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
            else:
                return port
