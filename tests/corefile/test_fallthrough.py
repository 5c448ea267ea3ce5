"""Which names fall through."""

from svcdns.corefile.fallthrough import Fallthrough
from tests.support.records import wire_name


def test_names_of_the_zones_fall_through_and_others_do_not() -> None:
    """G5."""
    some = Fallthrough((wire_name("in-addr.arpa"),))

    assert some.through(wire_name("1.in-addr.arpa"))
    assert not some.through(wire_name("xin-addr.arpa"))
    assert not Fallthrough().through(wire_name("a"))
    assert Fallthrough((wire_name("."),)).through(wire_name("a"))
