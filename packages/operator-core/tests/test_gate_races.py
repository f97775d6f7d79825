"""What happens at one moment, or between a claim and its call, under a policy."""

import asyncio
from pathlib import Path

import pytest

from gate_kit import ALLOW, ASK_ONE, ASK_TWO, ROLES, Gate, gate
from operator_core.actions.execution import carry_out
from operator_core.actions.terms import Terms
from operator_core.actions.types import ActionRecord, ActionStatus, Outcome, SafetyMode
from operator_core.db.claims import Attempt
from operator_core.errors import ConflictError, NotReadyError, RefusedError

S = ActionStatus
DENY = ROLES + '[[rule]]\nname = "stop"\neffect = "deny"\n'
FREEZE = (
    ALLOW + '[[freeze]]\nname = "sale"\n'
    "starts = 2026-01-26T16:00:00Z\nends = 2026-01-26T17:00:00Z\n"
)
HOUR = 3600.0


# --- words ----------------------------------------------------------------------------


@pytest.mark.parametrize("word_first", [True, False])
async def test_a_word_beside_a_new_policy_is_given_under_the_old_or_the_new_one(
    tmp_path: Path, *, word_first: bool
) -> None:
    async with gate(tmp_path, ASK_ONE) as one:
        target = await one.valid("shut")
        calls = [one.bench.db.approve_proposal(target, "alice"), one.enforce(ASK_TWO)]
        await asyncio.gather(*(calls if word_first else reversed(calls)))
        assert not (await one.bench.get(target)).is_approved, "alice alone is not enough by now"
        with pytest.raises(RefusedError):
            await one.bench.run(target)
        await one.approve(target, "carol")
        words = (await one.policies.standing("proposal", target)).words
        counted = {word["approver"] for word in words if not word["ended_because"]}
        assert "carol" in counted
        assert (await one.bench.get(target)).is_approved is ("alice" in counted)
        assert one.valves.done == []


@pytest.mark.parametrize("early", [True, False])
@pytest.mark.parametrize("kind", ["proposal", "workflow"])
async def test_two_clicks_of_one_person_count_once(
    tmp_path: Path, kind: str, *, early: bool
) -> None:
    text = ASK_ONE.replace('{ role = "dba" }', '{ role = "dba", count = 2 }')
    async with gate(tmp_path, text) as one:
        flow, (step,) = await one.chain("shut", validate=not early)
        target = flow if kind == "workflow" else step
        db = one.bench.db
        approve = db.approve_workflow if kind == "workflow" else db.approve_proposal
        clicks = [approve(target, "alice") for _ in range(2)]
        came = await asyncio.gather(*clicks, return_exceptions=True)
        assert [type(each) for each in came if isinstance(each, Exception)] == [ConflictError]
        if early:
            await one.bench.executor().validate_proposal(step)
        with pytest.raises(RefusedError):
            await one.bench.run(step)
        assert len((await one.policies.standing(kind, target)).words) == 1
        await approve(target, "bob")
        await one.bench.run(step)
        assert one.valves.done == [("shut", 1)]


@pytest.mark.parametrize(("seconds", "is_enough"), [(HOUR - 0.001, True), (HOUR, False)])
async def test_a_word_at_the_very_end_of_the_first_one(
    tmp_path: Path, *, seconds: float, is_enough: bool
) -> None:
    async with gate(tmp_path, ASK_TWO) as one:
        target = await one.valid("shut")
        await one.approve(target, "alice")
        one.bench.clock.advance(seconds)
        found = await one.approve(target, "carol")
        assert found.is_approved is is_enough
        one.bench.clock.advance(0.001)
        with pytest.raises(RefusedError, match="needs the approval of 1 of dba"):
            await one.bench.run(target)
        assert one.valves.done == []


# --- between the claim and the call -----------------------------------------------------


async def claim(one: Gate, target: int) -> tuple[Attempt, Terms]:
    """Claim as an executor does that stands still then."""
    executor, db = one.bench.executor(), one.bench.executions
    terms = executor._terms(db, await executor._sight(db, target, one.valves))
    return await db.claim(target, terms.claim), terms


