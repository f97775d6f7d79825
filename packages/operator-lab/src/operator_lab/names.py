"""Which names of a scenario nobody knows: a misspelt one would only look like a wrong answer."""

from collections.abc import Collection, Iterator
from difflib import get_close_matches
from typing import NamedTuple

from operator_core.agent.diagnosis import UNKNOWN_CAUSE
from operator_core.lab import near
from operator_core.monitor.tuning import BUILT_IN_RULES
from operator_core.subject import FullSubject
from operator_lab.scenario import Expectation

_LIKE_A_TARGET = 0.7


class Named(NamedTuple):
    """A name in an expectation.

    Attributes:
        kind: rule, cause or action.
        name: as it was written.
        is_needed: whether nothing can be right where nobody knows it.
    """

    kind: str
    name: str
    is_needed: bool


def unknown_names(
    expect: Expectation, subject: FullSubject, targets: Collection[str] = ()
) -> tuple[list[str], list[str]]:
    """Return the names that the subject does not have, each with what may have been meant.

    Args:
        expect: what a right answer is.
        subject: on which the scenario is played.
        targets: what problems can be at there, as far as it is known.

    Returns:
        Those without which nothing can be right, and those that only say nothing.
    """
    rules = {one.name for one in subject.invariants()} | {*BUILT_IN_RULES}
    causes = {one.name for one in subject.hypotheses()} | {UNKNOWN_CAUSE}
    actions = {one.name for one in subject.get_action_definitions()}
    known = {"rule": rules, "cause": causes, "action": actions}
    missing = [
        one for one in dict.fromkeys(_named(expect, causes)) if one.name not in known[one.kind]
    ]
    told = [
        (one, f"no {one.kind} {one.name!r}, {near(one.name, known[one.kind])}") for one in missing
    ]
    needed = [words for one, words in told if one.is_needed]
    needed = needed or [*_misspelt(expect, targets), *_unaskable(expect, subject)]
    return needed, [words for one, words in told if not one.is_needed]


def _misspelt(expect: Expectation, targets: Collection[str]) -> Iterator[str]:
    """Yield targets that are none and look like one: others may come up in a play."""
    for key in dict.fromkeys((*expect.tickets, *expect.settles)):
        target = key.partition(":")[2]
        meant = get_close_matches(target, sorted(targets), n=1, cutoff=_LIKE_A_TARGET)
        if meant and target not in targets:
            yield f"no target {target!r}, did you mean {meant[0]!r}?"


def _unaskable(expect: Expectation, subject: FullSubject) -> Iterator[str]:
    """Yield what is asked with parameters that the action does not have: it proves no refusal.

    A value that the action does not take is another thing: to refuse it is right.
    """
    definitions = {one.name: one for one in subject.get_action_definitions()}
    for asked in expect.refused:
        known, given = definitions[asked.action].parameters, asked.parameters
        for name in sorted(given.keys() - known.keys()):
            yield f"no such call of {asked.action}: no parameter {name!r}, {near(name, known)}"
        needed = {name for name, one in known.items() if one.required and one.default is None}
        for name in sorted(needed - given.keys()):
            yield f"no such call of {asked.action}: it needs {name!r}"


def _named(expect: Expectation, known_causes: Collection[str]) -> Iterator[Named]:
    """Yield what is named; of several causes that may come first one that is known is enough."""
    for key, causes in (*expect.tickets.items(), *expect.settles.items()):
        yield Named("rule", key.partition(":")[0], is_needed=True)
        is_needed = not set(causes) & set(known_causes)
        yield from (Named("cause", cause, is_needed) for cause in causes)
    yield from (Named("action", name, is_needed=True) for name in expect.actions)
    yield from (Named("action", asked.action, is_needed=True) for asked in expect.refused)
    rules = (*expect.also, *expect.grace_seconds)
    yield from (Named("rule", name, is_needed=False) for name in rules)
    yield from (Named("action", name, is_needed=False) for name in expect.never)
