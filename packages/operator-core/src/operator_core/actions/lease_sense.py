"""Whether a lease has really ended, where the time of day was set meanwhile.

Leases are texts in the time of day. Put forward, it ends the leases of living owners, who renew
them within moments; set back, it makes the lease of a dead one last for hours. And processes of
one machine may have clocks of their own, for which each other's leases are over or endless.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from operator_core.actions.types import ActionProposal
from operator_core.clock import SYSTEM_CLOCK, Clock, Stopwatch

_LEAP_SHARE = 1 / 4
"""A smaller leap ends no lease that is renewed in time."""
_RENEWED_SHARE = 1 / 2
_AWAY_SHARE = 1 / 4
"""A ledger that answers later than that may have kept owners from renewing in time."""


class Leased(NamedTuple):
    """An attempt of somebody else.

    Attributes:
        proposal: the attempt's proposal.
        lease_seconds: how long its lease was when it was written.
        is_ahead: whether it was written later than now, so that its lease ends too late.
        lives: whether its owner is another process of this machine, which is there.
    """

    proposal: ActionProposal
    lease_seconds: float
    is_ahead: bool = True
    lives: bool = False


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

    def asked(self, took_seconds: float) -> None:
        """Take note of how long the ledger took to answer."""
        if took_seconds > self.lease_seconds * _AWAY_SHARE:
            self.was_away()

    def server_started(self, ago_seconds: float) -> None:
        """Take note of how long the ledger's server runs: before that, nobody could renew."""
        if 0 <= ago_seconds < self.lease_seconds * _RENEWED_SHARE:
            self.was_away()

    def was_away(self) -> None:
        """Take note that the ledger could not be used: owners that live could not renew either."""
        self._leapt = Stopwatch(self.clock)

    def leapt(self) -> bool:
        """Return whether leases may have ended so lately that not all have renewed yet.

        Time was put forward, or the ledger was away.
        """
        leap_seconds = self._looked.seconds_by_time_of_day() - self._looked.seconds()
        self._looked = Stopwatch(self.clock)
        if leap_seconds > self.lease_seconds * _LEAP_SHARE:
            self._leapt = Stopwatch(self.clock)
        within_seconds = self.lease_seconds * _RENEWED_SHARE
        return self._leapt is not None and self._leapt.seconds() < within_seconds

    def outwaited(self, leases: Iterable[Leased]) -> list[Leased]:
        """Return the attempts whose lease stood unchanged for as long as it was to hold.

        Another process that lives does so in the machine's time, whatever this one's clock says.
        """
        seen = {_as_it_stands(one.proposal): one for one in leases}
        self._unchanged = {
            key: self._unchanged.get(key) or Stopwatch(SYSTEM_CLOCK if one.lives else self.clock)
            for key, one in seen.items()
        }
        return [
            one
            for key, one in seen.items()
            if self._unchanged[key].seconds() >= max(one.lease_seconds, self.lease_seconds)
        ]


def _as_it_stands(proposal: ActionProposal) -> str:
    return f"{proposal.id} {proposal.fence} {proposal.lease_expires_at}"
