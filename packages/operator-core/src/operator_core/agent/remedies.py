"""The stages from a diagnosis to a remedy that may run, and its end: propose, follow, validate."""

from collections.abc import Iterable, Mapping, Sequence

from operator_core.actions.executor import ActionExecutor
from operator_core.actions.rehearsal import Rehearsal, require_safe
from operator_core.actions.remedy import Remedy, remedy_of
from operator_core.actions.types import ActionProposal, ActionStatus
from operator_core.agent.diagnosis import Diagnosis, WorkflowRecommendation
from operator_core.agent.follow import Next, Step, next_step
from operator_core.agent.rehearser import Rehearser
from operator_core.agent.rollback import Rollback
from operator_core.clock import Clock
from operator_core.db.actions import ActionDB
from operator_core.db.ledger import Ledger
from operator_core.db.policy import PolicyDB
from operator_core.db.schedules import ScheduleDB
from operator_core.db.tickets import TicketDB
from operator_core.db.verifications import VerifyDB
from operator_core.errors import ConflictError, RefusedError, RequestError
from operator_core.logs import get_logger
from operator_core.monitor.types import Ticket, TicketPhase, TicketStatus

log = get_logger(__name__)

AGENT = "agent"


class Remedies:
    """Proposes the remedies of one cluster's tickets, and follows them."""

    def __init__(
        self,
        ledger: Ledger,
        subject: str,
        executor: ActionExecutor,
        rehearser: Rehearser,
        clock: Clock,
    ) -> None:
        """Take an open ledger, a cluster's name, what acts and rehearses there, and the time."""
        self._actions = ActionDB(ledger)
        self._policies = PolicyDB(ledger)
        self._tickets = TicketDB(ledger)
        self._schedules = ScheduleDB(ledger)
        self._proofs = VerifyDB(ledger)
        self._rollback = Rollback(ledger, executor)
        self._executor = executor
        self._rehearser = rehearser
        self._subject = subject
        self._clock = clock

    async def follow(self) -> None:
        """Take each diagnosed ticket one step on: propose, watch it act, verify, escalate."""
        found = await self._tickets.list_tickets(TicketStatus.DIAGNOSED, subject=self._subject)
        for ticket in found:
            if ticket.root_ticket_id is not None:
                continue  # its root is being handled
            diagnoses = await self._tickets.list_diagnoses(int(ticket.id or 0))
            if diagnoses:
                await self._follow(ticket, diagnoses[-1])

    async def _follow(self, ticket: Ticket, diagnosis: Diagnosis) -> None:
        ticket_id = int(ticket.id or 0)
        remedy = remedy_of(ticket, await self._actions.list_proposals(ticket_id=ticket_id))
        proof = None
        if ticket.diagnosed_at is not None:
            proof = await self._proofs.get(ticket_id, ticket.diagnosed_at)
        step = next_step(ticket, diagnosis, remedy, self._clock.now(), proof)
        try:
            await self._take(step, ticket, diagnosis, remedy)
        except RefusedError as error:
            log.debug("not_proposed", ticket_id=ticket.id, reason=str(error))
        except ConflictError as error:
            log.info("ticket_moved_on", ticket_id=ticket.id, reason=str(error))

    async def _take(self, step: Step, ticket: Ticket, diagnosis: Diagnosis, remedy: Remedy) -> None:
        ticket_id = int(ticket.id or 0)
        if step.what is Next.PROPOSE:
            await self._propose(ticket_id, diagnosis)
        elif step.what is Next.ACT and ticket.phase is not TicketPhase.ACTING:
            await self._tickets.set_phase(ticket_id, TicketPhase.ACTING, actor=AGENT)
        elif step.what is Next.VERIFY:
            await self._tickets.set_phase(ticket_id, TicketPhase.VERIFYING, actor=AGENT)
        elif step.what is Next.ROLL_BACK:
            refused = await self._rollback.propose(ticket_id, remedy)
            if refused:
                await self._escalate(ticket_id, f"{step.reason}; {refused}")
        elif step.what is Next.ESCALATE:
            await self._escalate(ticket_id, step.reason)

    async def _escalate(self, ticket_id: int, reason: str) -> None:
        await self._tickets.set_phase(ticket_id, TicketPhase.ESCALATED, actor=AGENT)
        body = f"A person is needed: {reason}."
        await self._tickets.comment(ticket_id, author=AGENT, body=body)

    async def _propose(self, ticket_id: int, diagnosis: Diagnosis) -> None:
        """Propose the whole remedy in one transaction, so that a crash leaves all or nothing."""
        if not diagnosis.workflows and len(diagnosis.actions) == 1:
            await self._executor.propose_action(diagnosis.actions[0], ticket_id)
            return
        remedy = diagnosis.workflows[0] if diagnosis.workflows else _as_workflow(diagnosis)
        await self._executor.propose_workflow(
            remedy.name, remedy.description, remedy.actions, ticket_id
        )

    async def fire_schedules(self) -> None:
        """Propose what is due by a schedule."""
        limit = self._executor.retry_config.max_attempts
        for proposal in await self._schedules.fire_due(subject=self._subject, max_retries=limit):
            log.info("schedule_fired", proposal_id=proposal.id, by=proposal.proposed_by)

    # --- validate ---------------------------------------------------------------------

    async def validate(self) -> None:
        """Check what was proposed; what can never run is cancelled and says why."""
        await self._policies.decide_again(subject=self._subject)
        proposed = await self._proposed()
        rehearsals = await self._rehearser.rehearse(proposed)
        for steps in _by_workflow(proposed):
            if len(steps) > 1 and await self._validate_together(steps, rehearsals):
                continue
            for proposal in steps:
                await self._validate(proposal, rehearsals)

    async def _validate(
        self, proposal: ActionProposal, rehearsals: Mapping[int, Rehearsal]
    ) -> None:
        proposal_id = int(proposal.id or 0)
        rehearsal = rehearsals.get(proposal_id, Rehearsal())
        try:
            require_safe(rehearsal)
            await self._executor.validate_proposal(proposal_id, rehearsal.blast)
        except RequestError as error:
            await self._cancel(proposal_id, str(error))
        except ConflictError:
            log.debug(
                "moved_on", proposal_id=proposal_id
            )  # somebody else validated or cancelled it

    async def _validate_together(
        self, steps: Sequence[ActionProposal], rehearsals: Mapping[int, Rehearsal]
    ) -> bool:
        """Validate a workflow in one transaction; False: its steps have to be taken one by one."""
        said = {int(one.id or 0): rehearsals.get(int(one.id or 0), Rehearsal()) for one in steps}
        try:
            for rehearsal in said.values():
                require_safe(rehearsal)
            blasts = {step_id: rehearsal.blast for step_id, rehearsal in said.items()}
            await self._executor.validate_workflow(int(steps[0].workflow_id or 0), blasts)
        except (RequestError, ConflictError):
            return False
        return True

    async def give_up(self, proposal_id: int, reason: str) -> None:
        """Cancel what a breaker stops: its ticket is then escalated, and says why."""
        proposal = await self._actions.get_proposal(proposal_id)
        await self._cancel(proposal_id, reason)
        if proposal is not None and proposal.ticket_id is not None:
            await self._tickets.comment(proposal.ticket_id, author=AGENT, body=reason)

    async def _cancel(self, proposal_id: int, reason: str) -> None:
        try:
            await self._actions.cancel_proposal(proposal_id, cancelled_by=AGENT, reason=reason)
        except ConflictError:
            log.info("not_cancelled", proposal_id=proposal_id)

    async def _proposed(self) -> list[ActionProposal]:
        found = await self._actions.list_proposals(ActionStatus.PROPOSED)
        return [one for one in found if one.subject in (self._subject, None)]


def _by_workflow(proposals: Iterable[ActionProposal]) -> list[list[ActionProposal]]:
    """Return what belongs to one workflow together, and what belongs to none alone."""
    found: dict[tuple[int | None, int | None], list[ActionProposal]] = {}
    for one in proposals:
        alone = one.id if one.workflow_id is None else None
        found.setdefault((one.workflow_id, alone), []).append(one)
    return list(found.values())


def _as_workflow(diagnosis: Diagnosis) -> WorkflowRecommendation:
    return WorkflowRecommendation(
        name="remedy", description=diagnosis.cause, actions=diagnosis.actions
    )
