"""Passive ejection: an endpoint that does not take connections is left alone for a while.

No probes are sent: the connects of clients are the probes, and because a connect that fails is
tried again on another endpoint, a wrong guess costs a client microseconds, not an error.  That is
why the times here are shorter than the precedents': coming back early is cheap, coming back late
costs capacity.

Precedents: Envoy outlier detection ejects after 5 consecutive failures for 30 s, growing to 300 s,
at most 10 % of the hosts, and panics below 50 % healthy; HAProxy marks down after 10 errors
(``error-limit 10``) until a health check passes.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EjectionRules:
    """When endpoints are ejected, for how long, and when that is overruled."""

    consecutive_failures: int = 3
    "Connects that fail in a row, with no success between, before an endpoint is ejected."
    base_seconds: float = 1.0
    "Length of the first ejection; each further one is twice as long."
    max_seconds: float = 60.0
    "Longest ejection; also how long an endpoint must behave for the growth to be forgotten."
    max_ejected_share: float = 0.75
    "No more than this share of the endpoints is ejected, but one of two may always be."
    panic_share: float = 0.25
    "With fewer endpoints than this share left, ejection is ignored: a bad guess beats none."
    recovery_seconds: float = 10.0
    "Slow start of an endpoint that comes back: its share grows from a tenth to the whole."
    join_seconds: float = 0.0
    """Slow start of an endpoint that joins a service.

    Off, because kube-proxy gives a new endpoint its full share at once and people who scale up in a
    test look for exactly that."""


RAMP_FLOOR = 0.1
"""Share at the beginning of a slow start (Envoy ``min_weight_percent``: 10 %)."""


class Health:
    """What connects have taught about one endpoint."""

    __slots__ = ("_ramp_end", "_ramp_start", "ejected_until", "ejections", "failures")

    def __init__(self) -> None:
        self.failures = 0
        "Failed connects since the last success."
        self.ejections = 0
        "Ejections since the endpoint last behaved for long."
        self.ejected_until = 0.0
        self._ramp_start = 0.0
        self._ramp_end = 0.0

    def ramp(self, start: float, seconds: float) -> None:
        """Begin a slow start of *seconds* at time *start*."""
        self._ramp_start = start
        self._ramp_end = start + seconds

    def ramping(self, now: float) -> bool:
        """Whether the endpoint gets less than its share."""
        return now < self._ramp_end

    def weight(self, now: float) -> float:
        """Share of a full endpoint's traffic that this one should get, 0.1 to 1."""
        if now >= self._ramp_end:
            return 1.0
        done = (now - self._ramp_start) / (self._ramp_end - self._ramp_start)
        return max(RAMP_FLOOR, done)

    def ejected(self, now: float) -> bool:
        """Whether it is out at this moment."""
        return now < self.ejected_until

    def succeeded(self) -> None:
        """Take note of a connect that worked."""
        self.failures = 0

    def failed(self, now: float, rules: EjectionRules, *, may_eject: bool) -> bool:
        """Take note of a connect that failed.

        An endpoint that comes back and fails its first connect goes out again at once, because only
        a success resets the count.

        Args:
            now: Monotonic seconds.
            rules: The limits.
            may_eject: Whether the share of ejected endpoints allows for one more.

        Returns:
            Whether this failure ejected it.
        """
        self.failures += 1
        if self.failures < rules.consecutive_failures or not may_eject or self.ejected(now):
            return False
        if now - self.ejected_until > rules.max_seconds:
            self.ejections = 0
        length = min(rules.base_seconds * 2**self.ejections, rules.max_seconds)
        self.ejections += 1
        self.ejected_until = now + length
        self.ramp(self.ejected_until, rules.recovery_seconds)
        return True


def may_eject(total: int, ejected: int, rules: EjectionRules) -> bool:
    """Tell whether one more of *total* endpoints may be ejected when *ejected* are."""
    allowed = max(int(total * rules.max_ejected_share), 1)
    return total > 1 and ejected < min(allowed, total - 1)


def panics(total: int, ejected: int, rules: EjectionRules) -> bool:
    """Tell whether so few endpoints are left that all of them are used again."""
    return total - ejected < total * rules.panic_share or total == ejected
