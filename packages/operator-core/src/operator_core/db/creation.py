"""Proposals and workflows that enter the ledger, as work on items of a transaction."""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from operator_core.actions.types import (
    ActionProposal,
    ActionStatus,
    WorkflowProposal,
    WorkflowStatus,
)
from operator_core.db import changes, rows, safety, secrets
from operator_core.db.changes import Change, Params, Stamp
from operator_core.db.engine import Row, Tx, Value
from operator_core.errors import ConflictError, OperatorError, RequestError
from operator_core.monitor.types import TicketStatus


class Creation(NamedTuple):
    """A proposal that somebody wants stored.

    Attributes:
        model: the proposal.
        stamp: who and when.
        acting: only where Operator may act: neither in observe mode nor after a kill.
    """

    model: ActionProposal
    stamp: Stamp
    acting: bool = False


class Chain(NamedTuple):
    """A workflow that somebody wants stored, with its steps in order."""

    head: Params
    steps: Sequence[ActionProposal]
    stamp: Stamp
    acting: bool = False


def create(tx: Tx, model: ActionProposal, stamp: Stamp) -> ActionProposal:
    """Insert one proposal; raises what `create_each` returns."""
    (result,) = create_each(tx, [Creation(model, stamp)])
    if isinstance(result, Exception):
        raise result
    return result


def create_each(tx: Tx, items: Sequence[Creation]) -> list[ActionProposal | Exception]:
    """Insert proposals, and return the stored one or the error of each.

    The errors:
        ObserveOnlyError: Operator may not act, and it was asked for.
        RequestError: it is executing (only a claim makes that), or its parameters are no JSON.
        NotFoundError: it names a ticket, workflow or proposal that does not exist.
        ConflictError: its workflow is approved, has started or has ended; its ticket is resolved.
    """
    tx.expect_new("proposal", len(items))
    observing = safety.refusal(tx) if any(item.acting for item in items) else None
    wanted = [
        observing if observing is not None and item.acting else params_of(tx, item)
        for item in items
    ]
    accepted = [
        (item, params)
        for item, params in zip(items, wanted, strict=True)
        if not isinstance(params, Exception)
    ]
    made = iter(_insert(tx, accepted) if accepted else [])
    return [one if isinstance(one, Exception) else next(made) for one in wanted]


def params_of(tx: Tx, item: Creation) -> dict[str, Value] | Exception:
    """Return the parameters of a proposal's insert, or why it is refused."""
    if item.model.status is ActionStatus.EXECUTING:
        return RequestError("A proposal cannot be created executing; only a claim starts it.")
    try:
        _require_links(tx, item.model)
        return {**_callable(rows.proposal_params(item.model)), "now": item.stamp.text}
    except OperatorError as error:
        return error


def _callable(params: dict[str, Value]) -> dict[str, Value]:
    """Refuse a call with a secret in it: redacted, it would mean something else."""
    for text in (params["parameters"], params["compensation"]):
        if text is not None:
            secrets.require_none("The action's arguments", str(text))
    return params


def _insert(tx: Tx, items: Sequence[tuple[Creation, dict[str, Value]]]) -> list[ActionProposal]:
    ids = _insert_rows(tx, [(params, item.stamp) for item, params in items])
    return [
        rows.fresh_proposal(item.model, params, new)
        for (item, params), new in zip(items, ids, strict=True)
    ]


def _insert_rows(tx: Tx, items: Sequence[tuple[dict[str, Value], Stamp]]) -> list[int]:
    ids = tx.insert("proposal.insert", [params for params, _ in items])
    told = [
        (params | {"id": new}, created(str(params["action_name"]), str(params["status"])), stamp)
        for (params, stamp), new in zip(items, ids, strict=True)
    ]
    changes.tell_each(tx, "proposal", told)
    return ids


@lru_cache(maxsize=1024)
def created(action_name: str, status: str) -> Change:
    """Return what the audit says of a new proposal."""
    data = {"action_name": action_name, "status": status}
    return Change("", "proposal_created", data)


def _require_links(tx: Tx, model: ActionProposal) -> None:
    """Whoever approved a workflow approved the steps it had, so nobody adds one later."""
    if model.ticket_id is model.workflow_id is model.depends_on_proposal_id is None:
        return
    links = {
        "ticket": model.ticket_id,
        "workflow": model.workflow_id,
        "proposal": model.depends_on_proposal_id,
    }
    for kind, row_id in links.items():
        if row_id is None:
            continue
        row = changes.get(tx, kind, row_id)
        if kind == "ticket":
            _require_open(row, model)
        if kind == "workflow" and (row["approved_at"] or row["status"] != WorkflowStatus.PENDING):
            raise ConflictError(
                f"Workflow {row_id} is approved, has started or has ended: it gets no further "
                "step. Propose another workflow."
            )


