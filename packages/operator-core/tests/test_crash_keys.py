"""A request that may be under way still: another try has the same key, so both have one effect."""

from pathlib import Path

import pytest

from engine_bench import LEASE_SECONDS, Bench, bench
from operator_core.actions.execution import carry_out
from operator_core.actions.registry import ActionRegistry
from operator_core.actions.terms import Terms
from operator_core.db.claims import Attempt
from operator_core.subject import ProbeAnswer
from operator_core.testing.clock import ManualClock
from operator_core.testing.fakes import Mode


async def key_of_next_try(one: Bench, target: int) -> str:
    one.clock.advance(60)
    await one.db.reset_for_retry(target)
    return str((await one.run(target)).idempotency_key)


async def abandoned(one: Bench, target: int) -> Attempt:
    attempt = await one.executions.claim(target, one.terms("paused"))
    one.clock.advance(LEASE_SECONDS)
    await one.executor("heir").settle_expired(one.subject)
    return attempt


async def test_a_try_after_a_take_over_keeps_the_key(tmp_path: Path) -> None:
    """The old owner may only stand still right before its call, and send it later."""
    async with bench(tmp_path, clock=ManualClock()) as one:
        one.subject.probe_answer = ProbeAnswer.NOT_HAPPENED
        target = await one.validated()
        attempt = await abandoned(one, target)
        assert await key_of_next_try(one, target) == attempt.record.idempotency_key


async def test_a_try_after_a_lost_answer_keeps_the_key(tmp_path: Path) -> None:
    """The request may be under way, while a probe sees no effect yet."""
    async with bench(tmp_path, clock=ManualClock()) as one:
        one.subject.mode = Mode.TIME_OUT_AFTER_EFFECT
        one.subject.probe_answer = ProbeAnswer.NOT_HAPPENED
        target = await one.validated()
        first = await one.run(target)
        one.subject.mode = Mode.OK
        assert await key_of_next_try(one, target) == first.idempotency_key


async def test_a_try_after_a_persons_word_keeps_the_key(tmp_path: Path) -> None:
    async with bench(tmp_path, clock=ManualClock()) as one:
        target = await one.validated()
        attempt = await abandoned(one, target)
        await one.executions.settle_by_person(target, happened=False, person="alice")
        assert await key_of_next_try(one, target) == attempt.record.idempotency_key


async def test_a_failure_that_the_subject_answers_spends_the_key(tmp_path: Path) -> None:
    """A system that keeps answers by key would give the same failure for ever."""
    async with bench(tmp_path, clock=ManualClock()) as one:
        one.subject.probe_answer = ProbeAnswer.NOT_HAPPENED
        target = await one.validated()
        attempt = await abandoned(one, target)
        one.subject.mode = Mode.FAIL_THEN_OK
        assert await key_of_next_try(one, target) == attempt.record.idempotency_key
        assert await key_of_next_try(one, target) != attempt.record.idempotency_key


@pytest.mark.parametrize(("waited", "left"), [(0.4, 0.6), (0.6, 1.0), (0.9, 1.0)])
async def test_nothing_is_sent_in_the_last_half_of_a_lease(
    tmp_path: Path, waited: float, left: float
) -> None:
    """Else it arrives when others have looked for it already."""
    async with bench(tmp_path, clock=ManualClock()) as one:
        target = await one.validated()
        attempt = await one.executions.claim(target, one.terms("slow"))
        one.clock.advance(waited * LEASE_SECONDS)
        sent: list[float] = []

        async def act(value: int, idempotency_key: str) -> None:
            del value, idempotency_key
            expires = (await one.get(target)).lease_expires_at
            assert expires is not None
            sent.append((expires - one.clock.now()).total_seconds())

        one.subject.act = act  # type: ignore[method-assign] # looks at the ledger when called
        terms = Terms(one.terms("slow"), lambda *_: None, one.clock)
        await carry_out(one.executions, attempt, one.subject, ActionRegistry(one.subject), terms)
        assert sent == [pytest.approx(left * LEASE_SECONDS)]
