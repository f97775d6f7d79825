"""`DispatchDB`: what may be started at one moment, in one look at the ledger."""

from collections.abc import Sequence
from typing import NamedTuple

from operator_core.actions.types import ActionProposal
from operator_core.db import rows
from operator_core.db.engine import Tx, Value
from operator_core.db.store import Store
from operator_core.types import RunMode


class Startable(NamedTuple):
    """What may be started at one moment.

    Attributes:
        may_act: whether Operator may act at all.
        retries: what failed and is to be tried again now.
        ready: what can be claimed now: first what is to be sent again, then as it is due.
    """

    may_act: bool = False
    retries: Sequence[ActionProposal] = ()
    ready: Sequence[ActionProposal] = ()


class DispatchDB(Store):
    """What an agent asks after each wake: in one question, because each takes its time."""

    async def startable(self, subject: str, *, limit: int) -> Startable:
        """Return what may be started on a subject, or on nobody's; nothing unless Operator may act.

        Args:
            subject: the cluster.
            limit: how much that is ready is returned at most.
        """
        now = self.ledger.now_text()
        given: dict[str, Value] = {"now": now, "subject": subject, "limit": limit}

        def work(tx: Tx) -> Startable:
            tx.expect("dispatch.look", now=now)
            tx.expect("proposal.ready", **given)
            look = tx.one("dispatch.look", now=now)
            if look is None or look["mode"] != RunMode.EXECUTE:
                return Startable()  # a reset for retry must not burn anything while nothing may run
            failed = tx.all("proposal.retry_eligible", now=now) if look["has_retries"] else []
            again = tx.all("proposal.resend_due", **given) if look["has_resends"] else []
            ready = [*again, *tx.all("proposal.ready", **given)][:limit]
            mine = [rows.proposal(row) for row in failed if row["subject"] in (subject, None)]
            return Startable(may_act=True, retries=mine, ready=list(map(rows.proposal, ready)))

        return await self._read(work)

    async def next_due_at(self) -> str | None:
        """Return when the next proposal, retry or schedule becomes due, as text."""
        now = self.ledger.now_text()
        row = await self._read(lambda tx: tx.one("proposal.next_due", now=now))
        return row["due"] if row else None
