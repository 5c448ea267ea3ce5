"""The fixture ``svcdns`` for pytest: a service network for one test.

::

    def test_my_client_survives_a_dead_backend(svcdns):
        svcdns.apply(Path("deploy/web.yaml"))
        svcdns.endpoints("web", "127.0.0.1:8080", "127.0.0.1:8081")
        assert svcdns.ask("web.default.svc.cluster.local").rcode == "NOERROR"
        address, port = svcdns.address("web")

Everything else is in :mod:`svcdns.aio.testing`, which is imported when a test asks for it.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from svcdns.aio.testing import ServiceNetwork


@pytest.fixture
def svcdns() -> Iterator["ServiceNetwork"]:
    """DNS and service proxy on free loopback ports, until the end of the test."""
    from svcdns.aio.testing import ServiceNetwork

    with ServiceNetwork() as network:
        yield network
