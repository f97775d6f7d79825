"""The engine beside a model of a few lines: whatever is done, in whatever order, both agree."""

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import Callable, Coroutine
from copy import deepcopy
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

import ledger_places
from engine_bench import Bench, bench, id_of
from engine_items import IDEMPOTENT, LEASE_SECONDS, Mood, S
from engine_model import Model
from engine_picks import ANYTHING, MOODS, MOSTLY, MOVES, OF_FLOWS, PICK, SECONDS, SOME_ACTION
from engine_picture import (
    Call,
    Move,
    Order,
    Picture,
    between,
    both,
    expected,
    next_due,
    picture_of,
    recommended,
    refusal,
    seconds,
    told,
)
from moody_subject import MoodySubject
from operator_core.actions.types import SafetyMode, Schedule
from operator_core.db.ledger import open_ledger
from operator_core.db.schedules import ScheduleDB
from operator_core.db.workflows import WorkflowDB
from operator_core.testing.clock import START, ManualClock

T = TypeVar("T")

MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of our own is made there; no disk is tested


class EngineMachine(RuleBasedStateMachine):
    """Calls the public functions and says beforehand what must come of them."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = Path(tempfile.mkdtemp(dir=MEMORY if MEMORY.is_dir() else None))
        self.subject = MoodySubject()
        self.clock = ManualClock()
        self.stack = contextlib.AsyncExitStack()

    def empty(self) -> None:
        """Make the ledger empty; a new file is."""

    @initialize(must_approve=st.booleans())
    def begin(self, *, must_approve: bool) -> None:
        self.empty()
        opened = bench(self.folder, clock=self.clock, approval_mode=must_approve)
        self.one: Bench = self.do(self.stack.enter_async_context(opened))
        self.one.subject = self.subject
        self.model = Model(must_approve)
        hourly = Schedule(
            name="hourly", cron="0 * * * *", action_name="look", reason="see", subject="fake"
        )
        self.do(self.schedules.create(hourly, actor="alice"))

    @property
    def schedules(self) -> ScheduleDB:
        return ScheduleDB(self.one.ledger)

    @property
    def workflows(self) -> WorkflowDB:
        return WorkflowDB(self.one.ledger)

    def do(self, call: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(call)

    def agree(self, call: Call, *, when: bool) -> None:
        """Call; the engine must refuse exactly when the model does."""
        error = self.do(refusal(call))
        assert (error is None) is when, error

    def look(self) -> Picture:
        """Read the ledger, all at once: that is what a step costs."""
        self.picture = self.do(picture_of(self.one))
        return self.picture

    @property
    def ids(self) -> list[int]:
        """The ledger's ids of the model's items, in order, as of the last look."""
        return [id_of(one) for one in self.picture.items]

    def item(self, pick: int) -> tuple[int, int]:
        """Return an item's index and its id."""
        n = len(self.ids) - 1 - pick % len(self.ids)
        return n, self.ids[n]

    def flow(self, pick: int) -> tuple[int, int]:
        ids = [int(one.id or 0) for one in self.picture.flows]
        f = len(ids) - 1 - pick % len(ids)
        return f, ids[f]

    # --- proposing ---------------------------------------------------------------------

    @rule(action=SOME_ACTION, ready=MOSTLY)
    def propose(self, action: str, *, ready: bool) -> None:
        call = self.one.executor().propose_action(recommended(action))
        may = self.model.propose(action, chained=False)
        self.agree(call, when=may)
        if may and ready:
            self.get_ready(1, flow=False)

    @rule(actions=st.lists(SOME_ACTION, min_size=1, max_size=3), ready=MOSTLY)
    def propose_workflow(self, actions: list[str], *, ready: bool) -> None:
        steps = [recommended(action) for action in actions]
        call = self.one.executor().propose_workflow("w", "as it says", steps)
        may = self.model.propose(*actions, chained=True)
        self.agree(call, when=may)
        if may and ready:
            self.get_ready(len(actions), flow=True)

    @rule(actions=st.lists(SOME_ACTION, min_size=1, max_size=3), mood=MOODS, knows=st.booleans())
    def run_in_one_go(self, actions: list[str], mood: Mood, *, knows: bool) -> None:
        self.take(mood, knows=knows)
        executor, steps = self.one.executor(), [recommended(action) for action in actions]
        chained, first = len(steps) > 1, len(self.model.items)
        call: Call = (
            executor.run_workflow("w", "as it says", steps, self.subject)
            if chained
            else executor.run_action(steps[0], self.subject)
        )
        may = self.model.propose(*actions, chained=chained)
        self.agree(call, when=may)
        added = range(first, len(self.model.items))
        assert {self.model.validate(n) for n in added} <= {True}
        for n in added:
            if not self.model.execute(n, mood, knows=knows):
                break

    def get_ready(self, count: int, *, flow: bool) -> None:
        self.look()
        for pick in range(count):
            n, stored = self.item(pick)
            self.agree(self.one.executor().validate_proposal(stored), when=self.model.validate(n))
            if not flow:
                self.agree(self.one.db.approve_proposal(stored), when=self.model.approve(n))
        if flow:
            f, stored = self.flow(0)
            self.agree(self.one.db.approve_workflow(stored), when=self.model.approve_flow(f))

    @precondition(lambda self: self.model.may_act)
    @rule(last=MOODS)
    def do_what_can_be_undone(self, last: Mood) -> None:
        self.propose_workflow(["put", "put", "look"], ready=True)
        for n, mood in enumerate((*[Mood.SUCCEED] * 2, last), len(self.model.items) - 3):
            self.look()
            self.take(mood, knows=True)
            self.agree(self.one.run(self.ids[n]), when=self.model.execute(n, mood, knows=True))

    @rule()
    def fire_schedules(self) -> None:
        before = len(self.model.items)
        fired = self.do(self.schedules.fire_due())
        self.model.fire()
        assert len(fired) == len(self.model.items) - before

    # --- people ------------------------------------------------------------------------

    @precondition(lambda self: bool(self.model.items))
    @rule(pick=PICK, after=st.none() | SECONDS)
    def schedule(self, pick: int, after: int | None) -> None:
        n, stored = self.item(pick)
        at = None if after is None else self.model.now + after
        due = None if at is None else START + timedelta(seconds=at)
        call = self.one.db.update_scheduled_at(stored, due)
        self.agree(call, when=self.model.schedule(n, at))

    @precondition(lambda self: not self.model.may_act)
    @rule()
    def go_on(self) -> None:
        self.do(self.one.safety.set_mode(SafetyMode.EXECUTE, actor="alice"))
        self.model.set_mode(execute=True)

    def choose(self, name: str, pick: int, flow: int) -> tuple[Call, Move]:
        """Return what somebody does, and what must come of it."""
        db, flows, safety, who = self.one.db, self.workflows, self.one.safety, "alice"
        n, item = self.item(pick)
        f, work = self.flow(flow) if self.model.flows else (0, 0)
        moves: dict[str, tuple[Callable[[], Call], Move]] = {
            "kill": (lambda: safety.kill(actor=who), lambda m: m.kill()),
            "observe": (
                lambda: safety.set_mode(SafetyMode.OBSERVE, actor=who),
                lambda m: m.set_mode(execute=False),
            ),
            "validate": (
                lambda: self.one.executor().validate_proposal(item),
                lambda m: m.validate(n),
            ),
            "retry": (lambda: db.reset_for_retry(item), lambda m: m.retry(n)),
            "settle": (
                lambda: self.one.executions.settle_by_person(
                    item, happened=self.model.items[n].acted, person=who
                ),
                lambda m: m.settle(n),
            ),
            "approve": (lambda: db.approve_proposal(item), lambda m: m.approve(n)),
            "cancel": (lambda: db.cancel_proposal(item), lambda m: m.cancel(n)),
            "reject": (lambda: db.reject_proposal(item), lambda m: m.cancel(n, rejects=True)),
            "stop": (
                lambda: db.request_cancel(item, cancelled_by=who),
                lambda m: m.ask_to_stop(n),
            ),
            "approve flow": (lambda: db.approve_workflow(work), lambda m: m.approve_flow(f)),
            "cancel flow": (lambda: db.cancel_workflow(work), lambda m: m.cancel_flow(f)),
            "pause": (lambda: flows.pause(work, paused_by=who), lambda m: m.pause(f)),
            "resume": (lambda: flows.resume(work, resumed_by=who), lambda m: m.resume(f)),
        }
        call, move = moves[name if self.model.flows or name not in OF_FLOWS else "approve"]
        return call(), move

    @precondition(lambda self: bool(self.model.items))
    @rule(name=st.sampled_from(MOVES), pick=PICK, flow=PICK)
    def move(self, name: str, pick: int, flow: int) -> None:
        call, move = self.choose(name, pick, flow)
        self.agree(call, when=move(self.model))

    @precondition(lambda self: bool(self.model.items))
    @rule(names=st.tuples(st.sampled_from(MOVES), st.sampled_from(MOVES)), pick=PICK, flow=PICK)
    def two_people_at_once(self, names: tuple[str, str], pick: int, flow: int) -> None:
        (first, one), (second, two) = (self.choose(name, pick, flow) for name in names)
        self.race(first, second, [lambda m: (one(m), two(m)), lambda m: (two(m), one(m))[::-1]])

    # --- executors ---------------------------------------------------------------------

    def take(self, mood: Mood, *, knows: bool) -> None:
        self.subject.mood, self.subject.knows = mood, knows

    def runnable(self, pick: int) -> tuple[int, int]:
        """Return something that is ready, the oldest first, or else anything."""
        if not self.picture.ready or pick == ANYTHING:
            return self.item(pick)
        stored = self.picture.ready[pick % len(self.picture.ready)]
        return self.ids.index(stored), stored

    @precondition(lambda self: bool(self.model.items))
    @rule(pick=PICK, mood=MOODS, knows=st.booleans())
    def execute(self, pick: int, mood: Mood, *, knows: bool) -> None:
        n, stored = self.runnable(pick)
        self.take(mood, knows=knows)
        self.agree(self.one.run(stored), when=self.model.execute(n, mood, knows=knows))

    @precondition(lambda self: bool(self.picture.ready))
    @rule(moods=st.lists(MOODS, min_size=1, max_size=4), knows=st.booleans())
    def go_on_with_the_work(self, moods: list[Mood], *, knows: bool) -> None:
        for mood in moods:
            self.execute(0, mood, knows=knows)
            self.look()

    @precondition(lambda self: bool(self.model.items))
    @rule(name=st.sampled_from(MOVES), pick=PICK, flow=PICK, mood=MOODS)
    def somebody_interferes(self, name: str, pick: int, flow: int, mood: Mood) -> None:
        self.take(mood, knows=True)
        n, stored = self.runnable(pick)
        call, other = self.choose(name, pick, flow)
        act = partial(Model.execute, n=n, mood=mood, knows=True)
        self.race(
            self.one.run(stored),
            call,
            [
                lambda m: (act(m), other(m)),
                lambda m: (other(m), act(m))[::-1],
                lambda m: between(m, n, other, lambda: m.end(n, mood, knows=True)),
                lambda m: between(m, n, other, lambda: m.stop(n)),
            ],
        )

    @precondition(lambda self: bool(self.model.items))
    @rule(pick=PICK, knows=st.booleans())
    def two_executors_at_once(self, pick: int, *, knows: bool) -> None:
        self.take(Mood.LOST_AFTER, knows=knows)
        n, stored = self.runnable(pick)
        once: Order = lambda m: (m.execute(n, Mood.LOST_AFTER, knows=knows), False)  # noqa: E731
        first, second = (self.one.run(stored, owner=owner) for owner in ("one", "two"))
        self.race(first, second, [once, lambda m: once(m)[::-1]])

    @precondition(lambda self: bool(self.model.items))
    @rule(pick=PICK, sent=st.booleans())
    def die_in_the_middle(self, pick: int, *, sent: bool) -> None:
        n, stored = self.runnable(pick)
        may = self.model.may_claim(n)
        if not may:
            return
        attempt = self.do(self.one.executions.claim(stored, self.one.terms("dead")))
        self.model.claim(n)
        if sent and self.model.items[n].action != "wait":
            self.subject.count(str(attempt.record.idempotency_key))
            self.model.act(n)

    @rule(later=st.booleans(), knows=st.booleans())
    def inherit(self, *, later: bool, knows: bool) -> None:
        if later:
            self.let_time_pass(LEASE_SECONDS)
        self.take(Mood.SUCCEED, knows=knows)
        expired = {self.ids[n] for n in self.model.expired()}
        assert set(self.do(self.one.executor("heir").settle_expired(self.subject))) == expired
        self.model.recover(knows=knows)

    @rule(seconds=st.sampled_from([1, 2, 60, 3_600, 7_300]))
    def let_time_pass(self, seconds: int) -> None:
        self.clock.advance(seconds)
        self.model.now += seconds

    @rule()
    def restart(self) -> None:
        self.do(self.one.ledger.engine.close())
        self.one.ledger = self.do(open_ledger(ledger_places.address_of(self.folder), self.clock))

    def race(self, one: Call, two: Call, orders: list[Order]) -> None:
        """Do two things at once: it must look as if they had been done in one of the orders."""
        errors = self.do(both(one, two))
        seen = self.seen()
        told = []
        for order in orders:
            model = deepcopy(self.model)
            allowed = order(model)
            if allowed == tuple(error is None for error in errors) and expected(model) == seen:
                self.model = model
                return
            told.append((allowed, expected(model)))
        raise AssertionError((errors, seen, told))

    # --- what always holds -------------------------------------------------------------

    def seen(self) -> object:
        return told(self.look(), self.subject.done)

    @invariant()
    def the_ledger_says_what_the_model_says(self) -> None:
        assert self.seen() == expected(self.model)
        ready = {self.ids[n] for n in range(len(self.ids)) if self.model.is_ready(n)}
        assert set(self.picture.ready) == ready
        assert seconds(self.picture.next_due) == next_due(self.model)

    @invariant()
    def no_effect_happens_twice_and_none_is_denied(self) -> None:
        for item in self.model.items:
            if item.action in IDEMPOTENT:
                continue
            done = item.status is S.COMPLETED and item.action != "wait"
            assert item.effects <= 1
            assert item.effects == done or item.status is S.EXECUTING

    def teardown(self) -> None:
        assert self.do(self.one.control.first_broken_audit_row()) is None
        self.do(self.stack.aclose())
        self.do(self.one.ledger.engine.close())
        self.loop.close()
        shutil.rmtree(self.folder)


def agree(examples: int, steps: int = 40) -> None:
    run_state_machine_as_test(
        EngineMachine, settings=settings(max_examples=examples, stateful_step_count=steps)
    )


@pytest.mark.timeout(300)
def test_the_engine_and_its_model_agree() -> None:
    agree(30)


@pytest.mark.slow
def test_the_engine_and_its_model_agree_for_long() -> None:
    agree(600)


@pytest.mark.real
@pytest.mark.timeout(300)
def test_the_engine_on_postgres_and_its_model_agree(empty_ledger: Callable[[], None]) -> None:
    """Each story begins on an empty ledger."""
    machine = type("OnPostgres", (EngineMachine,), {"empty": staticmethod(empty_ledger)})
    run_state_machine_as_test(machine, settings=settings(max_examples=6, stateful_step_count=25))
