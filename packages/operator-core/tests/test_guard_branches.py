"""Each branch of each guard is taken out in turn, and lines of guards are changed by hand.

The canaries must notice every one. What they cannot notice stands in `NOTHING_LOST`, with the
reason.
"""

from collections.abc import Sequence

import pytest

from guard_mutants import Mutant, edited, mutants, put_in_place
from operator_core.actions.cage import scratch
from operator_core.actions.canaries.canary import Canary, one_by_one
from operator_core.actions.canaries.table import CANARIES
from operator_core.actions.policy import load
from operator_core.db import policies
from operator_core.testing.clock import LeapingClock

GUARDS = sorted({guard for one in CANARIES for guard in one.guards})

NOTHING_LOST = {
    ("actions.policy.decide:_ruling", "ready.rule.reason -> False"): "words only",
    ("actions.policy.people:has_role", "without role == EVERYBODY"): "it asks more",
    ("actions.policy.people:has_role", "without EVERYBODY in members"): "it asks more",
    ("actions.policy.ruling:_approved", "facts.approved or ended without facts.approved"): (
        "another error of two that refuse"
    ),
    ("actions.policy.ruling:_approved", "facts.approved or ended without ended"): (
        "another error of two that refuse"
    ),
    ("actions.sending:may_send", "hold.owned and late -> False"): (
        "a lease that is short, and not lost"
    ),
    ("db.claims:_admitted", "row is None -> False"): "without a row there is no action to run",
    ("db.starts:_born", "context.policy is not None -> True"): "it is stored first, then claimed",
    ("db.starts:_born", "isinstance(params, Exception) -> False"): "an error is no row to store",
    ("db.starts:born_of", "isinstance(taken, Exception) or taken.effect is not None -> True"): (
        "it is stored first, then claimed"
    ),
    ("db.workflow_starts:_born", "context.policy is not None -> True"): (
        "it is stored first, then claimed"
    ),
    ("db.workflow_starts:_born", "isinstance(wanted, Exception) -> False"): (
        "an error is no row to store"
    ),
    ("db.workflow_starts:_born", "first is None -> True"): "it is stored first, then claimed",
    ("db.claims:_take", "changed != len(admitted) -> False"): (
        "the rows are locked, and named once: only a caller's own fault comes here"
    ),
}
"""What is weaker by nothing that the gate must stop, and why."""

MUTANTS = [one for guard in GUARDS for one in mutants(guard)]

