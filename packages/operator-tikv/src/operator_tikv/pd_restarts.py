"""Which restarts of PD's members somebody planned: what only several looks show. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from operator_tikv.pd.types import Member

TURN_SECONDS: Final = 180.0
"""How long after a follower's restart the next member may begin anew in its turn.

Two minutes before what is read of a restart ends, so that a look comes in between.
"""
WINDOW_SECONDS: Final = 600.0
"""How long the members' turns may take."""
KEPT_SECONDS: Final = WINDOW_SECONDS + 360.0
"""A restart is read for five minutes more, and what was planned stays so."""


@dataclass(frozen=True)
class Restart:
    """A member that began anew.

    Attributes:
        at: when that was first seen, in seconds.
        led: whether it led when it was last heard before.
        times: how often it began anew in the last minutes.
        is_upgrade: whether it runs another version since.
    """

    at: float
    led: bool
    times: int = 1
    is_upgrade: bool = False


@dataclass(frozen=True)
class PdRestarts:
    """What was seen of PD's members before.

    Attributes:
        leading: whether a member led when it was last heard.
        versions: the version that it had then.
        counts: how often it had begun anew in the five minutes before then.
        restarts: the members that began anew lately.
    """

    leading: Mapping[str, bool] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    counts: Mapping[str, float] = field(default_factory=dict)
    restarts: Mapping[str, Restart] = field(default_factory=dict)

    def with_look(
        self, members: Iterable[Member], leader: str | None, counts: Mapping[str, float], now: float
    ) -> "PdRestarts":
        """Take in one look.

        Args:
            members: PD's members with their health.
            leader: who leads; None: nobody.
            counts: how often each member that was read began anew in the last five minutes.
            now: the time, in seconds.
        """
        heard = [one for one in members if one.health is not False and one.name in counts]
        recent = {name: one for name, one in self.restarts.items() if now - one.at < KEPT_SECONDS}
        for member in heard:
            times = int(counts[member.name] - self.counts.get(member.name, 0))
            if times > 0:
                recent[member.name] = self._restart(member, times, now)
        return replace(
            self,
            leading={**self.leading, **{one.name: one.name == leader for one in heard}},
            versions={**self.versions, **{one.name: one.binary_version for one in heard}},
            counts={**self.counts, **{one.name: counts[one.name] for one in heard}},
            restarts=recent,
        )

    def _restart(self, member: Member, times: int, now: float) -> Restart:
        known = self.restarts.get(member.name)
        if known is not None and now - known.at < WINDOW_SECONDS:
            return replace(known, at=now, times=known.times + times)
        before = self.versions.get(member.name, "")
        is_upgrade = bool(before) and before != member.binary_version
        return Restart(now, self.leading.get(member.name, False), times, is_upgrade)

    def planned(self, member_count: int, now: float) -> list[str]:
        """Return the members whose restart nobody is told of.

        It is an upgrade, or the members are restarted in turn, the one that leads last; whether
        a first follower's turn is followed by another's is not known for three minutes.

        Args:
            member_count: how many members PD has.
            now: the time, in seconds.
        """
        return sorted(
            name
            for name, one in self.restarts.items()
            if one.times == 1 and (one.is_upgrade or self._is_in_turn(name, member_count, now))
        )

    def _is_in_turn(self, name: str, member_count: int, now: float) -> bool:
        one = self.restarts[name]
        others = [
            other
            for key, other in self.restarts.items()
            if key != name and abs(other.at - one.at) < WINDOW_SECONDS
        ]
        if one.led:
            return len(others) == member_count - 1 > 0 and all(
                other.at < one.at and not other.led and other.times == 1 for other in others
            )
        if not others:
            return now - one.at < TURN_SECONDS
        return all(other.times == 1 for other in others) and any(
            other.at != one.at for other in others
        )
