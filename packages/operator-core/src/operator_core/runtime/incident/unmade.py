"""What of an incident a replay does not make again, with the reason; pure.

Every kind of event is either made again, or no decision, or named here: a test holds it so.
"""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import NamedTuple

from operator_core.actions.registry import ActionRegistry
from operator_core.clock import from_text
from operator_core.db import diagnoses
from operator_core.db.decisions import CLAIM
from operator_core.db.engine import Row
from operator_core.db.exports import LOOKS, WATCHING, IncidentRows
from operator_core.db.tickets import MONITOR
from operator_core.runtime.incident.counted import counted, is_whole, sources
from operator_core.runtime.incident.course import closing_look, opening_look
from operator_core.runtime.incident.fold import Then
from operator_core.runtime.incident.replayed import Means
from operator_core.runtime.incident.retried import TAKEN_OVER, is_drawn, is_permanent, lease_of
from operator_core.types import JsonObject

RULES = "rules"
"""The diagnoser whose answers are made again."""

MADE = frozenset(
    {
        "diagnosis_superseded",
        "effect_undo_proposed",
        "execution_started",
        "execution_taken_over",
        "proposal_approved",
        "proposal_created",
        "proposal_validated",
        "remedy_not_verified",
        "remedy_verified",
        "retry_exhausted",
        "retry_scheduled",
        "ticket_diagnosed",
        "ticket_grouped",
        "ticket_opened",
        "ticket_reopened",
        "ticket_resolved",
        "ticket_took_in",
        "workflow_approved",
        "workflow_created",
    }
)
"""Events of decisions that are made again, where their rows are there."""

FACTS = frozenset(
    {
        "execution_completed",
        "execution_failed",
        "execution_progress",
        "incident_exported",
        "remedy_watched",
        "ticket_moved_on",
        "ticket_phase",
        "workflow_completed",
        "workflow_failed",
        "workflow_in_progress",
    }
)
"""Events that tell what happened or follow from another one; nothing is decided in them."""

LEFT: dict[str, tuple[frozenset[str], str]] = {
    "what people did": (
        frozenset(
            {
                "approval_given",
                "proposal_rejected",
                "rule_reset",
                "rule_set",
                "snooze_ended",
                "snoozed",
                "ticket_acknowledged",
                "ticket_commented",
                "ticket_held",
                "ticket_unheld",
                "workflow_paused",
                "workflow_resumed",
            }
        ),
        "people decide for themselves; their words are taken as they were given",
    ),
    "words that ended": (
        frozenset({"approval_expired", "approval_refused", "approval_voided"}),
        "that rests on the clock, and on what was seen right before an attempt",
    ),
    "cancelled or held": (
        frozenset({"proposal_cancelled", "proposal_held", "workflow_cancelled"}),
        "it follows from a person, the kill switch, a restored ledger, or the ticket's end",
    ),
    "owners and leases": (
        frozenset(
            {
                "execution_in_doubt",
                "execution_released",
                "execution_stopped",
                "retry_cleared",
                "retry_started",
            }
        ),
        "it rests on which processes lived, and on what the cluster answered them",
    ),
    "temporary effects": (
        frozenset(
            {
                "effect_applied",
                "effect_ended",
                "effect_in_doubt",
                "effect_leased",
                "effect_not_ours",
                "effect_not_undone",
                "effect_overdue",
                "effect_released",
                "effect_renewed",
            }
        ),
        "their leases rest on the clock, and on what was seen right before an attempt",
    ),
    "places in a group": (
        frozenset({"ticket_leads", "ticket_stands_alone"}),
        "they rest on tickets that are not of this incident",
    ),
    "set times": (
        frozenset({"proposal_scheduled", "waits_begun_anew"}),
        "a person, a step that waits, or a clock that was set back set them",
    ),
}
"""Kinds of decisions that are not made again: their events, and why."""


class Unmade(NamedTuple):
    """What is not made again.

    Attributes:
        what: kind of decision, or a part of each of a kind.
        number: how many of them the incident has.
        why: the reason.
    """

    what: str
    number: int
    why: str

    def to_json(self) -> JsonObject:
        """Return it for a program."""
        return {**self._asdict()}


def unmade(incident: IncidentRows, means: Means) -> list[Unmade]:
    """Return what of an incident is not made again; what it does not have is not named.

    Args:
        incident: its rows.
        means: what the rest is made with; nothing later than its `until` counts.
    """
    events, watching = (_up_to(incident[name], means.until) for name in ("events", WATCHING))
    blind = Unmade(
        "claims without how they saw their sources",
        _sourceless(incident, means),
        "an older version did not write it down",
    )
    found = [*_lacking(incident, events), blind, *_parts(events), *_kinds([*events, *watching])]
    return [one for one in found if one.number]


def _up_to(events: list[Row], until: datetime | None) -> list[Row]:
    return [one for one in events if until is None or from_text(one["timestamp"]) <= until]


def _kinds(events: list[Row]) -> Iterator[Unmade]:
    for what, (kinds, why) in LEFT.items():
        yield Unmade(what, sum(one["event_type"] in kinds for one in events), why)


