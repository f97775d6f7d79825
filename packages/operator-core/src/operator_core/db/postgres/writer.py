"""The writer: work that waits shares a transaction, and no group is ever run twice.

A commit that got no answer may have happened. So each group writes its number into the
writer's own row of ``commit_marks``: after connecting again the row tells, and waiting for the
row waits for the end of the lost transaction. A transaction id would not do: after a crash the
server may give the same id to another transaction.
"""

import psycopg
from psycopg.pq import TransactionStatus

from operator_core.db.postgres.jobs import Job, Jobs, Terms, Worker
from operator_core.db.postgres.troubles import CommitUnknownError, is_contention, is_lost, translate
from operator_core.db.postgres.tx import Connection, PostgresTx
from operator_core.errors import ConstraintError

_BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED"
_COMMITTED = "COMMIT"


class Writer(Worker):
    """Runs groups of writing work, each group in one durable transaction."""

    def __init__(self, terms: Terms, jobs: Jobs, number: int) -> None:
        """Start the writer.

        Args:
            terms: what it shares with the engine's other workers.
            jobs: the writing work that waits, shared by all writers.
            number: tells the engine's writers apart; each has an audit chain of its own.
        """
        self.chain = f"{terms.engine_id}.{number}"
        self._tx: PostgresTx | None = None
        self._number = 0
        self._unsure = False
        super().__init__(terms, jobs, f"operator {self.chain}")

    def _greet(self, connection: Connection) -> None:
        self._tx = PostgresTx(connection, self.chain)
        # What the server still runs for a connection that was lost holds locks.
        self._tx.all("session.end_others", name=self.name)

    def _tell(self, connection: Connection) -> None:
        """Wake other processes; apart from the commit, which a notification would serialise."""
        PostgresTx(connection).all("notify.changed", writer=self._terms.engine_id)

    def _leave(self, connection: Connection) -> None:
        """Remove the mark; where that fails it goes with the old ones some day."""
        connection.execute("SET synchronous_commit = off")
        PostgresTx(connection).run("mark.forget", writer=self.chain)

    def _attempt(self, group: list[Job]) -> None:
        connection, tx = self._connected(), self._tx
        if tx is None or (self._unsure and self._was_committed(connection, tx)):
            return
        self._begin(connection, tx)
        for job in group:
            self._run_apart(connection, tx, job)
        if all(job.error for job in group):
            connection.execute("ROLLBACK")
            return
        self._commit(connection)

    def _begin(self, connection: Connection, tx: PostgresTx) -> None:
        connection.execute(_BEGIN)
        tx.forget_locks()
        self._number += 1
        tx.run("mark.put", writer=self.chain, number=self._number)

    def _run_apart(self, connection: Connection, tx: PostgresTx, job: Job) -> None:
        connection.execute("SAVEPOINT piece")
        try:
            job.run(tx)
        except psycopg.Error as error:
            if is_contention(error) or is_lost(error, connection):
                raise
            job.error = translate(error, str(self._terms.address))
        if job.error is None and connection.info.transaction_status == TransactionStatus.INERROR:
            job.error = ConstraintError("a statement of this work failed, and it went on")
        if job.error is not None:
            connection.execute("ROLLBACK TO piece")
            tx.forget_locks()
        connection.execute("RELEASE piece")

    def _commit(self, connection: Connection) -> None:
        self._unsure = True
        try:
            done = connection.execute(_COMMITTED).statusmessage
        except psycopg.Error as error:
            self._unsure = is_lost(error, connection)
            raise
        self._unsure = False
        if done != _COMMITTED:
            raise psycopg.errors.TransactionRollback("the server rolled the transaction back")

    def _was_committed(self, connection: Connection, tx: PostgresTx) -> bool:
        """Return whether the last commit happened, after the end of its transaction."""
        connection.execute(_BEGIN)
        tx.run("mark.claim", writer=self.chain)
        row = tx.one("mark.get", writer=self.chain)
        connection.execute(_COMMITTED)
        self._unsure = False
        return row is not None and row["number"] == self._number

    def _failure(self, error: Exception) -> Exception:
        if not self._unsure:
            return super()._failure(error)
        self._unsure = False
        return CommitUnknownError(
            f"The connection to the ledger {self._terms.address} was lost while it stored a "
            "change, and nobody knows whether it did. Look before you do it again."
        )
