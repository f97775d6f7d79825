"""Asks the gate again about each attempt, and counts the approvals before it again; pure.

What the gate is asked is taken from the rows: the switch, the workflow, the step before, the words
that stood, the policy. What it saw at that moment alone is not in them; `unmade` tells what.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from operator_core.actions.policy import Decision, Effect, LoadedPolicy, decide, load
from operator_core.actions.policy.binding import Facts
from operator_core.actions.policy.people import Word, missing
from operator_core.actions.policy.ruling import PolicyFacts
from operator_core.actions.policy.sight import as_seen, blindness
from operator_core.actions.registry import ActionRegistry
from operator_core.actions.types import ActionProposal, ActionStatus
from operator_core.actions.verdict import GateFacts, refusal
from operator_core.clock import from_text
from operator_core.db import approvals, decisions, rows
from operator_core.db.decisions import CLAIM, SEEN, VALIDATE
from operator_core.db.engine import Row
from operator_core.db.exports import IncidentRows
from operator_core.runtime.incident.counted import counted, sources, usage_at
from operator_core.runtime.incident.fold import Then
from operator_core.runtime.incident.replayed import Means, Replayed, replayed
from operator_core.types import RunMode

_APPROVED = {"proposal_approved": "proposal_id", "workflow_approved": "workflow_id"}


@dataclass(frozen=True)
class _Rows:
    """The rows of an incident as the gate asks for them.

    Attributes:
        incident: the rows.
        policy: instead of the recorded ones, if any.
    """

    incident: IncidentRows
    policy: LoadedPolicy | None

    def proposal(self, proposal_id: int | None) -> ActionProposal | None:
        """Return a proposal of the incident."""
        found = (row for row in self.incident["proposals"] if row["id"] == proposal_id)
        return next((rows.proposal(row) for row in found), None)

    def loaded(self, digest: str) -> LoadedPolicy | None:
        """Return the policy that rules: the one that is tried, or the one of a digest."""
        found = (row for row in self.incident["policies"] if row["hash"] == digest)
        return self.policy or next((load(row["text"]) for row in found), None)

    def decision_before(
        self, proposal_id: int | None, event: Row, stage: str | None = None
    ) -> Row | None:
        """Return what was last asked of the policy about a proposal, up to an event."""
        found = [
            row
            for row in self.incident["decisions"]
            if row["proposal_id"] == proposal_id
            and row["at"] <= event["timestamp"]
            and stage in {None, row["stage"]}
        ]
        return found[-1] if found else None

    def words(self, key: str, row_id: int | None, event: Row) -> list[Row]:
        """Return the approvals that stood when an event happened, oldest first.

        One that ended in that very moment may have ended because of what came next.
        """
        moment = event["timestamp"]
        return [
            row
            for row in self.incident["approvals"]
            if row_id is not None
            and row[key] == row_id
            and row["digest"] is not None
            and row["at"] <= moment
            and (row["ended_at"] is None or row["ended_at"] >= moment)
        ]


# --- approving ------------------------------------------------------------------------


def approve(incident: IncidentRows, means: Means) -> Iterator[Replayed]:
    """The words that stood, or the policy alone, were enough.

    Args:
        incident: its rows.
        means: what they are made with now.
    """
    known = _Rows(incident, means.policy)
    for event in incident["events"]:
        key = _APPROVED.get(event["event_type"])
        told = json.loads(event["event_data"])
        loaded = known.loaded(told.get("policy", "")) if key else None
        if key is None or loaded is None:
            continue
        steps = _steps(known, key, event[key])
        asked = [known.decision_before(step.id, event) for step in steps]
        ruled = [decide(loaded, decisions.of_row(row).request) for row in asked if row]
        words = known.words(key, event[key], event)
        now = _approved_by(loaded, ruled, [row["approver"] for row in words], steps)
        what = f"{key.removesuffix('_id')} {event[key]}"
        yield replayed(from_text(event["timestamp"]), "approve", what, told["approved_by"], now)


def _steps(known: _Rows, key: str, row_id: int) -> list[ActionProposal]:
    column = "id" if key == "proposal_id" else key
    found = [rows.proposal(row) for row in known.incident["proposals"] if row[column] == row_id]
    return [one for one in found if key == "proposal_id" or one.compensates_proposal_id is None]


def _approved_by(
    loaded: LoadedPolicy,
    ruled: Sequence[Decision],
    people: Sequence[str],
    steps: Sequence[ActionProposal],
) -> str | None:
    """Return by whom steps are approved; None: they are not."""
    proposers = {step.proposed_by for step in steps}
    lacks = any(missing(loaded.policy, one, people, proposers) for one in ruled)
    if lacks or any(one.effect is Effect.DENY for one in ruled):
        return None
    return ", ".join(people) or approvals.POLICY


# --- claiming -------------------------------------------------------------------------


def claim(incident: IncidentRows, means: Means) -> Iterator[Replayed]:
    """The gate still lets each attempt through.

    Args:
        incident: its rows.
        means: what they are made with now.
    """
    known = _Rows(incident, means.policy)
    for event in incident["events"]:
        proposal = known.proposal(event["proposal_id"])
        switch = Then(incident, event).switch
        if event["event_type"] != "execution_started" or proposal is None or switch is None:
            continue
        facts = _gate_facts(known, proposal, event, switch)
        facts = facts._replace(unseen=_unseen(known, proposal, event, means))
        refused = refusal(_as_claimed(proposal), facts, require_approval=False)
        what = f"proposal {proposal.id} ({CLAIM}): {proposal.action_name}"
        now = {"refused": str(refused) if refused else _unasked(known, event, facts)}
        yield replayed(from_text(event["timestamp"]), "claim", what, {"refused": ""}, now)


def _unasked(known: _Rows, event: Row, facts: GateFacts) -> str:
    """Return that no policy was asked about an attempt although one was in force, else nothing."""
    policies = known.incident["policies"]
    was_in_force = any(row["loaded_at"] <= event["timestamp"] for row in policies)
    return "the policy in force was not asked" if was_in_force and facts.policy is None else ""


def _as_claimed(proposal: ActionProposal) -> ActionProposal:
    """Return a proposal as every claim finds it; what it became since then is left out."""
    then = {"status": ActionStatus.VALIDATED, "held": False}
    return proposal.model_copy(update=then)


def _gate_facts(
    known: _Rows, proposal: ActionProposal, event: Row, switch: tuple[RunMode, bool]
) -> GateFacts:
    then = Then(known.incident, event)
    return GateFacts(
        *switch,
        from_text(event["timestamp"]),
        dependency=then.status_of(proposal.depends_on_proposal_id),
        workflow=then.workflow_status(proposal.workflow_id),
        workflow_paused=then.is_paused(proposal.workflow_id),
        undone=then.status_of(proposal.compensates_proposal_id),
        policy=_policy_facts(known, proposal, event),
    )


def _unseen(known: _Rows, proposal: ActionProposal, event: Row, means: Means) -> tuple[str, ...]:
    """Return what was seen too little for the action, by what the claim wrote down of its look."""
    asked = known.decision_before(proposal.id, event, CLAIM)
    told = sources(asked) if asked else None
    definition = ActionRegistry(means.subject).get_definition(proposal.action_name)
    if asked is None or told is None or definition is None:
        return ()
    return blindness(definition, as_seen(told), from_text(asked["at"]))


def _policy_facts(known: _Rows, proposal: ActionProposal, event: Row) -> PolicyFacts | None:
    asked = known.decision_before(proposal.id, event)
    loaded = known.loaded(asked["policy_hash"]) if asked else None
    if asked is None or loaded is None or asked["stage"] != CLAIM:
        return None
    judged, seen = decisions.of_row(asked), json.loads(asked["binds"]).get(SEEN)
    call = judged.call(proposal).digest
    undoes = proposal.compensates_proposal_id is not None or judged.request.takes_back
    since = (counted(asked) or {}).get("suspected_at")
    tries = Then(known.incident, event).tries_of(proposal.id)
    return PolicyFacts(
        name=f"Proposal {proposal.id}",
        loaded=loaded,
        request=judged.request,
        call=call,
        words=tuple(_words(known, proposal, event, call)),
        proposers=frozenset({proposal.proposed_by}),
        approved=True,  # a proposal that was not is not claimed
        bound=seen is not None and not undoes,
        facts=seen,
        declared=tuple(_declared(known, proposal, event, tries)),
        grounds=_grounds(known, proposal, event),
        usage=usage_at(known.incident, asked, loaded, judged.request),
        due_at=None if undoes or tries or proposal.execution_order else proposal.scheduled_at,
        suspected_at=from_text(since) if since else None,
        undoes=undoes,
    )


def _grounds(known: _Rows, proposal: ActionProposal, event: Row) -> Facts | None:
    """Return the facts that stood when the policy was last asked before the claim."""
    row = known.decision_before(proposal.id, event, VALIDATE)
    found: Facts | None = json.loads(row["binds"]).get(SEEN) if row else None
    return found


def _declared(known: _Rows, proposal: ActionProposal, event: Row, tries: int) -> Iterator[str]:
    """Yield what earlier steps of a workflow, and own earlier tries, said they change."""
    then = Then(known.incident, event)
    for step in _steps(known, "workflow_id", proposal.workflow_id) if proposal.workflow_id else ():
        is_done = then.status_of(step.id) is ActionStatus.COMPLETED
        if is_done and step.execution_order < proposal.execution_order:
            yield from _changed_by(known, step, event)
    if tries:
        yield from _changed_by(known, proposal, event)


def _changed_by(known: _Rows, proposal: ActionProposal, event: Row) -> tuple[str, ...]:
    asked = known.decision_before(proposal.id, event)
    return decisions.of_row(asked).changes if asked else ()


def _words(known: _Rows, proposal: ActionProposal, event: Row, call: str) -> Iterator[Word]:
    """Yield the words for a proposal; those for a step are words for what undoes it.

    Under another policy they are taken as given under it: what flips is then that policy's doing.
    """
    undone = known.proposal(proposal.compensates_proposal_id)
    if undone is not None and not _is_covered(proposal, undone):
        return
    step = undone or proposal
    found = known.words("proposal_id", step.id, event)
    found += known.words("workflow_id", step.workflow_id, event)
    for row in found:
        word = approvals.word_of(row, int(step.id or 0))
        if undone is not None:
            word = word._replace(call=call)
        digest = known.policy.digest if known.policy else word.policy_hash
        yield word._replace(policy_hash=digest)


def _is_covered(undo: ActionProposal, undone: ActionProposal) -> bool:
    """Return whether what undoes a step is what the words for the step covered."""
    covered = undone.compensation
    return covered is not None and (covered.action_name, covered.parameters) == (
        undo.action_name,
        undo.parameters,
    )
