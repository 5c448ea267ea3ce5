"""The table of a listener's connections."""

import asyncio

from svcdns.aio.connections import Connections, Limits


class Client:
    def __init__(self, connections: "Connections[Client]", *, busy: bool = False) -> None:
        self.connections = connections
        self.busy = busy
        self.said: list[str] = []

    def finish(self) -> None:
        self.said.append("finish")
        if not self.busy:
            self.connections.leave(self)

    def abort(self) -> None:
        self.said.append("abort")
        self.connections.leave(self)


def test_limits_are_those_of_the_reference() -> None:
    """Rule J12."""
    limits = Limits()

    assert (limits.read, limits.write, limits.idle, limits.queries) == (3.0, 5.0, 10.0, -1)


async def test_the_longest_idle_one_makes_room_for_a_new_one() -> None:
    connections: Connections[Client] = Connections()
    busy, idle, used = (Client(connections, busy=one == 0) for one in range(3))
    for one in (busy, used, idle):
        connections.admit(one, 3)
    connections.touch(used)
    new = Client(connections)
    connections.admit(new, 3)

    assert list(connections) == [busy, used, new]
    assert idle.said == ["abort"]


async def test_the_new_one_is_refused_when_all_others_wait_for_answers() -> None:
    connections: Connections[Client] = Connections()
    for _ in range(2):
        connections.admit(Client(connections, busy=True), 2)
    new = Client(connections)
    connections.admit(new, 2)

    assert new.said == ["abort"]
    assert len(connections) == 2


async def test_no_limit_is_no_limit() -> None:
    connections: Connections[Client] = Connections()
    for _ in range(50):
        connections.admit(Client(connections), 0)

    assert len(connections) == 50


async def test_finishing_waits_for_answers_but_not_for_ever() -> None:
    connections: Connections[Client] = Connections()
    idle, done, stuck = (
        Client(connections),
        Client(connections, busy=True),
        Client(connections, busy=True),
    )
    for one in (idle, done, stuck):
        connections.admit(one, 0)
    asyncio.get_running_loop().call_soon(connections.leave, done)
    await connections.finish(0.05)

    assert (idle.said, done.said, stuck.said) == (["finish"], ["finish"], ["finish", "abort"])
    assert not len(connections)


async def test_what_was_never_admitted_can_leave() -> None:
    connections: Connections[Client] = Connections()
    stranger = Client(connections)
    connections.touch(stranger)
    connections.leave(stranger)

    assert not len(connections)
    await connections.finish(1.0)
