"""The claim that starts an attempt, as work on items of a transaction."""

from __future__ import annotations

import json
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from operator_core.actions import approval
from operator_core.actions.types import ActionProposal, ActionRecord, ActionStatus, WorkflowStatus
from operator_core.actions.verdict import GateFacts, refusal
from operator_core.db import changes, effects, gate, policies, proposals, resends, rows, safety
from operator_core.db.changes import Change, Params, Stamp, moments_of
from operator_core.db.codec import decoded
from operator_core.db.gate import BLIND, Sight
from operator_core.errors import ConflictError, ConstraintError, LimitError, RequestError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from operator_core.actions.policy import LoadedPolicy
    from operator_core.actions.policy.ruling import PolicyFacts
    from operator_core.clock import Clock
    from operator_core.db.engine import Row, Tx
    from operator_core.db.safety import SafetyState


class ClaimTerms(NamedTuple):
    """On what terms an executor claims; ``subject`` is the one it acts on, where it has a name."""

    owner: str
    ledger_id: str
    lease_seconds: float
    require_approval: bool
    subject: str | None = None
    sight: Sight = BLIND


class Claim(NamedTuple):
    """A proposal that an executor wants to take."""

    proposal_id: int
    terms: ClaimTerms
    clock: Clock


class Taken(NamedTuple):
    """A proposal as it is once it is claimed, by whom, and what else is to be written down.

    Attributes:
        proposal: the proposal.
        terms: on what terms it is claimed.
        stamp: who and when.
        statement: which one claims it.
        resent: whether it was sent before.
        effect: the temporary effect that it will have, if it has one.
    """

    proposal: ActionProposal
    terms: ClaimTerms
    stamp: Stamp
    statement: str = "proposal.claim"
    resent: bool = False
    effect: effects.Wanted | None = None


class Attempt(NamedTuple):
    """A claimed proposal and the record of the attempt.

    Attributes:
        proposal: the proposal.
        record: the record.
        resent: whether an earlier try under the same key may have had the effect.
    """

    proposal: ActionProposal
    record: ActionRecord
    resent: bool = False

    @property
    def proposal_id(self) -> int:
        """The proposal's id."""
        return self.record.proposal_id


class Context(NamedTuple):
    """What the ledger says besides the proposals themselves, each row by its id."""

    switch: SafetyState
    policy: LoadedPolicy | None = None
    workflows: Mapping[int, Row] = {}
    others: Mapping[int, Row] = {}


def claim_each(tx: Tx, items: Sequence[Claim]) -> list[Attempt | Exception]:
    """Take proposals for execution, each if the gate lets it through right now.

    Returns:
        The attempt, or the error of each:
        NotFoundError: there is no such proposal.
        RefusedError: the gate is closed (mode, kill switch, approval, not due, a limit).
        ConflictError: it is neither validated nor to be sent again, or its workflow has ended.
        RequestError: it is for another subject than the executor's.
    """
    wanted = json.dumps(sorted({item.proposal_id for item in items}))
    safety.expect_state_of_claim(tx)  # first: whoever changes what rules claims waits, or we do
    tx.expect_new("record", len(items))
    policies.expect(tx)
    tx.expect("proposal.claimable", ids=wanted)
    if policies.is_likely():
        for item in items:
            gate.expect(tx, item.proposal_id)
    switch = safety.state_of_claim(tx)
    return claim_found(tx, items, _claimable(tx, wanted), switch)


def claim_found(
    tx: Tx,
    items: Sequence[Claim],
    found: Mapping[int, Row],
    switch: SafetyState,
    known: Mapping[int, Row] | None = None,
) -> list[Attempt | Exception]:
    """Take proposals that were just read; returns and raises what `claim_each` does.

    Args:
        tx: the transaction.
        items: who wants which.
        found: the proposals by their ids, as they are in this transaction.
        switch: how the switch stands in it.
        known: other proposals that this transaction has just written, by their ids.
    """
    context = _context(tx, switch, found.values(), known or {})
    moments = moments_of(item.clock for item in items)  # a lease begins when the work runs
    verdicts = [
        _admitted(tx, found.get(item.proposal_id), item, context, moment.by(item.terms.owner))
        for item, moment in zip(items, moments, strict=True)
    ]
    admitted = [verdict for verdict in verdicts if isinstance(verdict, Taken)]
    taken = iter(_begin(tx, admitted, context) if admitted else [])
    return [one if isinstance(one, Exception) else next(taken) for one in verdicts]


