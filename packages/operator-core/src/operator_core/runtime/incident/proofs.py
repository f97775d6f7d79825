"""Makes rehearsals and the proofs of remedies again, from the looks that they rest on; pure."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from operator_core.actions.rehearsal import Rehearsal, rehearse_steps, together
from operator_core.actions.types import ActionProposal
from operator_core.clock import from_text, to_text
from operator_core.db import rows
from operator_core.db.exports import IncidentRows
from operator_core.monitor.config import Patience
from operator_core.monitor.types import Observation
from operator_core.monitor.verification import Verdict, Verification
from operator_core.monitor.verify import BROKEN_SINCE, Sight, advance, lost, shown, uncounted
from operator_core.runtime.incident.replayed import Means, Replayed, replayed
from operator_core.runtime.incident.watched import rules_at
from operator_core.types import JsonObject

_SHORTEST_SECONDS = 1e-6


# --- rehearse -------------------------------------------------------------------------


def rehearse(incident: IncidentRows, means: Means) -> Iterator[Replayed]:
    """The twin says the same of the same look; what names no look was rehearsed by an old version.

    Args:
        incident: its rows.
        means: what they are made with now.
    """
    proposals = {row["id"]: rows.proposal(row) for row in incident["proposals"]}
    named = [row for row in incident["rehearsals"] if row.get("observation_id") is not None]
    for look_id in sorted({row["observation_id"] for row in named}):
        mine = [row for row in named if row["observation_id"] == look_id]
        steps = [proposals[row["proposal_id"]] for row in mine]
        now = _rehearsed(look(incident, look_id), steps, means)
        for row in mine:
            said = now.get(row["proposal_id"])
            what = f"proposal {row['proposal_id']} on observation {look_id}"
            at, recorded = from_text(row["rehearsed_at"]), json.loads(row["prediction"])
            yield replayed(at, "rehearse", what, recorded, said and said.to_json())


def _rehearsed(
    seen: Observation | None, proposals: Sequence[ActionProposal], means: Means
) -> Mapping[int, Rehearsal]:
    twin = None if seen is None else means.subject.twin(seen)
    if twin is None:
        return {}
    steps = [rehearse_steps(twin, one) for one in together(proposals)]
    return {key: said for one in steps for key, said in one.items()}


def look(incident: IncidentRows, look_id: int | None) -> Observation | None:
    """Return a look of an incident, if it is in the archive."""
    return next(
        (rows.observation(row) for row in incident["observations"] if row["id"] == look_id), None
    )


# --- verify ---------------------------------------------------------------------------


def prove(incident: IncidentRows, means: Means) -> Iterator[Replayed]:
    """The look that decided still proves the remedy, or still does not.

    How long the problem had been gone before that look, and what else was broken, is taken from the
    record: that rests on looks that are thinned, and on tickets that are not of this incident.

    Args:
        incident: its rows.
        means: what they are made with now.
    """
    for event in incident["events"]:
        if event["event_type"] not in _DECIDED:
            continue
        told = json.loads(event["event_data"])
        proof = Verification.model_validate({**told, "ticket_id": event["ticket_id"]})
        recorded = _said(proof)
        at = from_text(event["timestamp"])
        now = _proven(incident, proof, means)
        what = f"remedy of proposals {', '.join(str(one) for one in proof.proposals)}"
        yield replayed(at, "verify", what, recorded, now and _said(now))


_DECIDED = frozenset({"remedy_verified", "remedy_not_verified"})


def _said(proof: Verification) -> JsonObject:
    said: JsonObject = proof.model_dump(
        mode="json", include={"verdict", "reasons", "held_since", "looks", "look_id", "capacity"}
    )
    return said


def _proven(incident: IncidentRows, proof: Verification, means: Means) -> Verification | None:
    seen = look(incident, proof.look_id)
    baseline = look(incident, proof.baseline_id)
    if seen is None or (baseline is None) != (proof.baseline_id is None):
        return None
    capacity = means.subject.capacity(baseline) if baseline else None
    before = _before(proof, seen.observed_at).model_copy(update={"capacity": capacity})
    return advance(before, _sight(incident, proof, seen, means), _patience(proof, seen.observed_at))


def _before(proof: Verification, at: datetime) -> Verification:
    """Return a proof as it was before the look that decided it."""
    looks = max(proof.looks - 1, 0)
    return proof.model_copy(
        update={
            "verdict": Verdict.WAITING,
            "reasons": (),
            "looks": looks,
            "held_since": proof.held_since if looks else None,
            "looked_at": at if looks else None,
            "decided_at": None,
        }
    )


def _sight(incident: IncidentRows, proof: Verification, seen: Observation, means: Means) -> Sight:
    ticket = incident["tickets"][0]
    rules = rules_at(incident, means.subject, to_text(seen.observed_at))
    is_broken, unread = shown(rules, seen, ticket["invariant_name"], ticket["target"])
    capacity = means.subject.capacity(seen)
    unread = unread or uncounted(proof.capacity, capacity)
    return Sight(
        look_id=int(seen.id or 0),
        at=seen.observed_at,
        broken=is_broken,
        unread="" if is_broken else unread,
        newly_broken=tuple(
            one.removeprefix(BROKEN_SINCE) for one in proof.reasons if one.startswith(BROKEN_SINCE)
        ),
        lost=lost(proof.capacity, capacity, proof.declared) if proof.capacity and capacity else (),
    )


def _patience(proof: Verification, at: datetime) -> Patience:
    """Return the usual patience, or as much less as the monitor must have had."""
    usual = Patience()
    waited = (at - proof.ended_at).total_seconds() - _SHORTEST_SECONDS
    held = (at - proof.held_since).total_seconds() if proof.held_since else usual.soak_seconds
    soak = min(usual.soak_seconds, held)
    return Patience(
        soak_seconds=soak,
        verify_seconds=min(
            usual.verify_seconds, waited if proof.held_since is None else waited - soak
        ),
        blind_seconds=min(usual.blind_seconds, waited),
    )
