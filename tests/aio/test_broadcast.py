import asyncio

from svcdns.aio.broadcast import Broadcast
from svcdns.kube.objects import Kind
from svcdns.kube.replication import Changed, Marked
from svcdns.kube.source import ApiSource
from svcdns.plugins.clusters import Cluster, Clusters
from svcdns.plugins.workers import ToWorker, to_worker
from tests.support.cluster import namespace, service


def cluster() -> Cluster:
    return Clusters(lambda: 1000.0).get(ApiSource(kinds=(Kind.SERVICE,)))


def read(sent: list[bytes]) -> list[ToWorker]:
    return list(to_worker().feed(b"".join(sent)))


async def test_changes_of_one_turn_leave_together_and_in_order() -> None:
    copy, sent = cluster(), list[bytes]()
    broadcast = Broadcast([copy], sent.append)

    copy.store.apply(namespace("default"))
    copy.store.apply(service("default/web", "10.96.0.1"))
    copy.store.delete(Kind.NAMESPACE, ("", "default"))
    assert sent == []
    await asyncio.sleep(0)

    assert len(sent) == 1
    one, two, three, mark = read(sent)
    assert isinstance(one, Changed)
    assert one.key == ("", "default")
    assert isinstance(two, Changed)
    assert two.key == ("default", "web")
    assert isinstance(three, Changed)
    assert three.body == b""
    assert mark == Marked(copy.source.identity, (), 1000, 0)
    broadcast.close()


async def test_a_flush_before_a_fork_sends_what_waits_and_nothing_twice() -> None:
    copy, sent = cluster(), list[bytes]()
    broadcast = Broadcast([copy], sent.append)
    copy.store.apply(namespace("default"))

    broadcast.flush()
    await asyncio.sleep(0)

    assert len(read(sent)) == 2
    broadcast.close()


async def test_a_list_that_is_complete_is_told_without_a_change() -> None:
    copy, sent = cluster(), list[bytes]()
    broadcast = Broadcast([copy], sent.append)
    copy.store.replace(Kind.SERVICE, [])

    broadcast.mark()

    assert read(sent) == [Marked(copy.source.identity, (Kind.SERVICE,), 0, 0)]
    broadcast.close()


async def test_a_closed_one_follows_no_more() -> None:
    copy, sent = cluster(), list[bytes]()
    Broadcast([copy], sent.append).close()

    copy.store.apply(namespace("default"))
    await asyncio.sleep(0)

    assert sent == []
