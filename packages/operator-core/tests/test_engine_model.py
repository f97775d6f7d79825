"""The engine beside a model of a few lines: whatever is done, in whatever order, both agree."""

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from engine_bench import LEASE_SECONDS, Bench, bench, id_of, recommend
from operator_core.actions.types import ActionStatus, SafetyMode
from operator_core.errors import OperatorError
from operator_core.subject import ProbeAnswer
from operator_core.testing.fakes import Mode

T = TypeVar("T")
S = ActionStatus
LIMIT = 3


@dataclass
class Expected:
    """What the model knows of one proposal."""

    status: ActionStatus = S.PROPOSED
    approved: bool = False
    failures: int = 0
    retry_waits: bool = False
    doubt: bool = False
    effects: int = 0


class EngineMachine(RuleBasedStateMachine):
    """Calls the public functions and says beforehand what must come of them."""

    ids = Bundle("ids")
    dead = Bundle("dead")

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = Path(tempfile.mkdtemp())
        self.stack = AsyncExitStack()
        opened = self.stack.enter_async_context(bench(self.folder, approval_mode=True))
        self.one: Bench = self.do(opened)
        self.model: dict[int, Expected] = {}
        self.may_act = True

    def do(self, call: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(call)

    def succeeds(self, call: Coroutine[Any, Any, object], *, when: bool) -> bool:
        """Call; the engine must refuse exactly when the model does."""
        error: OperatorError | None = None
        try:
            self.do(call)
        except OperatorError as raised:
            error = raised
        assert (error is None) is when, error
        return when

    # --- people ------------------------------------------------------------------------

    @rule(target=ids)
    def propose(self) -> object:
        executor = self.one.executor()
        if not self.may_act:
            self.succeeds(executor.propose_action(recommend()), when=False)
            return multiple()
        stored = id_of(self.do(executor.propose_action(recommend())))
        self.model[stored] = Expected()
        return stored

    @rule(n=ids)
    def validate(self, n: int) -> None:
        known = self.model[n]
        call = self.one.executor().validate_proposal(n)
        if self.succeeds(call, when=known.status is S.PROPOSED):
            known.status = S.VALIDATED

    @rule(n=ids)
    def approve(self, n: int) -> None:
        known = self.model[n]
        waits = known.status in (S.PROPOSED, S.VALIDATED)
        call = self.one.db.approve_proposal(n, approved_by="alice")
        if self.succeeds(call, when=waits and not known.approved):
            known.approved = True

    @rule(n=ids, rejects=st.booleans())
    def stop(self, n: int, rejects: bool) -> None:
        known = self.model[n]
        call = self.one.db.reject_proposal(n) if rejects else self.one.db.cancel_proposal(n)
        if self.succeeds(call, when=known.status in (S.PROPOSED, S.VALIDATED)):
            known.status = S.CANCELLED
            known.approved = known.approved and not rejects

    @rule()
    def kill(self) -> None:
        self.do(self.one.safety.kill(actor="alice"))
        self.may_act = False
        for known in self.model.values():
            known.retry_waits = False
            if known.status in (S.PROPOSED, S.VALIDATED):
                known.status = S.CANCELLED

    @rule(mode=st.sampled_from(SafetyMode))
    def set_mode(self, mode: SafetyMode) -> None:
        self.do(self.one.safety.set_mode(mode, actor="alice"))
        self.may_act = mode is SafetyMode.EXECUTE

    @rule(n=ids, happened=st.booleans())
    def settle(self, n: int, happened: bool) -> None:
        known = self.model[n]
        call = self.one.executions.settle_by_person(n, happened=happened, person="alice")
        if self.succeeds(call, when=known.doubt):
            known.doubt = False
            known.status = S.COMPLETED if happened else S.FAILED
            known.failures += not happened

    # --- the agent ---------------------------------------------------------------------

    def claimable(self, known: Expected) -> bool:
        return known.status is S.VALIDATED and known.approved and self.may_act

    @rule(n=ids, mode=st.sampled_from([Mode.OK, Mode.FAIL, Mode.REFUSE]))
    def execute(self, n: int, mode: Mode) -> None:
        known, self.one.subject.mode = self.model[n], mode
        if not self.succeeds(self.one.run(n), when=self.claimable(known)):
            return
        known.status = S.COMPLETED if mode is Mode.OK else S.FAILED
        known.effects += mode is Mode.OK
        known.failures += mode is not Mode.OK
        known.retry_waits = mode is Mode.FAIL and known.failures < LIMIT

    @rule(n=ids, answer=st.sampled_from(ProbeAnswer))
    def execute_and_hear_nothing(self, n: int, answer: ProbeAnswer) -> None:
        known, subject = self.model[n], self.one.subject
        subject.mode, subject.probe_answer = Mode.TIME_OUT_AFTER_EFFECT, answer
        if self.succeeds(self.one.run(n), when=self.claimable(known)):
            known.effects += 1
            self.probed(known, answer)

    def probed(self, known: Expected, answer: ProbeAnswer) -> None:
        known.doubt = answer is ProbeAnswer.UNKNOWN
        known.status = {
            ProbeAnswer.HAPPENED: S.COMPLETED,
            ProbeAnswer.NOT_HAPPENED: S.FAILED,
            ProbeAnswer.UNKNOWN: S.EXECUTING,
        }[answer]
        if known.status is S.FAILED:
            known.failures += 1
            known.retry_waits = known.failures < LIMIT

    @rule(n=ids)
    def retry(self, n: int) -> None:
        known = self.model[n]
        may = known.status is S.FAILED and known.failures < LIMIT
        if self.succeeds(self.one.db.reset_for_retry(n), when=may):
            known.status, known.retry_waits = S.VALIDATED, False

    @rule(target=dead, n=ids)
    def die_in_the_middle(self, n: int) -> object:
        known, owner = self.model[n], self.one.terms("dead")
        if not known.approved or not self.may_act or known.status is not S.VALIDATED:
            return multiple()
        self.do(self.one.executions.claim(n, owner))
        known.status = S.EXECUTING
        return n

    @rule(n=consumes(dead), answer=st.sampled_from(ProbeAnswer))
    def inherit(self, n: int, answer: ProbeAnswer) -> None:
        self.one.clock.advance(LEASE_SECONDS)
        expired = {one.id for one in self.do(self.one.executions.list_expired())}
        if n not in expired:
            return  # settled together with another one
        self.one.subject.probe_answer = answer
        for number in self.do(self.one.executor("heir").settle_expired(self.one.subject)):
            self.probed(self.model[number], answer)
            if self.stopped(number) and self.model[number].status is S.FAILED:
                self.model[number].status, self.model[number].retry_waits = S.CANCELLED, False
                self.model[number].failures -= 1

    def stopped(self, n: int) -> bool:
        return "execution_stopped" in self.do(self.one.events(n))

    # --- what always holds -------------------------------------------------------------

    @invariant()
    def the_ledger_says_what_the_model_says(self) -> None:
        for stored in self.do(self.one.db.list_proposals()):
            known = self.model[stored.id or 0]
            assert (stored.status, stored.in_doubt) == (known.status, known.doubt)
            assert (stored.is_approved, stored.retry_count) == (known.approved, known.failures)
            assert (stored.next_retry_at is not None) is known.retry_waits

    @invariant()
    def effects_are_those_of_the_model(self) -> None:
        assert len(self.one.subject.effects) == sum(one.effects for one in self.model.values())
        keys = [effect.idempotency_key for effect in self.one.subject.effects]
        assert len(keys) == len(set(keys))

    @invariant()
    def what_is_ready_can_be_claimed(self) -> None:
        ready = {one.id for one in self.do(self.one.db.list_ready())}
        waiting = {n for n, one in self.model.items() if one.status is S.VALIDATED}
        assert ready == {n for n in waiting if self.model[n].approved}

    def teardown(self) -> None:
        assert self.do(self.one.control.first_broken_audit_row()) is None
        self.do(self.stack.aclose())
        self.loop.close()
        shutil.rmtree(self.folder)


@pytest.mark.timeout(50)
def test_the_engine_and_its_model_agree() -> None:
    run_state_machine_as_test(
        EngineMachine, settings=settings(max_examples=80, stateful_step_count=30)
    )
