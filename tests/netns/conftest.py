"""The network is made once; each test finds nodes and pods without rules, whatever ran before it."""

from collections.abc import Iterator

import pytest

from tests.support.world import PODS, World, missing


@pytest.fixture(scope="session")
def network() -> Iterator[World]:
    if why := missing():
        pytest.skip(f"no network namespaces with nft here: {why}")
    with World() as found:
        yield found


@pytest.fixture
def world(network: World) -> World:
    for place in ("node", *PODS):
        network[place].run("nft", "flush", "ruleset")
    return network
