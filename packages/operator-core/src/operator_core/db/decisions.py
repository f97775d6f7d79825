"""What the policy said of proposals and attempts, as functions of a transaction."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from operator_core.actions.policy import BlastRadius, Decision, decide
from operator_core.actions.policy.binding import Call, Facts, facts_at, paths_of
from operator_core.actions.policy.limits import Watched, watched
from operator_core.actions.policy.request import TAKES_BACK, PolicyRequest, tags_of, target_of
from operator_core.actions.policy.ruling import PolicyFacts, Usage
from operator_core.actions.rehearsal import Rehearsal, widened
from operator_core.actions.types import ActionDefinition, ActionProposal, ActionStatus
from operator_core.clock import from_text, to_text
from operator_core.db import effects, rows
from operator_core.db.codec import decoded
from operator_core.db.damage import read_as
from operator_core.errors import ConflictError
from operator_core.types import JsonObject, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable

    from operator_core.actions.policy import LoadedPolicy
    from operator_core.db.changes import Params, Stamp
    from operator_core.db.engine import Row, Tx, Value
    from operator_core.monitor.types import Observation

VALIDATE, CLAIM = "validate", "claim"
SEEN = "seen"
"""Among what a decision binds: the facts as they were."""

LOOK_ID = "look_id"
"""Among what a decision binds: the stored look that showed them, if it was one."""

COUNTED = "counted"
"""Among the revisions of a claim: what its limits went by, so that it can be counted again."""

SOURCES = "sources"
"""Among the revisions of a claim: how each source was seen that its action needs."""

MAX_TRIES = 100
"""As many results of a remedy as any breaker looks back on."""

_LATEST = "decision.latest"
_ATTEMPTS, _LAST = "decision.attempts_since", "decision.last_of_remedy"
_HELPED = "decision.helped"


class Judged(NamedTuple):
    """What a policy is asked about a proposal, and what an approval of it is bound to.

    Attributes:
        request: what the policy is asked.
        version: of the action; 0 where its definition is not known.
        facts: the paths that an approval is bound to.
        changes: the paths that the action says it changes.
    """

    request: PolicyRequest
    version: int = 0
    facts: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()

    def among(self, suspects: tuple[str, ...]) -> Judged:
        """Return it with who else is suspected of the same."""
        if suspects == self.request.suspects:
            return self
        return self._replace(request=self.request._replace(suspects=suspects))

    def widened(self, fresh: Rehearsal | None) -> Judged:
        """Return it with what a rehearsal right before the attempt says is touched."""
        if fresh is None:
            return self
        blast = widened(self.request.blast, fresh)
        return self._replace(request=self.request._replace(blast=blast))

    def call(self, proposal: ActionProposal) -> Call:
        """Return the call that an approval covers."""
        undo = proposal.compensation
        return Call(
            proposal.action_name,
            self.version,
            proposal.parameters,
            self.request.target,
            undo.model_dump(mode="json") if undo else None,
        )

    def seen(self, observation: Observation | None) -> Facts:
        """Return the facts as an observation shows them; none where there is none."""
        return {} if observation is None else facts_at(observation, self.facts)


# --- what is asked --------------------------------------------------------------------


def judged(
    tx: Tx,
    proposal: ActionProposal,
    definition: ActionDefinition | None,
    now: datetime,
    blast: BlastRadius | None = None,
) -> Judged:
    """Return what a policy is asked about a proposal.

    Args:
        tx: the transaction.
        proposal: the proposal.
        definition: of its action; None: not known, which counts as the worst.
        now: the present moment.
        blast: how much a twin says is touched, if it was rehearsed.
    """
    severity, confidence = _of_ticket(tx, proposal.ticket_id)
    tags = frozenset({TAKES_BACK} if effects.takes_back(tx, proposal) else ())
    known = PolicyRequest("", now, severity=severity, confidence=confidence, blast=blast, tags=tags)
    return again(Judged(known), proposal, definition, now)


def _of_ticket(tx: Tx, ticket_id: int | None) -> tuple[Severity | None, float | None]:
    row = tx.one("decision.ticket", id=ticket_id) if ticket_id is not None else None
    if row is None:
        return None, None
    diagnosis: JsonObject = decoded(row["diagnosis"] or "{}")
    return Severity(row["severity"]), diagnosis.get("confidence")


def again(
    known: Judged, proposal: ActionProposal, definition: ActionDefinition | None, now: datetime
) -> Judged:
    """Return what is asked now, with what is known of the ticket and the harm from before."""
    request, parameters = known.request, proposal.parameters
    target, tags, risk = request.target, request.tags, request.risk
    if definition is not None:
        target = target_of(definition.target_parameters, parameters)
        tags = tags_of(definition) | (tags & {TAKES_BACK})
        risk = definition.risk_level
    request = request._replace(
        action=proposal.action_name,
        now=now,
        subject=proposal.subject,
        target=target,
        tags=tags,
        risk=risk,
        proposer=proposal.proposed_by,
        parameters=parameters,
    )
    if definition is None:
        return known._replace(request=request)
    return Judged(
        request,
        definition.version,
        tuple(paths_of(definition.facts, parameters)),
        tuple(paths_of(definition.changes, parameters)),
    )


# --- what was decided -----------------------------------------------------------------


class Ruling(NamedTuple):
    """A decision, what was asked, and the revisions of what it was read from."""

    asked: Judged
    decision: Decision
    revisions: JsonObject | None = None


def rule_on(
    tx: Tx, proposal_id: int, asked: Judged, loaded: LoadedPolicy, stamp: Stamp
) -> Decision:
    """Return what the policy says of a valid proposal, and write it down."""
    decision = decide(loaded, asked.request)
    note(tx, VALIDATE, proposal_id, Ruling(asked, decision), stamp)
    return decision


def note(
    tx: Tx,
    stage: str,
    proposal_id: int,
    ruling: Ruling,
    stamp: Stamp,
    *,
    seen: Observation | None = None,
) -> None:
    """Write down what was decided, and what it was read from."""
    asked, decision, request = ruling.asked, ruling.decision, ruling.asked.request
    binds = {"version": asked.version, "facts": asked.facts, "changes": asked.changes}
    if seen is not None and asked.facts:
        binds[SEEN] = asked.seen(seen)
    params: Params = {
        "proposal_id": proposal_id,
        "stage": stage,
        "now": stamp.text,
        "subject": request.subject,
        "action_name": request.action,
        "target": request.target,
        "policy_hash": decision.policy_hash,
        "rule": decision.rule,
        "effect": decision.effect.value,
        "reasons": rows.to_json(decision.reasons),
        "request": rows.to_json(request.to_json()),
        "binds": rows.to_json(binds),
        "revisions": rows.to_json(ruling.revisions or {}),
    }
    tx.later("decision.insert", [params])


def expect_latest(tx: Tx, proposal_id: int) -> None:
    """Tell that `latest` will be asked soon."""
    tx.expect(_LATEST, proposal_id=proposal_id)


def latest(tx: Tx, proposal_id: int) -> Judged | None:
    """Return what was last asked about a proposal, or None."""
    row = tx.one(_LATEST, proposal_id=proposal_id)
    return None if row is None else of_row(row)


def grounds(tx: Tx, proposal_id: int) -> Facts | None:
    """Return the facts that stood when the policy was last asked about a proposal.

    None: nobody had looked by then, or it only waits for people, whose words have their own.
    """
    row = tx.one("decision.latest_validated", proposal_id=proposal_id)
    found: Facts | None = decoded(row["binds"]).get(SEEN) if row else None
    return found


def ground(tx: Tx, proposal_id: int, look: Observation) -> bool:
    """Bind what the policy allows by itself to the facts of a look, unless it is bound already."""
    row = tx.one("decision.latest_validated", proposal_id=proposal_id)
    judged = of_row(row) if row else None
    if row is None or judged is None or not judged.facts or SEEN in decoded(row["binds"]):
        return False
    binds = decoded(row["binds"]) | {SEEN: judged.seen(look), LOOK_ID: look.id}
    tx.run("decision.ground", id=row["id"], binds=rows.to_json(binds))
    return True


def require_asked(tx: Tx, steps: Iterable[ActionProposal]) -> None:
    """Refuse what no policy was ever asked about although it is valid.

    It was found valid before the first policy came into force, and nothing asks again for it.

    Raises:
        ConflictError: there is such a step.
    """
    for step in steps:
        if step.status is ActionStatus.VALIDATED and latest(tx, int(step.id or 0)) is None:
            raise ConflictError(
                f"Proposal {step.id} was found valid before a policy was in force, so no policy "
                f"was asked about it. Cancel it (`operator actions cancel {step.id}`) and propose "
                "it again."
            )


@read_as("Decision")
def of_row(row: Row) -> Judged:
    """Return what was asked, of a row of the ledger."""
    binds: JsonObject = decoded(row["binds"])
    request = PolicyRequest.of_json(decoded(row["request"]))
    return Judged(request, binds["version"], tuple(binds["facts"]), tuple(binds["changes"]))


# --- what was done before -------------------------------------------------------------


def usage(tx: Tx, proposal_id: int, loaded: LoadedPolicy, request: PolicyRequest) -> Usage:
    """Return what the limits on a request need to know of earlier attempts."""
    limits = watched(loaded, request)
    questions = _questions(limits, proposal_id, request)
    for name, params in questions.items():
        tx.expect(name, **params)
    found = {name: tx.all(name, **params) for name, params in questions.items()}
    last, past = found.get(_LAST), found.get(_ATTEMPTS, ())
    return Usage(
        limits,
        [PolicyRequest.of_json(decoded(row["request"])) for row in past],
        from_text(last[0]["at"]) if last else None,
        [bool(row["helped"]) for row in found.get(_HELPED, ())],
        max((row["id"] for row in past), default=0),
    )


def counted(facts: PolicyFacts) -> JsonObject:
    """Return what the limits on an attempt go by, and since when there are other suspects.

    Args:
        facts: what the policy looks at.
    """
    usage, limits = facts.usage, facts.usage.limits
    found: JsonObject = {}
    if limits.limits:
        found["to"] = usage.counted_to
    if limits.cooldown is not None:
        found["last_at"] = rows.text_or_none(usage.last_at)
    if limits.breaker is not None:
        found["helped"] = list(usage.helped)
    if facts.suspected_at is not None:
        found["suspected_at"] = to_text(facts.suspected_at)
    return found


def _questions(
    limits: Watched, proposal_id: int, request: PolicyRequest
) -> dict[str, dict[str, Value]]:
    """Return what limits need to ask of earlier attempts: statements with their parameters."""
    asked: dict[str, dict[str, Value]] = {}
    remedy: dict[str, Value] = {
        "action_name": request.action,
        "target": request.target,
        "subject": request.subject,
    }
    if limits.limits:
        longest = max(limit.per_seconds for limit, _ in limits.limits)
        asked[_ATTEMPTS] = {"since": _before(request.now, longest)}
    if limits.cooldown is not None:
        since = _before(request.now, limits.cooldown.seconds)
        asked[_LAST] = {"since": since, "proposal_id": proposal_id, **remedy}
    if limits.breaker is not None:
        since = _before(request.now, limits.breaker.within_seconds)
        asked[_HELPED] = {"since": since, "limit": MAX_TRIES, **remedy}
    return asked


def _before(now: datetime, seconds: float) -> str:
    return to_text(now - timedelta(seconds=seconds))


def set_helped(tx: Tx, proposal_id: int, *, helped: bool) -> None:
    """Write down whether the last attempt at a proposal helped, as its verification found."""
    tx.run("decision.set_helped", proposal_id=proposal_id, helped=int(helped))


def judge_ticket(tx: Tx, ticket: Row, *, helped: bool) -> None:
    """Write down whether what was done for a ticket since its diagnosis helped."""
    if ticket["diagnosed_at"] is not None:
        tx.run(
            "decision.judge_ticket",
            ticket_id=ticket["id"],
            since=ticket["diagnosed_at"],
            helped=int(helped),
        )
