"""Which names of a scenario nobody knows: a misspelt one would only look like a wrong answer."""

from collections.abc import Iterator

from operator_core.agent.diagnosis import UNKNOWN_CAUSE
from operator_core.monitor.tuning import BUILT_IN_RULES
from operator_core.subject import FullSubject
from operator_lab.scenario import Expectation


def unknown_names(expect: Expectation, subject: FullSubject) -> list[str]:
    """Return the rules, causes and actions that the subject does not have, for people.

    Args:
        expect: what a right answer is.
        subject: on which the scenario is played.
    """
    rules = {one.name for one in subject.invariants()} | {*BUILT_IN_RULES}
    causes = {one.name for one in subject.hypotheses()} | {UNKNOWN_CAUSE}
    actions = {one.name for one in subject.get_action_definitions()}
    known = {"rule": rules, "cause": causes, "action": actions}
    return [f"{kind} {name!r}" for kind, name in _named(expect) if name not in known[kind]]


def _named(expect: Expectation) -> Iterator[tuple[str, str]]:
    """Yield what is named, with its kind."""
    for key, causes in (*expect.tickets.items(), *expect.settles.items()):
        yield "rule", key.partition(":")[0]
        yield from (("cause", cause) for cause in causes)
    yield from (("rule", name) for name in expect.also)
    yield from (("action", name) for name in (*expect.actions, *expect.never))
    yield from (("action", asked.action) for asked in expect.refused)
