"""Ways round the gate that a stranger would try: rows, undoing, other stages, other moments."""

import random
from collections.abc import Callable
from typing import Any, cast

from engine_bench import id_of
from gate_walk import PEOPLE, Walk
from operator_core.actions.execution import carry_out
from operator_core.actions.registry import ActionRegistry
from operator_core.actions.remedy import Remedy
from operator_core.actions.terms import Terms
from operator_core.actions.types import ActionRecord, ActionStatus, SafetyMode, WorkflowStatus
from operator_core.agent.janitor import JANITOR, Janitor
from operator_core.agent.rollback import Rollback
from operator_core.cli import actions as cli_actions
from operator_core.cli import workflows as cli_workflows
from operator_core.cli.context import Session
from operator_core.db.claims import Attempt
from operator_core.db.workflows import WorkflowDB
from operator_core.monitor.types import Violation
from operator_core.monitor.verification import ROLLBACK_BY
from operator_core.subject import complete

DAY_SECONDS = 86400
_WAITING = (ActionStatus.PROPOSED, ActionStatus.VALIDATED)


class Detours(Walk):
    """A walk that also goes by what is not meant as a way."""

    claimed: tuple[Attempt, Terms, ActionRegistry]
    """What was claimed last, by whom."""

    def detours(self) -> list[Callable[[random.Random], None]]:
        """Return the steps; each holds what it reaches against the rule book."""
        return [
            self.a_hand_writes_into_rows,
            self.an_approved_one_is_sent_late,
            self.a_workflow_is_undone,
            self.the_janitor_takes_back,
            self.a_remedy_is_rolled_back,
            self.somebody_approves_for_another,
            self.nobody_may_act,
        ]

    def words_for(self, kind: str, row_id: int, dice: random.Random) -> None:
        """Let people approve, some of them twice, some without a role."""
        db = self.gate.bench.db
        approve = db.approve_proposal if kind == "proposal" else db.approve_workflow
        for person in dice.choices(PEOPLE, k=dice.randint(0, 4)):
            if self.tries(approve(row_id, person)):
                self.note(person, (kind, row_id))

    def ready(self, action: str, dice: random.Random) -> int:
        """Return a valid proposal that some people have approved."""
        self.do(self.gate.look())
        n = self.do(self.gate.proposed(action))
        self.tries(self.gate.bench.executor().validate_proposal(n))
        self.words_for("proposal", n, dice)
        self.ids.append(n)
        return n

    def a_hand_writes_into_rows(self, dice: random.Random) -> None:
        """Call what changes rows in every order; then try to execute."""
        if not self.ids:
            return
        db, now, n = self.gate.bench.db, self.gate.bench.clock.now(), dice.choice(self.ids[-6:])
        record = ActionRecord(proposal_id=n, success=True, started_at=now)
        calls: list[Callable[[], Any]] = [
            lambda: db.update_proposal_status(n, dice.choice(list(ActionStatus))),
            lambda: db.update_scheduled_at(n, dice.choice([None, now])),
            lambda: db.increment_retry_count(n, "it seems so"),
            lambda: db.update_next_retry(n, now),
            lambda: db.reset_for_retry(n),
            lambda: db.create_record(record),
            lambda: db.update_record(n, success=dice.random() < 0.5),
        ]
        if self.flows:
            flow = dice.choice(self.flows[-3:])
            state = dice.choice(list(WorkflowStatus))
            workflows = WorkflowDB(self.gate.bench.ledger)
            calls += [
                lambda: db.update_workflow_status(flow, state),
                lambda: workflows.pause(flow, paused_by="zoe"),
                lambda: workflows.resume(flow, resumed_by="zoe"),
            ]
        for call in dice.choices(calls, k=3):
            self.tries(call())
        self.execute(n, dice)

    def an_approved_one_is_sent_late(self, dice: random.Random) -> None:
        """Claim, let the world change, and send: what rules at that moment counts."""
        n = self.ready(dice.choice(["shut", "turn"]), dice)
        claimed = self.tries(self.claim(n))
        self.the_world_changes(dice)
        before, now = len(self.gate.valves.done), self.gate.bench.clock.now()
        if claimed:
            self.tries(self.send())
        for action, _ in self.gate.valves.done[before:]:
            assert self.wrong(n, action, (self.policy, self.era), now) == ""

    async def claim(self, n: int) -> None:
        """Claim as an executor does that then stands still."""
        executor, db = self.gate.bench.executor(), self.gate.bench.executions
        terms = executor._terms(db, await executor._sight(db, n, self.gate.valves))
        attempt = await db.claim(n, terms.claim)
        self.claimed = attempt, terms, executor._registry

    async def send(self) -> None:
        """Go on with what was claimed."""
        attempt, terms, registry = self.claimed
        await carry_out(self.gate.bench.executions, attempt, self.gate.valves, registry, terms)

    def a_workflow_is_undone(self, dice: random.Random) -> None:
        """Do a first step, cancel the rest, and execute what undoes it."""
        self.do(self.gate.look())
        flow, steps = self.do(self.gate.chain("turn", "shut", validate=False))
        for step in steps:
            self.tries(self.gate.bench.executor().validate_proposal(step))
        self.words_for("workflow", flow, dice)
        self.execute(steps[0], dice)
        self.tries(self.gate.bench.db.cancel_workflow(flow))
        self.the_world_changes(dice)
        for one in self.do(self.gate.bench.db.list_ready()):
            self.execute(id_of(one), dice)

    def the_janitor_takes_back(self, dice: random.Random) -> None:
        """Leave something for a while, and let the janitor see that its time is over."""
        self.execute(self.ready("block", dice), dice)
        self.gate.bench.clock.advance(DAY_SECONDS)
        valves, clock = self.gate.valves, self.gate.bench.clock
        registry = ActionRegistry(valves)
        janitor = Janitor(self.gate.bench.ledger, complete(valves), registry, clock=clock)
        self.do(janitor.step())
        self.all_of(JANITOR, dice)

    def a_remedy_is_rolled_back(self, dice: random.Random) -> None:
        """Propose to take back what was done, as for a remedy that is not verified."""
        done = self.do(self.gate.bench.db.list_proposals(ActionStatus.COMPLETED))
        if not done:
            return
        leak = Violation(invariant="leak", target="1", message="it leaks")
        ticket = self.do(self.gate.bench.tickets.report(leak, subject="fake"))
        rollback = Rollback(self.gate.bench.ledger, self.gate.bench.executor())
        self.tries(rollback.propose(int(ticket.id or 0), Remedy(steps=tuple(done[-2:]))))
        self.all_of(ROLLBACK_BY, dice)

    def all_of(self, proposer: str, dice: random.Random) -> None:
        """Validate, have approved and execute what a stage has proposed."""
        for one in self.do(self.gate.bench.db.list_proposals()):
            if one.proposed_by == proposer and one.status in _WAITING:
                n = id_of(one)
                self.tries(self.gate.bench.executor().validate_proposal(n))
                self.words_for("proposal", n, dice)
                self.execute(n, dice)

    def somebody_approves_for_another(self, dice: random.Random) -> None:
        """Approve on the command line under a name that is not the user's: no word counts."""
        session = Session(cast("Any", self.gate.bench.ledger), "alice", json=True)
        if self.ids:
            n = dice.choice(self.ids[-6:])
            assert not self.tries(cli_actions.approve(session, n))
            self.execute(n, dice)
        if self.flows:
            assert not self.tries(cli_workflows.approve(session, self.flows[-1]))

    def nobody_may_act(self, dice: random.Random) -> None:
        """Pull the kill switch, or let Operator only look; claimed or not, nothing is done."""
        n = self.ready("shut", dice)
        claimed = dice.random() < 0.5 and self.tries(self.claim(n))
        control, before = self.gate.bench.control, len(self.gate.valves.done)
        if dice.random() < 0.5:
            self.do(control.kill(actor="zoe", reason="a fire"))
        else:
            self.do(control.set_mode(SafetyMode.OBSERVE, actor="zoe"))
        if claimed:
            self.tries(self.send())
        for one in self.ids[-6:]:
            self.execute(one, dice)
        assert len(self.gate.valves.done) == before
        self.do(control.set_mode(SafetyMode.EXECUTE, actor="zoe"))
