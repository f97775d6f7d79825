"""Changes of rows: the one place where a transition and its audit row are written together.

A transition's statement names the states it may leave, so the loser of a race finds no row
and gets an error; the machine's table says which states those are (a test holds them equal).
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import NoReturn

from operator_core.clock import Clock, to_text
from operator_core.db import audit
from operator_core.db.engine import Row, Tx, Value
from operator_core.errors import NotFoundError, TransitionError
from operator_core.types import JsonObject

Params = Mapping[str, Value]
"""The parameters of a statement."""

_OPEN = ("proposed", "validated", "pending", "in_progress")
_PASSIVE = {
    "approve": "approving it",
    "reject": "rejecting it",
    "cancel": "cancelling it",
    "validate": "validating it",
    "claim": "executing it",
    "retry": "trying it again",
    "schedule": "scheduling it",
    "resolve": "resolving it",
    "acknowledge": "acknowledging it",
    "diagnose": "diagnosing it",
    "hold": "holding it or letting go",
    "group": "putting it into a group",
    "stand_alone": "taking it out of its group",
    "request_cancel": "stopping it",
    "pause": "pausing it",
    "resume": "resuming it",
}
_KINDS = {"proposal": "Proposal", "workflow": "Workflow", "ticket": "Ticket"}


@dataclass(frozen=True)
class Stamp:
    """Who changes something, and when."""

    actor: str
    now: datetime
    text: str = field(init=False)

    def __post_init__(self) -> None:
        """Write the moment down once: every row of a transaction carries it."""
        object.__setattr__(self, "text", to_text(self.now))


class Moment:
    """A moment at which more than one acts; each has one stamp."""

    def __init__(self, now: datetime) -> None:
        """Take the moment."""
        self.now = now
        self._stamps: dict[str, Stamp] = {}

    def by(self, actor: str) -> Stamp:
        """Return the stamp of who acts."""
        stamp = self._stamps.get(actor)
        if stamp is None:
            stamp = self._stamps[actor] = Stamp(actor, self.now)
        return stamp


def moments_of(clocks: Iterable[Clock]) -> list[Moment]:
    """Return the present moment of each clock: what is done together has one."""
    made: dict[int, Moment] = {}
    return [made.get(id(one)) or made.setdefault(id(one), Moment(one.now())) for one in clocks]


@dataclass(frozen=True)
class Change:
    """One change of a row: its statement, the audit's word for it, and what it carries."""

    statement: str
    event_type: str
    data: JsonObject = field(default_factory=dict)
    params: Params = field(default_factory=dict)

    @cached_property
    def data_text(self) -> str:
        """What it carries, as the audit's JSON."""
        return audit.text_of(self.data)


def apply(tx: Tx, row_id: int, change: Change, stamp: Stamp) -> Row:
    """Change one row and write the audit row of it.

    Raises:
        NotFoundError: there is no such row.
        TransitionError: the row is not in a state that the change may leave.
    """
    row = tx.one(change.statement, id=row_id, now=stamp.text, **change.params)
    if row is None:
        _explain(tx, row_id, change)
    tell(tx, change.statement.split(".", maxsplit=1)[0], row, change, stamp)
    return row


def tell(tx: Tx, kind: str, row: Row, change: Change, stamp: Stamp) -> None:
    """Write the audit row of a change that was made to a row of a kind."""
    audit.write(tx, [event(kind, row, change, stamp)])


def tell_each(tx: Tx, kind: str, told: Sequence[tuple[Row, Change, Stamp]]) -> None:
    """Write the audit rows of changes that were made to rows of a kind."""
    audit.write(tx, [event(kind, row, change, stamp) for row, change, stamp in told])


def event(kind: str, row: Row, change: Change, stamp: Stamp) -> audit.Event:
    """Return what the audit says of a change that was made to a row of a kind."""
    return (
        stamp.text,
        change.event_type,
        stamp.actor,
        row.get("subject"),
        row["id"] if kind == "ticket" else row.get("ticket_id"),
        row["id"] if kind == "workflow" else row.get("workflow_id"),
        row["id"] if kind == "proposal" else row.get("proposal_id"),
        change.data_text,
    )


def note(
    tx: Tx, event_type: str, data: JsonObject, stamp: Stamp, *, subject: str | None = None
) -> None:
    """Write an audit row about no ticket, workflow or proposal."""
    tell(tx, "", {"subject": subject}, Change("", event_type, data), stamp)


def get(tx: Tx, kind: str, row_id: int) -> Row:
    """Return a row.

    Raises:
        NotFoundError: there is no such row.
    """
    row = tx.one(f"{kind}.get", id=row_id)
    if row is None:
        raise not_found(kind, row_id)
    return row


def get_each(tx: Tx, kind: str, row_ids: Iterable[int]) -> dict[int, Row]:
    """Return the rows that there are, by their ids."""
    wanted = set(row_ids)
    if not wanted:
        return {}
    name, params = _asked(kind, wanted)
    return {row["id"]: row for row in tx.all(name, **params)}


def expect_each(tx: Tx, kind: str, row_ids: Iterable[int]) -> None:
    """Tell that `get_each` will be asked for these rows soon."""
    wanted = set(row_ids)
    if wanted:
        name, params = _asked(kind, wanted)
        tx.expect(name, **params)


def _asked(kind: str, wanted: Collection[int]) -> tuple[str, Params]:
    if len(wanted) == 1:
        return f"{kind}.get", {"id": min(wanted)}
    return f"{kind}.get_each", {"ids": json.dumps(sorted(wanted))}


def not_found(kind: str, row_id: int) -> NotFoundError:
    """Return the error that tells that there is no such row."""
    return NotFoundError(_KINDS.get(kind, kind.capitalize()), row_id)


def refused(kind: str, row: Row, wanted: str) -> TransitionError:
    """Return the error that tells that a row is not in a state that a change may leave."""
    return TransitionError(
        f"{_KINDS[kind]} {row['id']} is {_state_of(row)}: {_PASSIVE.get(wanted, wanted)} is not "
        "possible now. Somebody else may have been first; look at it again."
    )


def _explain(tx: Tx, row_id: int, change: Change) -> NoReturn:
    kind, wanted = change.statement.split(".", maxsplit=1)
    raise refused(kind, get(tx, kind, row_id), wanted)


def _state_of(row: Row) -> str:
    facts = {
        "in doubt": row.get("in_doubt"),
        "approved already": row.get("approved_at") and row["status"] in _OPEN,
        "held": row.get("held"),
        "paused": row.get("paused_at"),
    }
    return " and ".join([row["status"], *(word for word, holds in facts.items() if holds)])
