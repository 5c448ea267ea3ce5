import pytest

from svcdns.plugins import any as any_plugin
from svcdns.plugins.base import Failed
from svcdns.plugins.commands import Transport
from tests.support.corefile import Outside, directives
from tests.support.serving import always, answer, rows, server_of


def test_everything_gets_one_small_record() -> None:
    """J23."""
    plugin = any_plugin.setup(directives("any"), Outside().context())
    server = server_of([plugin, always(Failed(5))])

    hinfo = ['Example.ORG. 8482 IN HINFO "ANY obsoleted" "See RFC 8482"']
    assert rows(answer(server, "Example.ORG ANY")) == ("NOERROR", "qr rd", hinfo, [], [])
    assert rows(answer(server, "example.org A"))[0] == "REFUSED"


def test_the_answer_never_changes_and_is_stored() -> None:
    server = server_of([any_plugin.setup(directives("any"), Outside().context())])
    answer(server, "example.org ANY")

    assert len(server.table(Transport.UDP, "1").entries) == 1


@pytest.mark.parametrize("text", ["any thing", "any {\nx\n}"])
def test_options_have_no_effect_and_a_warning(text: str) -> None:
    """CoreDNS's setup.go looks at nothing but the name."""
    outside = Outside()
    any_plugin.setup(directives(text), outside.context())

    assert len(outside.warnings) == 1
    assert "has no effect" in outside.warnings[0]
