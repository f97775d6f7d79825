"""Judging one observation by the rules: what is broken, and what was seen to be whole.

What could not be read proves nothing: a rule whose sources are missing is not judged at all.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from operator_core.actions import outcomes
from operator_core.actions.readable import clean_text, cut, readable
from operator_core.clock import to_text
from operator_core.monitor.types import Invariant, Observation, Part, Violation
from operator_core.types import Severity

SOURCE_UNREADABLE = "source_unreadable"
"""The built-in invariant: every source can be read."""

INVARIANT_FAILED = "invariant_failed"
"""The built-in invariant: every rule can be evaluated."""

OBSERVE_PART = "observe"
"""The one part of an observation that failed as a whole."""

SOURCE_DOUBTED = "source_contradicted"
"""The built-in invariant: no source contradicts another, and none speaks for a minority only."""

DOUBT_GRACE_SECONDS = 60.0
"""How long sources may differ: one hears of a change later than another, or a vote is on."""

SOURCES = "sources"
"""The one target of that invariant: doubt is about how sources stand to each other."""

SOURCE_GRACE_SECONDS = 5.0
"""How long a source must stay unreadable before that is a problem of its own."""


@dataclass(frozen=True)
class Judgement:
    """What the rules of one name say of one observation.

    Attributes:
        name: the invariant's name.
        grace: how long a violation must last before a ticket opens.
        clear: how long it must be gone before the ticket resolves.
        violations: what is broken.
        shows_whole: the targets that were seen to be whole unless violated; None for all.
        unseen: the targets of which nothing was seen at all.
    """

    name: str
    grace: timedelta
    clear: timedelta
    violations: tuple[Violation, ...] = ()
    shows_whole: frozenset[str] | None = frozenset()
    unseen: frozenset[str] = frozenset()

    def clears(self, target: str) -> bool:
        """Return whether a target that is not violated was seen to be whole."""
        is_seen = self.shows_whole is None or target in self.shows_whole
        return is_seen and target not in self.unseen


def failed_observation(subject_name: str, error_text: str, now: datetime) -> Observation:
    """Return the observation of a cluster that could not be observed at all."""
    reason = clean_text(error_text) or "no reason given"
    name = clean_text(subject_name)
    part = Part(source=name, observed_at=now, complete=False, error=reason)
    return Observation(subject=name, observed_at=now, parts={OBSERVE_PART: part})


def judge(invariants: Sequence[Invariant], observation: Observation) -> list[Judgement]:
    """Return one judgement a name, for those rules that can be judged; never raises."""
    if not _was_observed(observation):
        return [_judge_sources(observation, frozenset())]
    judged: list[Judgement] = []
    failures: list[Violation] = []
    blind: set[str] = set()
    for rule in invariants:
        if not observation.sees(rule.needs):
            blind.add(rule.name)
            continue
        answer = _judge_rule(rule, observation)
        if isinstance(answer, Judgement):
            judged.append(answer)
        else:
            blind.add(rule.name)
            failures.append(answer)
    told = frozenset(one.name for one in judged if one.violations)
    judged[:0] = [_judge_sources(observation, told), _judge_doubt(observation, told)]
    evaluated = {judgement.name for judgement in judged} - blind
    judged.append(_judge_failures(failures, frozenset(evaluated)))
    return _one_a_name(judged, blind)


def _was_observed(observation: Observation) -> bool:
    part = observation.parts.get(OBSERVE_PART)
    return part is None or part.complete


def _judge_rule(rule: Invariant, observation: Observation) -> Judgement | Violation:
    """Return the rule's judgement, or that it failed: one bad rule must not blind the rest."""
    try:
        unseen = frozenset(rule.unseen(observation)) if rule.unseen else frozenset()
        found = tuple(_own_violation(rule, one) for one in rule.check(observation))
    except Exception as error:  # noqa: BLE001 - a rule is a subject's code: anything may come
        reason = outcomes.error_text(error)
        return Violation(
            invariant=INVARIANT_FAILED,
            target=rule.name,
            message=f"The rule {rule.name} could not be evaluated: {reason}",
            metrics={"error": reason},
        )
    return Judgement(
        rule.name,
        grace=timedelta(seconds=rule.grace_seconds),
        clear=timedelta(seconds=rule.clear_seconds),
        violations=found,
        # A rule that names no needs may read anything, so only a whole look shows health.
        shows_whole=None if rule.needs or observation.complete else frozenset(),
        unseen=unseen,
    )


