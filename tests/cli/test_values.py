import pytest

from svcdns.cli import values
from svcdns.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("127.0.0.1", ("127.0.0.1", 53)),
        ("127.0.0.1:1053", ("127.0.0.1", 1053)),
        ("::1", ("::1", 53)),
        ("[::1]", ("::1", 53)),
        ("[0::1]:1053", ("::1", 1053)),
    ],
)
def test_an_address_may_have_a_port(text: str, place: tuple[str, int]) -> None:
    assert values.endpoint("--server", text, 53) == place


@pytest.mark.parametrize(
    "text",
    ["", ":53", "host", "host:53", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:x",
     "127.0.0.1:٣", "[::1", "[::1]53", "1:2:3", "127.0.0.1 "],
)  # fmt: skip
def test_what_is_no_address_with_a_port_is_said_with_its_flag(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^--server: "):
        values.endpoint("--server", text, 53)


@pytest.mark.parametrize(
    ("text", "zone"),
    [
        ("cluster.local", "cluster.local"),
        ("Cluster.Local.", "cluster.local"),
        ("localhost", "localhost"),
        ("my_zone", "my_zone"),
        ("a" * 63, "a" * 63),
        ("arpa", "arpa"),
        ("notin-addr.arpa", "notin-addr.arpa"),
    ],
)
def test_a_zone_is_lower_case_without_a_final_dot(text: str, zone: str) -> None:
    assert values.zone("--zone", text) == zone


@pytest.mark.parametrize(
    "text",
    ["", ".", "a b", "a{b", "a..b", ".a", "a.-", "a" * 64, "a." * 127 + "ab", "in-addr.arpa",
     "10.IN-ADDR.ARPA.", "ip6.arpa", "é"],
)  # fmt: skip
def test_what_is_no_zone_of_a_cluster_is_said_with_its_flag(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^--zone: "):
        values.zone("--zone", text)


@pytest.mark.parametrize("text", ["default", "kube-system", "a", "0", "a" * 63])
def test_namespaces_have_names_of_rfc_1123(text: str) -> None:
    assert values.namespace("-n", text) == text


@pytest.mark.parametrize("text", ["", "A", "a b", "a.b", "-a", "a-", "a" * 64, "a\n"])
def test_what_cannot_be_a_namespace_is_said_with_its_flag(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^-n: "):
        values.namespace("-n", text)


@pytest.mark.parametrize("number", [-1, 0, 65536])
def test_a_port_has_bounds(number: int) -> None:
    with pytest.raises(ConfigError, match=rf"^--p: the port must be 1 to 65535, not {number}$"):
        values.port("--p", number)


def test_an_address_has_its_usual_form() -> None:
    assert values.address("--a", "0:0::1") == "::1"
    with pytest.raises(ConfigError, match=r"^--a: 'localhost' is not an IP address$"):
        values.address("--a", "localhost")
