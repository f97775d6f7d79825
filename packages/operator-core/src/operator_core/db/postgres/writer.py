"""The writer: work that waits shares a transaction, and no group is ever run twice.

A commit that got no answer may have happened. So each group writes its number into the
writer's own row of ``commit_marks``: after connecting again the row tells, and waiting for the
row waits for the end of the lost transaction. A transaction id would not do: after a crash the
server may give the same id to another transaction.
"""

from typing import Any, LiteralString

import psycopg
from psycopg import Cursor
from psycopg.pq import TransactionStatus

from operator_core.db.postgres.jobs import Job, Jobs, Terms, Worker, run_piece
from operator_core.db.postgres.troubles import CommitUnknownError, is_contention, is_lost, translate
from operator_core.db.postgres.tx import Connection, PostgresTx
from operator_core.db.postgres.write_tx import WriteTx
from operator_core.db.work import Piece, pieces
from operator_core.errors import ConstraintError
from operator_core.logs import get_logger

log = get_logger(__name__)

_BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED"
_COMMITTED = "COMMIT"
_ROLLBACK = "ROLLBACK"


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
        self._tx: WriteTx | None = None
        self._number = 0
        super().__init__(terms, jobs, f"operator {self.chain}")

    def _greet(self, connection: Connection) -> None:
        self._tx = WriteTx(connection, self.chain)
        # What the server still runs for a connection that was lost holds locks.
        self._tx.all("session.end_others", name=self.name)

    def _wake_others(self, connection: Connection) -> None:
        """Notify, apart from the transaction: its commit would wait for all others' commits."""
        PostgresTx(connection).run("notify.changed", writer=self._terms.engine_id)

    def _leave(self, connection: Connection) -> None:
        """Remove the mark; where that fails it goes with the old ones some day."""
        _say(connection, "SET synchronous_commit = off")
        PostgresTx(connection).run("mark.forget", writer=self.chain)

    def _attempt(self, group: list[Job]) -> None:
        connection, tx = self._connected(), self._tx
        if tx is None or (self._unsure and self._was_committed(connection, tx)):
            return
        try:
            if not self._run_group(connection, tx, group, apart=False):
                _say(connection, _ROLLBACK)
                tx.undone()
                self._run_group(connection, tx, group, apart=True)
            if all(job.error for job in group):
                _say(connection, _ROLLBACK)
                tx.undone()
                return
            self._commit(connection, tx)
        except psycopg.Error:
            tx.undone()
            raise

    def _run_group(
        self, connection: Connection, tx: WriteTx, group: list[Job], *, apart: bool
    ) -> bool:
        """Run the pieces in one transaction; False: one failed that must be taken back.

        Few fail after they have changed something, so savepoints are set only where one did.
        """
        tx.begin()
        self._number += 1
        with connection.pipeline():
            _say(connection, _BEGIN)
            tx.run("mark.put", writer=self.chain, number=self._number)
        if apart:
            for job in group:
                self._run_apart(connection, tx, Piece([job]))
            return True
        found = pieces(group)
        return all(self._run_with_others(connection, tx, piece, len(group)) for piece in found)

    def _run_with_others(
        self, connection: Connection, tx: WriteTx, piece: Piece, group_size: int
    ) -> bool:
        """Run a piece; False: it failed and somebody else would suffer from it."""
        mark = tx.mark()
        if self._run(connection, tx, piece):
            return True
        tx.rewind(mark, unlocked=False)
        usable = connection.info.transaction_status == TransactionStatus.INTRANS
        return group_size == 1 or (len(piece.jobs) == 1 and usable and not tx.changed)

    def _run_apart(self, connection: Connection, tx: WriteTx, piece: Piece) -> None:
        """Run a piece that is taken back alone if it fails."""
        _say(connection, "SAVEPOINT piece")
        mark = tx.mark()
        if not self._run(connection, tx, piece):
            _say(connection, "ROLLBACK TO piece")
            tx.rewind(mark, unlocked=True)
        _say(connection, "RELEASE piece")

    def _run(self, connection: Connection, tx: WriteTx, piece: Piece) -> bool:
        """Run a piece; False: it raised, and its jobs have the error."""
        try:
            done = run_piece(piece, tx)
        except psycopg.Error as error:
            if is_contention(error) or is_lost(error, connection):
                raise
            piece.fail(translate(error, str(self._terms.address)))
            return False
        if done and connection.info.transaction_status == TransactionStatus.INERROR:
            piece.fail(ConstraintError("a statement of this work failed, and it went on"))
            return False
        return done

    def _commit(self, connection: Connection, tx: WriteTx) -> None:
        """Store the audit, commit, and wake other processes: all in one message."""
        self._unsure, done = True, None
        try:
            with connection.pipeline():
                tx.end()
                done = _say(connection, _COMMITTED)
                self._wake_others(connection)
        except psycopg.Error as error:
            if done is None or done.statusmessage != _COMMITTED:
                self._unsure = is_lost(error, connection)
                raise
            log.warning("ledger_change_not_told", error=str(error))  # but it is stored
        self._unsure = False
        if done.statusmessage != _COMMITTED:
            raise psycopg.errors.TransactionRollback("the server rolled the transaction back")

    def _was_committed(self, connection: Connection, tx: WriteTx) -> bool:
        """Return whether the last commit happened, after the end of its transaction."""
        _say(connection, _BEGIN)
        tx.run("mark.claim", writer=self.chain)
        row = tx.one("mark.get", writer=self.chain)
        _say(connection, _COMMITTED)
        self._unsure = False
        self._wake_others(connection)
        return row is not None and row["number"] == self._number

    def _failure(self, error: Exception) -> Exception:
        if not self._unsure:
            return super()._failure(error)
        self._unsure = False  # it is told to those who wait; what comes later is sure again
        return CommitUnknownError(
            f"The connection to the ledger {self._terms.address} was lost while it stored a "
            "change, and nobody knows whether it did. Look before you do it again."
        )


def _say(connection: Connection, command: LiteralString) -> Cursor[Any]:
    """Send a command that is no statement; the cursor has what the server says it did."""
    return connection.execute(command, prepare=False)
