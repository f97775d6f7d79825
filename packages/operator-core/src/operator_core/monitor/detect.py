"""Detection: from one look at a cluster to its problems, with grace and hysteresis.

Pure: what the monitor remembers between two looks comes in and goes out as sightings, so a
restart in between changes nothing. What was not seen is neither broken nor healed.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from operator_core.monitor.judge import (
    INVARIANT_FAILED,
    OBSERVE_PART,
    SOURCE_DOUBTED,
    SOURCE_GRACE_SECONDS,
    SOURCE_UNREADABLE,
    Judgement,
    failed_observation,
    judge,
)
from operator_core.monitor.types import Invariant, Observation, Sighting, Snooze, Violation

__all__ = [
    "INVARIANT_FAILED",
    "OBSERVE_PART",
    "SOURCE_DOUBTED",
    "SOURCE_GRACE_SECONDS",
    "SOURCE_UNREADABLE",
    "Detection",
    "detect",
    "failed_observation",
]


@dataclass(frozen=True)
class Detection:
    """What one look tells.

    Attributes:
        sightings: the new memory, by violation key; to be stored with the tickets.
        present: problems whose grace has passed; their ticket must be open and is refreshed.
        pending: problems still in grace.
        cleared: keys that were seen to be gone for long enough; their tickets resolve. Told in each
            look while the ticket is open, and once more when it is not.
        snoozed: problems whose grace has passed and that are snoozed: no ticket opens. One
            whose ticket is open already is present too, so that the ticket tells the truth.
        due_at: when the first of the pending ones has outlasted its grace, if none heals; None:
            nothing is pending.
    """

    sightings: dict[str, Sighting]
    present: tuple[Violation, ...]
    pending: tuple[Violation, ...]
    cleared: frozenset[str]
    snoozed: tuple[Violation, ...] = ()
    due_at: datetime | None = None


def detect(
    invariants: Sequence[Invariant],
    observation: Observation,
    sightings: Mapping[str, Sighting],
    now: datetime,
    *,
    open_keys: frozenset[str] = frozenset(),
    snoozes: Sequence[Snooze] = (),
) -> Detection:
    """Judge an observation; changes none of its arguments.

    A rule is judged when all its ``needs`` were read whole. One without ``needs`` may always
    open a ticket, but resolves one only by an observation that is whole. A failed observation
    is judged by no rule but `SOURCE_UNREADABLE`. Rules of one name are judged as one, with
    the shortest grace and the longest clear time.

    Args:
        invariants: the rules.
        observation: one look at the cluster.
        sightings: what the last detection returned (or what was stored of it).
        now: the present moment, aware.
        open_keys: keys of open tickets. One without a sighting (the memory was lost) counts
            as sighted until now; one whose rule is unknown is left alone.
        snoozes: what a person has snoozed at this cluster; those that are over mean nothing.
    """
    names = {
        SOURCE_UNREADABLE,
        SOURCE_DOUBTED,
        INVARIANT_FAILED,
        *(rule.name for rule in invariants),
    }
    memory = _Memory(sightings, open_keys, now)
    for judgement in judge(invariants, observation):
        memory.take(judgement, names)
    return _snoozed(memory.detection(), [one for one in snoozes if one.is_active(now)], open_keys)


def _snoozed(found: Detection, snoozes: Sequence[Snooze], open_keys: frozenset[str]) -> Detection:
    """Take the snoozed problems out; their sightings stay, so that grace is not lost."""
    quiet = tuple(
        one
        for one in found.present
        if any(snooze.covers(one.invariant, one.target, snooze.subject) for snooze in snoozes)
    )
    present = tuple(one for one in found.present if one not in quiet or one.key in open_keys)
    return replace(found, present=present, snoozed=quiet)


class _Memory:
    """The sightings while one observation is taken in."""

    def __init__(
        self, sightings: Mapping[str, Sighting], open_keys: frozenset[str], now: datetime
    ) -> None:
        self._sightings = dict(sightings)
        self._open_keys = open_keys
        self._now = now
        self._present: list[Violation] = []
        self._pending: list[Violation] = []
        self._cleared: set[str] = set()
        self._due: list[datetime] = []

    def take(self, judgement: Judgement, names: set[str]) -> None:
        """Take in what one rule says; ``names`` are those of all rules."""
        violated = _worst_of_each_key(judgement.violations)
        for key, violation in violated.items():
            self._seen(key, violation, judgement)
        for key, sighting in self._remembered(judgement, names).items():
            if key not in violated and judgement.clears(sighting.violation.target):
                self._not_seen(key, sighting, judgement)

    def detection(self) -> Detection:
        """Return the result."""
        return Detection(
            self._sightings,
            tuple(self._present),
            tuple(self._pending),
            frozenset(self._cleared),
            due_at=min(self._due, default=None),
        )

    def _seen(self, key: str, violation: Violation, judgement: Judgement) -> None:
        known = self._sightings.get(key)
        if known is None or self._is_forgotten(key, known, judgement):
            first = self._now
        else:
            first = known.first_seen_at
        if key in self._open_keys:
            # Its ticket is open, so its grace has passed, whatever was forgotten since.
            first = min(first, self._now - judgement.grace)
        self._sightings[key] = Sighting(violation, first, self._now)
        due_at = first + judgement.grace
        if self._now < due_at:
            self._pending.append(violation)
            self._due.append(due_at)
        else:
            self._present.append(violation)

    def _remembered(self, judgement: Judgement, names: set[str]) -> dict[str, Sighting]:
        """Return what this rule found before, by memory or else by open tickets."""
        remembered = {
            key: sighting
            for key, sighting in self._sightings.items()
            if sighting.violation.invariant == judgement.name
        }
        for key in sorted(self._open_keys - self._sightings.keys()):
            if _rule_of(key, names) == judgement.name:
                remembered[key] = self._from_ticket(key, judgement)
        return remembered

    def _from_ticket(self, key: str, judgement: Judgement) -> Sighting:
        violation = Violation(
            invariant=judgement.name,
            target=key.removeprefix(f"{judgement.name}:"),
            message="Known from its open ticket",
        )
        return Sighting(violation, self._now - judgement.grace, self._now)

    def _not_seen(self, key: str, sighting: Sighting, judgement: Judgement) -> None:
        in_grace = sighting.last_seen_at - sighting.first_seen_at < judgement.grace
        if in_grace and key not in self._open_keys:
            del self._sightings[key]
            return
        gone = replace(sighting, clear_since=sighting.clear_since or self._now)
        if self._is_over(gone, judgement):
            self._cleared.add(key)
        if self._is_forgotten(key, gone, judgement):
            self._sightings.pop(key, None)
        else:
            self._sightings[key] = gone

    def _is_over(self, sighting: Sighting, judgement: Judgement) -> bool:
        since = sighting.clear_since
        return since is not None and self._now - since >= judgement.clear

    def _is_forgotten(self, key: str, sighting: Sighting, judgement: Judgement) -> bool:
        """Return whether a problem is gone for good and no ticket is open for it.

        While one is, as it waits for a proof, the problem stays gone, look after look.
        """
        return key not in self._open_keys and self._is_over(sighting, judgement)


def _rule_of(key: str, names: set[str]) -> str | None:
    """Return which rule a key is of: the longest name, as names may hold colons too."""
    fitting = [name for name in names if key.startswith(f"{name}:")]
    return max(fitting, key=len, default=None)


def _worst_of_each_key(violations: Iterable[Violation]) -> dict[str, Violation]:
    worst: dict[str, Violation] = {}
    for violation in violations:
        known = worst.setdefault(violation.key, violation)
        if violation.severity.rank > known.severity.rank:
            worst[violation.key] = violation
    return worst
