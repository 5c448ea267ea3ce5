"""The world is made once: cases replace the table, and nothing else."""

from collections.abc import Iterator

import pytest

from tests.support.world import World, missing


@pytest.fixture(scope="session")
def world() -> Iterator[World]:
    if why := missing():
        pytest.skip(f"no network namespaces with nft here: {why}")
    with World() as found:
        yield found
