"""What is wrong at the end of a storm; pure."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from operator_core.actions.lifecycle import WORKFLOW_MACHINE
from operator_core.actions.types import ActionProposal, ActionStatus, WorkflowProposal
from operator_core.testing.crash.worker import unsettled
from operator_core.testing.storm.terms import Effect
from operator_core.testing.storm.weather import Stillness
from operator_core.testing.storm.worker import REPEATABLE

_JUST_WOKEN_SECONDS = 0.1

Deed = tuple[str, int]
"""An action, and the item that it is done to."""


@dataclass(frozen=True)
class End:
    """How a storm ended.

    Attributes:
        proposals: every proposal.
        effects: all that has really happened.
        workflows: every workflow.
        stood_still: which process stood still when.
        lease_seconds: how long claims held.
        broken_audit: the first audit row that does not fit its chain.
        settled: whether the last process brought all to its end.
    """

    proposals: Sequence[ActionProposal]
    effects: Sequence[Effect]
    workflows: Sequence[WorkflowProposal] = ()
    stood_still: Sequence[Stillness] = ()
    lease_seconds: float = 1.0
    broken_audit: object = None
    settled: bool = True


def counts(end: End) -> Counter[str]:
    """Return how many actions happened once, never, or are in doubt."""
    happened = Counter((one.action, one.item) for one in end.effects)
    return Counter(
        "in doubt" if one.in_doubt else "once" if happened[_deed(one)] else "none"
        for one in end.proposals
    )


def faults(end: End) -> Iterator[str]:
    """Yield all that is wrong, in words."""
    if not end.settled:
        yield "the last process did not bring all to its end"
    if end.broken_audit is not None:
        yield f"the audit chain is broken: {end.broken_audit}"
    for one in unsettled(list(end.proposals)):
        yield f"{_name(one)} is neither settled nor in doubt"
    happened = _by_deed(end.effects)
    for one in end.proposals:
        yield from _faults_of(one, happened.get(_deed(one), []), end)
    steps_of: dict[int | None, list[ActionProposal]] = defaultdict(list)
    for one in end.proposals:
        steps_of[one.workflow_id].append(one)
    for workflow in end.workflows:
        yield from _faults_of_workflow(workflow, steps_of[workflow.id], happened)
    for action, item in sorted(set(happened) - {_deed(one) for one in end.proposals}):
        yield f"{action} {item} has happened, and the ledger knows nothing of it"


def _faults_of(one: ActionProposal, happened: Sequence[Effect], end: End) -> Iterator[str]:
    in_time = [effect for effect in happened if not _left_late(effect, end)]
    if len(in_time) > 1 and one.action_name != REPEATABLE:
        yield f"{_name(one)} happened {len(happened)} times"
    if one.status is ActionStatus.COMPLETED and not happened:
        yield f"{_name(one)} never happened"
    if one.status is not ActionStatus.COMPLETED and not one.in_doubt and in_time:
        yield f"{_name(one)} happened, and the ledger says that it surely did not"


def _faults_of_workflow(
    workflow: WorkflowProposal,
    steps: Sequence[ActionProposal],
    happened: Mapping[Deed, Sequence[Effect]],
) -> Iterator[str]:
    """Say where steps came out of order, or not all to their end."""
    goes_on = bool(WORKFLOW_MACHINE.events_of(workflow.status))
    if goes_on and not any(one.in_doubt for one in steps):
        yield f"workflow {workflow.id} has not ended ({workflow.status.value})"
    in_order = sorted(steps, key=lambda step: step.execution_order)
    forward = {one.id: one for one in in_order if one.compensates_proposal_id is None}
    back = [one for one in in_order if one.compensates_proposal_id is not None]
    undone = [(forward[one.compensates_proposal_id], one) for one in back]
    for before, one in (*pairwise(forward.values()), *pairwise(back), *undone):
        first, then = (happened.get(_deed(step), []) for step in (before, one))
        if then and (not first or then[0].at_seconds < first[0].at_seconds):
            yield f"{_name(one)} happened before {_name(before)}, which it comes after"
    places = [step.execution_order for step, _ in undone]
    if places != sorted(places, reverse=True):
        yield f"workflow {workflow.id} is not undone from its end on"


def _left_late(effect: Effect, end: End) -> bool:
    """Return whether a process stood still, for longer than its lease, in the midst of its request.

    It had looked at its lease and not sent the request. No engine can take that back where the
    system itself honours no keys; it is one moment of some fifty microseconds.
    """
    return any(
        still.pid == effect.pid
        and still.ended_seconds - still.began_seconds >= end.lease_seconds
        and 0 <= effect.at_seconds - still.ended_seconds <= _JUST_WOKEN_SECONDS
        for still in end.stood_still
    )


def _by_deed(effects: Sequence[Effect]) -> dict[Deed, list[Effect]]:
    found: dict[Deed, list[Effect]] = defaultdict(list)
    for effect in effects:
        found[effect.action, effect.item].append(effect)
    return found


def _deed(one: ActionProposal) -> Deed:
    return one.action_name, _item(one)


def _item(one: ActionProposal) -> int:
    return int(str(one.parameters["item"]))


def _name(one: ActionProposal) -> str:
    return f"proposal {one.id} ({one.action_name} {_item(one)}, {one.status.value})"
