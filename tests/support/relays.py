"""A userspace proxy for the length of a test."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from typing import Any

from svcdns.aio.userspace import UserspaceProxy
from svcdns.metrics import Registry
from svcdns.proxy.model import ServicePlan
from tests.support.endpoints import address
from tests.support.plans import forwarding_plan

FRONT = f"{address(1)}:8080"
FRONT_ADDRESS = (address(1), 8080)


@asynccontextmanager
async def proxying(*services: ServicePlan, **options: Any) -> AsyncIterator[UserspaceProxy]:
    """Run a proxy with a plan of these service ports; it must be able to bind all of them.

    Its balancers draw the same in every run.
    """
    options.setdefault("registry", Registry())
    options.setdefault("random", Random(7).random)
    proxy = UserspaceProxy(**options)
    await proxy.start()
    try:
        assert proxy.apply(forwarding_plan(*services)).failed == ()
        yield proxy
    finally:
        await proxy.stop(0)
