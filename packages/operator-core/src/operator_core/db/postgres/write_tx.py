"""A transaction that writes: its statements, and the locks that they need.

SQLite has one writer; here several processes write at once. So in a transaction that writes,
whatever is read to decide on is locked before the decision, in one order for everybody: the
switch, then a workflow, then its steps. The work itself says nothing of locks and so cannot
forget one.
"""

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice

from operator_core.db.engine import Row, Value
from operator_core.db.postgres.line import Connection
from operator_core.db.postgres.tail import Tail
from operator_core.db.postgres.tx import (
    NAME,
    WORTH_SENDING,
    PostgresTx,
    Question,
    Statement,
    numbered,
)
from operator_core.db.statements import statements

_LOCKED = "FOR NO KEY UPDATE"
LOCKING = {
    "lease.get": _LOCKED,
    "proposal.claimable": f"{_LOCKED} SKIP LOCKED",
    "proposal.executing": _LOCKED,
    "proposal.get": _LOCKED,
    "proposal.get_each": _LOCKED,
    "proposal.next_steps": f"{_LOCKED} SKIP LOCKED",
    "proposal.not_started_of_ticket": f"{_LOCKED} OF p",
    "proposal.of_workflows": _LOCKED,
    "proposal.pending": _LOCKED,
    "proposal.pending_alone": _LOCKED,
    "proposal.resend_of_ticket": f"{_LOCKED} OF p",
    "proposal.waiting_retry": _LOCKED,
    "proposal.waiting_retry_of_ticket": f"{_LOCKED} OF p",
    "schedule.due": _LOCKED,
    "schedule.get": _LOCKED,
    "ticket.get": _LOCKED,
    "ticket.open_for_key": _LOCKED,
    "ticket.resolved_since": _LOCKED,
    "workflow.get": _LOCKED,
    "workflow.get_each": _LOCKED,
    "workflow.not_started_of_ticket": _LOCKED,
    "workflow.unfinished": _LOCKED,
}
"""What a reading statement is followed by in a transaction that writes."""

_OF_CLAIM = "safety.of_claim"
_OF_PROPOSALS = "proposal."
_OF_THE_SWITCH = frozenset({"policy.enforce", "policy.retire"})
"""Changes that no claim may overlap."""

_COUNTING = frozenset({"decision.attempts_since", "decision.helped", "decision.last_of_remedy"})
"""What a limit counts must not change before the attempt is among it."""

_READS = ("SELECT", "WITH")
_ONE_MORE, _OF_ONE = "decision.insert", "decision.latest"
"""A new decision changes the answer to the second for its own proposal alone."""

_REMEMBERED = 20_000
_MANY_EVENTS = 32

_NEW_IDS = "new_ids.of_table"
_TABLES = {"proposal": "action_proposals", "record": "action_records", "workflow": "workflows"}

_KNOWN = ".known"
"""Ends the name of an insert of many rows that have their ids already."""

_NEXT_ID = "OVERRIDING USER VALUE"
"""Makes the server number the rows, which needs no right to ask for numbers."""


@cache
def _locking_statements() -> Mapping[str, Statement]:
    texts = statements(NAME)
    found = {name: numbered(f"{text}\n{LOCKING.get(name, '')}") for name, text in texts.items()}
    for name, text in texts.items():
        if _NEXT_ID in text:
            known = text.replace(_NEXT_ID, "").replace("RETURNING id", "")
            found[f"{name.removesuffix('.each')}{_KNOWN}"] = numbered(known)
    return found


@dataclass(frozen=True)
class Mark:
    """A place in a transaction that a failed piece of work is taken back to."""

    audit: tuple[tuple[int, str] | None, int]


