import pytest

from svcdns.errors import CorefileError
from svcdns.plugins import bind
from tests.support.corefile import Outside, directives

INTERFACES = {"lo": ("127.0.0.1", "::1"), "eth0": ("10.0.0.5", "fe80::1%eth0")}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("bind 169.254.20.10 10.96.0.10", ("169.254.20.10", "10.96.0.10")),
        ("bind lo", ("127.0.0.1", "::1")),
        ("bind 127.0.0.1\nbind ::1", ("127.0.0.1", "::1")),
        ("bind 127.0.0.1 lo", ("127.0.0.1", "::1")),
        ("bind eth0", ("10.0.0.5",)),
        ("bind eth0 fe80::1%eth0", ("10.0.0.5", "fe80::1%eth0")),
        ("bind eth0 fe80::1%eth0 {\nexcept fe80::1%eth0\n}", ("10.0.0.5",)),
        ("bind lo eth0 {\nexcept lo\n}", ("10.0.0.5",)),
        ("bind ::0001", ("::1",)),
    ],
)
def test_addresses_and_interfaces(text: str, expected: tuple[str, ...]) -> None:
    assert bind.addresses(directives(text), INTERFACES) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bind", "Corefile:2 - .*Wrong argument count"),
        ("bind eth9", "Corefile:2 - .*not a valid IP address or interface name: 'eth9'"),
        ("bind lo {\nexcept lo\n}", "no address is left"),
        ("bind lo {\nonly lo\n}", "Corefile:3 - .*unknown property 'only'"),
        ("bind lo {\nexcept\n}", "Corefile:3"),
    ],
)
def test_what_is_refused(text: str, message: str) -> None:
    with pytest.raises(CorefileError, match=message):
        bind.addresses(directives(text), INTERFACES)


def test_without_the_directive_all_addresses_are_meant() -> None:
    assert bind.addresses((), INTERFACES) == ()


def test_the_plugin_itself_needs_nothing() -> None:
    plugin = bind.setup(directives("bind lo"), Outside().context())

    assert (plugin.name, plugin.needs, plugin.serves) == ("bind", (), False)
