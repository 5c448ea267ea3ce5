"""Answers for Services and Pods of a Kubernetes cluster.

Name
----
*kubernetes*: serves a cluster zone and reverse zones from Services, EndpointSlices, Namespaces
and Pods, kept up to date by a watch.

Syntax
------
::

    kubernetes [ZONES...] {
        endpoint URL
        tls CERT KEY CACERT
        kubeconfig KUBECONFIG [CONTEXT]
        apiserver_qps QPS
        apiserver_burst BURST
        apiserver_max_inflight MAX
        namespaces NAMESPACE...
        labels EXPRESSION
        namespace_labels EXPRESSION
        pods disabled | insecure | verified
        endpoint_pod_names
        ttl SECONDS
        noendpoints
        fallthrough [ZONES...]
        ignore empty_service
        multicluster [ZONES...]
        startup_timeout DURATION
        zonal
    }

Examples:
--------
::

    . {
        kubernetes cluster.local in-addr.arpa ip6.arpa {
            pods insecure
            fallthrough in-addr.arpa ip6.arpa
        }
    }

Differences
-----------
* ``ns.dns`` and NS at the apex are found in any case (register K13).
* Names of ``ip6.arpa`` with more than 32 nibbles do not exist (register K12).
* The serial in a stored negative answer is that of the moment it was stored; the apex SOA is
  always current.
* A changed cluster IP counts for the serial (register K19).

Parity: CoreDNS ``plugin/kubernetes/handler.go``; rules A to I of the behaviour reference.
"""

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from svcdns.corefile.fallthrough import Fallthrough
from svcdns.corefile.options import once
from svcdns.corefile.syntax import Directive
from svcdns.dns.constants import Rcode, RRType
from svcdns.dns.response import Record, Response
from svcdns.kube.store import Delta
from svcdns.plugins import kubernetesoptions
from svcdns.plugins.base import (
    ClusterSource,
    Context,
    Drop,
    Failed,
    Handler,
    Need,
    Outcome,
    Reply,
    Request,
    Storable,
    Stream,
    then,
)
from svcdns.plugins.clusters import Cluster
from svcdns.zones import labels, transfer
from svcdns.zones.owners import Owner, touched
from svcdns.zones.zone import Chase, ClusterZones, Found, NoData, NoName, Owners

NAME = "kubernetes"

_BELOW_ZONE = len(b"\x03svc")
"""Every name that an SRV points to is below this label (rule C6)."""


