"""Canaries that go from their proposal to their claim in one go."""

from operator_core.actions.cage import Cage, asking, wanted
from operator_core.actions.canaries.canary import Canary
from operator_core.actions.types import ActionDefinition
from operator_core.errors import ApprovalRequiredError
from operator_core.monitor.types import Observation
from operator_core.subject import ActionCall, SubjectDefaults

_NOTHING_YET = 0


class _Unmodelled(SubjectDefaults):
    """A cage's subject without a model of it: nothing is looked at before an action on it."""

    def __init__(self, cage: Cage) -> None:
        self._cage = cage

    async def observe(self) -> Observation:
        return await self._cage.subject.observe()

    def get_action_definitions(self) -> list[ActionDefinition]:
        return self._cage.subject.get_action_definitions()

    async def perform(self, call: ActionCall) -> object:
        return await self._cage.subject.perform(call)


async def _under_no_policy(_cage: Cage) -> int:
    return _NOTHING_YET


async def _under_a_policy(cage: Cage) -> int:
    await cage.enforce(asking())
    return _NOTHING_YET


async def _run(cage: Cage, _planted: int) -> None:
    run = await cage.executor.run_action(wanted("turn"), _Unmodelled(cage))
    if run.refused is not None:
        raise run.refused


async def _run_workflow(cage: Cage, _planted: int) -> None:
    steps = [wanted("turn"), wanted("turn")]
    run = await cage.executor.run_workflow("planted", "-", steps, _Unmodelled(cage))
    if run.refused is not None:
        raise run.refused


OUTRIGHT_CANARIES = (
    Canary(
        "not approved, in one go",
        ("db.starts:born_of",),
        ApprovalRequiredError,
        "waits for approval",
        _under_no_policy,
        policy=False,
        require_approval=True,
        run=_run,
    ),
    Canary(
        "a workflow that is not approved, in one go",
        ("db.workflow_starts:_born",),
        ApprovalRequiredError,
        "waits for approval",
        _under_no_policy,
        policy=False,
        require_approval=True,
        run=_run_workflow,
    ),
)
OUTRIGHT_RULED_CANARIES = (
    Canary(
        "waiting for a word, in one go",
        ("db.starts:_born",),
        ApprovalRequiredError,
        "needs the approval",
        _under_a_policy,
        run=_run,
    ),
    Canary(
        "a workflow waiting for a word, in one go",
        ("db.workflow_starts:_born",),
        ApprovalRequiredError,
        "needs the approval",
        _under_a_policy,
        run=_run_workflow,
    ),
)