async def send(one: Gate, claimed: tuple[Attempt, Terms]) -> ActionRecord:
    """Go on with what was claimed."""
    attempt, terms = claimed
    registry = one.bench.executor()._registry
    return await carry_out(one.bench.executions, attempt, one.valves, registry, terms)


async def test_a_freeze_that_begins_before_the_call_holds_it_up(tmp_path: Path) -> None:
    async with gate(tmp_path, FREEZE) as one:
        one.bench.clock.advance(HOUR - 1)
        target = await one.valid("shut")
        claimed = await claim(one, target)
        one.bench.clock.advance(1)
        record = await send(one, claimed)
        assert (record.outcome, one.valves.done) == (Outcome.FAILED, [])
        assert "Freeze 'sale' holds" in str(record.error_message)
        assert await one.bench.status(target) is S.FAILED
        await one.bench.db.reset_for_retry(target)
        with pytest.raises(NotReadyError, match="Freeze 'sale'"):
            await one.bench.run(target)
        one.bench.clock.advance(HOUR)
        await one.bench.run(target)
        assert one.valves.done == [("shut", 1)]


@pytest.mark.parametrize(
    ("later", "told"), [(DENY, "rule 'stop'"), (ASK_TWO, "needs the approval"), (ALLOW, "")]
)
async def test_the_policy_that_rules_when_it_is_sent_counts(
    tmp_path: Path, later: str, told: str
) -> None:
    async with gate(tmp_path, ASK_ONE) as one:
        target = await one.valid("shut")
        await one.approve(target, "alice")
        claimed = await claim(one, target)
        await one.enforce(later)
        record = await send(one, claimed)
        assert told in (record.error_message or "")
        assert len(one.valves.done) == (0 if told else 1)
        assert record.outcome is (Outcome.FAILED if told else Outcome.SUCCEEDED)


async def test_a_first_policy_rules_what_was_claimed_before_it(tmp_path: Path) -> None:
    async with gate(tmp_path, "") as one:
        claimed = await claim(one, await one.valid("shut"))
        await one.enforce(DENY)
        await send(one, claimed)
        assert one.valves.done == []


async def test_a_word_that_ends_before_the_call_does_not_count(tmp_path: Path) -> None:
    async with gate(tmp_path, ASK_ONE) as one:
        target = await one.valid("shut")
        await one.approve(target, "alice")
        one.bench.clock.advance(HOUR - 1)
        claimed = await claim(one, target)
        one.bench.clock.advance(1)
        record = await send(one, claimed)
        assert "it has expired" in str(record.error_message)
        assert one.valves.done == []


async def test_who_only_looks_sends_nothing_that_was_claimed_before(tmp_path: Path) -> None:
    async with gate(tmp_path, ALLOW) as one:
        target = await one.valid("shut")
        claimed = await claim(one, target)
        await one.bench.control.set_mode(SafetyMode.OBSERVE, actor="alice")
        await send(one, claimed)
        assert one.valves.done == []
        assert await one.bench.status(target) is S.FAILED, "it is tried again, and burns one try"


async def test_limits_do_not_count_an_attempt_against_itself(tmp_path: Path) -> None:
    text = ALLOW + '[[limit]]\nname = "one"\ncount = 1\nper_seconds = 600\n'
    async with gate(tmp_path, text) as one:
        claimed = await claim(one, await one.valid("shut"))
        await send(one, claimed)
        assert one.valves.done == [("shut", 1)]


async def test_an_undo_is_sent_though_a_freeze_begins(tmp_path: Path) -> None:
    async with gate(tmp_path, FREEZE) as one:
        workflow_id, steps = await one.chain("turn", "shut")
        await one.bench.run(steps[0])
        await one.bench.db.cancel_workflow(workflow_id)
        (undo,) = await one.bench.db.list_ready()
        one.bench.clock.advance(HOUR - 1)
        claimed = await claim(one, int(undo.id or 0))
        one.bench.clock.advance(1)
        await send(one, claimed)
        assert one.valves.done == [("turn", 1), ("shut", 1)]
