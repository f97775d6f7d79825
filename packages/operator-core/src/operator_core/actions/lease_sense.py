"""Whether a lease has really ended, where the time of day was set meanwhile.

Leases are texts in the time of day. Put forward, it ends the leases of living owners, who renew
them within moments; set back, it makes the lease of a dead one last for hours.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from operator_core.actions.types import ActionProposal
from operator_core.clock import Clock, Stopwatch

_LEAP_SHARE = 1 / 4
"""A smaller leap ends no lease that is renewed in time."""
_RENEWED_SHARE = 1 / 2


@dataclass(frozen=True)
class Ahead:
    """An attempt whose lease was written later than now, and how long that lease was."""

    proposal: ActionProposal
    lease_seconds: float


@dataclass
class LeaseSense:
    """What one process has seen of time and of others' leases.

    Attributes:
        clock: what leases go by.
        lease_seconds: how long leases are here.
    """

    clock: Clock
    lease_seconds: float
    _looked: Stopwatch = field(init=False)
    _leapt: Stopwatch | None = field(init=False, default=None)
    _unchanged: dict[str, Stopwatch] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        """Look at the clock for the first time."""
        self._looked = Stopwatch(self.clock)

    def leapt(self) -> bool:
        """Return whether time was put forward so lately that not all may have renewed yet."""
        leap_seconds = self._looked.seconds_by_time_of_day() - self._looked.seconds()
        self._looked = Stopwatch(self.clock)
        if leap_seconds > self.lease_seconds * _LEAP_SHARE:
            self._leapt = Stopwatch(self.clock)
        within_seconds = self.lease_seconds * _RENEWED_SHARE
        return self._leapt is not None and self._leapt.seconds() < within_seconds

    def outwaited(self, ahead: Iterable[Ahead]) -> list[ActionProposal]:
        """Return the attempts whose lease stood unchanged for as long as it was to hold."""
        seen = {_as_it_stands(one.proposal): one for one in ahead}
        self._unchanged = {key: self._unchanged.get(key) or Stopwatch(self.clock) for key in seen}
        return [
            one.proposal
            for key, one in seen.items()
            if self._unchanged[key].seconds() >= max(one.lease_seconds, self.lease_seconds)
        ]


def _as_it_stands(proposal: ActionProposal) -> str:
    return f"{proposal.id} {proposal.fence} {proposal.lease_expires_at}"
