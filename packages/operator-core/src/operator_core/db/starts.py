"""Actions that are proposed, validated and claimed in one transaction.

Nobody stands between the three where who proposes also executes. Each has its audit row as if it
had been done alone, and the gate is asked as in any claim; a crash comes before all or after all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeVar

from operator_core.actions.types import ActionProposal, ActionStatus
from operator_core.db import claims, policies, rows, safety
from operator_core.db.changes import Moment, Stamp, moments_of, tell_each
from operator_core.db.claims import Attempt, Claim, ClaimTerms, Context, Taken, claim_each
from operator_core.db.creation import Creation, create_each, created, params_of
from operator_core.db.store import SYSTEM_ACTOR
from operator_core.db.validations import BY_POLICY, POLICY, VALIDATED, Validation, validate_each
from operator_core.errors import ConstraintError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from operator_core.clock import Clock
    from operator_core.db.changes import Change
    from operator_core.db.checked import CheckedCall
    from operator_core.db.engine import Row, Tx, Value


T = TypeVar("T")


class Start(NamedTuple):
    """An action that is to be proposed, validated and claimed.

    Attributes:
        model: the proposal, which depends on no other one and is a step of nothing.
        call: what a check of it said.
        auto: whether it is approved in the same step where no policy is in force.
        terms: on what terms it is claimed.
        clock: the source of time.
    """

    model: ActionProposal
    call: CheckedCall
    auto: bool
    terms: ClaimTerms
    clock: Clock


class Started(NamedTuple):
    """A proposal that is stored, and its attempt, or why it was not claimed."""

    proposal: ActionProposal
    attempt: Attempt | None = None
    refused: Exception | None = None


class Born(NamedTuple):
    """An action that the gate lets through before it is stored, and what its insert takes."""

    taken: Taken
    params: dict[str, Value]
    moment: Moment


def start_each(tx: Tx, items: Sequence[Start]) -> list[Started | Exception]:
    """Store actions and take each for execution, if the gate lets it through right now.

    Returns:
        What became of each, or its error; then nothing of it is stored:
        ObserveOnlyError: Operator may not act.
        RequestError: its parameters are no JSON.
        NotFoundError: it names a ticket that does not exist.
        ConflictError: its ticket is resolved.

    Raises:
        LimitError: one may not run beside another; nothing of any is stored then.
    """
    tx.expect_new("proposal", len(items))
    tx.expect_new("record", len(items))
    context = context_of_starts(tx)
    if (refused := context.switch.refusal()) is not None:
        return [refused for _ in items]
    moments = moments_of(item.clock for item in items)
    found = [_born(tx, *wanted, context) for wanted in zip(items, moments, strict=True)]
    begun = iter(_begin(tx, [one for one in found if isinstance(one, Born)]))
    others = [item for item, one in zip(items, found, strict=True) if one is None]
    rest = iter(_one_by_one(tx, others))
    return [next(begun) if isinstance(one, Born) else one or next(rest) for one in found]


def context_of_starts(tx: Tx) -> Context:
    """Return how the switch stands, first, as in any claim, and the policy in force."""
    safety.expect_state_of_claim(tx)
    policies.expect(tx)
    return Context(safety.state_of_claim(tx), policies.in_force(tx))


def _born(tx: Tx, item: Start, moment: Moment, context: Context) -> Born | Exception | None:
    """Return what can be stored as claimed; None: the gate asks for it as it is once stored."""
    if context.policy is not None:
        return None
    valid = valid_of(item.model, item.call, moment.now, auto=item.auto)
    params = params_of(tx, Creation(valid, moment.by(valid.proposed_by)))
    if isinstance(params, Exception):
        return params
    taken = claims.admit(tx, valid, item.terms, context, moment.by(item.terms.owner))
    return born_of(taken, params, moment)


def valid_of(
    model: ActionProposal, call: CheckedCall, now: datetime, *, auto: bool
) -> ActionProposal:
    """Return a proposal as it is when it is valid, and approved where nobody has to."""
    valid: dict[str, object] = {
        "status": ActionStatus.VALIDATED,
        "parameters": call.parameters,
        "disruptive": call.disruptive,
        "validated_at": now,
    }
    if auto:
        valid |= {"approved_at": now, "approved_by": POLICY}
    return rows.changed(model, valid)


def born_of(taken: Taken | Exception, params: dict[str, Value], moment: Moment) -> Born | None:
    """Return a valid proposal as it is stored when it is claimed; None: the gate refuses it."""
    if isinstance(taken, Exception) or taken.effect is not None:
        return None
    params["owner"] = taken.terms.owner
    params["lease_expires_at"] = rows.text_or_none(taken.proposal.lease_expires_at)
    return Born(taken, params, moment)


def _begin(tx: Tx, born: Sequence[Born]) -> list[Started]:
    if not born:
        return []
    attempts = insert_each(tx, born)
    told = [event for one in born for event in told_of(one.taken.proposal, one.moment)]
    tell_each(tx, "proposal", told)
    return [Started(one.proposal, one) for one in attempts]


def insert_each(tx: Tx, born: Sequence[Born]) -> list[Attempt]:
    """Store what the gate let through, with the records of the attempts."""
    try:
        ids = tx.insert("proposal.insert_claimed", [one.params for one in born])
    except ConstraintError as error:
        raise claims.beside_another(born[0].taken) from error
    for one, new in zip(born, ids, strict=True):
        rows.stored(one.taken.proposal, one.params, new)
    records = claims.begin_records(tx, [one.taken for one in born])
    return [Attempt(one.taken.proposal, record) for one, record in zip(born, records, strict=True)]


def told_of(proposal: ActionProposal, moment: Moment) -> list[tuple[Row, Change, Stamp]]:
    """Return what the audit says of a proposal, as if each step had been done alone."""
    row, by_system = rows.brief(proposal), moment.by(SYSTEM_ACTOR)
    proposed = created(proposal.action_name, ActionStatus.PROPOSED.value)
    told = [(row, proposed, moment.by(proposal.proposed_by)), (row, VALIDATED, by_system)]
    if proposal.approved_by == POLICY:
        told.append((row, BY_POLICY, by_system))
    if proposal.owner is not None:
        told.append((row, claims.started(proposal.owner), moment.by(proposal.owner)))
    return told


def _one_by_one(tx: Tx, items: Sequence[Start]) -> list[Started | Exception]:
    """Do one after the other, in this transaction, what the gate has to see as it is stored."""
    if not items:
        return []
    moments = moments_of(item.clock for item in items)
    stored = create_each(
        tx,
        [
            Creation(item.model, moment.by(item.model.proposed_by))
            for item, moment in zip(items, moments, strict=True)
        ],
    )
    found = [
        (int(one.id or 0), item, moment.by(SYSTEM_ACTOR))
        for one, item, moment in zip(stored, items, moments, strict=True)
        if not isinstance(one, Exception)
    ]
    valid = validate_each(
        tx, [Validation(one, _checked(item), item.auto, stamp) for one, item, stamp in found]
    )
    taken = claim_each(tx, [Claim(one, item.terms, item.clock) for one, item, _ in found])
    ended = iter([started(surely(one), claim) for one, claim in zip(valid, taken, strict=True)])
    return [one if isinstance(one, Exception) else next(ended) for one in stored]


def _checked(item: Start) -> Callable[[ActionProposal], CheckedCall]:
    return lambda _proposal: item.call


def started(valid: ActionProposal, attempt: Attempt | Exception) -> Started:
    """Return what became of a proposal that was validated, and then claimed or not."""
    if isinstance(attempt, Exception):
        return Started(valid, refused=attempt)
    return Started(attempt.proposal, attempt)


def surely(result: T | Exception) -> T:
    """Return a result that is no error.

    Raises:
        Exception: it is one; what was stored before it is taken back.
    """
    if isinstance(result, Exception):
        raise result
    return result
