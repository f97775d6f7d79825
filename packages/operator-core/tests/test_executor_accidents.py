"""Accidents of other engines that have their place nowhere else (docs/accidents.md)."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from engine_bench import bench, id_of, proposal
from operator_core.actions.types import ActionDefinition, ActionStatus
from operator_core.errors import ApprovalRequiredError, RequestError
from operator_core.subject import ProbeAnswer
from operator_core.testing.clock import START
from operator_core.testing.fakes import FakeSubject, Mode


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


@dataclass
class Hasty(FakeSubject):
    """Gives its actions two seconds."""

    def get_action_definitions(self) -> list[ActionDefinition]:
        """Return the fake's actions with a limit."""
        limit = {"time_limit_seconds": 2.0}
        return [one.model_copy(update=limit) for one in super().get_action_definitions()]


@pytest.mark.parametrize(
    ("mode", "answer", "status", "in_doubt"),
    [
        (Mode.HANG, ProbeAnswer.UNKNOWN, ActionStatus.EXECUTING, True),
        (Mode.HANG, ProbeAnswer.NOT_HAPPENED, ActionStatus.FAILED, False),
        (Mode.HANG_AFTER_EFFECT, ProbeAnswer.HAPPENED, ActionStatus.COMPLETED, False),
    ],
)
async def test_a_call_past_its_time_limit_is_cancelled_and_ends_as_the_subject_says(
    tmp_path: Path, mode: Mode, answer: ProbeAnswer, status: ActionStatus, *, in_doubt: bool
) -> None:
    """Peer bug 4: a time-out that only its own worker enforced, and which was called a failure."""
    async with bench(tmp_path) as one:
        one.subject = Hasty(mode=mode, probe_answer=answer)
        target = await one.validated()
        record = await one.run(target)
        kept = await one.get(target)
        assert (kept.status, kept.in_doubt) == (status, in_doubt)
        assert one.clock.now() < START + timedelta(seconds=10)
        told = str(record.error_message or record.result_data)
        assert "longer than its limit of 2 s" in told


async def test_the_newest_of_a_long_audit_are_read_without_the_rest(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        for _ in range(3):
            await one.validated()
        every = await one.control.list_events()
        assert await one.control.list_events(limit=2, newest=True) == every[-2:]
        assert (
            await one.control.list_events(proposal_id=1, limit=1, newest=True)
            == [event for event in every if event.proposal_id == 1][-1:]
        )
