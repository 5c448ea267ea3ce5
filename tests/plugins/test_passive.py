from svcdns.dns.response import Response
from svcdns.plugins.base import LameDuck, Reply
from svcdns.plugins.passive import Passive
from tests.support.serving import always, answer, server_of


def test_a_passive_plugin_has_needs_and_no_part_in_a_chain() -> None:
    plugin = Passive("health", LameDuck(5.0))

    assert plugin.needs == (LameDuck(5.0),)
    assert not plugin.serves


def test_a_query_passes_it_all_the_same() -> None:
    server = server_of([Passive("x"), always(Reply(Response()))])

    assert answer(server, "a.example. A").rcode() == 0
