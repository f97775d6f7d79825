"""`PolicyDB`: the policy in force, what it decided, and who approved what."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from operator_core.actions.policy.limits import missed
from operator_core.clock import to_text
from operator_core.db import approvals, decisions, policies, proposals, rows, safety, withdrawals
from operator_core.db.damage import read_as
from operator_core.db.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from operator_core.actions.policy import Decision, LoadedPolicy, PolicyRequest
    from operator_core.actions.policy.words import Demand
    from operator_core.db.changes import Stamp
    from operator_core.db.engine import Row, Tx
    from operator_core.types import JsonObject

_PAGE = 1000


class Standing(NamedTuple):
    """How an approval stands.

    Attributes:
        decisions: what the policy in force says of each step now; none before validation.
        lacks: whose word is still needed.
        words: every word that was given, as rows, with why those that ended did.
    """

    decisions: tuple[Decision, ...]
    lacks: tuple[Demand, ...]
    words: tuple[Row, ...]


class Past(NamedTuple):
    """One decision of the past: for which proposal, and what was asked."""

    proposal_id: int
    request: PolicyRequest
    policy_hash: str
    rule: str
    effect: str


class PolicyDB(Store):
    """Policies, decisions and approvals; each method is one durable transaction."""

    async def in_force(self) -> LoadedPolicy | None:
        """Return the policy in force, or None where there never was one."""
        return await self._read(policies.in_force)

    async def list_policies(self) -> list[JsonObject]:
        """Return every policy that is, or was, in force, oldest first."""
        return await self._read(lambda tx: tx.all("policy.list"))

    async def enforce(self, loaded: LoadedPolicy, *, source: str, actor: str) -> bool:
        """Put a policy in force, and let all that waits be approved as it says.

        Args:
            loaded: the policy.
            source: where its text was read.
            actor: who does it.

        Returns:
            Whether it was not in force before.
        """

        def work(tx: Tx) -> bool:
            safety.state(tx)  # waits for the claims that go on, which ask the one before
            stamp = self._stamp(actor)
            if not policies.enforce(tx, loaded, source, stamp):
                return False
            withdrawals.follow_policy(tx, loaded, stamp)
            return True

        return await self._write(work)

    async def decide_again(self, *, subject: str | None) -> list[int]:
        """Let the policy allow anew what it allowed for a state that is gone.

        What is for a ticket waits until a later look has shown that its problem is still there.

        Args:
            subject: only what is for this cluster; None: all.

        Returns:
            The proposals that are approved since.
        """
        stamp = self._stamp("system")
        found = await self._read(lambda tx: tx.all("decision.undecided", subject=subject))
        return await self._write(lambda tx: _settled(tx, found, stamp)) if found else []

    async def decisions_of(self, proposal_id: int) -> list[Row]:
        """Return what was decided about a proposal, oldest first."""
        return await self._read(lambda tx: tx.all("decision.list", proposal_id=proposal_id))

    async def latest_request(self, proposal_id: int) -> PolicyRequest | None:
        """Return what was last asked about a proposal, or None."""
        judged = await self._read(lambda tx: decisions.latest(tx, proposal_id))
        return judged.request if judged else None

    async def standing(self, kind: str, row_id: int) -> Standing:
        """Return how the approval of a ``proposal`` or ``workflow`` stands.

        Raises:
            NotFoundError: there is no such row.
        """
        stamp = self._stamp("system")

        def work(tx: Tx) -> Standing:
            loaded, owner = policies.in_force(tx), approvals.owner_of(tx, kind, row_id)
            words = tuple(approvals.words_of(tx, kind, row_id, ended=True))
            case = approvals.case_of(tx, owner, loaded, stamp) if loaded else None
            if case is None:
                return Standing((), (), words)
            people = [word["approver"] for word in words if word["ended_at"] is None]
            return Standing(case.decisions, case.lacks(people), words)

        return await self._read(work)

    async def decided_since(self, since: datetime) -> list[Past]:
        """Return the decisions about proposals since a moment, oldest first."""
        found: list[Row] = []
        while True:
            after = found[-1]["id"] if found else 0
            page = await self._page(to_text(since), after)
            found += page
            if len(page) < _PAGE:
                return [_past(row) for row in found]

    async def _page(self, since: str, after_id: int) -> list[Row]:
        return await self._read(
            lambda tx: tx.all("decision.between", since=since, after_id=after_id, limit=_PAGE)
        )

    async def set_helped(self, proposal_id: int, *, helped: bool) -> None:
        """Write down whether the last attempt at a proposal helped: breakers count it."""
        await self._write(lambda tx: decisions.set_helped(tx, proposal_id, helped=helped))

    async def collect(self, *, actor: str = "agent") -> list[int]:
        """End what is over: approvals that have expired, and what a freeze has overtaken.

        Returns:
            The proposals that were cancelled.
        """
        stamp = self._stamp(actor)
        due = await self._read(lambda tx: _over(tx, stamp.now, stamp.text))
        if not due:
            return []

        def work(tx: Tx) -> list[int]:
            withdrawals.collect_expired(tx, stamp)
            late = _overtaken(tx, stamp.now, stamp.text)
            for proposal_id, reason in late.items():
                proposals.cancel(tx, proposal_id, reason, stamp)
            return list(late)

        return await self._write(work)


def _settled(tx: Tx, found: Iterable[Row], stamp: Stamp) -> list[int]:
    loaded = policies.in_force(tx)
    if loaded is None:
        return []
    done = []
    for row in found:
        kind = "proposal" if row["workflow_id"] is None else "workflow"
        owner = approvals.settle(tx, kind, row["workflow_id"] or row["id"], loaded, stamp)
        done += [row["id"]] if owner["approved_at"] is not None else []
    return done


@read_as("Policy")
def _past(row: Row) -> Past:
    judged = decisions.of_row(row)
    names = ("proposal_id", "policy_hash", "rule", "effect")
    return Past(request=judged.request, **{name: row[name] for name in names})


def _over(tx: Tx, now: datetime, text: str) -> bool:
    return bool(tx.all("approval.expired", now=text) or _overtaken(tx, now, text))


def _overtaken(tx: Tx, now: datetime, text: str) -> dict[int, str]:
    """Return the proposals that were due in a freeze that is over, with the reasons."""
    loaded = policies.in_force(tx)
    if loaded is None or not loaded.freezes:
        return {}
    found = {}
    for row in tx.all("proposal.ready_scheduled", now=text):
        proposal, known = rows.proposal(row), decisions.latest(tx, row["id"])
        fresh = proposal.fence == 0 and proposal.execution_order == 0
        if known is None or not fresh:
            continue
        request = decisions.again(known, proposal, None, now).request
        reason = missed(loaded, request, proposal.scheduled_at)
        if reason and not any(inside(now) for _, _, inside in loaded.freezes):
            found[int(row["id"])] = reason
    return found
