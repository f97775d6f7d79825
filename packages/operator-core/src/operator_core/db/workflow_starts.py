"""Workflows that are proposed, validated and begun with the claim of their first step.

What `starts` does with an action, in one transaction too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from operator_core.actions.types import WorkflowStatus
from operator_core.db import claims, proposals, rows
from operator_core.db.changes import Moment, Params, moments_of, tell_each
from operator_core.db.claims import Claim, ClaimTerms, Context, claim_each
from operator_core.db.creation import (
    Chain,
    Storable,
    create_chains,
    expect_chains,
    insert_heads,
    links_of,
    storable,
)
from operator_core.db.starts import (
    Born,
    Started,
    born_of,
    context_of_starts,
    insert_each,
    started,
    surely,
    told_of,
    valid_of,
)
from operator_core.db.store import SYSTEM_ACTOR
from operator_core.db.validations import WorkflowValidation, validate_workflows

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from operator_core.actions.types import ActionProposal
    from operator_core.clock import Clock
    from operator_core.db.checked import CheckedCall
    from operator_core.db.engine import Row, Tx


class WorkflowStart(NamedTuple):
    """A workflow that is to be proposed, validated and begun.

    Attributes:
        head: the columns of the workflow's row that are said of it.
        steps: the proposals in order.
        calls: what a check of each step said.
        auto: whether the steps are approved at once where no policy is in force.
        terms: on what terms its first step is claimed.
        clock: the source of time.
    """

    head: Params
    steps: Sequence[ActionProposal]
    calls: Sequence[CheckedCall]
    auto: bool
    terms: ClaimTerms
    clock: Clock

    def chain(self, steps: Sequence[ActionProposal], moment: Moment) -> Chain:
        """Return the workflow with its steps as they are to be stored."""
        by = steps[0].proposed_by if steps else SYSTEM_ACTOR
        return Chain(self.head, steps, moment.by(by))


class WorkflowStarted(NamedTuple):
    """A workflow that is stored, and what became of its first step."""

    workflow_id: int
    first: Started


class _BornChain(NamedTuple):
    """A workflow whose first step the gate lets through before anything is stored."""

    storable: Storable
    first: Born


def start_workflows(tx: Tx, items: Sequence[WorkflowStart]) -> list[WorkflowStarted | Exception]:
    """Store workflows and take the first step of each, if the gate lets it through right now.

    Returns and raises what `starts.start_each` does, and:
        RequestError: there is no step.
    """
    expect_chains(tx, [item.steps for item in items])
    tx.expect_new("record", len(items))
    context = context_of_starts(tx)
    if (refused := context.switch.refusal()) is not None:
        return [refused for _ in items]
    moments = moments_of(item.clock for item in items)
    found = [_born(tx, *wanted, context) for wanted in zip(items, moments, strict=True)]
    begun = iter(_begin(tx, [one for one in found if isinstance(one, _BornChain)]))
    others = [item for item, one in zip(items, found, strict=True) if one is None]
    rest = iter(_one_by_one(tx, others))
    return [next(begun) if isinstance(one, _BornChain) else one or next(rest) for one in found]


def _born(
    tx: Tx, item: WorkflowStart, moment: Moment, context: Context
) -> _BornChain | Exception | None:
    """Return what can be stored with its first step claimed; None: the gate asks otherwise."""
    if context.policy is not None:
        return None
    steps = [
        valid_of(step, call, moment.now, auto=item.auto)
        for step, call in zip(item.steps, item.calls, strict=True)
    ]
    wanted = storable(tx, item.chain(steps, moment))
    if isinstance(wanted, Exception):
        return wanted
    taken = claims.admit(tx, steps[0], item.terms, context, moment.by(item.terms.owner))
    first = born_of(taken, wanted.params[0], moment)
    return None if first is None else _BornChain(wanted, first)


def _begin(tx: Tx, born: Sequence[_BornChain]) -> list[WorkflowStarted]:
    """Store workflows, then all first steps, then all second ones, and so on."""
    if not born:
        return []
    workflows = insert_heads(tx, [one.storable.chain for one in born])
    for one, workflow in zip(born, workflows, strict=True):
        _link(one, 0, workflow, None)
    attempts = insert_each(tx, [one.first for one in born])
    before: list[int] = [attempt.proposal_id for attempt in attempts]
    for order in range(1, max(len(one.storable.params) for one in born)):
        _insert_steps(tx, born, workflows, before, order)
    moments = [one.first.moment for one in born]
    told = [
        event
        for one, moment in zip(born, moments, strict=True)
        for step in one.storable.chain.steps
        for event in told_of(step, moment)
    ]
    tell_each(tx, "proposal", told)
    _start(tx, born, workflows)
    return [
        WorkflowStarted(workflow["id"], Started(attempt.proposal, attempt))
        for workflow, attempt in zip(workflows, attempts, strict=True)
    ]


def _insert_steps(
    tx: Tx, born: Sequence[_BornChain], workflows: Sequence[Row], before: list[int], order: int
) -> None:
    places = [place for place, one in enumerate(born) if order < len(one.storable.params)]
    for place in places:
        _link(born[place], order, workflows[place], before[place])
    ids = tx.insert("proposal.insert", [born[place].storable.params[order] for place in places])
    for place, new in zip(places, ids, strict=True):
        wanted = born[place].storable
        rows.stored(wanted.chain.steps[order], wanted.params[order], new)
        before[place] = new


def _link(born: _BornChain, order: int, workflow: Row, before: int | None) -> None:
    """Make a proposal a step of its workflow, both what is stored and what is handed on."""
    params, step = born.storable.params[order], born.storable.chain.steps[order]
    links = links_of(params, workflow, before, order)
    params |= links
    rows.put(step, links)


def _start(tx: Tx, born: Sequence[_BornChain], workflows: Sequence[Row]) -> None:
    pending = [row | {"status": WorkflowStatus.PENDING.value} for row in workflows]
    stamps = {row["id"]: one.first.taken.stamp for row, one in zip(workflows, born, strict=True)}
    proposals.start_each(tx, pending, stamps)


def _one_by_one(tx: Tx, items: Sequence[WorkflowStart]) -> list[WorkflowStarted | Exception]:
    """Do one after the other, in this transaction, what the gate has to see as it is stored."""
    if not items:
        return []
    moments = moments_of(item.clock for item in items)
    stored = create_chains(
        tx, [item.chain(item.steps, moment) for item, moment in zip(items, moments, strict=True)]
    )
    found = [
        (WorkflowValidation(row["id"], _checked(item), item.auto, moment.by(SYSTEM_ACTOR)), item)
        for row, item, moment in zip(stored, items, moments, strict=True)
        if not isinstance(row, Exception)
    ]
    first = [surely(steps)[0] for steps in validate_workflows(tx, [wanted for wanted, _ in found])]
    taken = claim_each(
        tx,
        [
            Claim(int(step.id or 0), item.terms, item.clock)
            for step, (_, item) in zip(first, found, strict=True)
        ],
    )
    ended = iter([started(step, one) for step, one in zip(first, taken, strict=True)])
    return [
        row if isinstance(row, Exception) else WorkflowStarted(row["id"], next(ended))
        for row in stored
    ]


def _checked(item: WorkflowStart) -> Callable[[ActionProposal], CheckedCall]:
    return lambda step: item.calls[step.execution_order]
