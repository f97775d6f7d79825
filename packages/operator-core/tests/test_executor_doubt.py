"""Effects whose fate is unknown, stops, leases and probes, by the row of engine-pitfalls."""

import asyncio
from pathlib import Path

import pytest

from engine_bench import LEASE_SECONDS, Bench, bench, until
from operator_core.actions import execution
from operator_core.actions.types import ActionRecord, ActionStatus, Outcome, SafetyMode
from operator_core.errors import (
    ConflictError,
    TransitionError,
)
from operator_core.subject import ProbeAnswer
from operator_core.testing.fakes import Mode

EXECUTING, CANCELLED = ActionStatus.EXECUTING, ActionStatus.CANCELLED
SENT = [Mode.TIME_OUT_AFTER_EFFECT, Mode.HANG_AFTER_EFFECT]


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that cannot be stopped is waited for this long in real time; leaps are long."""
    monkeypatch.setattr(execution, "PROBE_LIMIT_SECONDS", 0.05)
    monkeypatch.setattr(execution, "WATCH_SECONDS", 2.5)


async def start(one: Bench, target: int) -> "asyncio.Task[ActionRecord]":
    running = asyncio.create_task(one.run(target))
    await one.subject.acting.wait()
    return running


# --- what became of the effect -----------------------------------------------------------


@pytest.mark.parametrize("mode", SENT)
async def test_a_time_out_after_sending_is_unknown_and_never_retried(
    tmp_path: Path, mode: Mode
) -> None:
    """Pitfall 45: "failed", then retried: a double effect."""
    async with bench(tmp_path) as one:
        one.subject.mode = mode
        target = await one.validated()
        record = await one.run(target)
        assert (record.outcome, record.success) == (Outcome.UNKNOWN, None)
        kept = await one.get(target)
        assert (kept.status, kept.in_doubt, kept.retry_count) == (EXECUTING, True, 0)
        one.clock.advance(10 * LEASE_SECONDS)
        assert await one.db.list_retry_eligible() == await one.db.list_ready() == []
        assert await one.executor("two").settle_expired(one.subject) == []
        with pytest.raises(TransitionError):
            await one.run(target)
        assert len(one.subject.effects) == 1


@pytest.mark.parametrize("mode", SENT)
async def test_a_probe_that_sees_the_effect_completes_the_action(
    tmp_path: Path, mode: Mode
) -> None:
    async with bench(tmp_path) as one:
        one.subject.mode, one.subject.probe_answer = mode, None
        target = await one.validated()
        record = await one.run(target)
        assert record.success is True
        assert await one.status(target) is ActionStatus.COMPLETED
        assert len(one.subject.effects) == 1


async def test_a_probe_that_sees_no_effect_makes_a_sure_failure(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        one.subject.mode, one.subject.probe_answer = Mode.HANG, None
        target = await one.validated()
        record = await one.run(target)
        assert record.outcome is Outcome.FAILED
        assert (await one.get(target)).next_retry_at is not None


@pytest.mark.parametrize(
    "answer", [ProbeAnswer.UNKNOWN, KeyError("x"), RuntimeError("x"), TimeoutError(), OSError("x")]
)
async def test_a_probe_that_cannot_tell_leaves_it_in_doubt(
    tmp_path: Path, answer: ProbeAnswer | Exception
) -> None:
    """Peer bug 2: an error while looking is never taken for an answer."""
    async with bench(tmp_path) as one:
        one.subject.mode, one.subject.probe_answer = Mode.TIME_OUT_AFTER_EFFECT, answer
        target = await one.validated()
        assert (await one.run(target)).outcome is Outcome.UNKNOWN
        assert (await one.get(target)).in_doubt


async def test_an_idempotent_action_is_sent_again_under_the_same_key(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        one.subject.mode = Mode.TIME_OUT_AFTER_EFFECT
        target = await one.validated("act_again")
        await one.run(target)
        kept = await one.get(target)
        assert (kept.status, kept.in_doubt, kept.awaits_resend) == (EXECUTING, False, True)
        one.subject.mode = Mode.OK
        one.clock.advance(60)
        await one.run(target)
        first, second = one.subject.calls
        assert first.idempotency_key == second.idempotency_key


async def test_an_idempotent_action_is_not_sent_for_ever(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        one.subject.mode = Mode.TIME_OUT_AFTER_EFFECT
        target = await one.validated("act_again")
        for _ in range(3):
            await one.run(target)
            one.clock.advance(60)
        assert (await one.get(target)).in_doubt
        assert len(one.subject.calls) == 3


async def test_a_retry_after_a_sure_failure_has_a_key_of_its_own(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        one.subject.mode = Mode.FAIL_THEN_OK
        target = await one.validated()
        await one.run(target)
        one.clock.advance(1)
        await one.db.reset_for_retry(target)
        await one.run(target)
        first, second = (call.idempotency_key for call in one.subject.calls)
        assert first == f"operator:{one.ledger.ledger_id}:{target}:1"
        assert second == f"operator:{one.ledger.ledger_id}:{target}:2"


@pytest.mark.parametrize("happened", [True, False])
async def test_a_person_settles_what_is_in_doubt(tmp_path: Path, happened: bool) -> None:
    async with bench(tmp_path) as one:
        one.subject.mode = Mode.TIME_OUT_AFTER_EFFECT
        target = await one.validated()
        await one.run(target)
        record = await one.executions.settle_by_person(target, happened=happened, person="alice")
        assert record.success is happened
        assert (await one.status(target) is ActionStatus.COMPLETED) is happened
        assert (await one.get(target)).next_retry_at is None
        with pytest.raises(ConflictError):
            await one.executions.settle_by_person(target, happened=True, person="bob")


async def test_a_workflow_stands_still_while_a_step_is_in_doubt(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        one.subject.mode = Mode.TIME_OUT_AFTER_EFFECT
        first, second = await one.workflow("act", "act")
        await one.run(first)
        assert await one.db.list_ready() == []
        assert await one.status(second) is ActionStatus.VALIDATED


# --- stopping ----------------------------------------------------------------------------


async def test_kill_stops_a_running_call(tmp_path: Path) -> None:
    """Pitfall 7: not stopped, returned 0, and the row ended completed."""
    async with bench(tmp_path) as one:
        one.subject.mode, one.subject.probe_answer = Mode.HANG, None
        target = await one.validated()
        running = await start(one, target)
        report = await one.safety.kill(actor="alice", reason="enough")
        assert report.running == (target,)
        await running
        assert await one.status(target) is CANCELLED
        assert one.subject.effects == []


async def test_cancelling_a_running_call_waits_for_its_end(tmp_path: Path) -> None:
    """Pitfall 8: the row went from cancelled to completed."""
    async with bench(tmp_path) as one:
        one.subject.mode, one.subject.probe_answer = Mode.HANG, None
        target = await one.validated()
        running = await start(one, target)
        ended = await one.executor("two").cancel_proposal(target, cancelled_by="alice")
        await running
        assert ended.status is CANCELLED
        assert (await one.events(target)).count("execution_stopped") == 1


@pytest.mark.parametrize("how", ["cancel", "kill", "time limit"])
async def test_a_call_that_does_not_stop_is_never_called_cancelled_or_failed(
    tmp_path: Path, how: str
) -> None:
    """Peer bug 10: "killed" while it was running, and then it had its effect."""
    async with bench(tmp_path) as one:
        one.subject.mode, one.subject.probe_answer = Mode.STUBBORN, None
        target = await one.validated()
        running = await start(one, target)
        if how == "cancel":
            await one.db.request_cancel(target, cancelled_by="alice")
        elif how == "kill":
            await one.safety.kill(actor="alice")
        record = await running
        kept = await one.get(target)
        assert (record.outcome, kept.status, kept.in_doubt) == (Outcome.UNKNOWN, EXECUTING, True)
        assert record.error_message is not None
        assert "did not stop" in record.error_message
        one.subject.let_go.set()
        await until(lambda: len(one.subject.effects) == 1)


async def test_a_stop_after_the_effect_is_told_as_the_subject_knows_it(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        one.subject.mode, one.subject.probe_answer = Mode.HANG_AFTER_EFFECT, None
        target = await one.validated()
        running = await start(one, target)
        await one.safety.kill(actor="alice")
        assert (await running).success is True
        assert await one.status(target) is ActionStatus.COMPLETED


async def test_kill_stops_only_what_it_is_asked_for(tmp_path: Path) -> None:
    """Pitfall 57: it cancelled every task of the process, its caller's too."""
    async with bench(tmp_path) as one:
        bystander = asyncio.create_task(asyncio.sleep(0.01, "unharmed"))
        await one.safety.kill(actor="alice")
        assert await bystander == "unharmed"


