"""Keys and values of SkyDNS."""

import pytest

from svcdns.plugins import skydns
from svcdns.plugins.skydns import Service
from tests.support.records import wire_name, zone_texts


def test_names_are_paths_from_the_right() -> None:
    assert skydns.path(wire_name("www.example.org"), "skydns") == "/skydns/org/example/www"
    assert skydns.path(wire_name("a.*.example.org"), "/a/b/") == "/a/b/org/example"


@pytest.mark.parametrize(
    ("key", "name", "there"),
    [
        ("/skydns/org/www", "www.org", True),
        ("/skydns/org/www/1", "www.org", True),
        ("/skydns/org/www-2", "www.org", False),
        ("/skydns/org", "www.org", False),
        ("/skydns/org/east/web", "web.*.org", True),
        ("/skydns/org/east/db", "web.any.org", False),
    ],
)
def test_keys_below_a_name_belong_to_it(key: str, name: str, there: bool) -> None:
    assert skydns.belongs(key, wire_name(name), "skydns") is there


@pytest.mark.parametrize(
    ("value", "lease", "ttl", "priority"),
    [
        (b'{"host":"10.0.0.1"}', 0, 300, 10),
        (b'{"host":"10.0.0.1","ttl":60,"priority":5}', 0, 60, 5),
        (b'{"host":"10.0.0.1"}', 30, 30, 10),
        (b'{"host":"10.0.0.1","ttl":10}', 30, 10, 10),
        (b'{"host":"10.0.0.1","unknown":1}', 0, 300, 10),
    ],
)
def test_values_have_defaults(value: bytes, lease: int, ttl: int, priority: int) -> None:
    found = skydns.read("/skydns/a", value, lease_ttl=lease)

    assert (found.ttl, found.priority, found.key) == (ttl, priority, "/skydns/a")


@pytest.mark.parametrize(
    "value", [b"", b"{", b"[]", b'{"host":1}', b'{"port":70000}', b'{"ttl":-1}', b"\xff"]
)
def test_what_is_no_value_is_told_with_its_key(value: bytes) -> None:
    with pytest.raises(ValueError, match="/skydns/a: "):
        skydns.read("/skydns/a", value)


def test_the_group_of_the_shortest_key_counts() -> None:
    one, two, free = (
        Service(key=f"/s/a/{n}", group=g) for n, g in (("1", "g"), ("2/x", "h"), ("3/x", ""))
    )

    assert skydns.grouped([one, two, free]) == [one, free]
    assert skydns.grouped([one, Service(key="/s/a/9", group="h")]) == [
        one,
        Service(key="/s/a/9", group="h"),
    ]
    assert skydns.grouped([]) == []


def test_targets_have_weights_and_names_of_their_keys() -> None:
    services = [
        Service(host="10.0.0.1", port=80, priority=10, ttl=60, key="/skydns/org/web/1"),
        Service(
            host="fd00::1", port=80, priority=10, ttl=60, key="/skydns/org/web/2", target_strip=1
        ),
        Service(
            host="far.example.net", port=81, priority=20, weight=7, ttl=60, key="/skydns/org/web/3"
        ),
        Service(text="x", ttl=60, key="/skydns/org/web/4"),
        Service(host="mail.example.net", priority=5, ttl=60, mail=True, key="/skydns/org/web/5"),
    ]
    answer, extra = skydns.targets(services[:4], wire_name("web.org"), 33, "skydns")

    assert zone_texts(answer) == [
        "web.org. 60 SRV 10 50 80 1.web.org.",
        "web.org. 60 SRV 10 50 80 web.org.",
        "web.org. 60 SRV 20 100 81 far.example.net.",
    ]
    assert zone_texts(extra) == ["1.web.org. 60 A 10.0.0.1", "web.org. 60 AAAA fd00::1"]
    answer, _ = skydns.targets(services, wire_name("web.org"), 15, "skydns")
    assert zone_texts(answer) == ["web.org. 60 MX 5 mail.example.net."]
