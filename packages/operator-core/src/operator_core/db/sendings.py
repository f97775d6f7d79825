"""Whether attempts that were claimed may still be sent, or go on: reads on items."""

from collections.abc import Sequence
from typing import NamedTuple

from operator_core.db import attempts, gate, policies
from operator_core.db.attempts import Hold
from operator_core.db.changes import Stamp
from operator_core.db.claims import Attempt
from operator_core.db.engine import Tx
from operator_core.db.gate import Sight


class Sending(NamedTuple):
    """An attempt that was claimed some time ago and is to be sent now.

    Attributes:
        attempt: what was claimed.
        sight: what its executor knew when it claimed.
        stamp: who asks, and when.
    """

    attempt: Attempt
    sight: Sight
    stamp: Stamp


class Clearance(NamedTuple):
    """What the ledger says of a sending: how its owner stands to it, and why it may not be sent."""

    hold: Hold
    forbidden: str


def look_each(tx: Tx, items: Sequence[Attempt]) -> list[Hold]:
    """Return of each attempt whether it is still its owner's, and whether it is asked to stop."""
    for one in items:
        attempts.expect_look(tx, one)
    return [attempts.look(tx, one) for one in items]


def clearance_each(tx: Tx, items: Sequence[Sending]) -> list[Clearance]:
    """Return of each attempt whether it may be sent; one snapshot tells it all."""
    gate.expect_rules(tx)
    for one in items:
        attempts.expect_look(tx, one.attempt)
        if policies.is_likely():
            gate.expect(tx, one.attempt.proposal_id)
    rules = gate.rules(tx)
    return [
        Clearance(
            attempts.look(tx, one.attempt),
            gate.overtaken(tx, one.attempt.proposal, one.sight, rules, one.stamp),
        )
        for one in items
    ]
