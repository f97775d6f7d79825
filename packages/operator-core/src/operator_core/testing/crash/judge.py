"""What is wrong at the end of a run; pure."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from operator_core.actions.leases import EffectLease
from operator_core.actions.types import (
    ActionProposal,
    ActionStatus,
    ActionType,
    WorkflowProposal,
    WorkflowStatus,
)
from operator_core.testing.crash.points import EFFECT, PROBE, Blow, Fault, Side, World
from operator_core.testing.crash.scenario import (
    COMPLETING,
    FAILING,
    FIRED,
    PROPOSED_LATER,
    RUN_LATER,
    SHUTTING,
    WORKFLOW_LATER,
    WORKFLOW_RUN_LATER,
)
from operator_core.testing.crash.subject import LIFT, SHUT
from operator_core.testing.crash.system import Effect
from operator_core.testing.crash.worker import left_behind, unsettled

S = ActionStatus
_ENDED = (WorkflowStatus.COMPLETED, WorkflowStatus.FAILED, WorkflowStatus.CANCELLED)
_BLIND = ("silent",)
_SAID_NO = ("flaky", "refuse")
"""The system itself says at the first try that nothing was done."""


@dataclass(frozen=True)
class End:
    """How a run ended.

    Attributes:
        world: the world it ran in.
        blow: what was to happen in it; None: nothing.
        proposals: every proposal.
        workflows: every workflow.
        leases: the leases of temporary effects that have not ended.
        done: how often the system has done each effect.
        fired: whether the blow has fallen.
        under_way: what the process that was struck was asking for then.
        unnamed: transactions that no crash point stands for.
        written: the statements that have written.
        broken_audit: the first audit row that does not fit its chain.
        trouble: processes that ended badly or never.
    """

    world: World
    blow: Blow | None
    proposals: Sequence[ActionProposal]
    workflows: Sequence[WorkflowProposal]
    done: Counter[Effect]
    leases: Sequence[EffectLease] = ()
    fired: bool = False
    under_way: frozenset[Effect] = frozenset()
    unnamed: frozenset[str] = frozenset()
    written: frozenset[str] = frozenset()
    broken_audit: object = None
    trouble: Sequence[str] = ()


@dataclass
class Tally:
    """The effects of runs, counted outside the engine, and what is wrong.

    Attributes:
        runs: how many runs.
        once: effects that happened once, as the ledger says.
        none: effects that never happened, as the ledger says.
        doubt: effects that the ledger holds in doubt, done once or never.
        faults: whatever is wrong, in words.
        seeds: the seeds of the runs.
        written: the statements that have written in them.
    """

    runs: int = 0
    once: int = 0
    none: int = 0
    doubt: int = 0
    faults: list[str] = field(default_factory=list)
    seeds: frozenset[int] = frozenset()
    written: frozenset[str] = frozenset()

    def __add__(self, other: "Tally") -> "Tally":
        """Return both together."""
        return Tally(
            self.runs + other.runs,
            self.once + other.once,
            self.none + other.none,
            self.doubt + other.doubt,
            [*self.faults, *other.faults],
            self.seeds | other.seeds,
            self.written | other.written,
        )


def tally_of(end: End) -> Tally:
    """Return what a run counts, and all that is wrong with its end."""
    tally = Tally(runs=1, faults=[*_faults(end)], written=end.written)
    for one in _effects(end):
        times = end.done[effect_of(one)]
        if one.in_doubt:
            tally.doubt += 1
        elif times:
            tally.once += 1
        else:
            tally.none += 1
    return tally


def effect_of(proposal: ActionProposal) -> Effect:
    """Return the effect that a proposal stands for."""
    return (proposal.action_name, int(str(proposal.parameters["item"])))


def _effects(end: End) -> list[ActionProposal]:
    return [one for one in end.proposals if one.action_type is ActionType.SUBJECT]


def _faults(end: End) -> Iterator[str]:
    yield from end.trouble
    if end.blow is not None and not end.fired:
        yield "the crash point was never reached"
    for operation in sorted(end.unnamed):
        yield f"no crash point stands for {operation}"
    if end.broken_audit is not None:
        yield f"the audit chain is broken: {end.broken_audit}"
    for one in unsettled(list(end.proposals)):
        yield f"{_name(one)} is neither settled nor in doubt"
    for one in _effects(end):
        yield from _faults_of_effect(one, end)
    yield from _faults_of_leases(end)
    yield from _faults_of_workflows(end)
    yield from _faults_of_wants(end)


def _name(one: ActionProposal) -> str:
    named = one.parameters.get("item", "")
    return f"proposal {one.id} ({one.action_name} {named}, {one.status.value})"


def _faults_of_effect(one: ActionProposal, end: End) -> Iterator[str]:
    times = end.done[effect_of(one)]
    if times > 1 and not _left_late(one, end):
        yield f"{_name(one)} happened {times} times"
    elif one.status is S.COMPLETED and times == 0:
        yield f"{_name(one)} never happened"
    elif one.status is not S.COMPLETED and not one.in_doubt and times:
        yield f"{_name(one)} happened, and the ledger says that it surely did not"
    if one.status is S.FAILED and one.parameters.get("trouble") != "refuse":
        yield f"{_name(one)} was given up, and nothing refuses it"
    if one.in_doubt and _can_tell(one, end):
        yield f"{_name(one)} is in doubt, where a probe tells the truth"
    if one.in_doubt and one.parameters.get("trouble") in _SAID_NO and _only_ledger_was_away(end):
        yield f"{_name(one)} is in doubt, although its process was told what became of it"


def _can_tell(one: ActionProposal, end: End) -> bool:
    """Return whether a probe tells for certain; where the blow hits the probe, it may not."""
    struck = end.blow is not None and end.blow.fault in (Fault.LOST, Fault.STOP)
    blind = one.parameters.get("trouble") in _BLIND
    return end.world is not World.BLIND and not blind and not struck


def _left_late(one: ActionProposal, end: End) -> bool:
    """Return whether the request may have left after others had looked for its effect.

    It is as `is_out_of_reach` says, wherever the process stood still: it had looked at its lease,
    and had not sent the request.
    """
    stood_still = end.blow is not None and end.blow.fault is Fault.STOP
    return stood_still and end.world is World.LOOK and effect_of(one) in end.under_way


def _only_ledger_was_away(end: End) -> bool:
    """Return whether the blow took the ledger away for a while, and nothing else."""
    if end.blow is None or end.blow.fault is not Fault.LOST:
        return False
    return end.blow.point.side is Side.BEFORE and end.blow.point.operation not in (EFFECT, PROBE)


def _faults_of_leases(end: End) -> Iterator[str]:
    """Say which temporary effects were left behind: all are over when a run ends."""
    for lease in left_behind(list(end.leases)):
        yield f"lease {lease.id} ({lease.effect}) is open, and nothing is under way for it"
    held = {lease.effect for lease in end.leases}
    for one in _effects(end):
        action, item = effect_of(one)
        is_there = end.done[SHUT, item] > end.done[LIFT, item]
        left = is_there and not _left_late(one, end)
        if action == SHUT and left and f"{SHUT}/{item}" not in held:
            yield f"{_name(one)} was left behind: it is there, and no lease covers it"


def _faults_of_workflows(end: End) -> Iterator[str]:
    for workflow in end.workflows:
        steps = [one for one in end.proposals if one.workflow_id == workflow.id]
        if any(one.in_doubt for one in steps):
            continue
        if workflow.status not in _ENDED:
            yield f"workflow {workflow.id} has not ended ({workflow.status.value})"
        undone = [one.compensates_proposal_id for one in steps if one.compensates_proposal_id]
        begun = [
            one.id
            for one in steps
            if one.status is S.COMPLETED
            and one.compensation is not None
            and one.compensates_proposal_id is None
        ]
        expected = [] if workflow.status is WorkflowStatus.COMPLETED else begun
        if sorted(undone) != sorted(one for one in expected if one):
            yield f"workflow {workflow.id} undoes {undone}, not {expected}"


def _faults_of_wants(end: End) -> Iterator[str]:
    """Say what was lost on the way or came twice: each want has one proposal."""
    later = (*WORKFLOW_LATER, PROPOSED_LATER, *WORKFLOW_RUN_LATER, RUN_LATER)
    wants = (*COMPLETING, *FAILING, *SHUTTING, *later, FIRED)
    found = Counter(effect_of(one) for one in _effects(end))
    for want in wants:
        times = found[want.action, want.item]
        if times != 1:
            yield f"{want.action} {want.item} was proposed {times} times"
