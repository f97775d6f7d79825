"""All that the ledger knows of one incident, as rows."""

import json
from collections.abc import Iterable
from datetime import timedelta

from operator_core.agent.diagnosis import Diagnosis
from operator_core.agent.support import looks_named_by
from operator_core.clock import from_text, to_text
from operator_core.db import changes, rows
from operator_core.db.engine import Row, Tx
from operator_core.db.store import ALL_ROWS, Store
from operator_core.monitor.types import Observation

AROUND_SECONDS = 600.0
"""How long before and after an incident its looks belong to it."""

MAX_LOOKS = 2000
"""How many looks of one incident are exported at most, the first ones."""

IncidentRows = dict[str, list[Row]]
"""Rows by the name of their table."""


class ExportDB(Store):
    """Reads incidents."""

    async def incident(self, ticket_id: int) -> IncidentRows:
        """Return every row that belongs to a ticket, in one reading.

        Raises:
            NotFoundError: there is no such ticket.
        """
        now = self.ledger.now_text()
        return await self._read(lambda tx: _incident(tx, ticket_id, now))


def looks_of(incident: IncidentRows, diagnosis: Diagnosis) -> dict[int, Observation]:
    """Return the looks of an incident that a diagnosis names, by id."""
    named = looks_named_by(diagnosis)
    found = (row for row in incident["observations"] if row["id"] in named)
    return {int(row["id"]): rows.observation(row) for row in found}


def _incident(tx: Tx, ticket_id: int, now: str) -> IncidentRows:
    ticket = changes.get(tx, "ticket", ticket_id)
    diagnoses = tx.all("diagnosis.list", ticket_id=ticket_id)
    proposals = _listed(tx, "proposal.list", ticket_id=ticket_id)
    workflows = _workflows(tx, proposals)
    decisions = _of_each(tx, "decision.list", proposals)
    subject = ticket["subject"] or ""
    return {
        "tickets": [ticket],
        **_group(tx, ticket),
        "comments": tx.all("comment.list", ticket_id=ticket_id),
        "diagnoses": diagnoses,
        "observations": _looks(tx, ticket, diagnoses, now),
        "proposals": proposals,
        "workflows": workflows,
        "records": _of_each(tx, "record.list", proposals),
        "decisions": decisions,
        "approvals": _approvals(tx, proposals, workflows),
        "rehearsals": _of_each(tx, "rehearsal.latest", proposals),
        "policies": _each(tx, "policy.get", "hash", {row["policy_hash"] for row in decisions}),
        "rule_settings": tx.all("rule_setting.list", subject=subject),
        "subjects": _each(tx, "subject.get", "name", {subject} - {""}),
        "events": _events(tx, ticket_id, proposals, workflows),
        "ledger": tx.all("ledger.get"),
    }


def _group(tx: Tx, ticket: Row) -> IncidentRows:
    """Return the tickets of its group, and the diagnoses that grouped them."""
    told = tx.all("audit.group_of_ticket", ticket_id=ticket["id"])
    data = [json.loads(row["event_data"]) for row in told]
    ids = {one.get("root_ticket_id") or one.get("ticket_id") for one in data} - {None}
    return {
        "group": [changes.get(tx, "ticket", one) for one in sorted(ids)],
        "group_diagnoses": [
            row for one in sorted(ids) for row in tx.all("diagnosis.list", ticket_id=one)
        ],
    }


def _listed(tx: Tx, name: str, **more: int) -> list[Row]:
    filters = dict.fromkeys(("status", "ticket_id", "workflow_id", "subject")) | more
    return tx.all(name, **filters, after_id=0, limit=ALL_ROWS)


def _of_each(tx: Tx, name: str, proposals: Iterable[Row]) -> list[Row]:
    return [row for one in proposals for row in tx.all(name, proposal_id=one["id"])]


def _each(tx: Tx, name: str, key: str, values: Iterable[str]) -> list[Row]:
    return [row for one in sorted(values) for row in tx.all(name, **{key: one})]


def _workflows(tx: Tx, proposals: Iterable[Row]) -> list[Row]:
    ids = {row["workflow_id"] for row in proposals if row["workflow_id"] is not None}
    return [changes.get(tx, "workflow", one) for one in sorted(ids)]


def _approvals(tx: Tx, proposals: Iterable[Row], workflows: Iterable[Row]) -> list[Row]:
    kinds = (("approval.of_proposal", proposals), ("approval.of_workflow", workflows))
    return [row for name, of in kinds for one in of for row in tx.all(name, id=one["id"])]


def _looks(tx: Tx, ticket: Row, diagnoses: Iterable[Row], now: str) -> list[Row]:
    """Return the looks round the incident, and those that a diagnosis names."""
    around = timedelta(seconds=AROUND_SECONDS)
    since = to_text(from_text(ticket["first_seen_at"]) - around)
    until = to_text(from_text(ticket["resolved_at"] or now) + around)
    found = tx.all(
        "observation.between", subject=ticket["subject"], since=since, until=until, limit=MAX_LOOKS
    )
    known = {row["id"] for row in found}
    named = {one for row in diagnoses for one in looks_named_by(rows.diagnosis(row))} - known
    found += [row for one in sorted(named) for row in tx.all("observation.get", id=one)]
    return sorted(found, key=lambda row: int(row["id"]))


def _events(
    tx: Tx, ticket_id: int, proposals: Iterable[Row], workflows: Iterable[Row]
) -> list[Row]:
    wanted = [
        {"ticket_id": ticket_id},
        *({"proposal_id": row["id"]} for row in proposals),
        *({"workflow_id": row["id"]} for row in workflows),
    ]
    found: dict[int, Row] = {}
    for one in wanted:
        filters = dict.fromkeys(("proposal_id", "ticket_id", "workflow_id", "event_type")) | one
        told = tx.all("audit.list", **filters, after_id=0, limit=ALL_ROWS)
        found |= {int(row["id"]): row for row in told}
    return [found[one] for one in sorted(found)]
