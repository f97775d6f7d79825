"""What a diagnosed ticket needs next: a remedy that ended well has not worked before it is seen."""

from datetime import UTC, datetime, timedelta

import pytest

from engine_bench import proposal
from operator_core.actions.types import ActionStatus
from operator_core.agent.diagnosis import Diagnosis
from operator_core.agent.follow import Next, Step, next_step
from operator_core.monitor.types import Ticket, TicketPhase, TicketStatus

NOW = datetime(2026, 1, 26, 15, 0, tzinfo=UTC)


def after_the_remedy(
    seconds: float, phase: TicketPhase | None = TicketPhase.VERIFYING, *, held: bool = False
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
    done = [proposal(status=ActionStatus.COMPLETED)] * 2
    now = NOW + timedelta(seconds=seconds)
    return next_step(ticket, Diagnosis(cause="c", confidence=1.0), done, now, verify_seconds=60)


def test_a_remedy_that_ended_well_is_verified_first() -> None:
    """Pitfall 68: "verification" always reported success."""
    assert after_the_remedy(0, TicketPhase.ACTING).what is Next.VERIFY
    assert after_the_remedy(60).what is Next.WAIT


def test_a_remedy_that_did_not_help_calls_a_person_and_is_not_repeated() -> None:
    """Peer bug 23: "completed" was taken for "worked", and the remedy ran again and again."""
    step = after_the_remedy(61)
    assert step.what is Next.ESCALATE
    assert "still there 60 s after the remedy" in step.reason
    assert after_the_remedy(3_600, TicketPhase.ESCALATED).what is Next.WAIT


@pytest.mark.parametrize("phase", [None, *TicketPhase])
def test_a_ticket_that_a_person_holds_is_left_alone(phase: TicketPhase | None) -> None:
    """Pitfall 71."""
    assert after_the_remedy(3_600, phase, held=True).what is Next.WAIT
