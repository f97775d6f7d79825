"""What the gate needs to know of an attempt under a policy, as functions of a transaction."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from operator_core.actions.policy import Decision, ruling
from operator_core.actions.policy.ruling import PolicyFacts
from operator_core.actions.policy.sight import blindness, sources_of
from operator_core.actions.types import ActionDefinition, ActionProposal, ActionStatus
from operator_core.db import (
    approvals,
    changes,
    decisions,
    grounds,
    policies,
    rows,
    safety,
    suspects,
)
from operator_core.db.decisions import CLAIM, VALIDATE, Judged, Ruling

if TYPE_CHECKING:
    from operator_core.actions.policy import LoadedPolicy
    from operator_core.actions.policy.people import Word
    from operator_core.actions.rehearsal import Rehearsal
    from operator_core.db.changes import Stamp
    from operator_core.db.checked import CheckedCall
    from operator_core.db.engine import Row, Tx
    from operator_core.db.safety import SafetyState
    from operator_core.monitor.types import Observation
    from operator_core.types import JsonObject

Define = Callable[[str], ActionDefinition | None]
"""Says what an action's name stands for, where it is registered."""


class Sight(NamedTuple):
    """What an executor knows besides the ledger.

    Attributes:
        define: its registry.
        observation: its look at the cluster right before the claim; None: it did not look, or
            saw nothing.
        effects: names of the temporary effects that were there then; None: nobody could see.
        rehearsal: what would come of the call on the cluster as it was seen; None: it has no twin.
    """

    define: Define = lambda _: None
    observation: Observation | None = None
    effects: Collection[str] | None = None
    rehearsal: Rehearsal | None = None


BLIND = Sight()


def unseen(proposal: ActionProposal, sight: Sight, stamp: Stamp) -> tuple[str, ...]:
    """Return what of the cluster is seen too little for an action, with the reasons."""
    definition = sight.define(proposal.action_name)
    return () if definition is None else blindness(definition, sight.observation, stamp.now)


# --- at validation --------------------------------------------------------------------


def validated(
    tx: Tx, row: Row, call: CheckedCall, loaded: LoadedPolicy, stamp: Stamp
) -> tuple[Judged, Decision]:
    """Ask the policy about a proposal that has just been found valid, and write down its answer."""
    proposal = rows.proposal(row)
    asked = decisions.judged(tx, proposal, call.definition, stamp.now, call.blast)
    asked = asked.among(suspects.others(tx, proposal, asked.request, loaded).told)
    return asked, decisions.rule_on(tx, row["id"], asked, loaded, stamp)


def settle_each(
    tx: Tx,
    found: Sequence[tuple[Row, Stamp]],
    loaded: LoadedPolicy,
    asked: Mapping[int, Judged],
) -> dict[int, Row]:
    """Approve what the policy allows, or what was approved before it was valid.

    A step is approved with its workflow, once all of that is valid, or by words of its own.

    Args:
        tx: the transaction.
        found: the rows of proposals that the policy was just asked about.
        loaded: the policy.
        asked: what it was asked, by proposal.

    Returns:
        The rows as they are then, by their ids.
    """
    after = {}
    steps = [(row, stamp) for row, stamp in found if row["workflow_id"] is not None]
    for row, stamp in found:
        if row["workflow_id"] is None:
            alone = approvals.Owner("proposal", row, (rows.proposal(row),))
            after[row["id"]] = approvals.settle_owner(tx, alone, loaded, stamp, asked)
    for workflow_id, stamp in {row["workflow_id"]: stamp for row, stamp in steps}.items():
        whole = approvals.owner_of(tx, "workflow", workflow_id)
        approvals.settle_owner(tx, whole, loaded, stamp, asked)
    for row, stamp in steps:
        if approvals.words_of(tx, "proposal", row["id"]):
            step = approvals.owner_of(tx, "proposal", row["id"])
            approvals.settle_owner(tx, step, loaded, stamp, asked)
    return after | changes.get_each(tx, "proposal", (row["id"] for row, _ in steps))


# --- at the claim ---------------------------------------------------------------------


class Asked(NamedTuple):
    """What the policy is asked at a claim, all that it looks at, and the look, if there was one.

    Attributes:
        judged: what is asked.
        facts: what it looks at.
        seen: the look.
        sources: how that showed the sources that the action needs, if it needs any.
    """

    judged: Judged
    facts: PolicyFacts
    seen: Observation | None = None
    sources: Mapping[str, object] = MappingProxyType({})

    def decide_again(self, tx: Tx, proposal_id: int, sight: Sight, stamp: Stamp) -> None:
        """Write down what is asked now that the cluster is not as it was, and what rules then."""
        ruling = Ruling(self.judged, self.facts.decision)
        decisions.note(tx, VALIDATE, proposal_id, ruling, stamp, seen=sight.observation)

    def note(self, tx: Tx, proposal: ActionProposal, revisions: JsonObject, stamp: Stamp) -> None:
        """Write down that the attempt was allowed, and on what grounds."""
        read = {**revisions, decisions.COUNTED: decisions.counted(self.facts), **self.sources}
        ruling = Ruling(self.judged, self.facts.decision, read)
        decisions.note(tx, CLAIM, int(proposal.id or 0), ruling, stamp, seen=self.seen)
        if self.judged.facts:
            grounds.pin(tx, proposal)


def expect(tx: Tx, proposal_id: int) -> None:
    """Tell that `asked` will look at a proposal soon."""
    decisions.expect_latest(tx, proposal_id)
    approvals.expect_words(tx, "proposal", proposal_id)


