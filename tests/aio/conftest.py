"""Relays are tried in both kinds of loop that they run in; nobody is late with a handshake."""

import asyncio
from collections.abc import Callable

import pytest

from svcdns.aio import acceptor
from svcdns.aio.directloop import DirectLoop

RELAYS = frozenset(
    f"test_{module}"
    for module in ("poller", "tcpconnection", "tcpleg", "tcprelay", "udprelay", "userspace")
)


@pytest.fixture(autouse=True)
def patience_with_handshakes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients of tests stall when their process does."""
    monkeypatch.setattr(acceptor, "HANDSHAKE_SECONDS", 60.0)


@pytest.hookimpl
def pytest_asyncio_loop_factories(
    item: pytest.Item,
) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Say which loops a test is run in, by name."""
    if item.path.stem in RELAYS:
        return {"direct": DirectLoop, "asyncio": asyncio.new_event_loop}
    return {"asyncio": asyncio.new_event_loop}