def _claimable(tx: Tx, wanted: str) -> dict[int, Row]:
    """Return the rows that nobody else is changing now: a queue's users do not wait in line."""
    return {row["id"]: row for row in tx.all("proposal.claimable", ids=wanted)}


def _out_of_reach(tx: Tx, proposal_id: int) -> Exception:
    if tx.one("proposal.exists", id=proposal_id) is None:
        return changes.not_found("proposal", proposal_id)
    return ConflictError(
        f"Another process is changing proposal {proposal_id} at this moment. Look at it again."
    )


def _context(
    tx: Tx, switch: SafetyState, found: Iterable[Row], known: Mapping[int, Row]
) -> Context:
    present = list(found)
    workflows = {row["workflow_id"] for row in present} - {None}
    others = {row["depends_on_proposal_id"] for row in present}
    others |= {row["compensates_proposal_id"] for row in present}
    return Context(
        switch,
        policies.in_force(tx),
        changes.get_each(tx, "workflow", workflows),
        changes.get_each(tx, "proposal", others - {None} - known.keys()) | {**known},
    )


def _admitted(
    tx: Tx, row: Row | None, item: Claim, context: Context, stamp: Stamp
) -> Taken | Exception:
    """Return a proposal as it is once it is claimed, or why it is not."""
    if row is None:
        return _out_of_reach(tx, item.proposal_id)
    terms = item.terms
    if None not in (row["subject"], terms.subject) and row["subject"] != terms.subject:
        return RequestError(
            f"Proposal {row['id']} is for subject {row['subject']!r}, not {terms.subject!r}."
        )
    proposal = rows.proposal(row)
    if proposal.awaits_resend and row["cancel_requested_at"] is not None:
        return ConflictError(f"Somebody asked to stop proposal {proposal.id} after it was sent.")
    return admit(tx, proposal, terms, context, stamp)


def admit(
    tx: Tx, proposal: ActionProposal, terms: ClaimTerms, context: Context, stamp: Stamp
) -> Taken | Exception:
    """Ask the gate; return a proposal as it is once it is claimed, or why it is not."""
    loaded = context.policy
    asked = gate.asked(tx, proposal, terms.sight, loaded, stamp) if loaded else None
    ruled = asked.facts if asked else None
    facts = _facts(proposal, terms.sight, context, stamp, ruled)
    refused = refusal(proposal, facts, require_approval=terms.require_approval)
    if refused is not None:
        return refused
    effect = effects.of(proposal, terms.sight.define)
    if (refused := effects.refusal(tx, effect, terms.sight.effects)) is not None:
        return refused
    if asked is not None:
        asked.note(tx, proposal, {"switch": context.switch.revision}, stamp)
    statement = "proposal.resend" if proposal.awaits_resend else "proposal.claim"
    resent = resends.was_sent(tx, proposal)
    return Taken(claimed(proposal, terms, stamp), terms, stamp, statement, resent, effect)


def claimed(proposal: ActionProposal, terms: ClaimTerms, stamp: Stamp) -> ActionProposal:
    """Give a proposal that nobody else has seen what a claim gives it, and return it."""
    given = {
        "status": ActionStatus.EXECUTING,
        "owner": terms.owner,
        "lease_expires_at": stamp.now + timedelta(seconds=terms.lease_seconds),
        "fence": proposal.fence + 1,
        "in_doubt": False,
    }
    return rows.put(proposal, given)


def _facts(
    proposal: ActionProposal,
    sight: Sight,
    context: Context,
    stamp: Stamp,
    policy: PolicyFacts | None,
) -> GateFacts:
    switch, others = context.switch, context.others
    workflow_id = proposal.workflow_id
    workflow = context.workflows[workflow_id] if workflow_id is not None else None
    return GateFacts(
        switch.mode,
        switch.killed_at is not None,
        stamp.now,
        dependency=_state(others, proposal.depends_on_proposal_id),
        workflow=rows.WORKFLOW_STATES[workflow["status"]] if workflow else None,
        workflow_approved=workflow is not None and workflow["approved_at"] is not None,
        workflow_covers=workflow is not None and _covers(workflow, proposal),
        workflow_paused=workflow is not None and workflow["paused_at"] is not None,
        undone=_state(others, proposal.compensates_proposal_id),
        policy=policy,
        unseen=gate.unseen(proposal, sight, stamp),
        worse=sight.rehearsal.worse if sight.rehearsal else (),
    )


