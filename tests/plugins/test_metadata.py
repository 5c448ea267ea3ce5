from collections.abc import Mapping

import pytest

from svcdns.dns.response import Response
from svcdns.errors import CorefileError
from svcdns.plugins import log, metadata
from svcdns.plugins.base import Handler, Need, Outcome, Reply, Request, Storable
from svcdns.plugins.commands import Transport
from svcdns.plugins.metadata import Metadata
from tests.support.corefile import Outside, directives, set_up
from tests.support.serving import Scripted, always, answer, server_of


class Knowing:
    """A plugin that has something to say about queries."""

    name = "knowing"
    needs: tuple[Need, ...] = ()

    def __init__(self, **labels: str) -> None:
        self._labels = {label.replace("_", "/"): value for label, value in labels.items()}

    def metadata(self, request: Request) -> Mapping[str, str]:
        return {**self._labels, "query/port": str(request.client.port)}

    def serve(self, request: Request, proceed: Handler) -> Outcome:
        return proceed(request)


def collecting(text: str = "metadata", *others: object) -> Metadata:
    plugin = metadata.setup(directives(text), Outside().context())
    plugin.meet([plugin, *others])  # type: ignore[list-item]
    return plugin


def test_plugins_say_what_they_know_and_all_hear_it() -> None:
    behind = always(Reply(Response()))
    knowing = (Knowing(a_one="1", a_two="2"), behind, Knowing(a_two="3"))
    server = server_of([collecting("metadata", *knowing), behind])
    answer(server, "a.test A")

    (request,) = behind.asked
    assert request.metadata == {"a/one": "1", "a/two": "3", "query/port": "40000"}


def test_plugins_on_the_way_add_their_own_and_log_writes_them() -> None:
    def forward(request: Request, proceed: Handler) -> Outcome:
        assert request.metadata is not None
        request.metadata["forward/upstream"] = "192.0.2.53:53"
        return Reply(Response())

    outside = Outside()
    written = log.setup(
        directives('log . "{name} {/a/one} {/forward/upstream} {/none/such}"'), outside.context()
    )
    server = server_of([collecting("metadata", Knowing(a_one="1")), written, Scripted(forward)])
    answer(server, "a.test A")

    assert outside.lines == ["[INFO] a.test. 1 192.0.2.53:53 -"]


def test_other_zones_have_no_labels() -> None:
    behind = always(Reply(Response(), store=Storable()))
    server = server_of([collecting("metadata example.net 10.0.0.0/8", Knowing(a_one="1")), behind])
    for name in ("a.test", "a.example.net", "1.10.in-addr.arpa"):
        answer(server, f"{name} A")

    assert [request.metadata is None for request in behind.asked] == [True, False, False]
    assert len(server.table(Transport.UDP, "1").entries) == 1, "labels may be about the client"


@pytest.mark.parametrize("text", ["metadata\nmetadata", "metadata {\nx\n}"])
def test_what_is_refused(text: str) -> None:
    with pytest.raises(CorefileError):
        set_up(metadata.setup, text)
