"""What a cluster zone can be told; the options of CoreDNS's ``kubernetes`` plugin that matter here.

Rules G1 to G7, G12, G13.
"""

from enum import StrEnum

from msgspec import Struct

from svcdns.dns.name import ROOT
from svcdns.dns.reverse import is_reverse


class PodMode(StrEnum):
    """The ``pods`` option (rules F1 to F3)."""

    DISABLED = "disabled"
    INSECURE = "insecure"
    VERIFIED = "verified"


class ZoneOptions(Struct, frozen=True):
    """Options of one ``kubernetes`` directive."""

    zones: tuple[bytes, ...]
    "Wire names, lower-case; CIDR zones already expanded."
    ttl: int = 5
    "Seconds (rule A8)."
    pods: PodMode = PodMode.DISABLED
    endpoint_pod_names: bool = False
    ignore_empty_service: bool = False
    no_endpoints: bool = False
    namespaces: frozenset[str] = frozenset()
    "Exposed namespaces; empty: all (rule G1)."
    multicluster: frozenset[bytes] = frozenset()
    "Those of *zones* that hold ServiceImports (rule G13)."
    zonal: bool = False
    local_addresses: tuple[str, ...] = ()
    "This process's own addresses other than loopback, for NS and ``ns.dns`` (rules F14, F15)."

    @property
    def primary(self) -> bytes:
        """The first zone that is not reverse: where PTR records point (rule F6)."""
        for zone in self.zones:
            if not is_reverse(zone):
                return zone
        return ROOT
