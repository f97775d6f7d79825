"""All that the ledger knows of one incident, as rows."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property

from operator_core.actions.policy import load
from operator_core.actions.policy.limits import longest_seconds
from operator_core.agent.diagnosis import Diagnosis
from operator_core.agent.support import looks_named_by
from operator_core.clock import from_text, to_text
from operator_core.db import changes, decisions, diagnoses, grounds, rows
from operator_core.db.changes import Change, Stamp
from operator_core.db.engine import Row, Tx
from operator_core.db.store import ALL_ROWS, Store
from operator_core.monitor.types import Observation
from operator_core.types import JsonObject

AROUND_SECONDS = 600.0
"""How long before and after an incident its looks belong to it."""

MAX_LOOKS = 2000
"""How many looks of one incident are exported at most, the first ones."""

ATTEMPTS = "attempts"
"""The table of all attempts that limits may have counted, those of other incidents too."""

MAX_ATTEMPTS = 10_000
"""How many of them are exported at most, the last ones."""

_BEFORE_SECONDS = 86_400.0
"""How long before an incident's first attempt they are exported, where no limit looks further."""

LOOKS = "observations"
"""The table of looks, which are large: each is a file of its own in an archive."""

SEALED = "incident_exported"
"""The audit's event of an export; it is beside the incident and no part of it."""

SWITCHES = ("mode_changed", "kill_switch")
"""The audit's events of the switch, which belong to no ticket and rule all of them."""

WATCHING = "watching"
"""The table of how the problem was watched: the audit's events of rules and snoozes."""

SNOOZED, SNOOZE_ENDED, RULE_SET, RULE_RESET = "snoozed", "snooze_ended", "rule_set", "rule_reset"

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

    async def seal(self, ticket_id: int, digest: str, *, actor: str) -> Row:
        """Return the audit's row that tells of an export with a digest; the first one, if any.

        Args:
            ticket_id: of the incident.
            digest: of the archive's manifest.
            actor: who exports.
        """
        stamp = self._stamp(actor)
        known = await self._read(lambda tx: _sealed(tx, ticket_id, digest))
        if known is None:
            await self._write(lambda tx: _seal(tx, ticket_id, digest, stamp))
            known = await self._read(lambda tx: _sealed(tx, ticket_id, digest))
        return known or {}

    async def has_seal(self, seal: Row) -> bool:
        """Return whether an audit row stands in this ledger just so."""
        found = await self._read(
            lambda tx: tx.one("audit.at", writer=str(seal["writer"]), seq=int(seal["seq"]))
        )
        return found is not None and found["hash"] == seal["hash"]


def _seal(tx: Tx, ticket_id: int, digest: str, stamp: Stamp) -> None:
    if _sealed(tx, ticket_id, digest) is None:
        ticket = changes.get(tx, "ticket", ticket_id)
        changes.tell(tx, "ticket", ticket, Change("", SEALED, {"digest": digest}), stamp)


def _sealed(tx: Tx, ticket_id: int, digest: str) -> Row | None:
    filters = dict.fromkeys(("proposal_id", "ticket_id", "workflow_id", "event_type"))
    filters |= {"ticket_id": ticket_id, "event_type": SEALED}
    told = tx.all("audit.list", **filters, after_id=0, limit=ALL_ROWS)
    return next((row for row in told if json.loads(row["event_data"])["digest"] == digest), None)


def looks_of(incident: IncidentRows, diagnosis: Diagnosis) -> dict[int, Observation]:
    """Return the looks of an incident that a diagnosis names, by id."""
    named = looks_named_by(diagnosis)
    found = (row for row in incident["observations"] if row["id"] in named)
    return {int(row["id"]): rows.observation(row) for row in found}


@dataclass(frozen=True)
class _Scope:
    """What belongs to one ticket, as the tables of an export are read by it."""

    tx: Tx
    ticket: Row
    now: str

    @cached_property
    def subject(self) -> str:
        return self.ticket["subject"] or ""

    @cached_property
    def group(self) -> list[Row]:
        return _group(self.tx, self.ticket)

    @cached_property
    def diagnoses(self) -> list[Row]:
        return self.of_ticket("diagnosis.list")

    @cached_property
    def proposals(self) -> list[Row]:
        return _listed(self.tx, "proposal.list", ticket_id=self.ticket["id"])

    @cached_property
    def workflows(self) -> list[Row]:
        return _workflows(self.tx, self.proposals)

    @cached_property
    def decisions(self) -> list[Row]:
        return self.of_proposals("decision.list")

    @cached_property
    def policies(self) -> list[Row]:
        return _each(self.tx, "policy.get", "hash", {row["policy_hash"] for row in self.decisions})

    @cached_property
    def approvals(self) -> list[Row]:
        return _approvals(self.tx, self.proposals, self.workflows)

    @cached_property
    def rehearsals(self) -> list[Row]:
        return self.of_proposals("rehearsal.list")

    @cached_property
    def verifications(self) -> list[Row]:
        return self.of_ticket("verification.list")

    @cached_property
    def named(self) -> set[int]:
        """The looks that something rests on."""
        found = {one for row in self.diagnoses for one in looks_named_by(diagnoses.of_row(row))}
        found |= {row["observation_id"] for row in (*self.rehearsals, *self.approvals)}
        found |= grounds.looks_of_decisions(self.decisions)
        found |= {row[name] for row in self.verifications for name in ("baseline_id", "look_id")}
        return found - {None}

    def of_ticket(self, name: str) -> list[Row]:
        return self.tx.all(name, ticket_id=self.ticket["id"])

    def of_proposals(self, name: str) -> list[Row]:
        return _of_each(self.tx, name, self.proposals)


