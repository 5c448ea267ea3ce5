"""A token bucket: how long a request has to wait.

Parity: client-go ``util/flowcontrol`` (rule G9).
"""


class TokenBucket:
    """Lets *burst* requests pass at once and *qps* a second after that."""

    def __init__(self, qps: float, burst: int, now: float) -> None:
        """Start full.

        Args:
            qps: Requests a second; 0 is no limit.
            burst: Requests at once; less than 1 counts as 1.
            now: Monotonic seconds.
        """
        self._qps = qps
        self._burst = max(1, burst)
        self._tokens = float(self._burst)
        self._at = now

    def reserve(self, now: float) -> float:
        """Take a token, if need be one of the future; return the seconds to wait for it."""
        if self._qps <= 0:
            return 0.0
        earned = (now - self._at) * self._qps
        self._tokens = min(float(self._burst), self._tokens + earned) - 1
        self._at = now
        return max(0.0, -self._tokens / self._qps)
