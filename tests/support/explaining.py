"""Configurations that answer from given objects, for explanations."""

from svcdns.corefile.parser import parse
from svcdns.corefile.syntax import ServerBlock
from svcdns.kube.objects import KubeObject
from svcdns.metrics import Registry
from svcdns.plugins.build import Configuration, Environment, build
from svcdns.plugins.clusters import Clusters
from svcdns.plugins.order import NAMES

COREFILE = """\
.:53 {
    errors
    kubernetes cluster.local in-addr.arpa {
        pods insecure
        fallthrough in-addr.arpa
        ttl 5
    }
    forward . 192.0.2.1 192.0.2.2
    cache 30
}
"""


def configured(
    *objects: KubeObject, corefile: str = COREFILE
) -> tuple[Configuration, tuple[ServerBlock, ...]]:
    """Build a configuration whose cluster holds *objects*."""

    def panic(question: str, error: Exception) -> None:
        raise error

    environment = Environment(
        registry=Registry(),
        clusters=Clusters(lambda: 0.0),
        read=lambda path: b"nameserver 192.0.2.1\n",
        random=lambda: 0.0,
        clock=lambda: 0.0,
        wall=lambda: 0.0,
        warn=lambda text: None,
        write=lambda line: None,
        panic=panic,
        spawn=lambda ask: None,
    )
    blocks = parse(corefile, "Corefile", {}, lambda *_: [], lambda _: None, known=NAMES)
    configuration = build(blocks, environment)
    for cluster in configuration.clusters:
        for one in objects:
            cluster.store.apply(one)
        cluster.store.listed |= cluster.store.wanted
    return configuration, blocks