_READ: dict[str, Callable[[_Scope], list[Row]]] = {
    "tickets": lambda one: [one.ticket],
    "group": lambda one: one.group,
    "group_diagnoses": lambda one: _diagnoses_of_each(one.tx, one.group),
    "comments": lambda one: one.of_ticket("comment.list"),
    "diagnoses": lambda one: one.diagnoses,
    LOOKS: lambda one: _looks(one.tx, one.ticket, one.named, one.now),
    "proposals": lambda one: one.proposals,
    "workflows": lambda one: one.workflows,
    "records": lambda one: one.of_proposals("record.list"),
    "decisions": lambda one: one.decisions,
    "approvals": lambda one: one.approvals,
    "rehearsals": lambda one: one.rehearsals,
    "effects": lambda one: one.of_proposals("effect.of_proposal"),
    "verifications": lambda one: one.verifications,
    ATTEMPTS: lambda one: _attempts(one.tx, one.decisions, one.policies),
    "policies": lambda one: one.policies,
    "rule_settings": lambda one: one.tx.all("rule_setting.list", subject=one.subject),
    "subjects": lambda one: _each(one.tx, "subject.get", "name", {one.subject} - {""}),
    "events": lambda one: _events(one.tx, one.ticket["id"], one.proposals, one.workflows),
    "ledger": lambda one: one.tx.all("ledger.get"),
    "switches": lambda one: _switches(one.tx, one.ticket["resolved_at"] or one.now),
    WATCHING: lambda one: _watching(one.tx, one.ticket, one.ticket["resolved_at"] or one.now),
}
TABLES = frozenset(_READ)
"""The tables of an incident; an archive has these and no others."""


def _incident(tx: Tx, ticket_id: int, now: str) -> IncidentRows:
    scope = _Scope(tx, changes.get(tx, "ticket", ticket_id), now)
    return {name: read(scope) for name, read in _READ.items()}


def _group(tx: Tx, ticket: Row) -> list[Row]:
    """Return the other tickets of a ticket's group."""
    told = tx.all("audit.group_of_ticket", ticket_id=ticket["id"])
    data = [json.loads(row["event_data"]) for row in told]
    ids = {one.get("root_ticket_id") or one.get("ticket_id") for one in data} - {None}
    return [changes.get(tx, "ticket", one) for one in sorted(ids)]


def _switches(tx: Tx, until: str) -> list[Row]:
    """Return who set the mode and pulled the kill switch, up to the end of the incident."""
    found = [row for kind in SWITCHES for row in tx.all("audit.of_type", event_type=kind)]
    told = (row for row in found if row["timestamp"] <= until)
    return sorted(told, key=lambda row: int(row["id"]))


def _watching(tx: Tx, ticket: Row, until: str) -> list[Row]:
    """Return who changed the rules of a ticket's cluster and snoozed its problem, up to its end."""
    kinds = (SNOOZED, SNOOZE_ENDED, RULE_SET, RULE_RESET)
    told = (row for kind in kinds for row in tx.all("audit.of_type", event_type=kind))
    known = sorted((row for row in told if row["timestamp"] <= until), key=lambda row: row["id"])
    snoozes: set[int] = set()
    return [row for row in known if _concerns(row, ticket, snoozes)]


def _concerns(event: Row, ticket: Row, snoozes: set[int]) -> bool:
    """Return whether an event is about how a ticket's problem is watched.

    Args:
        event: of a rule, or of a snooze.
        ticket: the ticket.
        snoozes: those that concern it, up to here; brought up to date.
    """
    if event["subject"] not in {None, ticket["subject"]}:
        return False
    data = json.loads(event["event_data"])
    if event["event_type"] == SNOOZED and _is_covered(data, ticket):
        snoozes.add(data["snooze_id"])
    return "snooze_id" not in data or data["snooze_id"] in snoozes


def _is_covered(snooze: JsonObject, ticket: Row) -> bool:
    """Return whether a snooze is about a problem, and was not over before it was seen."""
    wanted = {"rule": ticket["invariant_name"], "target": ticket["target"]}
    is_about = all(snooze[key] in {None, value} for key, value in wanted.items())
    return is_about and bool(snooze["until"] > ticket["first_seen_at"])


def _attempts(tx: Tx, decided: Iterable[Row], policies: Iterable[Row]) -> list[Row]:
    """Return the attempts that the limits on an incident's own may have counted, oldest first."""
    claims = [row["at"] for row in decided if row["stage"] == decisions.CLAIM]
    if not claims:
        return []
    seconds = max([_BEFORE_SECONDS, *(longest_seconds(load(row["text"])) for row in policies)])
    since = to_text(from_text(min(claims)) - timedelta(seconds=seconds))
    asked: dict[str, str | int] = {"since": since, "until": max(claims), "limit": MAX_ATTEMPTS}
    return sorted(tx.all("decision.attempts_between", **asked), key=lambda row: int(row["id"]))


def _diagnoses_of_each(tx: Tx, tickets: Iterable[Row]) -> list[Row]:
    return [row for one in tickets for row in tx.all("diagnosis.list", ticket_id=one["id"])]


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


def _looks(tx: Tx, ticket: Row, named: set[int], now: str) -> list[Row]:
    """Return the looks round the incident, and those that something rests on."""
    around = timedelta(seconds=AROUND_SECONDS)
    since = to_text(from_text(ticket["first_seen_at"]) - around)
    until = to_text(from_text(ticket["resolved_at"] or now) + around)
    found = tx.all(
        "observation.between", subject=ticket["subject"], since=since, until=until, limit=MAX_LOOKS
    )
    more = named - {row["id"] for row in found}
    found += [row for one in sorted(more) for row in tx.all("observation.get", id=one)]
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
        found |= {int(row["id"]): row for row in told if row["event_type"] != SEALED}
    return [found[one] for one in sorted(found)]
