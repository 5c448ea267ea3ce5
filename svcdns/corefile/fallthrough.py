"""The ``fallthrough [ZONES...]`` option of many plugins.

Parity: CoreDNS ``plugin/pkg/fall`` (rule G5).
"""

from msgspec import Struct

from svcdns.dns.name import is_subdomain


class Fallthrough(Struct, frozen=True):
    """For which names a missing name is the next plugin's business."""

    zones: tuple[bytes, ...] = ()
    "Lower-case wire names; none: never."

    def through(self, name: bytes) -> bool:
        """Whether a lower-case name falls through."""
        if not name.endswith(self.zones):
            return False
        return any([is_subdomain(name, zone) for zone in self.zones])
