import logging

import pytest

from svcdns.aio.environment import environment
from svcdns.metrics import Registry
from svcdns.plugins.clusters import Clusters


def test_it_lends_time_chance_and_the_machine(caplog: pytest.LogCaptureFixture) -> None:
    said: list[str] = []
    lent = environment(Registry(), Clusters(lambda: 0.0), write=said.append, spawn=lambda ask: None)

    assert 0.0 <= lent.random() < 1.0
    assert lent.clock() <= lent.clock()
    assert lent.processors >= 1
    assert "127.0.0.1" in lent.interfaces["lo"]
    with caplog.at_level(logging.WARNING):
        lent.warn("odd")
        lent.panic("a.example. A", ValueError("bug"))
    assert [record.getMessage() for record in caplog.records] == [
        "odd",
        "a plugin failed over a.example. A",
    ]
