"""Policies and requests for tests."""

from datetime import UTC, datetime
from typing import Any

from operator_core.actions.policy import LoadedPolicy, PolicyRequest, load
from operator_core.types import RiskLevel

NOON = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
"""A Wednesday."""

ROLES = """
[roles]
dba = ["alice", "bob"]
sre = ["bob", "carol"]
ghosts = []
anybody = ["*"]
"""


def asked(action: str = "evict", **changes: Any) -> PolicyRequest:  # noqa: ANN401 - any field
    """Return a request with some fields set."""
    fields: dict[str, Any] = {"now": NOON, "risk": RiskLevel.MEDIUM, "proposer": "agent"}
    if "tags" in changes:
        changes["tags"] = frozenset(changes["tags"])
    return PolicyRequest(action, **(fields | changes))


def policy(text: str) -> LoadedPolicy:
    """Return a policy with the roles of the tests."""
    return load(ROLES + text)


def one_rule(match: str, *, more: str = "", effect: str = "auto") -> LoadedPolicy:
    """Return a policy with one rule."""
    return load(
        f'unknown_blast = "as ruled"\n[[rule]]\nname = "one"\neffect = "{effect}"\n'
        f"match = {{ {match} }}\n{more}"
    )


def approving(approvals: str, more: str = "") -> LoadedPolicy:
    """Return a policy that lets everything happen on some people's word."""
    return policy(f'[[rule]]\nname = "ask"\neffect = "approve"\napprovals = {approvals}\n{more}')
