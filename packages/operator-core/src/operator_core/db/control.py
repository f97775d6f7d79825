"""`ControlDB`: the switch, the audit and the connected clusters in the ledger."""

import json
from functools import partial

from operator_core.actions.types import AuditEvent
from operator_core.db import audit, rows, safety, subjects
from operator_core.db.engine import Row, Tx
from operator_core.db.safety import KillReport, KillStep, SafetyState
from operator_core.db.store import ALL_ROWS, Store
from operator_core.errors import NotFoundError
from operator_core.types import JsonObject, RunMode

_PAGE = 1000
_ANY = {"proposal_id": None, "ticket_id": None, "workflow_id": None, "event_type": None}
"""Which events of the audit are read: all."""


class ControlDB(Store):
    """The switch, the audit and the connections; each method is one durable transaction."""

    # --- switch -----------------------------------------------------------------------

    async def safety_state(self) -> SafetyState:
        """Return how the switch stands."""
        return await self._read(safety.state)

    async def ensure_mode(self, mode: RunMode, *, actor: str) -> SafetyState:
        """Set the mode where none was ever set."""
        present = await self.safety_state()
        if present.ever_set:
            return present
        stamp = self._stamp(actor)
        return await self._write(lambda tx: safety.ensure(tx, mode, stamp))

    async def set_mode(self, mode: RunMode, *, actor: str) -> SafetyState:
        """Set the mode; execute lifts the kill switch. It says from when it holds, as a kill."""

        def work(tx: Tx) -> SafetyState:
            safety.state(tx)  # waits for the claims that go on
            return safety.set_mode(tx, mode, self._stamp(actor))

        return await self._write(work)

    async def kill(self, *, actor: str, reason: str) -> KillReport:
        """Pull the kill switch; it says that it was pulled when nobody could claim any more."""

        def pull(tx: Tx) -> KillStep:
            safety.state(tx)  # waits for the claims that go on
            return safety.kill(tx, reason, self._stamp(actor))

        def go_on(tx: Tx) -> KillStep:
            return safety.cancel_some(tx, reason, self._stamp(actor))

        report, is_last = await self._write(pull)
        while not is_last:
            more, is_last = await self._write(go_on)
            report = report.with_more(more)
        return report

    # --- audit ------------------------------------------------------------------------

    async def append_event(self, event: AuditEvent) -> None:
        """Append one event to the audit."""
        await self._write(lambda tx: audit.append(tx, event))

    async def list_events(
        self,
        *,
        proposal_id: int | None = None,
        ticket_id: int | None = None,
        workflow_id: int | None = None,
        event_type: str | None = None,
        after_id: int = 0,
        limit: int = ALL_ROWS,
        newest: bool = False,
    ) -> list[AuditEvent]:
        """Return events in the order they were written; each filter narrows the list.

        Where there are more than the limit, the oldest ones are returned, or the newest.
        """
        found = await self._read(
            lambda tx: tx.all(
                "audit.list_newest" if newest else "audit.list",
                proposal_id=proposal_id,
                ticket_id=ticket_id,
                workflow_id=workflow_id,
                event_type=event_type,
                after_id=after_id,
                limit=limit,
            )
        )
        events = [rows.audit_event(row) for row in found]
        return events[::-1] if newest else events

    async def last_event_id(self) -> int:
        """Return the id of the newest row of the audit; 0 where there is none."""
        found = await self._read(
            lambda tx: tx.all("audit.list_newest", **_ANY, after_id=0, limit=1)
        )
        return int(found[0]["id"]) if found else 0

    async def events_after(self, after_id: int, *, limit: int) -> list[tuple[int, AuditEvent]]:
        """Return the first events after a row of the audit, each with the id of its own."""
        found = await self._read(
            lambda tx: tx.all("audit.list", **_ANY, after_id=after_id, limit=limit)
        )
        return [(int(row["id"]), rows.audit_event(row)) for row in found]

    async def last_event(self, event_type: str, *, within_rows: int) -> AuditEvent | None:
        """Return the last event of a kind, if it is among so many newest rows of the audit."""
        found = await self._read(
            lambda tx: tx.one("audit.last_of_type", event_type=event_type, rows=within_rows)
        )
        return None if found is None else rows.audit_event(found)

    async def first_broken_audit_row(self) -> JsonObject | None:
        """Return the first row of the audit that was tampered with, or None."""
        while True:
            starts = await self._read(audit.starts)
            broken = await self._first_broken(dict(starts))
            if broken is None or starts == await self._read(audit.starts):
                return broken  # else it was pruned meanwhile

    async def _first_broken(self, heads: dict[str, str]) -> JsonObject | None:
        writer, seq = "", 0
        while page := await self._read(partial(_audit_page, writer, seq)):
            broken = audit.first_broken(page, heads)
            if broken is not None:
                return broken
            writer, seq = page[-1]["writer"], page[-1]["seq"]
        return await self._read(audit.first_cut_off)

    # --- connected clusters -----------------------------------------------------------

    async def connect_subject(
        self, name: str, plugin: str, settings: JsonObject, *, actor: str
    ) -> None:
        """Remember a cluster, or change how it is reached."""
        stamp, text = self._stamp(actor), rows.to_json(settings)
        await self._write(lambda tx: subjects.connect(tx, name, plugin, text, stamp))

    async def list_subjects(self) -> list[JsonObject]:
        """Return the connected clusters: name, plugin and settings."""
        found = await self._read(lambda tx: tx.all("subject.list"))
        return [{**row, "settings": json.loads(row["settings"])} for row in found]

    async def get_subject(self, name: str) -> JsonObject:
        """Return one connected cluster.

        Raises:
            NotFoundError: none of this name is connected.
        """
        row = await self._read(lambda tx: tx.one("subject.get", name=name))
        if row is None:
            raise NotFoundError("Subject", name)
        return {**row, "settings": json.loads(row["settings"])}


def _audit_page(writer: str, seq: int, tx: Tx) -> list[Row]:
    return tx.all("audit.chain", writer=writer, seq=seq, limit=_PAGE)
