"""Makes every decision of an incident again, from what it was made from; pure.

Each stage is a function of rows, so the rows of an archive are enough: no cluster is touched.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from operator_core.actions.policy import decide, load
from operator_core.actions.policy.request import PolicyRequest
from operator_core.actions.registry import ActionRegistry
from operator_core.agent.again import chain, superseded
from operator_core.agent.diagnosis import Diagnosis
from operator_core.agent.grouping import Member, why_below
from operator_core.agent.recommend import checked
from operator_core.agent.rules import diagnose
from operator_core.agent.support import supported
from operator_core.clock import from_text, to_text
from operator_core.db import diagnoses, rows
from operator_core.db.engine import Row
from operator_core.db.exports import IncidentRows, looks_of
from operator_core.errors import NotFoundError
from operator_core.monitor.types import Observation
from operator_core.runtime.incident.course import detect
from operator_core.runtime.incident.gated import approve, claim
from operator_core.runtime.incident.proofs import prove, rehearse
from operator_core.runtime.incident.replayed import Means, Replayed, replayed
from operator_core.runtime.incident.retried import retry, take_over
from operator_core.runtime.incident.taken_back import take_back
from operator_core.runtime.incident.unmade import RULES
from operator_core.runtime.incident.watched import is_snoozed
from operator_core.types import JsonObject


def replay(incident: IncidentRows, means: Means) -> list[Replayed]:
    """Return every decision of an incident, in the order in which they were made.

    Args:
        incident: its rows.
        means: what they are made with now.
    """
    made = [one for stage in STAGES.values() for one in stage(incident, means)]
    until = means.until
    return sorted((one for one in made if until is None or one.at <= until), key=lambda one: one.at)


# --- diagnose -------------------------------------------------------------------------


def _diagnose(incident: IncidentRows, means: Means) -> Iterator[Replayed]:
    """The rules say the same of the same look; of a model's answer the same is left."""
    for row in incident["diagnoses"]:
        stored = diagnoses.of_row(row)
        if stored.violation is None and stored.diagnoser == RULES:
            continue
        what = f"diagnosis {row['id']}"
        make = _diagnosed if stored.diagnoser == RULES else _answered
        now = make(stored, looks_of(incident, stored), means)
        yield replayed(
            from_text(row["created_at"]), "diagnose", what, _said(stored), now and _said(now)
        )


def _supersede(incident: IncidentRows, means: Means) -> Iterator[Replayed]:
    """The later look still does not bear out the diagnosis that was superseded by it."""
    known = {int(row["id"]): diagnoses.of_row(row) for row in incident["diagnoses"]}
    for event in incident["events"]:
        if event["event_type"] != "diagnosis_superseded":
            continue
        told = json.loads(event["event_data"])
        stored, made = known[told["superseded"]], known[told["diagnosis"]]
        looks = looks_of(incident, made)
        look = looks.get(int(made.observation_id or 0))
        fresh = _diagnosed(made, looks, means)
        former = {one.hypothesis for one in chain([*_until(known, stored)])[:-1]}
        is_asked = look is not None and not _is_snoozed(incident, look, event)
        why = superseded(stored, fresh, look, former) if fresh and look and is_asked else None
        recorded = {"turn": told["turn"], "reason": told["reason"]}
        now = {"turn": why.turn.value, "reason": why.reason} if why else None
        what = f"diagnosis {stored.id} by diagnosis {made.id}"
        yield replayed(from_text(event["timestamp"]), "supersede", what, recorded, now)


def _is_snoozed(incident: IncidentRows, look: Observation, event: Row) -> bool:
    """Return whether nobody asked at an event whether a look bears out a diagnosis."""
    return is_snoozed(incident, to_text(look.observed_at), event["timestamp"])


def _until(known: Mapping[int, Diagnosis], last: Diagnosis) -> Iterator[Diagnosis]:
    return (one for key, one in sorted(known.items()) if key <= int(last.id or 0))


def _diagnosed(stored: Diagnosis, looks: dict[int, Observation], means: Means) -> Diagnosis | None:
    look = looks.get(int(stored.observation_id or 0))
    if look is None or stored.violation is None or stored.created_at is None:
        return None
    answer = diagnose(
        stored.violation,
        look,
        means.subject.hypotheses(),
        timeline=stored.timeline,
        past=stored.past,
        now=stored.created_at,
    )
    whole = checked(answer, ActionRegistry(means.subject).require).diagnosis
    return supported(whole, looks)


