"""Lists a table of nftables by asking the kernel (:mod:`svcdns.proxy.nftnetlink`)."""

import errno
import os
import socket
from collections.abc import Iterator

from svcdns.proxy.ctnetlink import NETFILTER, error_code
from svcdns.proxy.listing import Listing
from svcdns.proxy.nft import Table
from svcdns.proxy.nftnetlink import (
    INTERRUPTED,
    KernelSet,
    Kind,
    SetFlag,
    Spelling,
    chain,
    kernel_set,
    messages,
    request,
    rule,
)

RECEIVE_OCTETS = 1 << 18
TIMEOUT = 30.0
"""Seconds to wait for the kernel's next word: a transaction of others may be under way."""

ATTEMPTS = 5
"""Listings that others' transactions may interrupt before it is given up."""


def list_table(table: Table) -> Listing | None:
    """List a table; ``None`` when there is none.  Blocks, about a second for 230,000 elements.

    Elements that packets make are left out: they come and go.

    Raises:
        OSError: The kernel does not tell.
        ValueError: The table has sets of a kind that we never make.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with socket.socket(
                socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETFILTER
            ) as sock:
                sock.settimeout(TIMEOUT)
                sock.bind((0, 0))
                return _Asking(sock, table).listing()
        except InterruptedError:
            if attempt == ATTEMPTS:
                raise
    raise AssertionError


class _Asking:
    def __init__(self, sock: socket.socket, table: Table) -> None:
        self._sock = sock
        self._table = table
        self._sequence = 0

    def listing(self) -> Listing | None:
        try:
            list(self._ask(Kind.GET_TABLE, Kind.TABLE))
        except FileNotFoundError:
            return None
        sets = [
            found
            for content in self._ask(Kind.GET_SET, Kind.SET)
            if (found := kernel_set(content, self._table))
        ]
        chains: dict[str, list[str]] = {}
        for content in self._ask(Kind.GET_CHAIN, Kind.CHAIN):
            if (name := chain(content, self._table)) is not None:
                chains[name] = []
        for content in self._ask(Kind.GET_RULE, Kind.RULE):
            if found_rule := rule(content, self._table):
                chains.setdefault(found_rule[0], []).append(found_rule[1])
        elements = {one.name: dict(self._elements(one)) for one in sets}
        return Listing({one.name: one.word for one in sets}, chains, elements)

    def _elements(self, one: KernelSet) -> Iterator[tuple[str, str]]:
        if SetFlag.EVAL in one.flags:
            return
        spelling = Spelling(one)
        for content in self._ask(Kind.GET_ELEMENTS, Kind.ELEMENTS, one.name):
            yield from spelling.elements(content)
        yield from spelling.rest()

    def _ask(self, question: Kind, answer: Kind, name: str = "") -> Iterator[bytes]:
        """Send a request; give the messages that answer it.

        Raises:
            InterruptedError: Somebody changed the ruleset meanwhile.
            OSError: The kernel refuses.
        """
        self._sequence += 1
        self._sock.send(request(question, self._table, self._sequence, name=name))
        while True:
            for kind, flags, content in messages(self._sock.recv(RECEIVE_OCTETS)):
                if flags & INTERRUPTED:
                    raise InterruptedError(errno.EINTR, "the ruleset changes too often to list it")
                if kind == Kind.DONE:
                    return
                if kind == Kind.ERROR:
                    if code := error_code(content):
                        raise OSError(code, os.strerror(code))
                    return
                if kind == answer:
                    yield content