EDITS = (
    # What the gate is told.
    ("db.claims:_facts", "switch.killed_at is not None", "False"),
    ("db.claims:_facts", "GateFacts(switch.mode,", "GateFacts(type(switch.mode).EXECUTE,"),
    ("db.claims:_facts", "workflow['paused_at'] is not None", "False"),
    ("db.claims:_facts", "_covers(workflow, proposal)", "True"),
    ("db.claims:_facts", "_state(others, proposal.depends_on_proposal_id)", "None"),
    ("db.claims:_facts", "workflow_id is not None", "False"),
    (
        "db.claims:_facts",
        "_state(others, proposal.compensates_proposal_id)",
        "ActionStatus.COMPLETED",
    ),
    ("db.claims:_facts", "gate.unseen(proposal, sight, stamp)", "()"),
    ("db.claims:admit", "effects.of(proposal, terms.sight.define)", "None"),
    ("db.claims:admit", "context.policy", "None"),
    ("db.claims:admit", "require_approval=terms.require_approval", "require_approval=False"),
    (
        "db.claims:admit",
        "refusal(proposal, facts, require_approval=terms.require_approval)",
        "None",
    ),
    ("db.claims:_facts", "sight.rehearsal.worse if sight.rehearsal else ()", "()"),
    ("db.gate:asked", "decisions.grounds(tx, proposal_id) if judged.facts else None", "None"),
    ("db.gate:_judged", "known.widened(fresh)", "known"),
    ("db.approvals:_approve", "by == POLICY", "False"),
    ("db.decisions:ground", "binds=rows.to_json(binds)", "binds=row['binds']"),
    ("db.gate:asked", "frozenset({proposal.proposed_by})", "frozenset()"),
    ("db.gate:asked", "bool(judged.facts) and (not undoes)", "False"),
    ("db.gate:asked", "undoes=undoes", "undoes=True"),
    ("db.gate:asked", "None if begun else proposal.scheduled_at", "None"),
    ("db.gate:asked", "usage=decisions.usage(tx, proposal_id, loaded, judged.request),", ""),
    ("db.gate:unseen", "stamp.now", "sight.observation.observed_at"),
    ("actions.approval:covers", "digest is not None and", "True or"),
    # The gate itself.
    ("actions.verdict:_readiness", "proposal.scheduled_at > facts.now", "False"),
    ("actions.verdict:_readiness", "is not ActionStatus.COMPLETED", "is None"),
    ("actions.verdict:refusal", "is not ActionStatus.VALIDATED", "is ActionStatus.EXECUTING"),
    ("actions.verdict:_switch", "facts.mode is RunMode.EXECUTE", "facts.mode in RunMode"),
    ("actions.verdict:_approval", "facts.workflow_approved and facts.workflow_covers", "True"),
    ("actions.verdict:_approval", "not require_approval", "require_approval"),
    ("actions.verdict:_compensation", "facts.workflow in _UNDONE_WORKFLOW and", "True and"),
    ("actions.verdict:_compensation", "facts.undone is ActionStatus.COMPLETED", "True"),
    # The policy.
    ("actions.policy.ruling:policy_refusal", "_denied(facts)", "None"),
    ("actions.policy.ruling:_denied", "is not Effect.DENY", "is Effect.DENY"),
    ("actions.policy.ruling:_approved", "if not refused", "if True"),
    ("actions.policy.ruling:_drifted", "drift(word.facts, facts.facts, facts.declared)", "()"),
    ("actions.policy.ruling:_limited", "usage.limits.limits", "()"),
    ("actions.policy.limits:watched", "if test(request))", "if False)"),
    ("actions.policy.limits:over_limit", "counted < limit.count", "counted <= limit.count"),
    ("actions.policy.limits:_beside", "return True", "return False"),
    ("actions.policy.limits:_beside", "return same and", "return False and"),
    ("actions.policy.limits:cooling", "now - last_at >=", "now - last_at <"),
    ("actions.policy.limits:tripped", "failures < breaker.tries", "failures <= breaker.tries"),
    ("actions.policy.limits:frozen", "inside(request.now)", "not inside(request.now)"),
    ("actions.policy.limits:missed", "due_at is not None", "due_at is None"),
    ("actions.policy.people:why_not_counted", "now >= word.expires_at", "now < word.at"),
    ("actions.policy.people:why_not_counted", "word.call == call", "word.call"),
    ("actions.policy.people:has_role", "person in members", "person"),
    ("actions.policy.people:missing", "set(people) - barred", "set(people)"),
    ("actions.policy.people:missing", "if lack > 0", "if lack > 1"),
    ("actions.policy.people:_missing_distinct", "range(demand.count)", "range(1)"),
    ("actions.policy.people:_missing_distinct", "if place not in holder", "if place < 0"),
    ("actions.policy.binding:_same", "same_json(bound.get(path), now.get(path))", "True"),
    ("actions.policy.binding:_under", "any(", "not any("),
    ("actions.policy.binding:paths_of", "_PLACE.sub(argument, path)", "path"),
    ("actions.policy.decide:decide", "not ready.test(request)", "False"),
    ("actions.policy.decide:decide", "not ready.condition(request)", "False"),
    ("actions.policy.decide:_denied", "Effect.DENY", "Effect.AUTO"),
    ("actions.policy.decide:_ruling", "unknown and", "False and"),
    ("actions.policy.sight:_fault", "not part.complete", "part.complete is None"),
    ("actions.policy.sight:_fault", "part.observed_at < oldest", "part.observed_at > newest"),
    ("actions.policy.sight:blindness", "if fault)", "if not fault)"),
    ("actions.policy.windows:freeze_test", "starts <= moment < ends", "moment < starts"),
    # What is checked once more right before the call.
    ("actions.execution:_checked", "registry.require(", "registry.get_definition("),
    (
        "actions.execution:_checked",
        "validate_action_params(definition, attempt.proposal.parameters)",
        "attempt.proposal.parameters",
    ),
    ("actions.executor:ActionExecutor._terms", "self._approval_mode", "False"),
    (
        "actions.looking:look",
        "foresee(subject, seen, call) if rehearsed else None",
        "None",
    ),
    ("actions.rehearsal:foresee", "rehearse(twin, [call])[0]", "Rehearsal()"),
    ("actions.rehearsal:widened", "_largest([known, fresh.blast])", "known"),
    ("actions.sending:may_send", "hold.why or forbidden", "forbidden"),
    ("actions.sending:may_send", "hold.why or forbidden", "hold.why"),
    # The switch, and whose a running attempt is.
    ("db.safety:_state", "RunMode(row['mode'])", "RunMode.EXECUTE"),
    ("db.safety:_state", "killed_at=rows.time_or_none(row['killed_at'])", "killed_at=None"),
    ("db.safety:state_of_claim", "_state(row) if row else", "SafetyState(RunMode.EXECUTE) or"),
    ("db.safety:set_mode", "mode=mode.value", "mode='execute'"),
    (
        "db.safety:kill",
        "tx.one('safety.kill', actor=stamp.actor, reason=reason, now=stamp.text)",
        "None",
    ),
    ("db.attempts:look", "running and row['fence'] == attempt.proposal.fence", "True"),
    ("db.attempts:look", "row['cancel_requested_at'] is not None", "False"),
    ("db.attempts:look", "row['killed_at'] is not None", "False"),
    (
        "actions.execution:_call_subject",
        "not await patiently(partial(may_send, run), clock)",
        "False",
    ),
    ("actions.sending:just_claimed", "return False", "return True"),
    ("actions.executor:ActionExecutor._terms", "self._registry.subject_name", "None"),
    ("actions.looking:look", "return Sight(define)", "return Sight()"),
    ("db.effects:refusal", "seen is None", "seen == 0"),
    ("db.effects:refusal", "held is None", "True"),
)
"""Edits that a stranger could make: a function, a piece of its text, what stands there then."""