def _parts(events: list[Row]) -> Iterator[Unmade]:
    """What is taken from the record within decisions that are made again."""
    kinds = [one["event_type"] for one in events]
    yield Unmade(
        "of each claim: the rehearsal then, other disruptive work under way, who is suspected",
        kinds.count("execution_started"),
        "they are inputs: that look is not kept, and other incidents' tickets are not in this one",
    )
    yield Unmade(
        "of each proof: how long the problem had been gone, what else was broken",
        kinds.count("remedy_verified") + kinds.count("remedy_not_verified"),
        "it rests on looks that are thinned, and on tickets that are not of this incident",
    )


def _lacking(incident: IncidentRows, events: list[Row]) -> Iterator[Unmade]:
    """Decisions of kinds that are made again, but whose rows do not say enough."""
    for what, lack, why in _LACKS:
        yield Unmade(what, lack(incident, events), why)


def _of_models(incident: IncidentRows, _events: list[Row]) -> int:
    return sum(diagnoses.of_row(row).diagnoser != RULES for row in incident["diagnoses"])


def _baseless(incident: IncidentRows, _events: list[Row]) -> int:
    kept = _kept(incident)
    made = map(diagnoses.of_row, incident["diagnoses"])
    return sum(one.observation_id not in kept or one.violation is None for one in made)


def _unrehearsed(incident: IncidentRows, _events: list[Row]) -> int:
    kept = _kept(incident)
    return sum(row.get("observation_id") not in kept for row in incident["rehearsals"])


def _unseen_openings(incident: IncidentRows, events: list[Row]) -> int:
    opened = _of(events, "ticket_opened") + _of(events, "ticket_reopened")
    own = [one for one in opened if one["actor"] == MONITOR]
    return sum(opening_look(incident, one) is None for one in own)


def _opened_otherwise(_incident: IncidentRows, events: list[Row]) -> int:
    return sum(one["actor"] != MONITOR for one in _of(events, "ticket_opened"))


def _ended_otherwise(incident: IncidentRows, events: list[Row]) -> int:
    return sum(closing_look(incident, one) is None for one in _of(events, "ticket_resolved"))


def _switchless(incident: IncidentRows, events: list[Row]) -> int:
    claims = _of(events, "execution_started")
    return sum(Then(incident, one).switch is None for one in claims)


def _unruled(incident: IncidentRows, events: list[Row]) -> int:
    asked = {(row["proposal_id"], row["at"]) for row in incident["decisions"]}
    claims = _of(events, "execution_started")
    return sum((one["proposal_id"], one["timestamp"]) not in asked for one in claims)


def _uncounted(incident: IncidentRows, _events: list[Row]) -> int:
    claims = (row for row in incident["decisions"] if row["stage"] == CLAIM)
    return sum(counted(row) is None or not is_whole(incident) for row in claims)


def _sourceless(incident: IncidentRows, means: Means) -> int:
    """Count the claims whose actions need sources and that do not say how they were seen."""
    define = ActionRegistry(means.subject).get_definition
    claims = [row for row in incident["decisions"] if row["stage"] == CLAIM]
    needing = [row for row in claims if getattr(define(row["action_name"]), "needs_sources", ())]
    return sum(sources(row) is None for row in needing)


def _taken_blindly(_incident: IncidentRows, events: list[Row]) -> int:
    return sum(lease_of(one) is None for one in _of(events, TAKEN_OVER))


def _drawn(_incident: IncidentRows, events: list[Row]) -> int:
    return sum(map(is_drawn, _of(events, "retry_scheduled")))


def _given_up(incident: IncidentRows, events: list[Row]) -> int:
    limits = {row["id"]: row["max_retries"] for row in incident["proposals"]}
    last = _of(events, "retry_exhausted")
    return sum(is_permanent(one, limits.get(one["proposal_id"], 0)) for one in last)


def _of(events: list[Row], kind: str) -> list[Row]:
    return [one for one in events if one["event_type"] == kind]


def _kept(incident: IncidentRows) -> set[int]:
    return {row["id"] for row in incident[LOOKS]}


_LACKS: tuple[tuple[str, Callable[[IncidentRows, list[Row]], int], str], ...] = (
    (
        "of diagnoses by others than the rules: the answer itself",
        _of_models,
        "a model need not say the same twice; what was made of its answer is made again",
    ),
    (
        "diagnoses without the look or the problem that they rest on",
        _baseless,
        "an older version did not keep it",
    ),
    (
        "rehearsals without their look",
        _unrehearsed,
        "an older version did not keep it",
    ),
    (
        "tickets that opened on a look that is not kept",
        _unseen_openings,
        "what was seen is thinned",
    ),
    (
        "tickets that the monitor did not open",
        _opened_otherwise,
        "a person opened them, or another part of Operator; no rule has seen the problem",
    ),
    (
        "tickets that the monitor did not end",
        _ended_otherwise,
        "a person ended them, or the look that showed it is not kept",
    ),
    (
        "claims without the switch",
        _switchless,
        "an older version did not export who set the mode",
    ),
    (
        "claims about which no policy was asked",
        _unruled,
        "none was in force; another one, given to the replay, is not asked either",
    ),
    (
        "claims without what their limits counted",
        _uncounted,
        "an older version did not write it down, or more was done before than is exported",
    ),
    (
        "of a retry: its jitter",
        _drawn,
        "an older version drew it at random",
    ),
    (
        "take-overs without the lease that had ended",
        _taken_blindly,
        "an older version did not write it down",
    ),
    (
        "failures after which nothing was tried again although tries were left",
        _given_up,
        "the action itself said that trying again cannot help",
    ),
)
