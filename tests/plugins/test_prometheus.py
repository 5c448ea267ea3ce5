import pytest

from svcdns import __version__
from svcdns.errors import CorefileError
from svcdns.plugins import prometheus
from svcdns.plugins.base import ServeMetrics
from svcdns.plugins.passive import Passive
from tests.support.corefile import Outside, directives, set_up


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("prometheus", "localhost:9153"),
        ("prometheus :9153", ":9153"),
        ("prometheus 0.0.0.0:9253 {\nruntime_metrics\n}", "0.0.0.0:9253"),
    ],
)
def test_the_address(text: str, address: str) -> None:
    (need,) = prometheus.setup(directives(text), Outside().context()).needs

    assert isinstance(need, ServeMetrics)
    assert need.address == address


def test_build_and_plugins_are_shown() -> None:
    outside = Outside(zones=("example.org.", "."))
    plugin = prometheus.setup(directives("prometheus"), outside.context())
    plugin.meet([plugin, Passive("cache")])

    families = {family.name: family for family in outside.registry.collect()}
    assert set(families["coredns_build_info"].cells) == {(__version__, "", "")}
    assert set(families["coredns_plugin_enabled"].cells) == {
        ("dns://:53", "example.org.", "", "prometheus"),
        ("dns://:53", "example.org.", "", "cache"),
        ("dns://:53", ".", "", "prometheus"),
        ("dns://:53", ".", "", "cache"),
    }


@pytest.mark.parametrize(
    "text", ["prometheus\nprometheus", "prometheus a b", "prometheus x", "prometheus {\nx\n}"]
)
def test_what_is_refused(text: str) -> None:
    with pytest.raises(CorefileError):
        set_up(prometheus.setup, text)
