"""Makes ranges of Services local to this network namespace, and takes that back."""

import errno
import logging
import os
import socket
from collections.abc import Iterable

from svcdns.aio.interfaces import interfaces
from svcdns.errors import ConfigError
from svcdns.proxy import ctnetlink
from svcdns.proxy.capture import FLAG, Action, Captured, check_own, leads_here, request

TIMEOUT = 5.0
"""Seconds to wait for the kernel's word."""

log = logging.getLogger(__name__)


class Capture:
    """The local routes of this process."""

    def __init__(self, captured: Iterable[Captured]) -> None:
        self._captured = tuple(captured)
        self._made: list[Captured] = []

    def start(self) -> None:
        """Make the routes that are not there yet.

        Raises:
            ConfigError: The kernel refuses, or a range has an address of this machine.
        """
        check_own(self._captured, (one for found in interfaces().values() for one in found))
        for one in self._captured:
            code = _ask(Action.ADD, one)
            if code == errno.EEXIST or (code == errno.EPERM and not _ask(Action.LOOK_UP, one)):
                log.info("%s is local already", one.cidr)
                continue
            if code:
                self.stop()
                raise ConfigError(_why(one, code))
            log.info("%s is local now: connections to it end here", one.cidr)
            self._made.append(one)

    def stop(self) -> None:
        """Take back the routes that :meth:`start` made; those of others stay."""
        for one in self._made:
            code = _ask(Action.DELETE, one)
            if code not in (0, errno.ESRCH):
                log.warning("the local route to %s stays: %s", one.cidr, os.strerror(code))
        self._made.clear()


def clean_up(captured: Iterable[Captured]) -> bool:
    """Delete the routes of an earlier process that did not; False: the kernel refuses."""
    clean = True
    for one in captured:
        code = _ask(Action.DELETE, one)
        if code == 0:
            log.info("the local route to %s is gone", one.cidr)
        elif code != errno.ESRCH:
            log.warning("the local route to %s stays: %s", one.cidr, os.strerror(code))
            clean = False
    return clean


def _why(captured: Captured, code: int) -> str:
    text = f"{FLAG}: {captured.cidr} cannot be made local: {os.strerror(code).lower()}"
    if code == errno.EPERM:
        text += (
            "; that needs NET_ADMIN, of which an init container with --init-only relieves this one"
        )
    return text


def _ask(action: Action, captured: Captured) -> int:
    """Have the kernel do it; the error number, 0 when it is done or the range leads here."""
    try:
        with socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE
        ) as sock:
            sock.settimeout(TIMEOUT)
            sock.bind((0, 0))
            sock.send(request(action, captured, socket.if_nametoindex("lo"), 1))
            for kind, content in ctnetlink.messages(sock.recv(1 << 16)):
                if kind == ctnetlink.Kind.ERROR:
                    return ctnetlink.error_code(content)
                if kind == Action.ADD:
                    return 0 if leads_here(content) else errno.ENOENT
    except OSError as error:
        return error.errno or errno.EIO
    return errno.EIO
