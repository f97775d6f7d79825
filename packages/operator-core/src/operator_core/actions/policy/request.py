"""What a policy is asked, and what it answers."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from operator_core.actions.policy.effect import DAY_SECONDS, Effect
from operator_core.actions.types import WHOLE_SUBJECT, ActionDefinition, ActionType
from operator_core.clock import from_text, to_text
from operator_core.twin import BlastRadius
from operator_core.types import JsonObject, RiskLevel, Severity

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from operator_core.actions.policy.words import Demand

__all__ = ["BlastRadius", "Decision", "PolicyRequest", "tags_of", "target_of"]

HARMLESS_TAGS = frozenset({"read-only", "restores-sight"})
"""What only looks, or helps to look: no harm can come of it."""

TAKES_BACK = "takes-back"
"""The tag of what undoes a temporary effect of Operator's own; only the ledger gives it."""

NO_BLAST = BlastRadius()


class PolicyRequest(NamedTuple):
    """What somebody wants done, with all that a rule may look at.

    Attributes:
        action: the action's name.
        subject: the cluster.
        target: what on it is acted on, see `target_of`.
        tags: what kind of action it is, see `tags_of`.
        risk: the harm that it can do.
        proposer: who proposed it.
        parameters: its arguments.
        severity: of the ticket that it is for, if any.
        confidence: of the diagnosis that it comes from, 0 to 1, if any.
        blast: how much is touched, if a twin knows.
        now: the moment that it is asked for.
        suspects: who else is suspected of the same, where it is not clear who it is.
    """

    action: str
    now: datetime
    subject: str | None = None
    target: str = ""
    tags: frozenset[str] = frozenset()
    risk: RiskLevel = RiskLevel.CRITICAL
    proposer: str = ""
    parameters: Mapping[str, object] = MappingProxyType({})
    severity: Severity | None = None
    confidence: float | None = None
    blast: BlastRadius | None = None
    suspects: tuple[str, ...] = ()

    @property
    def harmless(self) -> bool:
        """Whether it only looks, or helps to look."""
        return not HARMLESS_TAGS.isdisjoint(self.tags)

    @property
    def takes_back(self) -> bool:
        """Whether it only takes back a temporary effect of Operator's own."""
        return TAKES_BACK in self.tags

    def at(self, now: datetime) -> PolicyRequest:
        """Return the same request at another moment."""
        return self._replace(now=now)

    def to_json(self) -> JsonObject:
        """Return it as JSON, for the ledger."""
        return {
            "action": self.action,
            "now": to_text(self.now),
            "subject": self.subject,
            "target": self.target,
            "tags": sorted(self.tags),
            "risk": self.risk.value,
            "proposer": self.proposer,
            "parameters": dict(self.parameters),
            "severity": self.severity.value if self.severity else None,
            "confidence": self.confidence,
            "blast": self.blast._asdict() if self.blast else None,
            "suspects": list(self.suspects),
        }

    @classmethod
    def of_json(cls, data: JsonObject) -> PolicyRequest:
        """Return the request that `to_json` wrote down."""
        return cls(
            action=data["action"],
            now=from_text(data["now"]),
            subject=data["subject"],
            target=data["target"],
            tags=frozenset(data["tags"]),
            risk=RiskLevel(data["risk"]),
            proposer=data["proposer"],
            parameters=data["parameters"],
            severity=Severity(data["severity"]) if data["severity"] else None,
            confidence=data["confidence"],
            blast=BlastRadius(**data["blast"]) if data["blast"] else None,
            suspects=tuple(data.get("suspects", ())),
        )


class Decision(NamedTuple):
    """What a policy says of a request.

    Attributes:
        effect: denied, allowed as it is, or on people's word.
        rule: the rule that decided; empty where none matched.
        reasons: why, for people.
        policy_hash: which policy said so.
        approvals: whose word it takes.
        distinct: whether nobody may stand for two roles.
        proposer_may_approve: whether the proposer is one of those people.
        expires_seconds: how long a word holds.
    """

    effect: Effect
    rule: str
    reasons: tuple[str, ...]
    policy_hash: str
    approvals: tuple[Demand, ...] = ()
    distinct: bool = True
    proposer_may_approve: bool = False
    expires_seconds: float = DAY_SECONDS

    @property
    def told(self) -> str:
        """What was decided, in words."""
        words = {Effect.DENY: "denied", Effect.AUTO: "allowed", Effect.APPROVE: "to be approved"}
        rule = f", rule {self.rule!r}" if self.rule else ""
        reasons = f": {'; '.join(self.reasons)}" if self.reasons else ""
        return f"{words[self.effect]} by the policy{rule}{reasons}"


def tags_of(definition: ActionDefinition) -> frozenset[str]:
    """Return an action's tags, with those that its other properties say."""
    is_tool = definition.action_type is ActionType.TOOL
    said = {
        "disruptive": definition.disruptive,
        "idempotent": definition.idempotent,
        "restores-sight": definition.restores_sight,
        "tool": is_tool,
        "read-only": is_tool,  # a tool has no effect outside the ledger
    }
    own = set(definition.tags) - {TAKES_BACK}  # nobody says that of their own action
    return frozenset([*own, *(tag for tag, holds in said.items() if holds)])


def target_of(names: tuple[str, ...], parameters: Mapping[str, object]) -> str:
    """Return what a call acts on, such as ``store_id=4``.

    Args:
        names: the parameters that say it; all of them where none is named.
        parameters: the arguments of the call.
    """
    if names == WHOLE_SUBJECT:
        return "*"
    return ",".join(f"{name}={parameters.get(name)}" for name in names or sorted(parameters))
