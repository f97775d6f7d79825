"""Adds up marks to scores, with intervals that say how sure they are; pure."""

import math
from collections.abc import Callable, Iterable, Sequence
from statistics import median
from typing import NamedTuple

from operator_lab.grade import Marks
from operator_lab.times import GOAL_SECONDS

_Z = 1.96
"""Of a normal distribution, for 95 of 100."""


class Share(NamedTuple):
    """How many of how many, with Wilson's interval of 95 %."""

    right: int
    of: int

    @property
    def value(self) -> float:
        """The share; 0 where nothing was asked."""
        return self.right / self.of if self.of else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """The interval that holds the true share 95 times in 100."""
        if not self.of:
            return 0.0, 1.0
        spread = _Z * _Z / self.of
        middle = (self.value + spread / 2) / (1 + spread)
        half = _Z * math.sqrt(self.value * (1 - self.value) / self.of + spread / self.of / 4)
        half /= 1 + spread
        return max(0.0, middle - half), min(1.0, middle + half)


class Score(NamedTuple):
    """What the plays of one set came to.

    Attributes:
        set: its name.
        plays: how many there were.
        errors: those without a result, which count nowhere else.
        shares: right answers by kind.
        harmful: how many actions did harm, or could.
        wrong: how many were not asked for.
        false_actions: how many were done although nothing was wrong.
        abstained: how often the cause was said to be unknown.
        beside: how many problems were told beside those that must be seen.
        times: median and ninth decile of each stage.
        within: of each stage with a goal, in how many plays it took two minutes at most.
    """

    set: str
    plays: int
    errors: int
    shares: dict[str, Share]
    harmful: int
    wrong: int
    false_actions: int
    abstained: int
    beside: int
    times: dict[str, tuple[float, float]]
    within: dict[str, Share]


KINDS = ("detected", "first", "in_two", "remedy", "mitigated", "verified", "quiet")
"""What can be right of a play, by the names that marks have."""

STAGES = {
    "detect_looks": "shown to ticket, after the rule's grace, in looks",
    "fault_looks": "fault to ticket, after the rule's grace, in looks",
    "detect_seconds": "fault to first ticket",
    "diagnose_seconds": "ticket to diagnosis",
    "act_seconds": "proposal to first call",
    "verify_seconds": "fault to end of the last ticket",
    "proven_seconds": "fault to proof of a remedy",
    "shown_seconds": "of that until the cluster shows the fault",
    "grace_seconds": "of that the rule's grace",
    "cluster_seconds": "of that the actions on the cluster",
    "own_seconds": "of that the rest: Operator, the person, the soak",
    "roomy_seconds": "fault to proof, where showing, grace and actions take a minute at most",
}
"""What is timed of a play, by the names that marks have, in words."""

GOALS = ("own_seconds", "roomy_seconds", "proven_seconds")
"""What is to take two minutes at most; the last of them only where the cluster allows it."""


def scores(marks: Sequence[Marks]) -> list[Score]:
    """Return the score of each set, and of all plays together at the end."""
    sets = sorted({one.set for one in marks})
    by_set = [score(name, [one for one in marks if one.set == name]) for name in sets]
    return [*by_set, score("all", marks)]


def score(name: str, marks: Sequence[Marks]) -> Score:
    """Return what the marks of some plays come to."""
    good = [one for one in marks if not one.error]
    times = {stage: _spread(good, stage) for stage in STAGES}
    return Score(
        set=name,
        plays=len(marks),
        errors=len(marks) - len(good),
        shares={kind: _share(good, kind) for kind in KINDS},
        harmful=_count(good, lambda one: one.harmful),
        wrong=_count(good, lambda one: one.wrong),
        false_actions=_count(good, lambda one: one.false_actions),
        abstained=sum(one.abstained for one in good),
        beside=sum(one.beside for one in good),
        times={stage: found for stage, found in times.items() if found is not None},
        within={stage: _within(good, stage) for stage in GOALS},
    )


def _share(marks: Iterable[Marks], kind: str) -> Share:
    asked = [getattr(one, kind) for one in marks if getattr(one, kind) is not None]
    return Share(sum(asked), len(asked))


def _within(marks: Iterable[Marks], stage: str) -> Share:
    found = [getattr(one, stage) for one in marks if getattr(one, stage) is not None]
    return Share(sum(one <= GOAL_SECONDS for one in found), len(found))


def _count(marks: Iterable[Marks], what: Callable[[Marks], Sequence[str]]) -> int:
    return sum(len(what(one)) for one in marks)


def _spread(marks: Iterable[Marks], stage: str) -> tuple[float, float] | None:
    found = sorted(getattr(one, stage) for one in marks if getattr(one, stage) is not None)
    if not found:
        return None
    return median(found), found[min(len(found) - 1, math.ceil(0.9 * len(found)) - 1)]
