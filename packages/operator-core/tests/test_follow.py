"""What a diagnosed ticket needs next: a remedy that ended well has not worked before it is seen."""

from datetime import UTC, datetime, timedelta

import pytest

from engine_bench import proposal
from operator_core.actions.remedy import Remedy
from operator_core.actions.types import ActionStatus
from operator_core.agent.diagnosis import Diagnosis
from operator_core.agent.follow import UNWATCHED_SECONDS, Next, Step, next_step
from operator_core.monitor.types import Ticket, TicketPhase, TicketStatus
from operator_core.monitor.verification import Verdict, Verification

NOW = datetime(2026, 1, 26, 15, 0, tzinfo=UTC)
DONE = (proposal(status=ActionStatus.COMPLETED),) * 2


def after_the_remedy(
    seconds: float = 0,
    phase: TicketPhase | None = TicketPhase.VERIFYING,
    *,
    held: bool = False,
    verdict: Verdict | None = None,
    rollback: bool = False,
) -> Step:
    """Return what a ticket needs so long after all steps of its remedy were completed."""
    ticket = Ticket(
        violation_key="k",
        invariant_name="i",
        message="m",
        status=TicketStatus.DIAGNOSED,
        phase=phase,
        phase_since=NOW,
        held=held,
    )
    proof = None
    if verdict is not None:
        proof = Verification(
            ticket_id=1,
            diagnosed_at=NOW,
            started_at=NOW,
            ended_at=NOW,
            verdict=verdict,
            reasons=("it is still there",),
        )
    back = (proposal(status=ActionStatus.PROPOSED).model_copy(update={"id": 7}),)
    remedy = Remedy(DONE, rollback=back if rollback else ())
    now = NOW + timedelta(seconds=seconds)
    return next_step(ticket, Diagnosis(cause="c", confidence=1.0), remedy, now, proof)


def test_a_remedy_that_ended_well_is_verified_first() -> None:
    """Pitfall 68: "verification" always reported success."""
    assert after_the_remedy(phase=TicketPhase.ACTING).what is Next.VERIFY
    for verdict in (None, Verdict.WAITING, Verdict.VERIFIED):
        assert after_the_remedy(60, verdict=verdict).what is Next.WAIT


def test_a_remedy_that_did_not_help_is_taken_back_and_not_repeated() -> None:
    """Peer bug 23: "completed" was taken for "worked", and the remedy ran again and again."""
    assert after_the_remedy(verdict=Verdict.NOT_VERIFIED).what is Next.ROLL_BACK
    step = after_the_remedy(verdict=Verdict.NOT_VERIFIED, rollback=True)
    assert step.what is Next.ESCALATE
    assert step.reason == "it is still there; action 7 is proposed to take the remedy back"
    ended = after_the_remedy(phase=TicketPhase.ESCALATED, verdict=Verdict.NOT_VERIFIED)
    assert ended.what is Next.WAIT


def test_a_person_is_called_where_nobody_looks_after_the_remedy() -> None:
    assert after_the_remedy(UNWATCHED_SECONDS).what is Next.WAIT
    step = after_the_remedy(UNWATCHED_SECONDS + 1)
    assert step.what is Next.ESCALATE
    assert "nobody has looked" in step.reason


def test_a_person_is_called_for_what_nobody_knows() -> None:
    unsure = proposal(status=ActionStatus.EXECUTING, in_doubt=True).model_copy(update={"id": 7})
    ticket = Ticket(violation_key="k", invariant_name="i", message="m", diagnosed_at=NOW)
    diagnosis = Diagnosis(cause="c", confidence=1.0)
    step = next_step(ticket, diagnosis, Remedy((DONE[0], unsure)), NOW)
    assert step.what is Next.ESCALATE
    assert "nobody knows what action 7 did" in step.reason
    assert "operator actions settle" in step.reason


@pytest.mark.parametrize("phase", [None, *TicketPhase])
def test_a_ticket_that_a_person_holds_is_left_alone(phase: TicketPhase | None) -> None:
    """Pitfall 71."""
    assert after_the_remedy(3_600, phase, held=True, verdict=Verdict.NOT_VERIFIED).what is Next.WAIT
