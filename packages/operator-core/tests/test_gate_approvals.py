"""Approvals under a policy: who, how many, for what, for how long."""

import asyncio
from pathlib import Path

import pytest

from gate_kit import ALLOW, ASK_ONE, ASK_TWO, Gate, gate
from operator_core.actions.policy import shipped_policy
from operator_core.actions.types import ActionStatus
from operator_core.errors import (
    ApprovalRequiredError,
    ConflictError,
    LimitError,
    PolicyDeniedError,
    RefusedError,
    StaleApprovalError,
)

S = ActionStatus


async def effects(one: Gate, proposal_id: int) -> int:
    """Try to execute; return how many effects there are."""
    with pytest.raises(RefusedError):
        await one.bench.run(proposal_id)
    return len(one.valves.done)


async def test_what_the_policy_allows_needs_nobody(tmp_path: Path) -> None:
    async with gate(tmp_path, approval=True) as one:
        target = await one.valid("look")
        assert (await one.bench.get(target)).approved_by == "policy"
        assert [row.id for row in await one.bench.db.list_ready()] == [target]
        await one.bench.run(target)
        assert one.valves.done == [("look", 1)]


@pytest.mark.parametrize("approval", [True, False])
async def test_what_the_policy_asks_for_waits(tmp_path: Path, *, approval: bool) -> None:
    async with gate(tmp_path, approval=approval) as one:
        target = await one.valid("turn")
        assert await one.bench.db.list_ready() == []
        assert await effects(one, target) == 0
        await one.approve(target, "alice")
        await one.bench.run(target)
        assert one.valves.done == [("turn", 1)]


async def test_what_the_policy_denies_is_cancelled_and_says_why(tmp_path: Path) -> None:
    async with gate(tmp_path) as one:
        target = await one.valid("smash")
        assert await one.bench.status(target) is S.CANCELLED
        cancelled = (await one.bench.auditor.list_events(target))[-1]
        assert "rule 'never'" in str(cancelled.event_data["reason"])
        with pytest.raises(ConflictError):
            await one.bench.db.approve_proposal(target, "alice")


async def test_two_people_must_approve(tmp_path: Path) -> None:
    async with gate(tmp_path, ASK_TWO) as one:
        target = await one.valid("turn")
        assert not (await one.approve(target, "bob")).is_approved
        assert await effects(one, target) == 0
        with pytest.raises(ConflictError, match="already"):
            await one.approve(target, "bob")
        done = await one.approve(target, "alice")
        assert done.approved_by == "bob, alice"
        with pytest.raises(ConflictError, match="approved already"):
            await one.approve(target, "carol")
        await one.bench.run(target)


@pytest.mark.parametrize(
    ("person", "told"), [("carol", "has none of the roles"), ("alice", "proposed it")]
)
async def test_a_word_that_cannot_count_is_refused(tmp_path: Path, person: str, told: str) -> None:
    async with gate(tmp_path) as one:
        target = await one.valid("turn", by="alice")
        with pytest.raises(ApprovalRequiredError, match=told):
            await one.approve(target, person)
        standing = await one.policies.standing("proposal", target)
        assert standing.words == ()


async def test_an_approval_before_validation_is_not_lost(tmp_path: Path) -> None:
    async with gate(tmp_path) as one:
        target = await one.proposed("turn")
        assert not (await one.approve(target, "alice")).is_approved
        await one.bench.executor().validate_proposal(target)
        assert (await one.bench.get(target)).approved_by == "alice"
        await one.bench.run(target)


async def test_an_early_word_without_the_role_counts_nothing_and_says_so(tmp_path: Path) -> None:
    async with gate(tmp_path) as one:
        target = await one.proposed("turn")
        await one.approve(target, "carol")
        await one.bench.executor().validate_proposal(target)
        assert not (await one.bench.get(target)).is_approved
        assert "approval_refused" in await one.bench.events(target)
        assert (await one.approve(target, "alice")).is_approved


async def test_an_approval_expires(tmp_path: Path) -> None:
    async with gate(tmp_path) as one:
        target = await one.valid("shut")
        await one.approve(target, "alice")
        one.bench.clock.advance(3600)
        with pytest.raises(StaleApprovalError, match="it has expired"):
            await one.bench.run(target)
        assert one.valves.done == []
        assert not (await one.bench.get(target)).is_approved
        assert (await one.approve(target, "alice")).is_approved
        await one.bench.run(target)


