"""The grammar of names, shape by shape."""

import pytest

from svcdns.zones.schema import PodName, ServiceName, Shape, Structure, Unparsable, parse

SHAPES: list[tuple[str, str, Shape]] = [
    ("B2", "", Structure()),
    ("B2", "svc", Structure()),
    ("B2", "pod", Structure()),
    ("B3", "prod.svc", ServiceName("prod")),
    ("B4", "prod.pod", PodName("prod")),
    ("B5", "foo", Unparsable()),
    ("B5", "web.prod", Unparsable()),
    ("B1", "web.prod.svc", ServiceName("prod", "web")),
    ("B6", "db-0.web.prod.svc", ServiceName("prod", "web", endpoint="db-0")),
    ("B6", "_tcp.web.prod.svc", ServiceName("prod", "web", endpoint="_tcp")),
    ("B7", "_http._tcp.web.prod.svc", ServiceName("prod", "web", port="http", protocol="tcp")),
    ("B7", "http.tcp.web.prod.svc", ServiceName("prod", "web", port="http", protocol="tcp")),
    ("B7", "__http._tcp.web.prod.svc", ServiceName("prod", "web", port="_http", protocol="tcp")),
    ("B8", "_._tcp.web.prod.svc", ServiceName("prod", "web", port="", protocol="tcp")),
    ("B9", "a.b.c.web.prod.svc", Unparsable()),
    ("B11", "x.y.1-2-3-4.prod.pod", PodName("prod", "1-2-3-4")),
    ("B11", "x.y.z.1-2-3-4.prod.pod", Unparsable()),
]


def labels(text: str) -> tuple[bytes, ...]:
    return tuple(part.encode() for part in text.split(".")) if text else ()


@pytest.mark.parametrize(("rule", "text", "shape"), SHAPES)
def test_every_name_has_one_shape(rule: str, text: str, shape: Shape) -> None:
    assert parse(labels(text)) == shape, rule


def test_multicluster_endpoints_carry_their_cluster() -> None:
    """G13."""
    assert parse(labels("ep.c1.web.prod.svc"), multicluster=True) == ServiceName(
        "prod", "web", endpoint="ep", cluster="c1"
    )
    assert parse(labels("_http._tcp.web.prod.svc"), multicluster=True) == ServiceName(
        "prod", "web", port="http", protocol="tcp"
    )


def test_zonal_names_may_hold_dots_in_the_zone() -> None:
    """G12."""
    assert parse(labels("eu.west-1.pin._zone.db.prod.svc"), zonal=True) == ServiceName(
        "prod", "db", zone="eu.west-1"
    )
    assert parse(labels("a.prefer._zone.db.prod.svc"), zonal=True) == ServiceName(
        "prod", "db", zone="a", prefer=True
    )
    assert parse(labels("a.shun._zone.db.prod.svc"), zonal=True) == Unparsable()
    assert parse(labels("a.pin._zone.db.prod.svc")) == Unparsable()


def test_octets_outside_ascii_are_only_labels_that_match_nothing() -> None:
    assert parse((b"\xff\x00", b"prod", b"svc")) == ServiceName("prod", "\xff\x00")
