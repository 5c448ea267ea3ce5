"""Reads a ``kubernetes`` directive.

Parity: CoreDNS ``plugin/kubernetes/setup.go`` (rules F6, G1 to G13).
"""

from collections.abc import Callable

from msgspec import Struct
from msgspec.structs import replace

from svcdns.corefile.fallthrough import Fallthrough
from svcdns.corefile.options import Line
from svcdns.dns.name import to_text
from svcdns.dns.reverse import is_reverse
from svcdns.kube import selectors
from svcdns.kube.objects import Kind
from svcdns.kube.source import ApiSource
from svcdns.zones.options import PodMode, ZoneOptions

MAX_TTL = 3600
"""Seconds (rule A8)."""

LIVE_PODS = "status.phase!=Succeeded,status.phase!=Failed,status.phase!=Unknown"
"""Field selector of the Pods that have names (rule F3)."""


class Settings(Struct, frozen=True):
    """All that one directive says."""

    zones: ZoneOptions
    source: ApiSource
    fallthrough: Fallthrough


class _Reader:
    """Collects the options of one directive."""

    def __init__(self, zones: tuple[bytes, ...], warn: Callable[[str], None]) -> None:
        self.zone = ZoneOptions(zones=zones)
        self.source = ApiSource(kinds=())
        self.fallthrough = Fallthrough()
        self.labels = ""
        self.namespace_labels = ""
        self._warn = warn

    def option(self, line: Line) -> None:
        match line.name:
            case "endpoint":
                self._endpoint(line)
            case "tls":
                self.source = replace(self.source, tls=line.rest(at_least=3))
            case "kubeconfig":
                self.source = replace(
                    self.source, kubeconfig=line.word(), context=line.word(default="")
                )
            case "apiserver_qps":
                self.source = replace(self.source, qps=line.read(_not_negative))
            case "apiserver_burst":
                self.source = replace(self.source, burst=line.integer(low=0))
            case "apiserver_max_inflight":
                self.source = replace(self.source, max_inflight=line.integer(low=0))
            case "startup_timeout":
                self.source = replace(self.source, startup_timeout=line.duration(low=0))
            case "namespaces":
                names = frozenset(line.rest(at_least=1))
                self.zone = replace(self.zone, namespaces=self.zone.namespaces | names)
            case "labels":
                self.labels = _selector(line)
            case "namespace_labels":
                self.namespace_labels = _selector(line)
            case "pods":
                self.zone = replace(self.zone, pods=PodMode(line.word(*PodMode)))
            case "endpoint_pod_names":
                self.zone = replace(self.zone, endpoint_pod_names=True)
            case "ttl":
                self.zone = replace(self.zone, ttl=line.integer(0, MAX_TTL))
                line.ignore_rest()
            case "noendpoints":
                self.zone = replace(self.zone, no_endpoints=True)
            case "fallthrough":
                self.fallthrough = Fallthrough(line.zones(self.zone.zones))
            case "ignore":
                if line.more:
                    line.word("empty_service")
                    line.ignore_rest()
                    self.zone = replace(self.zone, ignore_empty_service=True)
            case "multicluster":
                self.zone = replace(self.zone, multicluster=frozenset(line.zones()))
            case "zonal":
                self.zone = replace(self.zone, zonal=True)
            case _:
                raise line.unknown()

    def _endpoint(self, line: Line) -> None:
        urls = line.rest(at_least=1)
        if len(urls) > 1:
            self._warn(
                "plugin/kubernetes: several endpoints are given, only the first one is used: "
                + urls[0]
            )
        self.source = replace(self.source, endpoint=urls[0])

    def check(self, line: Line) -> None:
        """Refuse options that contradict each other."""
        zone = self.zone
        if all(is_reverse(name) for name in zone.zones):
            raise line.error("non-reverse zone name must be used")
        if zone.namespaces and self.namespace_labels:
            raise line.error("namespaces and namespace_labels cannot both be set")
        if zone.zonal and zone.no_endpoints:
            raise line.error("zonal needs the endpoints that noendpoints leaves out")
        for name in zone.multicluster - set(zone.zones):
            raise line.error(
                f"multicluster zone {to_text(name)} is not among the zones of the plugin"
            )

    def finish(self) -> Settings:
        return Settings(self.zone, self._selected(), self.fallthrough)

    def _selected(self) -> ApiSource:
        kinds = [Kind.NAMESPACE, Kind.SERVICE]
        if not self.zone.no_endpoints:
            kinds.append(Kind.ENDPOINT_SLICE)
        if self.zone.pods is PodMode.VERIFIED:
            kinds.append(Kind.POD)
        if self.zone.multicluster:
            kinds.append(Kind.SERVICE_IMPORT)
        chosen: dict[Kind, str] = {}
        if self.labels:
            labelled = (Kind.SERVICE, Kind.ENDPOINT_SLICE, Kind.POD)
            chosen = {kind: self.labels for kind in labelled if kind in kinds}
        if self.namespace_labels:
            chosen[Kind.NAMESPACE] = self.namespace_labels
        fields = {Kind.POD: LIVE_PODS} if Kind.POD in kinds else {}
        return replace(
            self.source, kinds=tuple(kinds), label_selectors=chosen, field_selectors=fields
        )


def read(line: Line, zones: tuple[bytes, ...], warn: Callable[[str], None]) -> Settings:
    """Read the directive.

    Args:
        line: The directive, nothing of it read yet.
        zones: Those of the server block, for a directive that names none.
        warn: Told what is odd but no error.

    Raises:
        CorefileError: An option is unknown, wrong or contradicts another.
    """
    reader = _Reader(line.zones(zones), warn)
    for option in line.options():
        reader.option(option)
    reader.check(line)
    return reader.finish()


def _selector(line: Line) -> str:
    """Take a label selector, which the API server would refuse at every watch if it is none."""
    text = " ".join(line.rest(at_least=1))
    try:
        selectors.parse(text)
    except ValueError as error:
        raise line.error(str(error)) from error
    return text


def _not_negative(text: str) -> float:
    number = float(text)
    if not 0 <= number < float("inf"):
        raise ValueError(f"a rate of 0 or more is expected, not {text}")
    return number
