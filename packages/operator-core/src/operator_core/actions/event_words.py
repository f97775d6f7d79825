"""The words for the audit's events, and the stage of the loop that each belongs to; pure."""

from typing import Final, NamedTuple


class EventWords(NamedTuple):
    """How an event is told.

    Attributes:
        stage: of the loop; empty where nobody knows the event.
        words: what happened.
    """

    stage: str
    words: str


_OF_STAGES: Final = {
    "detect": {
        "snoozed": "snoozed",
        "snooze_ended": "the snooze was ended",
        "rule_set": "the rule was set",
        "rule_reset": "the rule is as shipped again",
    },
    "ticket": {
        "ticket_opened": "ticket opened",
        "ticket_reopened": "the problem came back",
        "ticket_acknowledged": "a person has seen it",
        "ticket_held": "held",
        "ticket_unheld": "let go of",
        "ticket_commented": "comment",
    },
    "diagnose": {
        "ticket_diagnosed": "diagnosed",
        "diagnosis_superseded": "the diagnosis before is superseded",
        "ticket_grouped": "follows another ticket",
        "ticket_took_in": "another ticket follows",
        "ticket_leads": "leads its group",
        "ticket_stands_alone": "stands alone again",
    },
    "propose": {
        "proposal_created": "proposed",
        "proposal_validated": "found valid",
        "proposal_scheduled": "scheduled",
        "workflow_created": "workflow proposed",
    },
    "approve": {
        "proposal_approved": "approved",
        "proposal_rejected": "rejected",
        "proposal_cancelled": "cancelled",
        "proposal_held": "held until it is approved anew",
        "approval_given": "approval given",
        "approval_refused": "approval refused",
        "approval_expired": "approval expired",
        "approval_voided": "approval void",
        "workflow_approved": "workflow approved",
    },
    "execute": {
        "workflow_in_progress": "workflow began",
        "workflow_completed": "workflow completed",
        "workflow_failed": "workflow failed",
        "workflow_cancelled": "workflow cancelled",
        "workflow_paused": "workflow paused",
        "workflow_resumed": "workflow goes on",
        "execution_started": "started",
        "execution_progress": "progress",
        "execution_completed": "completed",
        "execution_failed": "failed",
        "execution_in_doubt": "in doubt",
        "execution_stopped": "stopped",
        "execution_released": "given back, not begun",
        "execution_taken_over": "taken over from an owner that is gone",
        "retry_scheduled": "another try is due later",
        "retry_started": "tried again",
        "retry_exhausted": "no try is left",
        "retry_cleared": "no other try",
        "waits_begun_anew": "a clock was set back: what waits begins to wait anew",
        "effect_leased": "temporary effect leased",
        "effect_not_ours": "the effect was there before",
        "effect_applied": "temporary effect applied",
        "effect_in_doubt": "temporary effect in doubt",
    },
    "take back": {
        "effect_overdue": "temporary effect overdue",
        "effect_undo_proposed": "undoing the effect proposed",
        "effect_not_undone": "the effect was not undone",
        "effect_renewed": "temporary effect kept for longer",
        "effect_released": "temporary effect let go of",
        "effect_ended": "temporary effect ended",
    },
    "follow": {
        "ticket_phase": "phase",
        "ticket_moved_on": "moved on",
        "incident_exported": "exported",
    },
    "verify": {
        "remedy_watched": "the remedy has ended, its proof begins",
        "remedy_verified": "the remedy is verified",
        "remedy_not_verified": "the remedy is not verified",
        "ticket_resolved": "resolved",
    },
}

EVENTS: Final = {
    event: EventWords(stage, words)
    for stage, events in _OF_STAGES.items()
    for event, words in events.items()
}


def words_of(event_type: str) -> EventWords:
    """Return how an event is told; one that nobody knows is told by its own name."""
    return EVENTS.get(event_type) or EventWords("", event_type.replace("_", " "))