async def test_expired_approvals_are_collected_and_say_so(tmp_path: Path) -> None:
    async with gate(tmp_path) as one:
        target = await one.valid("shut")
        await one.approve(target, "alice")
        one.bench.clock.advance(3599)
        await one.policies.collect()
        assert (await one.bench.get(target)).is_approved
        one.bench.clock.advance(1)
        await one.policies.collect()
        assert not (await one.bench.get(target)).is_approved
        assert {"approval_expired", "approval_voided"} <= set(await one.bench.events(target))
        (word,) = (await one.policies.standing("proposal", target)).words
        assert word["ended_because"] == "it has expired"


async def test_an_approval_covers_the_retries(tmp_path: Path) -> None:
    async with gate(tmp_path) as one:
        target = await one.valid("shut")
        await one.approve(target, "alice")
        one.valves.mode = one.valves.mode.__class__.FAIL_THEN_OK
        await one.bench.run(target)
        assert await one.bench.status(target) is S.FAILED
        await one.bench.db.reset_for_retry(target)
        await one.bench.run(target)
        assert one.valves.done == [("shut", 1)]


async def test_another_version_of_the_action_is_another_call(tmp_path: Path) -> None:
    async with gate(tmp_path) as one:
        target = await one.valid("shut")
        await one.approve(target, "alice")
        one.valves.version = 2
        with pytest.raises(StaleApprovalError, match="another call"):
            await one.bench.run(target)


async def test_a_changed_policy_asks_anew(tmp_path: Path) -> None:
    async with gate(tmp_path) as one:
        asked, free = await one.valid("shut"), await one.valid("look")
        await one.approve(asked, "alice")
        await one.enforce(ASK_ONE.replace('"look"', '"see"'))
        assert not (await one.bench.get(asked)).is_approved
        assert (await one.bench.get(free)).approved_by == "policy"
        assert await effects(one, asked) == 0
        await one.enforce(ALLOW)
        assert (await one.bench.get(asked)).approved_by == "policy"


async def test_a_policy_that_came_later_rules_what_was_approved_before(tmp_path: Path) -> None:
    async with gate(tmp_path, ALLOW) as one:
        target = await one.valid("smash")
        await one.enforce(ASK_ONE)
        with pytest.raises(PolicyDeniedError, match="rule 'never'"):
            await one.bench.run(target)
        assert one.valves.done == []


async def test_a_workflow_is_approved_as_a_whole(tmp_path: Path) -> None:
    async with gate(tmp_path, ASK_TWO) as one:
        workflow_id, steps = await one.chain("look", "turn", "shut")
        assert await one.bench.db.list_ready() == []
        await one.bench.db.approve_workflow(workflow_id, "alice")
        assert await one.workflow_approved_by(workflow_id) is None
        await one.bench.db.approve_workflow(workflow_id, "carol")
        assert await one.workflow_approved_by(workflow_id) == "alice, carol"
        for step in steps:
            await one.bench.run(step)
        assert [action for action, _ in one.valves.done] == ["look", "turn", "shut"]


async def test_a_workflow_that_needs_nobody_is_approved_by_the_policy(tmp_path: Path) -> None:
    async with gate(tmp_path) as one:
        workflow_id, steps = await one.chain("look", "look")
        assert await one.workflow_approved_by(workflow_id) == "policy"
        await one.bench.run(steps[0])


async def test_a_workflow_approved_before_validation(tmp_path: Path) -> None:
    async with gate(tmp_path) as one:
        workflow_id, steps = await one.chain("look", "shut", validate=False)
        await one.bench.db.approve_workflow(workflow_id, "alice")
        for step in steps:
            assert await one.workflow_approved_by(workflow_id) is None
            await one.bench.executor().validate_proposal(step)
        assert await one.workflow_approved_by(workflow_id) == "alice"


async def test_a_denied_step_cancels_its_workflow(tmp_path: Path) -> None:
    async with gate(tmp_path) as one:
        workflow_id, steps = await one.chain("look", "smash", "look", validate=False)
        for step in steps[:2]:
            await one.bench.executor().validate_proposal(step)
        assert {await one.bench.status(step) for step in steps} == {S.CANCELLED}
        assert await one.workflow_approved_by(workflow_id) is None


