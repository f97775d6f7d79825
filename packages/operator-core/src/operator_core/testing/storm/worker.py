"""A process in a storm: it proposes, executes and settles through the public API until its end.

Its argument is what it is told, as JSON.
"""

import asyncio
import itertools
import random
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from threading import Thread

from operator_core.actions.audit import ActionAuditor
from operator_core.actions.executor import ActionExecutor
from operator_core.actions.registry import ActionRegistry
from operator_core.actions.retry import RetryConfig
from operator_core.actions.safety import SafetyController
from operator_core.actions.types import ActionDefinition, ActionProposal, ActionStatus, ParamDef
from operator_core.agent.diagnosis import ActionRecommendation
from operator_core.clock import block, monotonic_seconds
from operator_core.db.actions import ActionDB
from operator_core.db.ledger import Ledger, open_ledger
from operator_core.errors import ActionFailedError, LedgerError, OperatorError, OutcomeUnknownError
from operator_core.logs import get_logger
from operator_core.monitor.types import Observation
from operator_core.subject import ActionCall, ProbeAnswer, SubjectDefaults
from operator_core.testing.crash.worker import unsettled
from operator_core.testing.storm.people import Person
from operator_core.testing.storm.terms import EffectFile, Terms
from operator_core.types import RunMode

log = get_logger(__name__)

TOLD, REPEATABLE, BLIND, UNDO = "put", "set", "blind", "take"
"""What a probe can tell of, what may be sent twice, what nobody can tell of, and what undoes."""

_UNDONE = (TOLD, BLIND)
_PROBED = (TOLD, UNDO)

USERS = 8
STEPS = 3
SETTLING_SECONDS = 90.0
ITEMS_EACH_PROCESS = 1_000_000
VISITS_ACTIONS = 3
_PAUSES_SECONDS = (0.0, 0.0, 0.002, 0.02)
_FAILED_SHARE, _LOST_SHARE = 0.15, 0.05
_RETRY = RetryConfig(max_attempts=2, min_wait_seconds=0.05, max_wait_seconds=0.2)
"""Some steps fail for good, so that what was done before them is undone."""
_LOOK_SECONDS = 0.1

Step = Callable[[list[ActionRecommendation]], Awaitable[object]]


class FarSubject(SubjectDefaults):
    """Does things after a while, of which some fail and some give no answer."""

    name = "far"

    def __init__(self, effects: EffectFile, rng: random.Random) -> None:
        """Take where effects are counted, and what chooses."""
        self._effects = effects
        self._rng = rng

    async def observe(self) -> Observation:
        """Return an observation without parts."""
        return Observation(subject=self.name)

    def get_action_definitions(self) -> list[ActionDefinition]:
        """Return what can be done."""
        item = {"item": ParamDef(type="int", description="What it is done to")}
        return [
            ActionDefinition(
                name=name,
                description=name,
                parameters=item,
                idempotent=name == REPEATABLE,
                inverse=UNDO if name in _UNDONE else None,
            )
            for name in (TOLD, REPEATABLE, BLIND, UNDO)
        ]

    async def perform(self, call: ActionCall) -> object:
        """Do it.

        Raises:
            ActionFailedError: surely not done.
            OutcomeUnknownError: no answer came.
        """
        await self._pause()
        if self._rng.random() < _FAILED_SHARE:
            raise ActionFailedError("it did not work this time")
        self._effects.add(call.action_name, int(call.parameters["item"]), call.idempotency_key)
        await self._pause()
        if self._rng.random() < _LOST_SHARE:
            raise OutcomeUnknownError("it was sent and no answer came")
        return {"item": call.parameters["item"]}

    async def probe(self, call: ActionCall) -> ProbeAnswer:
        """Say whether it has happened, where anybody can."""
        if call.action_name not in _PROBED:
            return ProbeAnswer.UNKNOWN
        happened = any(one.key == call.idempotency_key for one in self._effects.read())
        return ProbeAnswer.HAPPENED if happened else ProbeAnswer.NOT_HAPPENED

    async def _pause(self) -> None:
        await asyncio.sleep(self._rng.choice(_PAUSES_SECONDS))


