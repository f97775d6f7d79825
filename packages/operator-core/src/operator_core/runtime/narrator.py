"""What happened in a ledger since the last look, in words: how the demo tells it."""

from collections.abc import Hashable
from dataclasses import dataclass, field

from operator_core.actions.types import ActionProposal, WorkflowProposal
from operator_core.agent.diagnosis import Diagnosis
from operator_core.db.actions import ActionDB
from operator_core.db.ledger import Ledger
from operator_core.db.tickets import TicketDB
from operator_core.monitor.types import Ticket, TicketPhase, TicketStatus


@dataclass(frozen=True)
class Telling:
    """One thing that happened, for people."""

    stage: str
    text: str
    details: tuple[str, ...] = ()


@dataclass
class Narrator:
    """Reads the ledger and tells each thing once."""

    ledger: Ledger
    _told: set[Hashable] = field(default_factory=set)

    async def news(self) -> list[Telling]:
        """Return what happened since the last call."""
        tickets = await TicketDB(self.ledger).list_tickets()
        news: list[Telling] = []
        for ticket in tickets:
            news += await self._about_ticket(ticket)
        for workflow in await ActionDB(self.ledger).list_workflows():
            news += await self._about_workflow(workflow)
        for alone in await ActionDB(self.ledger).list_proposals():
            if alone.workflow_id is None:
                news += await self._about_action(alone)
        for ticket in tickets:
            news += await self._ending(ticket)
        return news

    async def _about_ticket(self, ticket: Ticket) -> list[Telling]:
        opened = Telling("ticket", f"#{ticket.id} {ticket.message}", _ticket_details(ticket))
        news = self._once(("ticket", ticket.id, ticket.flap_count), opened)
        for diagnosis in await TicketDB(self.ledger).list_diagnoses(int(ticket.id or 0)):
            text = f"{diagnosis.cause} (confidence {diagnosis.confidence:.0%})"
            telling = Telling("diagnosis", text, _diagnosis_details(diagnosis))
            news += self._once(("diagnosis", diagnosis.id), telling)
        return news

    async def _about_workflow(self, workflow: WorkflowProposal) -> list[Telling]:
        steps = await ActionDB(self.ledger).list_workflow_actions(int(workflow.id or 0))
        planned = [step for step in steps if step.compensates_proposal_id is None]
        details = tuple(f"{step.execution_order + 1}. {call_text(step)}" for step in planned)
        proposed = Telling("proposal", f"workflow {workflow.id}: {workflow.name}", details)
        news = self._once(("workflow", workflow.id), proposed)
        if workflow.approved_at is not None:
            approved = Telling("approval", f"workflow {workflow.id} by {workflow.approved_by}")
            news += self._once(("approved", workflow.id), approved)
        for step in steps:
            news += await self._about_step(step, len(planned))
        return news

    async def _about_action(self, action: ActionProposal) -> list[Telling]:
        """Tell of an action that belongs to no workflow."""
        proposed = Telling("proposal", f"action {action.id}: {call_text(action)}")
        news = self._once(("action", action.id), proposed)
        if action.approved_at is not None:
            approved = Telling("approval", f"action {action.id} by {action.approved_by}")
            news += self._once(("approved action", action.id), approved)
        return news + await self._about_step(action, 1)

    async def _about_step(self, step: ActionProposal, count: int) -> list[Telling]:
        records = await ActionDB(self.ledger).list_records(int(step.id or 0))
        if not records:
            return []
        state = "in doubt" if step.in_doubt else step.status.value
        place = f"{_place(step, count)} {call_text(step)}: {state}"
        error = records[-1].error_message
        telling = Telling("execution", place, (error,) if error else ())
        return self._once(("step", step.id, state, len(records)), telling)

    async def _ending(self, ticket: Ticket) -> list[Telling]:
        if ticket.status is TicketStatus.RESOLVED:
            telling = Telling("verify", f"ticket #{ticket.id} {ticket.resolution}")
            return self._once(("resolved", ticket.id, ticket.flap_count), telling)
        if ticket.phase is TicketPhase.VERIFYING:
            telling = Telling("verify", f"ticket #{ticket.id}: is the problem really gone?")
            return self._once(("verifying", ticket.id, ticket.flap_count), telling)
        if ticket.phase is TicketPhase.ESCALATED:
            telling = Telling("escalate", f"ticket #{ticket.id} needs a person")
            made = await TicketDB(self.ledger).list_diagnoses(int(ticket.id or 0))
            cause = made[-1].hypothesis if made else ""  # said again only for another cause
            return self._once(("escalated", ticket.id, ticket.flap_count, cause), telling)
        return []

    def _once(self, key: Hashable, telling: Telling) -> list[Telling]:
        if key in self._told:
            return []
        self._told.add(key)
        return [telling]


def _place(step: ActionProposal, count: int) -> str:
    if step.compensates_proposal_id is not None:
        return f"undoing action {step.compensates_proposal_id}:"
    return f"step {step.execution_order + 1}/{count}"


def call_text(proposal: ActionProposal) -> str:
    """Return an action with its parameters, as one reads a call."""
    arguments = ", ".join(f"{name}={value}" for name, value in proposal.parameters.items())
    return f"{proposal.action_name}({arguments})"


def _ticket_details(ticket: Ticket) -> tuple[str, ...]:
    rule = f"invariant {ticket.invariant_name}, severity {ticket.severity.value}"
    return (rule, f"first seen {ticket.first_seen_at.astimezone():%H:%M:%S}")


def _diagnosis_details(diagnosis: Diagnosis) -> tuple[str, ...]:
    seen = [f"evidence: {claim.statement}" for claim in diagnosis.evidence]
    rejected = [
        f"not: {other.cause} ({other.rejected_because})" for other in diagnosis.alternatives
    ]
    return (*seen, *rejected)