class Kubernetes:
    """One ``kubernetes`` directive."""

    name = NAME

    def __init__(self, zones: ClusterZones, cluster: Cluster, fallthrough: Fallthrough) -> None:
        self.zones = zones
        self.cluster = cluster
        self._fallthrough = fallthrough

    @property
    def needs(self) -> tuple[Need, ...]:
        """The API source to keep the store filled from."""
        return (ClusterSource(self.cluster),)

    @property
    def ready(self) -> bool:
        """Whether everything was listed once; asked by ``ready``."""
        return self.cluster.store.synced

    def zone_records(self, origin: bytes) -> Sequence[Record] | None:
        """Give a whole cluster zone, SOA first; nothing of it before the first lists."""
        if not self.cluster.store.synced:
            return () if origin in self.zones.options.zones else None
        return transfer.records(self.zones, origin)

    def metadata(self, request: Request) -> Mapping[str, str]:
        """Give the labels ``kubernetes/…`` of a query and its client (rule G14)."""
        cluster = self.cluster
        asked = labels.of_query(self.zones, request.query.name)
        return asked | labels.of_client(cluster.index, cluster.store, request.client.address)

    def serve(self, request: Request, proceed: Handler) -> Outcome:
        """Answer names of the zones; leave the others to the next plugin."""
        query = request.query
        zone = self.zones.match(query.name)
        if zone is None:
            return proceed(request)
        if query.qtype in (RRType.AXFR, RRType.IXFR):
            # Transfers are the business of ``transfer``, which comes first (rule H1).
            return Failed(Rcode.REFUSED, plugin=NAME)
        finding = self.zones.lookup(query.qname, zone, query.qtype)
        # Patterns that take values out would cost more than the rest of this method.
        match finding:
            case Found():
                response = Response(answer=finding.answer, additional=finding.additional, aa=True)
                repeats = _BELOW_ZONE + len(zone) if query.qtype == RRType.SRV else 0
                return Reply(response, NAME, _storable(finding.owners, repeats))
            case NoName():
                return self._no_name(request, proceed, zone, finding.owners)
            case NoData():
                owners = finding.owners if self.cluster.store.synced else None
                return self._negative(request, zone, Rcode.NOERROR, owners)
            case Chase():
                return self._chase(request, zone, finding)

    def _no_name(
        self, request: Request, proceed: Handler, zone: bytes, owners: Owners | None
    ) -> Outcome:
        """Fall through, admit ignorance, or deny: in this order (rule A12)."""
        if self._fallthrough.through(request.query.name):
            return self._fall(request, proceed, owners)
        if not self.cluster.store.synced:
            return self._negative(request, zone, Rcode.SERVFAIL, None)
        return self._negative(request, zone, Rcode.NXDOMAIN, owners)

    def _negative(
        self, request: Request, zone: bytes, rcode: int, owners: Owners | None
    ) -> Outcome:
        """Write NXDOMAIN, NODATA or SERVFAIL with the zone's SOA (rules A2, A3)."""
        qname = request.query.qname
        soa = self.zones.soa(qname[len(qname) - len(zone) :])
        return Reply(Response(rcode, authority=(soa,), aa=True), NAME, _storable(owners))

    def _fall(self, request: Request, proceed: Handler, owners: Owners | None) -> Outcome:
        """Have the next plugin answer; what it allows to be stored then depends on us as well."""
        asked_at = self.cluster.index.changes

        def depend(outcome: Outcome, _now: float) -> Outcome:
            if not isinstance(outcome, Reply) or outcome.store is None:
                return outcome
            # An answer that took time may have been overtaken by a change of its owner.
            overtaken = self.cluster.index.changes != asked_at
            if owners is None or overtaken or not self.cluster.store.synced:
                return replace(outcome, store=None)
            store = replace(outcome.store, owners=(*outcome.store.owners, *owners))
            return replace(outcome, store=store)

        return then(proceed(request), depend, request.now)

    def _chase(self, request: Request, zone: bytes, chase: Chase) -> Outcome:
        """Ask the whole server for an ExternalName's target (rules E1 to E4)."""
        query = request.query
        nested = replace(query, qname=chase.target, name=chase.target.lower())

        def combine(outcome: Outcome, _now: float) -> Outcome:
            match outcome:
                case Reply(response=response, background=background):
                    answer = (*chase.answer, *response.answer)
                    whole = Response(answer=answer, aa=True, tc=response.tc)
                    return Reply(whole, NAME, background=background)
                case Drop() | Stream():
                    return self._negative(request, zone, Rcode.NOERROR, None)
                case _:
                    return Reply(Response(answer=chase.answer, aa=True), NAME)

        asked = request.resolve(replace(request, query=nested, metadata=None))
        return then(asked, combine, request.now)


def setup(directives: tuple[Directive, ...], context: Context) -> Kubernetes:
    """Read the directive."""
    line = once(directives, context.warn)
    settings = kubernetesoptions.read(line, context.zones, context.warn)
    assert context.clusters is not None, "a block with kubernetes is built with clusters"
    cluster = context.clusters.get(settings.source)
    options = replace(settings.zones, local_addresses=context.local_addresses)
    return Kubernetes(ClusterZones(options, cluster.index), cluster, settings.fallthrough)


def owners_of(delta: Delta) -> set[Owner]:
    """Give the owners whose stored answers a change of the cluster ends."""
    return set(touched(delta))


def _storable(owners: Owners | None, repeats: int = 0) -> Storable | None:
    return None if owners is None else Storable(owners, repeats=repeats)