def _require_open(ticket: Row, model: ActionProposal) -> None:
    """Nothing is proposed for a problem that is gone: its ticket may resolve at any moment."""
    waits = model.status in (ActionStatus.PROPOSED, ActionStatus.VALIDATED)
    if waits and ticket["status"] == TicketStatus.RESOLVED:
        raise ConflictError(
            f"Ticket {ticket['id']} is resolved: nothing more is proposed for it. Open a new one "
            "if the problem is back."
        )


# --- workflows ------------------------------------------------------------------------


def create_chains(tx: Tx, items: Sequence[Chain]) -> list[Row | Exception]:
    """Insert workflows with their steps, each depending on the one before it.

    The errors are those of `create_each`, and:
        RequestError: there is no step.
    """
    expect_chains(tx, [item.steps for item in items])
    observing = safety.refusal(tx) if any(item.acting for item in items) else None
    wanted = [storable(tx, item, observing) for item in items]
    made = iter(_insert_chains(tx, [one for one in wanted if isinstance(one, Storable)]))
    return [next(made) if isinstance(one, Storable) else one for one in wanted]


def expect_chains(tx: Tx, chains: Sequence[Sequence[ActionProposal]]) -> None:
    """Tell that workflows with these steps will be inserted soon."""
    tx.expect_new("workflow", len(chains))
    tx.expect_new("proposal", sum(len(steps) for steps in chains))


def head_of(workflow: WorkflowProposal) -> Params:
    """Return the columns of a workflow's row that are said of it."""
    return workflow.model_dump(include={"name", "description", "ticket_id", "subject"})


class Storable(NamedTuple):
    """A workflow that can be stored, and what the insert of each step takes but for its links."""

    chain: Chain
    params: Sequence[dict[str, Value]]


def storable(tx: Tx, item: Chain, observing: Exception | None = None) -> Storable | Exception:
    """Return what the inserts of a workflow take, or why it cannot be stored."""
    if not item.steps:
        return RequestError("Workflow must contain at least one action")
    try:
        params = [_step_params(step, item.stamp) for step in item.steps]
        if item.head["ticket_id"] is not None:
            _require_open(changes.get(tx, "ticket", int(item.head["ticket_id"])), item.steps[0])
    except OperatorError as error:
        return error
    return observing if observing is not None and item.acting else Storable(item, params)


def _step_params(step: ActionProposal, stamp: Stamp) -> dict[str, Value]:
    if step.status is ActionStatus.EXECUTING:
        raise RequestError("A proposal cannot be created executing; only a claim starts it.")
    return {**_callable(rows.proposal_params(step)), "now": stamp.text}


def _insert_chains(tx: Tx, items: Sequence[Storable]) -> list[Row]:
    """Insert the workflows, then all first steps, then all second ones, and so on."""
    if not items:
        return []
    made = insert_heads(tx, [item.chain for item in items])
    before: list[int | None] = [None] * len(items)
    for order in range(max(len(item.params) for item in items)):
        _insert_steps(tx, items, made, before, order)
    return made


def insert_heads(tx: Tx, chains: Sequence[Chain]) -> list[Row]:
    """Insert workflows without their steps."""
    heads = [{**chain.head, "now": chain.stamp.text} for chain in chains]
    ids = tx.insert("workflow.insert", heads)
    made = [{**head, "id": new} for head, new in zip(heads, ids, strict=True)]
    told = [
        (row, _workflow_created(row, len(chain.steps)), chain.stamp)
        for row, chain in zip(made, chains, strict=True)
    ]
    changes.tell_each(tx, "workflow", told)
    return made


def _workflow_created(row: Row, count: int) -> Change:
    data = {"workflow_id": row["id"], "name": row["name"], "action_count": count}
    return Change("", "workflow_created", data)


def _insert_steps(
    tx: Tx, items: Sequence[Storable], workflows: list[Row], before: list[int | None], order: int
) -> None:
    places = [place for place, item in enumerate(items) if order < len(item.params)]
    steps = []
    for place in places:
        chain, params = items[place].chain, items[place].params[order]
        links = links_of(params, workflows[place], before[place], order)
        steps.append((params | links, chain.stamp))
    for place, new in zip(places, _insert_rows(tx, steps), strict=True):
        before[place] = new


def links_of(params: Params, workflow: Row, before: int | None, order: int) -> dict[str, Value]:
    """Return what makes a proposal a step of a workflow, after the step before it."""
    return {
        "workflow_id": workflow["id"],
        "execution_order": order,
        "subject": params["subject"] or workflow["subject"],
        "depends_on_proposal_id": before,
        "ticket_id": params["ticket_id"] or workflow["ticket_id"],
    }