class Process:
    """What one process does with an open ledger."""

    def __init__(self, terms: Terms, ledger: Ledger, first_item: int) -> None:
        """Wire an engine as a user of the library does."""
        self._rng = random.Random(first_item)
        self._item = first_item
        self._subject = FarSubject(terms.effects, self._rng)
        auditor = ActionAuditor(ledger)
        self.safety = SafetyController(ledger, auditor, RunMode.EXECUTE)
        self._db = ActionDB(ledger)
        self._executor = ActionExecutor(
            ledger,
            ActionRegistry(self._subject),
            self.safety,
            auditor,
            approval_mode=False,
            retry_config=_RETRY,
            lease_seconds=terms.lease_seconds,
        )
        self._person = Person(ledger, self._executor, terms.effects, self._rng)

    async def work(self) -> None:
        """Let several users work side by side, somebody interfere, and settle what others left."""
        users = [self._use() for _ in range(USERS)]
        await asyncio.gather(self._keep_settling(), self._keep_interfering(), *users)

    async def visit(self) -> None:
        """Do little, as a request to a web server does."""
        for _ in range(VISITS_ACTIONS):
            await _tolerated(self._one_in_one_go([self._recommend(TOLD)]))

    async def settle(self) -> None:
        """Bring everything to its end.

        Raises:
            TimeoutError: something does not end.
        """
        async with asyncio.timeout(SETTLING_SECONDS):
            await self._person.let_act()
            await self._person.resume_all()
            while unsettled(await self._db.list_proposals()):
                await self._settle_once(new_too=True)
                await asyncio.sleep(_LOOK_SECONDS)

    # --- users ------------------------------------------------------------------------

    async def _use(self) -> None:
        ways: tuple[Step, ...] = (
            self._one_in_one_go,
            self._one_by_call,
            self._steps_in_one_go,
            self._steps_by_call,
        )
        while True:
            action = self._rng.choice((TOLD, TOLD, REPEATABLE, BLIND))
            wanted = [self._recommend(action) for _ in range(STEPS)]
            await _tolerated(self._rng.choice(ways)(wanted))

    def _recommend(self, action: str) -> ActionRecommendation:
        self._item += 1
        return ActionRecommendation(
            action_name=action, parameters={"item": self._item}, reason="storm"
        )

    async def _one_in_one_go(self, wanted: list[ActionRecommendation]) -> None:
        await self._executor.run_action(wanted[0], self._subject)

    async def _steps_in_one_go(self, wanted: list[ActionRecommendation]) -> None:
        await self._executor.run_workflow("storm", "three steps", wanted, self._subject)

    async def _one_by_call(self, wanted: list[ActionRecommendation]) -> None:
        proposal_id = _id_of(await self._executor.propose_action(wanted[0]))
        await self._executor.validate_proposal(proposal_id)
        await self._executor.execute_proposal(proposal_id, self._subject)

    async def _steps_by_call(self, wanted: list[ActionRecommendation]) -> None:
        workflow_id = await self._executor.propose_workflow("storm", "three steps", wanted)
        first, *_ = await self._executor.validate_workflow(workflow_id)
        await self._executor.execute_steps(_id_of(first), self._subject)

    async def _keep_interfering(self) -> None:
        while True:
            await _tolerated(self._person.interfere())

    # --- what is left behind ----------------------------------------------------------

    async def _keep_settling(self) -> None:
        while True:
            await _tolerated(self._settle_once(new_too=False))
            await asyncio.sleep(_LOOK_SECONDS)

    async def _settle_once(self, *, new_too: bool) -> None:
        await self._executor.settle_expired(self._subject)
        for one in await self._db.list_retry_eligible():
            await _tolerated(self._db.reset_for_retry(_id_of(one)))
        for one in await self._db.list_proposals(ActionStatus.PROPOSED) if new_too else ():
            await _tolerated(self._validate(one))
        ready = await self._db.list_ready(subject=self._subject.name)
        await asyncio.gather(*[_tolerated(self._execute(one)) for one in ready])

    async def _validate(self, one: ActionProposal) -> None:
        if one.workflow_id is None:
            await self._executor.validate_proposal(_id_of(one))
        else:
            await self._executor.validate_workflow(one.workflow_id)

    async def _execute(self, one: ActionProposal) -> None:
        await self._executor.execute_steps(_id_of(one), self._subject)


async def _tolerated(work: Awaitable[object]) -> None:
    """Let work be refused, or its ledger be away: who uses an engine has to live with both."""
    try:
        await work
    except LedgerError as error:
        log.info("ledger_away", error=str(error))
        await asyncio.sleep(_LOOK_SECONDS)
    except OperatorError as error:
        log.debug("refused", error=str(error))


def _id_of(proposal: ActionProposal) -> int:
    return int(proposal.id or 0)


async def _opened(terms: Terms) -> Ledger:
    """Open the ledger, however long its server is away."""
    end = monotonic_seconds() + SETTLING_SECONDS
    while True:
        try:
            return await open_ledger(terms.address, terms.clock)
        except LedgerError:
            if monotonic_seconds() >= end:
                raise
        await asyncio.sleep(_LOOK_SECONDS)


@asynccontextmanager
async def _process(terms: Terms, first_item: int) -> AsyncIterator[Process]:
    ledger = await _opened(terms)
    try:
        process = Process(terms, ledger, first_item)
        await _tolerated(process.safety.state())
        yield process
    finally:
        await ledger.engine.close()


async def _visit(terms: Terms, first_item: int) -> None:
    async with _process(terms, first_item) as process:
        await process.visit()


def visit_for_ever(terms: Terms) -> None:
    """Open the ledger again and again in a loop of one's own, while others have it open."""
    first = terms.seed * ITEMS_EACH_PROCESS + ITEMS_EACH_PROCESS // 2
    for item in itertools.count(first, VISITS_ACTIONS):
        asyncio.run(_visit(terms, item))
        block(_LOOK_SECONDS)


async def main(terms: Terms) -> None:
    """Do what the process is told."""
    async with _process(terms, terms.seed * ITEMS_EACH_PROCESS) as process:
        if terms.settles:
            await process.settle()
            return
        Thread(target=visit_for_ever, args=[terms], daemon=True).start()
        await process.work()


if __name__ == "__main__":
    asyncio.run(main(Terms.from_text(sys.argv[1])))