async def test_a_mode_that_flips_before_the_claim_is_seen(tmp_path: Path) -> None:
    """Pitfall 48: the check was made, the mode flipped, and the call went out."""
    async with bench(tmp_path) as one:
        target, claimed = await one.validated(), asyncio.Event()
        executor = one.executor()
        checked = executor._safety.state

        async def flip() -> object:
            state = await checked()
            await one.safety.set_mode(SafetyMode.OBSERVE)
            claimed.set()
            return state

        executor._safety.state = flip  # type: ignore[method-assign, assignment]  # the gap in time
        with pytest.raises(Exception, match="observe"):
            await executor.execute_proposal(target, one.subject)
        assert (claimed.is_set(), one.subject.calls) == (True, [])


async def test_a_kill_between_claim_and_call_sends_nothing(tmp_path: Path) -> None:
    """Pitfall 48, one step later."""
    async with bench(tmp_path) as one:
        target = await one.validated()
        attempt = await one.executions.claim(target, one.terms("one"))
        await one.safety.kill(actor="alice")
        executor = one.executor()
        record = await execution.carry_out(
            one.executions,
            attempt,
            one.subject,
            executor._registry,
            executor._terms(one.executions),
        )
        assert record.outcome is Outcome.FAILED
        assert (await one.status(target), one.subject.calls) == (CANCELLED, [])