def _own_violation(rule: Invariant, found: object) -> Violation:
    """Return what a check found, with texts and readings that can be stored.

    Raises:
        TypeError: it is no violation.
        ValueError: it is another rule's violation, which this rule could never clear.
    """
    if not isinstance(found, Violation):
        raise TypeError(f"the check returned {type(found).__name__}, not Violation")
    if found.invariant != rule.name:
        raise ValueError(f"the check returned a violation of {found.invariant!r}")
    storable = {
        "target": clean_text(found.target),
        "message": cut(clean_text(found.message), outcomes.MAX_MESSAGE_CHARS),
        "metrics": readable(found.metrics),
    }
    return found.model_copy(update=storable)


def _judge_failures(failures: Iterable[Violation], evaluated: frozenset[str]) -> Judgement:
    return Judgement(
        INVARIANT_FAILED,
        grace=timedelta(0),
        clear=timedelta(0),
        violations=tuple(failures),
        shows_whole=evaluated,
    )


def _judge_sources(observation: Observation, told: frozenset[str]) -> Judgement:
    """Judge what could not be read, but for that of which a broken rule tells already."""
    parts = {clean_text(name): part for name, part in observation.parts.items()}
    whole = {name for name, part in parts.items() if part.complete}
    if _was_observed(observation):
        whole.add(OBSERVE_PART)
    broken = [
        (name, part)
        for name, part in parts.items()
        if not part.complete and part.told_by not in told
    ]
    return Judgement(
        SOURCE_UNREADABLE,
        grace=timedelta(seconds=SOURCE_GRACE_SECONDS),
        clear=timedelta(0),
        violations=tuple(_unreadable(name, part) for name, part in broken),
        # A whole look without some part: that source is no longer one of the subject's.
        shows_whole=None if observation.complete else frozenset(whole),
    )


def _judge_doubt(observation: Observation, told: frozenset[str]) -> Judgement:
    """Judge what cannot be trusted, but for that of which a broken rule tells already."""
    doubted = {
        clean_text(name): part
        for name, part in observation.parts.items()
        if not part.agrees and part.told_by not in told
    }
    return Judgement(
        SOURCE_DOUBTED,
        grace=timedelta(seconds=DOUBT_GRACE_SECONDS),
        clear=timedelta(0),
        violations=(_doubted(doubted),) if doubted else (),
        shows_whole=None if observation.complete else frozenset(),
    )


def _doubted(parts: Mapping[str, Part]) -> Violation:
    names = sorted(parts)
    sources = sorted({clean_text(part.source) for part in parts.values()})
    message = (
        f"What was read of {', '.join(names)} is contradicted by another source, told by a "
        "minority, or stands still: what rests on it waits"
    )
    return Violation(
        invariant=SOURCE_DOUBTED,
        target=SOURCES,
        message=cut(message, outcomes.MAX_MESSAGE_CHARS),
        metrics=readable({"parts": names, "sources": sources}),
    )


def _unreadable(name: str, part: Part) -> Violation:
    reason = clean_text(part.error or "no reason given")
    source = clean_text(part.source)
    return Violation(
        invariant=SOURCE_UNREADABLE,
        target=name,
        message=cut(f"{source} cannot be read whole: {reason}", outcomes.MAX_MESSAGE_CHARS),
        severity=Severity.CRITICAL if name == OBSERVE_PART else Severity.WARNING,
        metrics=readable(
            {"error": reason, "source": source, "observed_at": to_text(part.observed_at)}
        ),
    )


def _one_a_name(judged: Iterable[Judgement], blind: set[str]) -> list[Judgement]:
    """Merge the judgements of rules that share a name: whole is what all of them call whole."""
    merged: dict[str, Judgement] = {}
    for judgement in judged:
        known = merged.get(judgement.name)
        merged[judgement.name] = _merge(known, judgement) if known else judgement
    nothing: frozenset[str] = frozenset()
    return [
        replace(one, shows_whole=nothing) if one.name in blind else one for one in merged.values()
    ]


def _merge(one: Judgement, other: Judgement) -> Judgement:
    known = [whole for whole in (one.shows_whole, other.shows_whole) if whole is not None]
    return Judgement(
        one.name,
        grace=min(one.grace, other.grace),
        clear=max(one.clear, other.clear),
        violations=one.violations + other.violations,
        shows_whole=frozenset.intersection(*known) if known else None,
        unseen=one.unseen | other.unseen,
    )
