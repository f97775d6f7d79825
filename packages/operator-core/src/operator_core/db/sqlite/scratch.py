"""A ledger in memory that nobody needs afterwards: work is done at once, by who asks for it.

It is the engine of ledger files without its thread: the same statements, groups of one. To hand
a piece of work to a thread and back costs more than most pieces themselves.
"""

from pathlib import Path

from operator_core.db.sqlite.connection import connect_to_memory
from operator_core.db.sqlite.engine import SqliteEngine
from operator_core.db.sqlite.writer import Writer
from operator_core.db.work import Job


class ScratchEngine(SqliteEngine):
    """One ledger in memory, owned by one event loop and gone when it is closed."""

    def __init__(self, now: str) -> None:
        """Make the ledger.

        Args:
            now: the present moment as text.

        Raises:
            LedgerError: it cannot be made.
        """
        super().__init__(Path(":memory:"))
        self._memory = Writer(self.path, connect_to_memory(now))

    async def close(self) -> None:
        """Let go of the memory."""
        self._memory.close()

    def _put(self, job: Job) -> None:
        self._memory.serve([job])
        job.settle()

    def _put_item(self, job: Job) -> None:
        self._put(job)