def asked(
    tx: Tx, proposal: ActionProposal, sight: Sight, loaded: LoadedPolicy, stamp: Stamp
) -> Asked:
    """Return what the policy in force is asked about an attempt that is about to begin."""
    proposal_id = int(proposal.id or 0)
    expect(tx, proposal_id)
    judged = _judged(tx, proposal, sight, stamp)
    crowd = suspects.others(tx, proposal, judged.request, loaded)
    judged = judged.among(crowd.told)
    undoes = proposal.compensates_proposal_id is not None or judged.request.takes_back
    call = judged.call(proposal).digest
    begun = undoes or proposal.fence > 0 or proposal.execution_order > 0
    facts = PolicyFacts(
        name=f"Proposal {proposal_id}",
        loaded=loaded,
        request=judged.request,
        call=call,
        words=_words(tx, proposal, sight, call, stamp),
        proposers=frozenset({proposal.proposed_by}),
        approved=_called_approved(tx, proposal),
        bound=bool(judged.facts) and not undoes,
        facts=None if sight.observation is None else judged.seen(sight.observation),
        declared=_declared(tx, proposal, judged) if judged.facts else (),
        grounds=decisions.grounds(tx, proposal_id) if judged.facts else None,
        usage=decisions.usage(tx, proposal_id, loaded, judged.request),
        due_at=None if begun else proposal.scheduled_at,
        suspected_at=crowd.since,
        undoes=undoes,
    )
    return Asked(judged, facts, sight.observation, _sources(proposal, sight))


def _sources(proposal: ActionProposal, sight: Sight) -> JsonObject:
    definition = sight.define(proposal.action_name)
    if definition is None or not definition.needs_sources:
        return {}
    return {decisions.SOURCES: sources_of(definition, sight.observation)}


def _judged(tx: Tx, proposal: ActionProposal, sight: Sight, stamp: Stamp) -> Judged:
    definition = sight.define(proposal.action_name)
    known, fresh = decisions.latest(tx, int(proposal.id or 0)), sight.rehearsal
    if known is None:
        blast = fresh.blast if fresh else None
        return decisions.judged(tx, proposal, definition, stamp.now, blast)
    return decisions.again(known.widened(fresh), proposal, definition, stamp.now)


def _words(
    tx: Tx, proposal: ActionProposal, sight: Sight, call: str, stamp: Stamp
) -> tuple[Word, ...]:
    """Return the words that were given for a proposal: its own, and its workflow's."""
    own = _bound_words(tx, proposal, int(proposal.id or 0))
    if proposal.compensates_proposal_id is None:
        return own
    undone = rows.proposal(changes.get(tx, "proposal", proposal.compensates_proposal_id))
    return own + _words_of_undone(
        tx, proposal, undone, _undone_call(tx, undone, sight, stamp), call
    )


def _undone_call(tx: Tx, undone: ActionProposal, sight: Sight, stamp: Stamp) -> str:
    return _judged(tx, undone, sight, stamp).call(undone).digest


def _words_of_undone(
    tx: Tx, undo: ActionProposal, undone: ActionProposal, undone_call: str, call: str
) -> tuple[Word, ...]:
    """Return the words for a step as words for what undoes it, where it is what they covered."""
    covered = undone.compensation
    same = covered is not None and (covered.action_name, covered.parameters) == (
        undo.action_name,
        undo.parameters,
    )
    words = _bound_words(tx, undone, int(undone.id or 0)) if same else ()
    return tuple(
        word._replace(call=call if word.call == undone_call else "", facts={}) for word in words
    )


def _bound_words(tx: Tx, proposal: ActionProposal, step_id: int) -> tuple[Word, ...]:
    found = approvals.words_of(tx, "proposal", step_id)
    if proposal.workflow_id is not None:
        found += approvals.words_of(tx, "workflow", proposal.workflow_id)
    return tuple(approvals.word_of(row, step_id) for row in found if row["digest"] is not None)


def _called_approved(tx: Tx, proposal: ActionProposal) -> bool:
    if proposal.is_approved or proposal.workflow_id is None:
        return proposal.is_approved
    return changes.get(tx, "workflow", proposal.workflow_id)["approved_at"] is not None


def _declared(tx: Tx, proposal: ActionProposal, judged: Judged) -> tuple[str, ...]:
    """Return what the earlier steps of a workflow, and own earlier tries, said they change."""
    own = judged.changes if proposal.fence > 0 else ()
    if proposal.workflow_id is None:
        return own
    done = [
        row["id"]
        for row in tx.all("proposal.list_of_workflow", workflow_id=proposal.workflow_id)
        if row["status"] == ActionStatus.COMPLETED
        and row["execution_order"] < proposal.execution_order
    ]
    found = (decisions.latest(tx, step_id) for step_id in done)
    return (*own, *(path for one in found if one is not None for path in one.changes))


# --- right before it is sent ----------------------------------------------------------


class Rules(NamedTuple):
    """What rules all that is done: the switch, and the policy in force, if there is one."""

    switch: SafetyState
    policy: LoadedPolicy | None


def rules(tx: Tx) -> Rules:
    """Return what rules all that is done in this transaction."""
    return Rules(safety.state(tx), policies.in_force(tx))


def expect_rules(tx: Tx) -> None:
    """Tell that `rules` will be asked soon."""
    policies.expect(tx)
    safety.expect_state(tx)


def overtaken(tx: Tx, proposal: ActionProposal, sight: Sight, present: Rules, stamp: Stamp) -> str:
    """Return why a claimed proposal may not be sent any more; empty: it may."""
    loaded = present.policy
    ruled = asked(tx, proposal, sight, loaded, stamp).facts if loaded else None
    refused = present.switch.refusal() or (ruling.overtaken(ruled) if ruled else None)
    return str(refused) if refused else ""