def _answered(stored: Diagnosis, looks: dict[int, Observation], means: Means) -> Diagnosis:
    """Return what is left of a model's answer, as it is recorded: its claims, its calls."""
    whole = checked(stored, ActionRegistry(means.subject).require).diagnosis
    return supported(whole, looks)


def _said(diagnosis: Diagnosis) -> JsonObject:
    aside = {"id", "ticket_id", "created_at", "supersedes", "superseded_because"}
    said: JsonObject = diagnosis.model_dump(mode="json", exclude=aside)
    return said


# --- group ----------------------------------------------------------------------------


def _group(incident: IncidentRows, means: Means) -> Iterator[Replayed]:
    """The rule still puts the same tickets under one cause, for the same reason."""
    causes = {one.name: one for one in means.subject.hypotheses()}
    own = incident["tickets"][0]["id"]
    for event in incident["events"]:
        data = json.loads(event["event_data"])
        links = {
            "ticket_grouped": (data.get("root_ticket_id"), own),
            "ticket_took_in": (own, data.get("ticket_id")),
        }
        root_id, follower_id = links.get(event["event_type"], (None, None))
        root, follower = (_member(incident, one, event) for one in (root_id, follower_id))
        if event["ticket_id"] == own and root and follower:
            now = why_below(root, follower, causes)
            what = f"ticket {follower_id} under ticket {root_id}"
            at = from_text(event["timestamp"])
            yield replayed(at, "group", what, data.get("reason"), now)


def _member(incident: IncidentRows, ticket_id: int | None, event: Row) -> Member | None:
    """Return a ticket with the diagnosis that it had at an event, if it is in the archive."""
    tickets = [one for one in (*incident["tickets"], *incident["group"]) if one["id"] == ticket_id]
    before = [
        one
        for one in (*incident["diagnoses"], *incident["group_diagnoses"])
        if one["ticket_id"] == ticket_id and one["created_at"] <= event["timestamp"]
    ]
    if not tickets or not before:
        return None
    return Member(rows.ticket(tickets[0]), diagnoses.of_row(before[-1]))


# --- propose --------------------------------------------------------------------------


def _propose(incident: IncidentRows, _means: Means) -> Iterator[Replayed]:
    """What the agent proposed is what the diagnosis before it recommends."""
    for row in incident["diagnoses"]:
        since, until = row["created_at"], _next(incident["diagnoses"], row)
        mine = [
            one
            for one in incident["proposals"]
            if one["proposed_by"] == "agent"
            and one["compensates_proposal_id"] is None
            and since <= one["proposed_at"] < until
        ]
        if mine:
            what = f"proposals {', '.join(str(one['id']) for one in mine)}"
            calls = [[one["action_name"], json.loads(one["parameters"])] for one in mine]
            wanted = _recommended(diagnoses.of_row(row))
            at = from_text(mine[0]["proposed_at"])
            yield replayed(at, "propose", what, calls, wanted)


def _next(diagnoses: Sequence[Row], row: Row) -> str:
    later = [one["created_at"] for one in diagnoses if one["id"] > row["id"]]
    return min(later, default="9999")


def _recommended(diagnosis: Diagnosis) -> list[list[object]]:
    steps = diagnosis.workflows[0].actions if diagnosis.workflows else diagnosis.actions
    return [[one.action_name, one.parameters] for one in steps]


# --- decide ---------------------------------------------------------------------------


def _decide(incident: IncidentRows, means: Means) -> Iterator[Replayed]:
    """The policy says the same of the same request; another policy may not."""
    policies = {row["hash"]: load(row["text"]) for row in incident["policies"]}
    for row in incident["decisions"]:
        loaded = means.policy or policies.get(row["policy_hash"])
        if loaded is None:
            raise NotFoundError("Policy", row["policy_hash"])
        decision = decide(loaded, PolicyRequest.of_json(json.loads(row["request"])))
        recorded = {key: row[key] for key in ("effect", "rule")}
        recorded["reasons"] = json.loads(row["reasons"])
        now = {"effect": decision.effect.value, "rule": decision.rule, "reasons": decision.reasons}
        what = f"proposal {row['proposal_id']} ({row['stage']}): {row['action_name']}"
        yield replayed(from_text(row["at"]), "decide", what, recorded, now)


STAGES: dict[str, Callable[[IncidentRows, Means], Iterable[Replayed]]] = {
    "detect": detect,
    "diagnose": _diagnose,
    "supersede": _supersede,
    "group": _group,
    "propose": _propose,
    "rehearse": rehearse,
    "decide": _decide,
    "approve": approve,
    "claim": claim,
    "retry": retry,
    "take over": take_over,
    "take back": take_back,
    "verify": prove,
}
"""What is made again, in the order of the stages."""
