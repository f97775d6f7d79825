"""`DispatchDB`: what may be started at one moment, in one look at the ledger."""

from collections.abc import Sequence
from dataclasses import dataclass

from operator_core.actions.types import ActionProposal, SafetyMode
from operator_core.db import rows, safety
from operator_core.db.engine import Row, Tx, Value
from operator_core.db.store import Store


@dataclass(frozen=True)
class Startable:
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

        def work(tx: Tx) -> tuple[list[Row], list[Row]] | None:
            if safety.state(tx).mode is not SafetyMode.EXECUTE:
                return None  # a reset for retry must not burn anything while nothing may run
            ready = tx.all("proposal.resend_due", **given) + tx.all("proposal.ready", **given)
            return tx.all("proposal.retry_eligible", now=now), ready[:limit]

        found = await self._read(work)
        if found is None:
            return Startable()
        failed, ready = found
        mine = [rows.proposal(row) for row in failed if row["subject"] in (subject, None)]
        return Startable(may_act=True, retries=mine, ready=[rows.proposal(row) for row in ready])
