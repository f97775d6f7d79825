"""Accidents of other engines that have their place nowhere else (docs/accidents.md)."""

from pathlib import Path

import pytest

from engine_bench import bench, id_of, proposal
from operator_core.actions.types import ActionStatus
from operator_core.errors import ApprovalRequiredError, RequestError


async def test_an_approval_that_only_the_caller_knows_of_counts_nothing(tmp_path: Path) -> None:
    """Peer bug 13: a client sent its history along, with approvals in it, and was believed."""
    async with bench(tmp_path, approval_mode=True) as one:
        target = await one.validated()
        mine = await one.get(target)
        mine.approved_at, mine.approved_by = one.clock.now(), "alice"
        with pytest.raises(ApprovalRequiredError):
            await one.run(id_of(mine))
        assert not (await one.get(target)).is_approved


async def test_nobody_approves_as_nobody(tmp_path: Path) -> None:
    """Peer bug 12: an empty name is no person."""
    async with bench(tmp_path, approval_mode=True) as one:
        target = await one.validated()
        for nobody in ("", "   "):
            with pytest.raises(RequestError):
                await one.db.approve_proposal(target, approved_by=nobody)


async def test_a_kill_leaves_nothing_that_could_start(tmp_path: Path) -> None:
    """Pitfall 11: of every state that waits for something."""
    async with bench(tmp_path, approval_mode=True) as one:
        waiting = {"status": ActionStatus.FAILED, "next_retry_at": one.clock.now()}
        await one.db.create_proposal(proposal(**waiting))
        await one.db.create_proposal(proposal(scheduled_at=one.in_seconds(60)))
        await one.validated()
        await one.workflow("act", "act")
        await one.safety.kill(actor="alice")
        one.clock.advance(3_600)
        states = {row.status for row in await one.db.list_proposals()}
        assert states == {ActionStatus.FAILED, ActionStatus.CANCELLED}
        assert await one.db.list_retry_eligible() == await one.db.list_ready() == []
        assert await one.db.next_due_at() is None
