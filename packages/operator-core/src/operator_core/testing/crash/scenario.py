"""What the processes of a run have to do, prepared in a fresh ledger; every item is used once."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from operator_core.actions.executor import ActionExecutor
from operator_core.actions.retry import RetryConfig
from operator_core.actions.types import Schedule
from operator_core.agent.diagnosis import ActionRecommendation
from operator_core.clock import SYSTEM_CLOCK
from operator_core.db.actions import ActionDB
from operator_core.db.claims import ClaimTerms
from operator_core.db.control import ControlDB
from operator_core.db.executions import ExecutionDB
from operator_core.db.ledger import Ledger
from operator_core.db.schedules import ScheduleDB
from operator_core.owner import name_of
from operator_core.process import this_process
from operator_core.subject import Subject
from operator_core.testing.clock import ManualClock
from operator_core.testing.crash.subject import NAME
from operator_core.testing.crash.system import System
from operator_core.types import RunMode

RETRY = RetryConfig(max_attempts=8, min_wait_seconds=0.05, max_wait_seconds=0.2)
SCHEDULED_SECONDS = 0.5
LONG_LEASE_SECONDS = 60.0
YEARLY = "0 0 1 1 *"
"""Due once in a run, because the clock that made it stood in an earlier year."""


@dataclass(frozen=True)
class Want:
    """One thing to be done.

    Attributes:
        action: the action.
        item: what it is done to.
        trouble: what goes wrong with it.
    """

    action: str
    item: int
    trouble: str = ""

    @property
    def recommendation(self) -> ActionRecommendation:
        """The recommendation to do it."""
        parameters = {"item": self.item, "trouble": self.trouble}
        return ActionRecommendation(
            action_name=self.action, parameters=parameters, reason=f"item {self.item}"
        )


SINGLES = (
    Want("put", 1),
    Want("put", 2),
    Want("put", 3, "flaky"),
    Want("put", 4, "refuse"),
    Want("put", 5, "slow"),
    Want("put", 6, "silent"),
    Want("set", 7, "silent"),
    Want("set", 8),
)
PLAIN = (Want("put", 1), Want("put", 2), Want("put", 9))
"""What has its effect at its first try."""
SCHEDULED = Want("put", 10)
FIRED = Want("put", 11)
ABANDONED_DONE = Want("put", 20)
ABANDONED_UNDONE = Want("put", 21)
ABANDONED_SILENT = Want("set", 22, "silent")
ABANDONED_BY_THE_DEAD = Want("set", 23)
"""Its owner is seen to be dead long before its lease ends, and it can be sent twice."""
ABANDONED_UNWANTED = Want("put", 24)
"""Somebody asked to stop it before its owner went away."""
COMPLETING = (Want("put", 30), Want("put", 31, "flaky"), Want("put", 32))
FAILING = (Want("put", 40), Want("put", 41), Want("put", 42, "refuse"), Want("put", 43))
SHUTTING = (Want("shut", 70), Want("shut", 71, "silent"), Want("shut", 72, "refuse"))
"""Temporary effects: one that is taken back, one that stays in doubt, and one that never was."""
PROPOSED_LATER = Want("put", 50)
WORKFLOW_LATER = (Want("put", 60), Want("put", 61))
RUN_LATER = Want("put", 80)
WORKFLOW_RUN_LATER = (Want("put", 90), Want("put", 91))
"""What who proposes executes itself, in one go."""


async def prepare(ledger: Ledger, executor: ActionExecutor, system: System, seed: int) -> None:
    """Fill an empty ledger; the seed decides the order and what is validated already."""
    rng = random.Random(seed)
    await ControlDB(ledger).set_mode(RunMode.EXECUTE, actor="crash test")
    singles = list(SINGLES)
    rng.shuffle(singles)
    for want in (ABANDONED_DONE, ABANDONED_UNDONE, ABANDONED_SILENT):
        await _abandon(ledger, executor, system, want)
    await _abandon(ledger, executor, system, ABANDONED_BY_THE_DEAD)
    unwanted = await _abandon(ledger, executor, system, ABANDONED_UNWANTED)
    await ActionDB(ledger).request_cancel(unwanted, cancelled_by="crash test")
    await _propose(executor, SCHEDULED, SYSTEM_CLOCK.now() + timedelta(seconds=SCHEDULED_SECONDS))
    for want in singles[:4]:
        await _propose(executor, want)
    await propose_chain(executor, "completing", COMPLETING)
    await propose_chain(executor, "failing", FAILING)
    for want in (*SHUTTING, *singles[4:]):
        await _propose(executor, want)
    await _schedule(ledger)


async def prepare_plain(ledger: Ledger, executor: ActionExecutor) -> None:
    """Fill an empty ledger with nothing but what has its effect at its first try."""
    await ControlDB(ledger).set_mode(RunMode.EXECUTE, actor="crash test")
    for want in PLAIN:
        await _propose(executor, want)


async def _propose(
    executor: ActionExecutor, want: Want, scheduled_at: datetime | None = None
) -> int:
    made = await executor.propose_action(want.recommendation, scheduled_at=scheduled_at)
    return int(made.id or 0)


async def propose_chain(executor: ActionExecutor, name: str, steps: Sequence[Want]) -> None:
    """Propose a workflow, with a pause before its last step."""
    pause = ActionRecommendation(
        action_name="wait", parameters={"seconds": 0.2}, reason="let it settle"
    )
    wanted = [step.recommendation for step in steps]
    await executor.propose_workflow(name, name, [*wanted[:-1], pause, wanted[-1]])


async def propose_later(ledger: Ledger, executor: ActionExecutor, subject: Subject) -> bool:
    """Propose what the workers propose, unless it is there; return whether all is there.

    So looks a client before it asks again, where it does not know what became of its request.
    """
    reasons = {one.reason for one in await ActionDB(ledger).list_proposals()}

    def lacks(want: Want) -> bool:
        return want.recommendation.reason not in reasons

    if lacks(PROPOSED_LATER):
        await executor.propose_action(PROPOSED_LATER.recommendation)
    if lacks(WORKFLOW_LATER[0]):
        await propose_chain(executor, "later", WORKFLOW_LATER)
    if lacks(RUN_LATER):
        await executor.run_action(RUN_LATER.recommendation, subject)
    if lacks(WORKFLOW_RUN_LATER[0]):
        steps = [want.recommendation for want in WORKFLOW_RUN_LATER]
        await executor.run_workflow("in one go", "in one go", steps, subject)
    return True


def _dead() -> str:
    """Return the name of an owner whose process is gone, and whose number another one has.

    Raises:
        RuntimeError: this machine cannot tell processes apart.
    """
    here = this_process()
    if here is None:
        raise RuntimeError("The crash test needs Linux with /proc.")
    return name_of(here._replace(started_ticks=here.started_ticks - 1), "dead")


async def _abandon(
    ledger: Ledger,
    executor: ActionExecutor,
    system: System,
    want: Want,
) -> int:
    """Leave an attempt behind as an owner does that died in it; return its proposal."""
    proposal_id = await _propose(executor, want)
    await executor.validate_proposal(proposal_id)
    is_seen = want is ABANDONED_BY_THE_DEAD
    terms = ClaimTerms(
        owner=_dead() if is_seen else "ghost",
        ledger_id=ledger.ledger_id,
        lease_seconds=LONG_LEASE_SECONDS if is_seen else 0.0,
        require_approval=False,
        subject=NAME,
    )
    attempt = await ExecutionDB(ledger).claim(proposal_id, terms)
    if want is ABANDONED_DONE:
        system.do((want.action, want.item), str(attempt.record.idempotency_key))
    return proposal_id


async def _schedule(ledger: Ledger) -> None:
    earlier = ManualClock(SYSTEM_CLOCK.now() - timedelta(days=400))
    past = Ledger(ledger.engine, ledger.ledger_id, earlier)
    schedule = Schedule(
        subject=NAME,
        name="yearly",
        cron=YEARLY,
        action_name=FIRED.action,
        parameters=FIRED.recommendation.parameters,
        reason=FIRED.recommendation.reason,
    )
    await ScheduleDB(past).create(schedule, actor="crash test")
