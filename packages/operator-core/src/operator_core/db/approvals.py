"""People's approvals under a policy, as functions of a transaction.

A word is given for a proposal or for a whole workflow. It is bound once all of it is validated:
to the calls, to the facts that they rest on, to the policy, to a time. When the words that
stand are what the policy demands, the proposal or workflow is approved.
"""

from __future__ import annotations

import hashlib
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from operator_core.actions import approval
from operator_core.actions.policy import Decision, Effect, decide
from operator_core.actions.policy.effect import DAY_SECONDS
from operator_core.actions.policy.people import (
    Word,
    has_role,
    missing,
    why_not_approve,
    why_not_counted,
)
from operator_core.actions.types import ActionProposal, ActionStatus, WorkflowStatus
from operator_core.clock import from_text, to_text
from operator_core.db import changes, decisions, grounds, rows, suspects
from operator_core.db.changes import Change, Stamp
from operator_core.db.codec import decoded
from operator_core.errors import ApprovalRequiredError, ConflictError, TransitionError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from operator_core.actions.policy import LoadedPolicy
    from operator_core.actions.policy.words import Demand
    from operator_core.db.decisions import Judged
    from operator_core.db.engine import Row, Tx
    from operator_core.types import JsonObject

POLICY = "policy"
"""Who approves where the policy demands nobody's word."""

NOTHING: Mapping[int, Judged] = {}

WORDS_OF = {"proposal": "approval.of_proposal", "workflow": "approval.of_workflow"}
_OPEN = (
    ActionStatus.PROPOSED,
    ActionStatus.VALIDATED,
    WorkflowStatus.PENDING,
    WorkflowStatus.IN_PROGRESS,
)


class Owner(NamedTuple):
    """What is approved: a proposal, or a workflow.

    Attributes:
        kind: ``proposal`` or ``workflow``.
        row: its row.
        steps: the proposal itself, or the workflow's steps.
    """

    kind: str
    row: Row
    steps: tuple[ActionProposal, ...]

    @property
    def id(self) -> int:
        """Its id."""
        return int(self.row["id"])

    @property
    def is_open(self) -> bool:
        """Whether it can still be approved."""
        return self.row["status"] in _OPEN

    @property
    def is_approved(self) -> bool:
        """Whether it is approved, as far as its row says."""
        return self.row["approved_at"] is not None and not self.row.get("held")

    @property
    def proposers(self) -> frozenset[str]:
        """Who proposed it."""
        return frozenset(step.proposed_by for step in self.steps)


class Case(NamedTuple):
    """An owner with what the policy says of each of its steps now."""

    owner: Owner
    loaded: LoadedPolicy
    asked: Mapping[int, Judged]
    decisions: tuple[Decision, ...]

    @property
    def calls(self) -> dict[str, str]:
        """The calls that an approval covers, each step's id with its digest."""
        steps = self.owner.steps
        return {str(step.id): self.asked[int(step.id or 0)].call(step).digest for step in steps}

    @property
    def expires_seconds(self) -> float:
        """How long a word holds: as long as the strictest of the steps says."""
        asking = [one.expires_seconds for one in self.decisions if one.effect is Effect.APPROVE]
        return min(asking, default=DAY_SECONDS)

    @property
    def roles(self) -> list[str]:
        """The roles whose word counts."""
        return sorted({demand.role for one in self.decisions for demand in one.approvals})

    def lacks(self, people: Iterable[str]) -> tuple[Demand, ...]:
        """Return what is still demanded once these people have approved."""
        able, proposers = list(people), self.owner.proposers
        every = [
            demand
            for one in self.decisions
            for demand in missing(self.loaded.policy, one, able, proposers)
        ]
        most = {one.role: one for one in sorted(every, key=lambda one: one.count)}
        return tuple(most[role] for role in dict.fromkeys(one.role for one in every))


def owner_of(tx: Tx, kind: str, row_id: int) -> Owner:
    """Return a proposal or workflow as something that is approved.

    Raises:
        NotFoundError: there is no such row.
    """
    row = changes.get(tx, kind, row_id)
    if kind == "proposal":
        return Owner(kind, row, (rows.proposal(row),))
    found = map(rows.proposal, tx.all("proposal.list_of_workflow", workflow_id=row_id))
    return Owner(kind, row, tuple(one for one in found if one.compensates_proposal_id is None))