def _state(others: Mapping[int, Row], other_id: int | None) -> ActionStatus | None:
    return None if other_id is None else rows.ACTION_STATES[others[other_id]["status"]]


def _covers(workflow: Row, proposal: ActionProposal) -> bool:
    steps = workflow["approved_steps"]
    return steps is not None and approval.covers(decoded(steps), proposal)


def _begin(tx: Tx, admitted: Sequence[Taken], context: Context) -> list[Attempt]:
    """Begin the attempts that the gate let through, and their workflows."""
    records = _take(tx, admitted)
    _begin_workflows(tx, admitted, context)
    return [
        Attempt(one.proposal, record, one.resent)
        for one, record in zip(admitted, records, strict=True)
    ]


def _take(tx: Tx, admitted: Sequence[Taken]) -> list[ActionRecord]:
    """Take what the gate let through; a limit, or a second claim of one, stops all of them."""
    try:
        counts = [
            tx.start(statement, [_claim_params(one) for one in each])
            for statement, each in _by_statement(admitted)
        ]
        for one in admitted:
            effects.take(tx, one.effect, one.terms.sight.effects, one.stamp)
        told = [(rows.brief(one.proposal), started(one.terms.owner), one.stamp) for one in admitted]
        changes.tell_each(tx, "proposal", told)
        records = begin_records(tx, admitted)
        changed = sum(count() for count in counts)
    except ConstraintError as error:
        raise beside_another(admitted[0]) from error
    if changed != len(admitted):
        raise ConflictError("one proposal was to be claimed twice")
    return records


def beside_another(taken: Taken) -> LimitError:
    """Return the error that tells that an action may not run beside one that runs already."""
    which = f"proposal {taken.proposal.id}" if taken.proposal.id else taken.proposal.action_name
    return LimitError(
        f"Another disruptive action runs on the subject of {which}; it waits until that one has "
        "ended."
    )


def _begin_workflows(tx: Tx, admitted: Sequence[Taken], context: Context) -> None:
    """Start the workflows whose first step was taken; the gate found them live and whole."""
    steps = [one for one in admitted if one.proposal.compensates_proposal_id is None]
    pending = {
        one.proposal.workflow_id: one.stamp
        for one in steps
        if one.proposal.workflow_id is not None
        and context.workflows[one.proposal.workflow_id]["status"] == WorkflowStatus.PENDING
    }
    proposals.start_each(tx, [context.workflows[one] for one in pending], pending)


def _by_statement(admitted: Sequence[Taken]) -> Iterator[tuple[str, list[Taken]]]:
    for statement in sorted({one.statement for one in admitted}):
        yield statement, [one for one in admitted if one.statement == statement]


def _claim_params(taken: Taken) -> Params:
    return {
        "id": taken.proposal.id,
        "owner": taken.terms.owner,
        "lease_expires_at": rows.text_or_none(taken.proposal.lease_expires_at),
        "now": taken.stamp.text,
    }


@lru_cache(maxsize=64)
def started(owner: str) -> Change:
    """Return what the audit says of a claim."""
    return Change("", "execution_started", {"owner": owner})


def begin_records(tx: Tx, taken: Sequence[Taken]) -> list[ActionRecord]:
    """Insert the records of attempts that begin."""
    params = [
        {
            "proposal_id": one.proposal.id,
            "started_at": one.stamp.text,
            "completed_at": None,
            "success": None,
            "error_message": None,
            "result_data": None,
            "outcome": None,
            "idempotency_key": _key(one),
            "owner": one.terms.owner,
            "fence": one.proposal.fence,
        }
        for one in taken
    ]
    ids = tx.insert("record.insert", params)
    return [
        rows.fresh_record(given, new, one.stamp.now)
        for given, new, one in zip(params, ids, taken, strict=True)
    ]


def _key(taken: Taken) -> str:
    return f"operator:{taken.terms.ledger_id}:{taken.proposal.id}:{taken.proposal.effect}"
