"""Tickets, diagnoses and causes in small, for the tests of groups."""

from datetime import UTC, datetime, timedelta

from operator_core.agent.diagnosis import ActionRecommendation, Diagnosis
from operator_core.agent.grouping import Member
from operator_core.monitor.types import Ticket, TicketStatus
from operator_core.subject import Hypothesis
from operator_core.types import Severity

NOW = datetime(2025, 1, 1, tzinfo=UTC)
STOPPED = Hypothesis(
    "store_stopped",
    frozenset({"store_silent"}),
    lambda _violation, _look: None,
    brings=frozenset({"down_peers", "raft_slow", "hot"}),
)
SLOW_DISK = Hypothesis(
    "slow_disk",
    frozenset({"raft_slow"}),
    lambda _violation, _look: None,
    brings=frozenset({"store_silent"}),
)
PD_LOST = Hypothesis(
    "pd_lost",
    frozenset({"pd_no_leader"}),
    lambda _violation, _look: None,
    brings=frozenset({"raft_slow", "down_peers"}),
    is_cluster_wide=True,
)
CAUSES = {one.name: one for one in (STOPPED, SLOW_DISK, PD_LOST)}


def action(name: str, **parameters: object) -> ActionRecommendation:
    return ActionRecommendation(action_name=name, parameters=parameters, reason="")


def member(
    number: int,
    key: str,
    cause: str = "unknown",
    at: str = "",
    *,
    severity: Severity = Severity.WARNING,
    root: int | None = None,
    resolved: float | None = None,
    committed: bool = False,
    asks: bool = True,
    actions: tuple[ActionRecommendation, ...] = (),
    confidence: float = 0.8,
) -> Member:
    """Return a diagnosed ticket.

    Args:
        number: the ticket's id.
        key: ``rule:target``.
        cause: its hypothesis.
        at: its components, parted by commas.
        severity: of the ticket.
        root: what it follows.
        resolved: how many seconds ago that was resolved, if it was.
        committed: whether something of it was approved.
        asks: whether its diagnosis asks for a person.
        actions: what its diagnosis recommends.
        confidence: of the diagnosis.
    """
    rule, _, target = key.partition(":")
    ticket = Ticket(
        id=number,
        subject="prod",
        violation_key=key,
        invariant_name=rule,
        target=target,
        message=key,
        severity=severity,
        status=TicketStatus.DIAGNOSED,
        root_ticket_id=root,
    )
    diagnosis = Diagnosis(
        ticket_id=number,
        hypothesis=cause,
        cause=cause,
        confidence=confidence,
        components=[one for one in at.split(",") if one],
        actions=list(actions),
        escalate=asks,
    )
    ended = None if resolved is None else NOW - timedelta(seconds=resolved)
    return Member(ticket, diagnosis, committed, ended)
