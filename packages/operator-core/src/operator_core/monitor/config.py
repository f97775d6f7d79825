"""How a cluster is watched: how long a look and a proof take, and how much of both is kept."""

from typing import NamedTuple

from operator_core.monitor.retention import KEEP, Retention

DEFAULT_OBSERVE_LIMIT_SECONDS = 30.0
DEFAULT_SOAK_SECONDS = 60.0
FORESEEN_SHARE = 1 / 3
"""How much of the soak is left where the problem is a setting and all came as it was rehearsed.

It is what three looks take that come as soon as they may, so the looks decide.
"""
SOONER = 3
"""Looks come at most so many times as often, as a cluster in trouble must not be burdened."""


def soonest_seconds(interval_seconds: float) -> float:
    """Return how long after a look the next one may come; so soon it does after an action.

    Args:
        interval_seconds: the usual distance of looks.
    """
    return interval_seconds / SOONER


class Patience(NamedTuple):
    """How long a proof takes, and how long it may take.

    Attributes:
        soak_seconds: how long a problem must be gone.
        verify_seconds: how long it may outlast its remedy.
        blind_seconds: how long after the remedy the proof may be missing.
        gap_seconds: a longer time between two looks breaks the soak: nobody knows what was then.
    """

    soak_seconds: float = DEFAULT_SOAK_SECONDS
    verify_seconds: float = 120.0
    blind_seconds: float = 1800.0
    gap_seconds: float = 300.0

    @classmethod
    def with_looks_every(cls, interval_seconds: float, *, soak_seconds: float) -> "Patience":
        """Return the usual one; looks far apart are no gap where that is their distance.

        Args:
            interval_seconds: the distance of looks.
            soak_seconds: how long a problem must be gone.
        """
        gap_seconds = max(cls().gap_seconds, 3 * interval_seconds)
        return cls(soak_seconds=soak_seconds, gap_seconds=gap_seconds)

    def where_relapse_shows_in(self, seconds: float) -> "Patience":
        """Return it for a problem that would be seen again so soon if it came back.

        Args:
            seconds: how soon.
        """
        return self._replace(soak_seconds=min(self.soak_seconds, seconds))

    def where_foreseen(self) -> "Patience":
        """Return it for a setting that was put right with what a rehearsal said would come.

        The looks that a proof needs stay as many.
        """
        return self._replace(soak_seconds=self.soak_seconds * FORESEEN_SHARE)


class MonitorConfig(NamedTuple):
    """How a cluster is watched.

    Attributes:
        observe_limit_seconds: a look that takes longer has failed.
        flap_window_seconds: a problem that comes back sooner reopens its ticket.
        retention: how much of what was seen is kept.
        patience: how long a remedy's proof takes.
    """

    observe_limit_seconds: float = DEFAULT_OBSERVE_LIMIT_SECONDS
    flap_window_seconds: float = 600.0
    retention: Retention = KEEP
    patience: Patience = Patience()