def case_of(
    tx: Tx, owner: Owner, loaded: LoadedPolicy, stamp: Stamp, just: Mapping[int, Judged] = NOTHING
) -> Case | None:
    """Return what the policy says of an owner now; None: not all of it is validated.

    Args:
        tx: the transaction.
        owner: what is approved.
        loaded: the policy in force.
        stamp: who and when.
        just: by step, what this transaction has asked already, at the same moment.
    """
    asked: dict[int, Judged] = {}
    for step in owner.steps:
        step_id = int(step.id or 0)
        now = just.get(step_id) or _asked_again(tx, step, loaded, stamp)
        if now is None:
            return None
        asked[step_id] = now
    ruled = tuple(decide(loaded, one.request) for one in asked.values())
    return Case(owner, loaded, asked, ruled)


def _asked_again(tx: Tx, step: ActionProposal, loaded: LoadedPolicy, stamp: Stamp) -> Judged | None:
    known = decisions.latest(tx, int(step.id or 0))
    if known is None:
        return None
    again = decisions.again(known, step, None, stamp.now)
    return again.among(suspects.others(tx, step, again.request, loaded).told)


# --- giving a word --------------------------------------------------------------------


def give(tx: Tx, kind: str, row_id: int, loaded: LoadedPolicy, stamp: Stamp) -> Row:
    """Take a person's approval, and approve the whole where that was the last word needed.

    Args:
        tx: the transaction.
        kind: ``proposal`` or ``workflow``.
        row_id: its id.
        loaded: the policy in force.
        stamp: the person, and when.

    Raises:
        NotFoundError: there is no such row.
        TransitionError: it has started or ended, or is approved already.
        ConflictError: the person has approved it already.
        ApprovalRequiredError: the person's word does not count, or the policy denies it.
    """
    owner = owner_of(tx, kind, row_id)
    if not owner.is_open or owner.is_approved:
        raise TransitionError(
            f"{kind.capitalize()} {row_id} is {owner.row['status']}"
            f"{' and approved already' if owner.is_approved else ''}: approving it is not possible "
            "now. Look at it again."
        )
    present = _standing(tx, owner, loaded, stamp)
    if stamp.actor in {row["approver"] for row in present}:
        raise ConflictError(f"{stamp.actor} has approved {kind} {row_id} already.")
    case = case_of(tx, owner, loaded, stamp)
    if case is None:
        decisions.require_asked(tx, owner.steps)
    else:
        _require_welcome(case, stamp.actor, present)
    params = _of(owner)
    tx.run("approval.insert", approver=stamp.actor, now=stamp.text, **params)
    told = Change("", "approval_given", {"approver": stamp.actor})
    changes.tell(tx, kind, owner.row, told, stamp)
    return settle_owner(tx, owner, loaded, stamp, case.asked if case else NOTHING)


def _require_welcome(case: Case, person: str, present: Iterable[Row]) -> None:
    owner = case.owner
    refused = why_not_approve(
        case.loaded.policy,
        case.decisions,
        person,
        [row["approver"] for row in present],
        owner.proposers,
    )
    if refused:
        raise ApprovalRequiredError(
            f"{owner.kind.capitalize()} {owner.id} is not approved: {refused}. See "
            "`operator policy explain`."
        )


def _of(owner: Owner) -> dict[str, int | None]:
    return {
        "proposal_id": owner.id if owner.kind == "proposal" else None,
        "workflow_id": owner.id if owner.kind == "workflow" else None,
    }


def _standing(tx: Tx, owner: Owner, loaded: LoadedPolicy, stamp: Stamp) -> list[Row]:
    """Return the words that stand, and end those that cannot count any more."""
    present = []
    for row in words_of(tx, owner.kind, owner.id):
        stale = _staleness(row, loaded, stamp)
        if stale:
            tx.run("approval.end", id=row["id"], reason=stale, now=stamp.text)
        else:
            present.append(row)
    return present


def _staleness(row: Row, loaded: LoadedPolicy, stamp: Stamp) -> str:
    if row["digest"] is None:
        return ""
    word = word_of(row, "")
    return why_not_counted(word, now=stamp.now, policy_hash=loaded.digest, call=word.call)


def expect_words(tx: Tx, kind: str, row_id: int) -> None:
    """Tell that `words_of` will be asked soon."""
    tx.expect(WORDS_OF[kind], id=row_id)


def words_of(tx: Tx, kind: str, row_id: int, *, ended: bool = False) -> list[Row]:
    """Return the words that were given for a proposal or workflow, oldest first."""
    found = tx.all(WORDS_OF[kind], id=row_id)
    return [row for row in found if ended or row["ended_at"] is None]


