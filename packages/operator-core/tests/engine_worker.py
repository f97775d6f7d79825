"""A process that executes what is ready in a ledger, for tests that race or kill processes.

Arguments: the ledger, the file where effects are counted, the fake's mode, the lease in seconds.
"""

import asyncio
import sys
from pathlib import Path

from operator_core.actions.audit import ActionAuditor
from operator_core.actions.executor import ActionExecutor
from operator_core.actions.registry import ActionRegistry
from operator_core.actions.safety import SafetyController
from operator_core.db.actions import ActionDB
from operator_core.db.ledger import LedgerAddress
from operator_core.errors import ConflictError
from operator_core.testing.fakes import FakeSubject, Mode


async def work(ledger: LedgerAddress, effects: Path, mode: Mode, lease_seconds: float) -> None:
    """Execute until nothing is ready any more."""
    subject = FakeSubject(mode=mode, effects_file=effects)
    async with ActionDB(ledger) as db:
        auditor = ActionAuditor(db.ledger)
        safety = SafetyController(db.ledger, auditor)
        registry = ActionRegistry(subject)
        executor = ActionExecutor(
            db.ledger, registry, safety, auditor, approval_mode=False, lease_seconds=lease_seconds
        )
        while ready := await db.list_ready(limit=50):
            calls = [_try(executor, one.id or 0, subject) for one in ready]
            await asyncio.gather(*calls)


async def _try(executor: ActionExecutor, proposal_id: int, subject: FakeSubject) -> None:
    try:
        await executor.execute_proposal(proposal_id, subject)
    except ConflictError:
        return  # the other one was first


if __name__ == "__main__":
    asyncio.run(work(sys.argv[1], Path(sys.argv[2]), Mode(sys.argv[3]), float(sys.argv[4])))
