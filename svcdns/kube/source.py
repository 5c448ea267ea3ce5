"""Where objects come from: which API server, with which credentials, and which objects of it."""

from msgspec import Struct, field

from svcdns.kube.objects import Kind


class ApiSource(Struct, frozen=True):
    """An API server and what to keep of it.  Equal sources may share one copy of the objects."""

    kinds: tuple[Kind, ...]
    endpoint: str = ""
    "URL of the server; empty: from the kubeconfig, or in-cluster without one (rule G8)."
    tls: tuple[str, ...] = ()
    "Paths of certificate, key and CA, with *endpoint*."
    kubeconfig: str = ""
    context: str = ""
    "Of the kubeconfig; empty: its current one."
    label_selectors: dict[Kind, str] = field(default_factory=dict)
    field_selectors: dict[Kind, str] = field(default_factory=dict)
    qps: float = 0.0
    "Requests a second that we allow ourselves; 0: no limit (rule G9)."
    burst: int = 0
    max_inflight: int = 0
    startup_timeout: float = 5.0
    "Seconds that a start waits for the first lists (rule I1)."
    user_agent: str = "svcdns"

    @property
    def identity(self) -> str:
        """Text that is equal for equal sources; a dict key, which a Struct with dicts is not."""
        return repr(self)