def word_of(row: Row, step_id: int | str) -> Word:
    """Return a bound word as it stands to one step."""
    calls: JsonObject = decoded(row["calls"])
    facts: JsonObject = decoded(row["facts"])
    return Word(
        row["approver"],
        from_text(row["at"]),
        from_text(row["expires_at"]),
        row["policy_hash"],
        calls.get(str(step_id), ""),
        facts.get(str(step_id), {}),
    )


# --- binding, and being enough --------------------------------------------------------


def settle(tx: Tx, kind: str, row_id: int, loaded: LoadedPolicy, stamp: Stamp) -> Row:
    """Bind the words that wait for it, and approve where they are what is demanded.

    Call it after each word and each validation; it does nothing where it is too early.

    Returns:
        Its row as it is then.
    """
    return settle_owner(tx, owner_of(tx, kind, row_id), loaded, stamp)


def settle_owner(
    tx: Tx, owner: Owner, loaded: LoadedPolicy, stamp: Stamp, just: Mapping[int, Judged] = NOTHING
) -> Row:
    """Do what `settle` does to what was just read; ``just`` is as for `case_of`."""
    is_due = owner.is_open and not owner.is_approved
    case = case_of(tx, owner, loaded, stamp, just) if is_due else None
    if case is None:
        return owner.row
    counted = [row["approver"] for row in _bound(tx, case, stamp)]
    denied = any(one.effect is Effect.DENY for one in case.decisions)
    held = any(step.held for step in owner.steps) and not counted
    if denied or held or case.lacks(counted):
        return owner.row
    return _approve(tx, case, ", ".join(counted) or POLICY, stamp)


def _bound(tx: Tx, case: Case, stamp: Stamp) -> list[Row]:
    """Bind words that were given before all was validated; end those that cannot count."""
    counted: list[Row] = []
    for row in _standing(tx, case.owner, case.loaded, stamp):
        people = [one["approver"] for one in counted]
        refused = "" if row["digest"] else _refusal(case, row["approver"], people)
        if refused:
            tx.run("approval.end", id=row["id"], reason=refused, now=stamp.text)
            told = Change("", "approval_refused", {"approver": row["approver"], "why": refused})
            changes.tell(tx, case.owner.kind, case.owner.row, told, stamp)
            continue
        if row["digest"] is None:
            _bind(tx, case, row)
        counted.append(row)
    return counted


def _refusal(case: Case, person: str, present: list[str]) -> str:
    return why_not_approve(
        case.loaded.policy, case.decisions, person, present, case.owner.proposers
    )


def _bind(tx: Tx, case: Case, row: Row) -> None:
    facts, observation_id = _facts(tx, case)
    expires = from_text(row["at"]) + timedelta(seconds=case.expires_seconds)
    bound = {
        "policy_hash": case.loaded.digest,
        "calls": rows.to_json(case.calls),
        "facts": rows.to_json(facts),
        "expires_at": to_text(expires),
    }
    has = partial(has_role, case.loaded.policy, row["approver"])
    tx.run(
        "approval.bind",
        id=row["id"],
        roles=", ".join(filter(has, case.roles)),
        observation_id=observation_id,
        digest=hashlib.sha256(rows.to_json([row["approver"], bound]).encode()).hexdigest(),
        **bound,
    )


def _facts(tx: Tx, case: Case) -> tuple[JsonObject, int | None]:
    """Return the facts of each step as the last look at its cluster shows them."""
    if not any(asked.facts for asked in case.asked.values()):
        return {}, None
    observation = grounds.last_look(tx, case.owner.row["subject"])
    facts = {str(step_id): dict(asked.seen(observation)) for step_id, asked in case.asked.items()}
    return facts, observation.id if observation else None


def _approve(tx: Tx, case: Case, by: str, stamp: Stamp) -> Row:
    if by == POLICY:
        grounds.bind(tx, case.owner.row["subject"], case.owner.steps, case.asked)
    owner, data = case.owner, {"approved_by": by, "policy": case.loaded.digest}
    if owner.kind == "proposal":
        change = Change("proposal.approve", "proposal_approved", data, {"approved_by": by})
        return changes.apply(tx, owner.id, change, stamp)
    steps = approval.approved_steps(owner.steps)
    params = {"approved_by": by, "approved_steps": rows.to_json(steps)}
    told = {**data, "steps": [step.id for step in owner.steps], "calls": steps}
    row = changes.apply(
        tx, owner.id, Change("workflow.approve", "workflow_approved", told, params), stamp
    )
    tx.run("proposal.let_go_of_workflow", workflow_id=owner.id, now=stamp.text)
    return row
