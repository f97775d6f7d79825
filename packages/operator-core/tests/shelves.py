"""A shelf on which things are put and from which they are taken: every effect can be undone."""

from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

from engine_bench import Bench, id_of
from operator_core.actions.types import ActionDefinition, ActionProposal, ActionStatus, ParamDef
from operator_core.agent.diagnosis import ActionRecommendation
from operator_core.db.ledger import Ledger
from operator_core.errors import (
    ActionFailedError,
    ActionRefusedError,
    ConflictError,
    OutcomeUnknownError,
    RefusedError,
)
from operator_core.subject import ActionCall, ProbeAnswer
from operator_core.testing.fakes import FakeSubject

Step = tuple[str, int]
"""An action and its value."""


@dataclass
class Shelf(FakeSubject):
    """A shelf; what it did stands in ``done``, in order.

    Attributes:
        refused: steps that never succeed.
        flaky: how often a step fails before it succeeds.
        lost: steps that happen, and whose answer is lost.
        knows: whether a probe tells the truth; else it knows nothing.
        default: of a parameter that putting has since a new release, if it has one.
    """

    name: str = "fake"
    done: list[Step] = field(default_factory=list)
    refused: set[Step] = field(default_factory=set)
    flaky: Counter[Step] = field(default_factory=Counter)
    lost: set[Step] = field(default_factory=set)
    knows: bool = True
    default: int | None = None
    effects_file: Path | None = None
    _keys: set[str] = field(default_factory=set)

    @property
    def things(self) -> Counter[int]:
        """What lies on the shelf."""
        on = Counter(value for action, value in self.done if action == "put")
        on.subtract(Counter(value for action, value in self.done if action == "take"))
        return +on

    def get_action_definitions(self) -> list[ActionDefinition]:
        """Return what can be done; looking cannot be undone, stamping needs more to be."""
        value = {"value": ParamDef(type="int")}
        worn = value | {"colour": ParamDef(type="str")}
        put = dict(value)
        if self.default is not None:
            put["force"] = ParamDef(type="int", required=False, default=self.default)
        names = ("take", "look")
        plain = [ActionDefinition(name=one, description=one, parameters=value) for one in names]
        return [
            *plain,
            ActionDefinition(name="put", description="put", parameters=put, inverse="take"),
            ActionDefinition(name="scrub", description="scrub", parameters=worn, disruptive=True),
            ActionDefinition(name="stamp", description="stamp", parameters=value, inverse="scrub"),
            ActionDefinition(name="sweep", description="sweep", parameters=value, idempotent=True),
        ]

    async def perform(self, call: ActionCall) -> object:
        """Do it, or what the test asks for."""
        self.calls.append(call)
        step = (call.action_name, int(call.parameters["value"]))
        if step in self.refused:
            raise ActionRefusedError(f"{step} is not possible")
        if self.flaky[step] > 0:
            self.flaky[step] -= 1
            raise ActionFailedError(f"{step} did not work this time")
        self.acting.set()
        await self._before()
        self.done.append(step)
        self._keys.add(call.idempotency_key)
        if step in self.lost:
            raise OutcomeUnknownError(f"{step}: the answer is lost")
        return None

    async def probe(self, call: ActionCall) -> ProbeAnswer:
        """Answer truly, or not at all."""
        if not self.knows:
            return ProbeAnswer.UNKNOWN
        happened = call.idempotency_key in self._keys
        return ProbeAnswer.HAPPENED if happened else ProbeAnswer.NOT_HAPPENED


def shelf_of(one: Bench) -> Shelf:
    """Give the bench a shelf as its subject."""
    shelf = Shelf()
    one.subject = shelf
    return shelf


def recommended(action: str, value: int, **more: object) -> ActionRecommendation:
    """Return a recommendation of a step."""
    parameters = {"value": value, **more}
    return ActionRecommendation(action_name=action, parameters=parameters, reason="tidy")


async def tidying(one: Bench, *steps: ActionRecommendation | Step, validate: bool = True) -> int:
    """Propose a workflow of these steps, approved by alice where approval is required."""
    executor = one.executor()
    wanted = [
        step if isinstance(step, ActionRecommendation) else recommended(*step) for step in steps
    ]
    workflow_id = await executor.propose_workflow("tidy", "as it says", wanted)
    for step in await one.db.list_workflow_actions(workflow_id) if validate else []:
        await executor.validate_proposal(id_of(step))
    if one.approval_mode:
        await one.db.approve_workflow(workflow_id, approved_by="alice")
    return workflow_id


async def go(
    one: Bench, *, ledger: Ledger | None = None, rounds: int = 40, singly: bool = False
) -> None:
    """Let an executor do what can be done, as the agent's rounds do, until nothing is left.

    ``singly``: each step is claimed by itself, as where a cluster is looked at before it.
    """
    bench = one if ledger is None else replace(one, ledger=ledger)
    executor = bench.executor()
    for _ in range(rounds):
        await executor.settle_expired(one.subject)
        waiting = [id_of(step) for step in await bench.db.list_retry_eligible()]
        for proposal_id in waiting:
            await bench.db.reset_for_retry(proposal_id)
        for proposal in await bench.db.list_ready():
            try:
                await executor.execute_steps(
                    id_of(proposal), one.subject, may_go_on=lambda: not singly
                )
            except (RefusedError, ConflictError):
                continue
        if not waiting and not await bench.db.list_ready():
            due = await bench.db.next_due_at()
            if due is None:
                return
            one.clock.advance(1)


async def undoing(one: Bench, workflow_id: int = 1) -> list[ActionProposal]:
    """Return the compensations of a workflow, in order."""
    found = await one.db.list_workflow_actions(workflow_id)
    return [step for step in found if step.compensates_proposal_id is not None]


async def states(one: Bench, workflow_id: int = 1) -> list[ActionStatus]:
    """Return the states of a workflow's steps and compensations, in order."""
    return [step.status for step in await one.db.list_workflow_actions(workflow_id)]