LIKELY = {
    "db.safety:_state": ("observe mode", "kill switch"),
    "db.safety:state_of_claim": ("observe mode",),
    "db.safety:set_mode": ("observe mode",),
    "db.safety:kill": ("kill switch",),
    "db.attempts:look": (
        "taken over before it was sent",
        "called off before it was sent",
        "killed before it was sent",
    ),
    "actions.execution:_call_subject": ("taken over before it was sent",),
    "actions.sending:just_claimed": ("taken over before it was sent",),
    "actions.looking:look": ("of another call", "less safe by now"),
    "db.gate:_judged": ("larger by now",),
    "actions.rehearsal:foresee": ("less safe by now",),
    "actions.rehearsal:widened": ("larger by now",),
    "db.approvals:_approve": ("allowed in another state",),
    "db.decisions:ground": ("allowed in another state",),
    "actions.policy.ruling:_approved": ("on an old word", "drifted"),
    "actions.policy.windows:freeze_test": ("frozen for days",),
    "actions.policy.binding:paths_of": ("drifted",),
    "actions.policy.binding:_same": ("drifted",),
    "actions.policy.binding:_under": ("drifted",),
    "actions.policy.limits:_beside": ("too often", "too often anywhere"),
    "actions.policy.limits:watched": ("too often",),
    "actions.executor:ActionExecutor._terms": ("not approved", "of another cluster"),
    "actions.execution:_checked": ("not registered any more", "parameters that do not fit"),
    "actions.approval:covers": ("added after approval",),
    "db.gate:asked": ("of its proposer", "too often", "drifted", "overtaken by a freeze"),
    "db.claims:_facts": ("kill switch", "observe mode", "paused", "out of order"),
}
"""Who is asked first about what names no guard: it saves time, and decides nothing."""


def _related(mutant: Mutant) -> list[Canary]:
    """Return the canaries that a change concerns by its names."""

    def concerned(one: Canary) -> bool:
        names = [guard.rpartition(":")[2] for guard in one.guards]
        named = any(f"{name}(" in mutant.change for name in names)
        return mutant.guard in one.guards or named or one.name in LIKELY.get(mutant.guard, ())

    return [one for one in CANARIES if concerned(one)]


async def _first_dead(canaries: Sequence[Canary]) -> str:
    """Return the first canary that is not refused as it must be; empty: there is none."""
    async with scratch(LeapingClock()) as ledger:
        async for found in one_by_one(canaries, ledger):
            if not found.alive:
                return found.canary
    return ""


async def _noticed(mutant: Mutant) -> str:
    """Return which canary notices a mutant; empty: none does."""
    with pytest.MonkeyPatch.context() as patch:
        put_in_place(mutant, patch)
        load.cache_clear()  # what a policy means was worked out by the function as it was
        patch.setattr(policies, "_KEPT", {})
        related = _related(mutant)
        found = await _first_dead(related)
        # Each has a ledger of its own: one that got a policy never gets rid of it.
        others = [one for one in CANARIES if one not in related]
        return found or await _first_dead(others)


@pytest.mark.real  # all canaries, one after the other
@pytest.mark.parametrize("guard", ["actions.verdict:refusal", "actions.policy.ruling:_approved"])
async def test_a_guard_as_it_is_is_not_missed(guard: str) -> None:
    assert await _noticed(edited(guard, "def ", "def ")) == ""


@pytest.mark.timeout(20)  # a mutant that no canary notices at once goes through all of them
@pytest.mark.parametrize("mutant", MUTANTS, ids=[f"{one.guard}: {one.change}" for one in MUTANTS])
async def test_a_branch_that_is_taken_out_is_missed(mutant: Mutant) -> None:
    if (mutant.guard, mutant.change) not in NOTHING_LOST:
        assert await _noticed(mutant)


def test_what_is_not_missed_is_there() -> None:
    assert NOTHING_LOST.keys() <= {(one.guard, one.change) for one in MUTANTS}


@pytest.mark.timeout(20)
@pytest.mark.parametrize(("guard", "old", "new"), EDITS)
async def test_a_line_that_is_changed_is_missed(guard: str, old: str, new: str) -> None:
    assert await _noticed(edited(guard, old, new))
