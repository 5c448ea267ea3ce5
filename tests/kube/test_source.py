from svcdns.kube.objects import Kind
from svcdns.kube.source import ApiSource


def test_equal_sources_have_one_identity() -> None:
    one = ApiSource(kinds=(Kind.SERVICE,), label_selectors={Kind.SERVICE: "a=b"})
    other = ApiSource(kinds=(Kind.SERVICE,), label_selectors={Kind.SERVICE: "a=b"})

    assert one.identity == other.identity
    assert len({one.identity, other.identity}) == 1


def test_any_difference_makes_another_source() -> None:
    base = ApiSource(kinds=(Kind.SERVICE,))
    others = [
        ApiSource(kinds=(Kind.SERVICE, Kind.POD)),
        ApiSource(kinds=(Kind.SERVICE,), endpoint="http://a"),
        ApiSource(kinds=(Kind.SERVICE,), context="b"),
        ApiSource(kinds=(Kind.SERVICE,), label_selectors={Kind.SERVICE: "a"}),
        ApiSource(kinds=(Kind.SERVICE,), qps=1.0),
    ]

    assert len({base.identity, *(one.identity for one in others)}) == 6


def test_i1_a_start_waits_five_seconds_unless_told_otherwise() -> None:
    assert ApiSource(kinds=()).startup_timeout == 5.0