class WriteTx(PostgresTx):
    """Named statements on one connection, for transactions that write."""

    def __init__(self, connection: Connection, writer: str) -> None:
        """Take the connection and the name of its audit chain."""
        super().__init__(connection)
        self.writer = writer
        self.changed = False
        self._apart, self._alone = False, True
        self._sql = _locking_statements()
        self._tail = Tail()
        self._new_ids: dict[str, Iterator[int]] = {}
        self._held: set[tuple[str, Value]] = set()
        self._workflow_of: dict[Value, Value] = {}
        self._switch: list[Row] | None = None

    # --- the life of a transaction ----------------------------------------------------

    def begin(self, *, apart: bool = False, alone: bool = True) -> None:
        """Note that a transaction begins, with no locks.

        Args:
            apart: pieces have savepoints.
            alone: there is one piece, which is told what became of each insert.
        """
        super().begin()
        self._apart, self._alone = apart, alone
        self._held.clear()
        self._switch = None
        self._tail.rows.clear()
        self._new_ids.clear()

    def mark(self) -> Mark:
        """Note that a piece of work begins; it has changed nothing yet."""
        self.changed = False
        return Mark(self._tail.mark())

    def rewind(self, mark: Mark, *, unlocked: bool) -> None:
        """Forget what a piece of work wanted; ``unlocked``: its locks are gone with it."""
        self._tail.rewind(mark.audit)
        self._expected.clear()
        self._new_ids.clear()
        self._switch = None
        if unlocked:
            self._held.clear()

    def end(self) -> None:
        """Let what was kept back be stored; the commit comes next."""
        self._store_audit()

    def _store_audit(self) -> None:
        rows = self._tail.take()
        if rows:
            self._say_rows("audit.insert.each", rows)  # made storable when they were chained

    def notify(self, engine_id: str) -> None:
        """Let other processes be told, after the commit that was said before."""
        self._say("notify.changed", {"writer": engine_id})

    def undone(self) -> None:
        """Note that the transaction did not happen, as far as anybody knows."""
        self._tail.forget()
        self._line.forget()

    # --- statements -------------------------------------------------------------------

    def all(self, name: str, /, **params: Value) -> list[Row]:
        """Run a named statement and return all its rows."""
        if name == _OF_CLAIM and self._switch is not None:
            return self._switch
        self._prepare(name, params)
        rows = super().all(name, **params)
        if name.startswith("proposal."):
            self._learn(rows)
        elif name == _OF_CLAIM:
            self._switch = rows
        return rows

    def run(self, name: str, /, **params: Value) -> int:
        """Run a named statement and return how many rows it changed."""
        self._prepare(name, params)
        return super().run(name, **params)

    def each(self, name: str, params: Sequence[Mapping[str, Value]], /) -> int:
        """Run a named change for each set of parameters; return how many rows it changed."""
        self._prepare_each(name, params)
        return super().each(name, params)

    def start(self, name: str, params: Sequence[Mapping[str, Value]], /) -> Callable[[], int]:
        """Let the server begin a change for each set of parameters, and go on meanwhile."""
        self._prepare_each(name, params)
        return super().start(name, params)

    def later(self, name: str, params: Sequence[Mapping[str, Value]], /) -> None:
        """Run a named change for each set of parameters, before the next answer or the end."""
        self._prepare_each(name, params)
        super().later(name, params)

    def expect(self, name: str, /, **params: Value) -> None:
        """Ask now what will be read, so that the answer comes along with the next one.

        A change of rows of the same kind makes the answer worthless; it is asked again then.
        """
        self._prepare(name, params)
        super().expect(name, **params)

    def audit_head(self) -> tuple[int, str] | None:
        """Return number and hash of the last row of the audit chain, if any."""
        if self._tail.head is None:
            row = self.one("audit.head", writer=self.writer)
            self._tail.head = (row["seq"], row["hash"]) if row else None
        return self._tail.head

    def append_audit(self, rows: Sequence[tuple[Value, ...]], /) -> None:
        """Take rows of the audit; many are stored while the work goes on, the rest by `end`."""
        self.changed = True
        self._tail.append(rows)
        if len(self._tail.rows) >= _MANY_EVENTS and not self._apart:
            self._store_audit()
            self._send(_MANY_EVENTS)

    def _send(self, row_count: int) -> None:
        """Let the server begin, unless what is said may be taken back alone."""
        if not self._apart:
            super()._send(row_count)

    def insert(self, name: str, params: Sequence[Mapping[str, Value]], /) -> list[int]:
        """Run a named insert for each set of parameters; return the new rows' ids."""
        self._note_change(name)
        if name.startswith(_OF_PROPOSALS):
            for one in params:
                self._hold_workflow(one)
        ids = self._insert_known(name, params) or super().insert(name, params)
        if name.startswith(_OF_PROPOSALS):
            self._learn([{**one, "id": new} for one, new in zip(params, ids, strict=True)])
        elif name == "workflow.insert":
            self._held.update(("lock.workflow", new) for new in ids)  # nobody else sees them
        return ids

    def expect_new(self, kind: str, count: int) -> None:
        """Ask now for the ids of rows that will be inserted, where waiting for them is dearer."""
        waits = self._apart or self._alone or count < WORTH_SENDING
        if not waits and kind not in self._new_ids:
            asked: dict[str, Value] = {"table_name": _TABLES[kind], "count": count}
            self.expect(_NEW_IDS, **asked)
            self._new_ids[kind] = self._ids(asked)

    def _ids(self, asked: Mapping[str, Value]) -> Iterator[int]:
        """Yield the ids that were asked for, in their order."""
        yield from sorted(row["id"] for row in self.all(_NEW_IDS, **asked))

    def _insert_known(self, name: str, params: Sequence[Mapping[str, Value]]) -> list[int]:
        """Let the server insert rows whose ids are known, and return those; none: it was not."""
        known = self._new_ids.get(name.partition(".")[0], iter(()))
        ids = list(islice(known, len(params)))
        if len(ids) < len(params):
            return []
        self._say_inserts(name, _KNOWN, params, ids)
        self._send(len(ids))
        return ids

    def _prepare(self, name: str, params: Mapping[str, Value]) -> None:
        """Take the locks that must be held before a statement runs."""
        if not self._sql[name].text.startswith(_READS):
            self._note_change(name)
        kind = name.partition(".")[0]
        if "ids" in params and kind == "proposal":
            self._hold_workflows(json.loads(str(params["ids"])))
        elif "workflow_ids" in params:
            self._hold_all("lock.workflow", json.loads(str(params["workflow_ids"])))
        elif kind == "proposal":
            self._hold_workflow(params)
        elif name == _OF_CLAIM:
            self._hold("lock.claims_go_on")
        elif kind == "safety" or name in _OF_THE_SWITCH:
            self._switch = None
            self._hold("lock.no_claims")
        elif name in _COUNTING:
            self._hold("lock.limits")

    def _prepare_each(self, name: str, params: Sequence[Mapping[str, Value]]) -> None:
        touched = {one["proposal_id"] for one in params} if name == _ONE_MORE else None
        self._note_change(name, touched)
        if name.startswith(_OF_PROPOSALS):
            self._hold_workflows([one["id"] for one in params])

    def _note_change(self, name: str, touched: Collection[Value] | None = None) -> None:
        """Forget answers that a change may have made wrong; ``touched``: of these proposals."""
        self.changed = True
        kind = name.partition(".")[0] + "."
        for question in [one for one in self._expected if one[0].startswith(kind)]:
            if touched is None or not _is_of_another(question, touched):
                del self._expected[question]

    # --- locks ------------------------------------------------------------------------

    def _hold_workflow(self, params: Mapping[str, Value]) -> None:
        """Lock the workflow of a step before the step: all that change either do so."""
        workflow_id = params.get("workflow_id")
        proposal_id = params.get("id")
        if workflow_id is None and proposal_id is not None:
            if proposal_id not in self._workflow_of:
                return self._hold("lock.workflow_of", id=proposal_id)
            workflow_id = self._workflow_of[proposal_id]
        return None if workflow_id is None else self._hold("lock.workflow", id=workflow_id)

    def _hold_workflows(self, proposal_ids: Sequence[Value]) -> None:
        """Lock the workflows of steps before the steps, in the order of their ids."""
        if not all(one in self._workflow_of for one in proposal_ids):
            return self._hold_all("lock.workflow_of", proposal_ids)
        workflows = {self._workflow_of[one] for one in proposal_ids} - {None}
        return self._hold_all("lock.workflow", workflows)

    def _hold_all(self, name: str, ids: Iterable[Value]) -> None:
        missing = [one for one in ids if (name, one) not in self._held]
        if missing:
            self._say(f"{name}.each", {"ids": json.dumps(missing)})
            self._held.update((name, one) for one in missing)

    def _hold(self, name: str, **params: Value) -> None:
        """Let a lock be taken before whatever is said next."""
        key = (name, params.get("id"))
        if key not in self._held:
            self._say(name, params)
            self._held.add(key)

    def _learn(self, rows: list[Row]) -> None:
        """Remember the workflows of steps: a step never changes it."""
        if len(self._workflow_of) > _REMEMBERED:
            self._workflow_of.clear()
        for row in rows:
            if "workflow_id" in row:
                self._workflow_of[row["id"]] = row["workflow_id"]


def _is_of_another(question: Question, touched: Collection[Value]) -> bool:
    name, params = question
    return name == _OF_ONE and dict(params)["proposal_id"] not in touched