async def test_a_workflows_approval_covers_its_compensations(tmp_path: Path) -> None:
    async with gate(tmp_path) as one:
        workflow_id, steps = await one.chain("turn", "shut")
        await one.bench.db.approve_workflow(workflow_id, "alice")
        await one.bench.run(steps[0])
        await one.bench.db.cancel_workflow(workflow_id, reason="enough")
        (undo,) = [row.id for row in await one.bench.db.list_ready()]
        await one.bench.run(int(undo or 0))
        assert one.valves.done == [("turn", 1), ("shut", 1)]


async def test_people_who_click_at_once_count_once(tmp_path: Path) -> None:
    async with gate(tmp_path, ASK_TWO) as one:
        target = await one.valid("turn")
        clicks = [one.bench.db.approve_proposal(target, who) for who in ["alice"] * 5 + ["bob"] * 5]
        came = await asyncio.gather(*clicks, return_exceptions=True)
        assert sum(not isinstance(result, Exception) for result in came) == 2
        standing = await one.policies.standing("proposal", target)
        assert sorted(word["approver"] for word in standing.words) == ["alice", "bob"]


async def test_a_policy_that_changes_beside_claims_has_one_order(tmp_path: Path) -> None:
    async with gate(tmp_path, ALLOW) as one:
        targets = [await one.valid("shut", valve) for valve in range(6)]
        deny = one.enforce('[[rule]]\nname = "stop"\neffect = "deny"\n')
        runs = [one.bench.run(target) for target in targets]
        came = await asyncio.gather(*runs[:3], deny, *runs[3:], return_exceptions=True)
        refused = [one for one in came if isinstance(one, Exception)]
        assert all(isinstance(one, PolicyDeniedError) for one in refused)
        assert len(one.valves.done) == len(targets) - len(refused)
        left = [target for target in targets if await one.bench.status(target) is S.VALIDATED]
        assert len(left) == len(refused)
        for target in left:
            with pytest.raises(PolicyDeniedError):
                await one.bench.run(target)


async def test_an_approval_written_into_the_row_is_nobodys_word(tmp_path: Path) -> None:
    async with gate(tmp_path) as one:
        model = await one.bench.get(await one.valid("shut"))
        forged = {"id": None, "approved_by": "alice", "approved_at": one.bench.clock.now()}
        stored = await one.bench.db.create_proposal(model.model_copy(update=forged))
        with pytest.raises(StaleApprovalError):
            await one.bench.run(int(stored.id or 0))
        assert one.valves.done == []


async def test_no_policy_no_change(tmp_path: Path) -> None:
    async with gate(tmp_path) as one:
        assert await one.policies.in_force() is not None
        assert not await one.policies.enforce(
            await one.enforce(ASK_ONE), source="again", actor="root"
        )


async def test_the_shipped_policy_works(tmp_path: Path) -> None:
    async with gate(tmp_path, shipped_policy()) as one:
        target = await one.valid("turn", by="zoe")
        await one.approve(target, "zoe")
        await one.bench.run(target)
        assert one.valves.done == [("turn", 1)]


async def test_an_executor_without_a_registry_entry_gets_nowhere(tmp_path: Path) -> None:
    async with gate(tmp_path) as one:
        target = await one.valid("shut")
        with pytest.raises(ApprovalRequiredError):
            await one.bench.executions.claim(target, one.bench.terms("stranger"))


async def test_a_limit_waits_and_burns_nothing(tmp_path: Path) -> None:
    text = ALLOW + '[[limit]]\nname = "two"\ncount = 2\nper_seconds = 600\n'
    async with gate(tmp_path, text) as one:
        targets = [await one.valid("shut", valve) for valve in (1, 2, 3)]
        await one.bench.run(targets[0])
        one.bench.clock.advance(300)
        await one.bench.run(targets[1])
        with pytest.raises(LimitError, match="2 of 2"):
            await one.bench.run(targets[2])
        kept = await one.bench.get(targets[2])
        assert (kept.status, kept.retry_count, kept.is_approved) == (S.VALIDATED, 0, True)
        one.bench.clock.advance(300)
        await one.bench.run(targets[2])
        assert len(one.valves.done) == 3


async def test_what_was_valid_before_there_was_a_policy_says_what_to_do(tmp_path: Path) -> None:
    async with gate(tmp_path, "") as one:
        old = await one.valid("turn")
        await one.enforce(ASK_ONE)
        with pytest.raises(ConflictError, match=f"operator actions cancel {old}"):
            await one.approve(old, "alice")
        await one.bench.db.cancel_proposal(old, cancelled_by="alice")
        new = await one.valid("turn")
        await one.approve(new, "alice")
        await one.bench.run(new)
        assert one.valves.done == [("turn", 1)]
