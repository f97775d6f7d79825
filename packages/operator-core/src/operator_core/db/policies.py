"""The policy in force, as functions of a transaction: a fact of the ledger, not of a process.

So whoever opens the ledger is ruled by it, with whatever executor; a ledger that never had a
policy is ruled by none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from operator_core.actions import policy
from operator_core.db import changes, rows, secrets
from operator_core.errors import NotFoundError

if TYPE_CHECKING:
    from operator_core.actions.policy import LoadedPolicy
    from operator_core.db.changes import Stamp
    from operator_core.db.engine import Row, Tx

_KEPT: dict[str, LoadedPolicy] = {}
"""Policies by their hash: what a hash says never changes."""


def in_force(tx: Tx) -> LoadedPolicy | None:
    """Return the policy in force, or None where there never was one.

    Raises:
        PolicyError: its text says nothing to this version of Operator; nothing is allowed then.
    """
    row = tx.one("policy.in_force")
    return None if row is None else by_hash(tx, row["hash"])


def expect(tx: Tx) -> None:
    """Tell that `in_force` will be asked soon."""
    tx.expect("policy.in_force")


def is_likely() -> bool:
    """Return whether this process has seen a policy: one stays in force for good, or another."""
    return bool(_KEPT)


def by_hash(tx: Tx, digest: str) -> LoadedPolicy:
    """Return a policy that is, or was, in force.

    Raises:
        NotFoundError: no policy of this hash ever was.
        PolicyError: its text says nothing to this version of Operator.
    """
    if digest not in _KEPT:
        row = tx.one("policy.get", hash=digest)
        if row is None:
            raise NotFoundError("Policy", digest)
        _KEPT[digest] = policy.load(row["text"])
    return _KEPT[digest]


def enforce(tx: Tx, loaded: LoadedPolicy, source: str, stamp: Stamp) -> Row | None:
    """Put a policy in force; None: it is in force already.

    Args:
        tx: the transaction.
        loaded: the policy.
        source: where its text was read.
        stamp: who and when.

    Raises:
        RequestError: its text holds a secret.
    """
    secrets.require_none("This policy", rows.to_json(loaded.text))
    before = tx.one("policy.in_force")
    if before is not None and before["hash"] == loaded.digest:
        return None
    tx.run("policy.retire")
    tx.run(
        "policy.enforce",
        hash=loaded.digest,
        text=loaded.text,
        source=source,
        actor=stamp.actor,
        now=stamp.text,
    )
    told = {
        "policy": loaded.digest,
        "source": source,
        "before": before["hash"] if before else None,
    }
    changes.note(tx, "policy_in_force", told, stamp)
    return told
