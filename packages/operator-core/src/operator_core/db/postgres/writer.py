"""The writer: work that waits shares a transaction, and no group is ever run twice.

A commit that got no answer may have happened. So each group writes its number into the
writer's own row of ``commit_marks``: after connecting again the row tells, and waiting for the
row waits for the end of the lost transaction. A transaction id would not do: after a crash the
server may give the same id to another transaction.
"""

import psycopg

from operator_core.clock import monotonic_seconds
from operator_core.db.postgres.jobs import Job, Jobs, Terms, Worker, run_piece
from operator_core.db.postgres.line import Connection
from operator_core.db.postgres.place import begin_anew_after_loss
from operator_core.db.postgres.troubles import CommitUnknownError, is_contention, is_lost, translate
from operator_core.db.postgres.write_tx import WriteTx
from operator_core.db.work import Piece, pieces
from operator_core.errors import ConstraintError
from operator_core.logs import get_logger

log = get_logger(__name__)

MARK_STAYS_SECONDS = 20 * 3600.0
"""So long at least the mark of a commit stays; who ends takes older ones away after a day."""

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
        self._tx: WriteTx | None = None
        self._number = 0
        self._acknowledged, self._acknowledged_seconds = 0, 0.0
        super().__init__(terms, jobs, f"operator {self.chain}")

    def _greet(self, connection: Connection) -> None:
        self._tx = WriteTx(connection, self.chain)
        # What the server still runs for a connection that was lost holds locks.
        self._tx.all("session.end_others", name=self.name)
        self._require_acknowledged(connection, self._tx)

    def _require_acknowledged(self, connection: Connection, tx: WriteTx) -> None:
        """Go on only where the server has all that it has acknowledged to this writer.

        Raises:
            LedgerGoneError: it lacks some of it: the ledger has begun anew.
        """
        age_seconds = monotonic_seconds() - self._acknowledged_seconds
        if not self._acknowledged or age_seconds > MARK_STAYS_SECONDS:
            return
        tx.begin()
        row = tx.one("mark.get", writer=self.chain)
        if row is None or row["number"] < self._acknowledged:
            terms = self._terms
            raise begin_anew_after_loss(connection, terms.place, str(terms.address))

    def _committed(self) -> None:
        self._unsure = False
        self._acknowledged, self._acknowledged_seconds = self._number, monotonic_seconds()

    def _wake_others(self, tx: WriteTx) -> None:
        """Notify, apart from the transaction: its commit would wait for all others' commits."""
        tx.notify(self._terms.engine_id)

    def _leave(self, connection: Connection) -> None:
        """Remove the mark; where that fails it goes with the old ones some day."""
        tx = WriteTx(connection, self.chain)
        tx.command("SET synchronous_commit = off")
        tx.run("mark.forget", writer=self.chain)

    def _attempt(self, group: list[Job]) -> None:
        connection, tx = self._connected(), self._tx
        if tx is None or (self._unsure and self._was_committed(tx)):
            return
        try:
            if not self._run_group(connection, tx, group, apart=False):
                self._take_back(tx)
                self._run_group(connection, tx, group, apart=True)
            if all(job.error for job in group):
                self._take_back(tx)
                return
            self._commit(connection, tx)
        except psycopg.Error:
            tx.undone()
            raise

    def _take_back(self, tx: WriteTx) -> None:
        tx.give_up()
        tx.undone()

    def _run_group(
        self, connection: Connection, tx: WriteTx, group: list[Job], *, apart: bool
    ) -> bool:
        """Run the pieces in one transaction; False: one failed that must be taken back.

        Few fail after they have changed something, so savepoints are set only where one did.
        """
        self._number += 1
        tx.begin(apart=apart, alone=len(group) == 1)
        tx.command(_BEGIN)
        tx.later("mark.put", [{"writer": self.chain, "number": self._number}])
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
        harmless = not tx.is_failed() and not tx.changed
        return group_size == 1 or (len(piece.jobs) == 1 and harmless)

    def _run_apart(self, connection: Connection, tx: WriteTx, piece: Piece) -> None:
        """Run a piece that is taken back alone if it fails, with all that it left for later."""
        tx.command("SAVEPOINT piece")
        mark = tx.mark()
        if not self._run(connection, tx, piece, whole=True):
            tx.command("ROLLBACK TO piece")
            tx.rewind(mark, unlocked=True)
        tx.command("RELEASE piece")

    def _run(
        self, connection: Connection, tx: WriteTx, piece: Piece, *, whole: bool = False
    ) -> bool:
        """Run a piece, to the end if ``whole``; False: it raised, and its jobs have the error."""
        try:
            done = run_piece(piece, tx)
            if done and whole:
                tx.fetch()
        except psycopg.Error as error:
            if is_contention(error) or is_lost(error, connection):
                raise
            piece.fail(translate(error, str(self._terms.address)))
            return False
        if done and tx.is_failed():
            piece.fail(ConstraintError("a statement of this work failed, and it went on"))
            return False
        return done

    def _commit(self, connection: Connection, tx: WriteTx) -> None:
        """Store the audit, commit, and wake other processes: all in one message."""
        self._unsure = True
        tx.end()
        commit = tx.command(_COMMITTED)
        self._wake_others(tx)
        self._jobs.through()
        try:
            tx.fetch()
        except psycopg.Error as error:
            if commit.done != _COMMITTED:
                self._unsure = is_lost(error, connection)
                raise
            log.warning("ledger_change_not_told", error=str(error))  # but it is stored
        if commit.done != _COMMITTED:
            self._unsure = False
            raise psycopg.errors.TransactionRollback("the server rolled the transaction back")
        self._committed()

    def _was_committed(self, tx: WriteTx) -> bool:
        """Return whether the last commit happened, after the end of its transaction."""
        tx.begin()
        tx.command(_BEGIN)
        tx.later("mark.claim", [{"writer": self.chain}])
        row = tx.one("mark.get", writer=self.chain)
        tx.command(_COMMITTED)
        self._wake_others(tx)
        tx.fetch()
        self._unsure = False
        if row is None or row["number"] != self._number:
            return False
        self._committed()
        return True

    def _failure(self, error: Exception) -> Exception:
        if not self._unsure:
            return super()._failure(error)
        self._unsure = False  # it is told to those who wait; what comes later is sure again
        return CommitUnknownError(
            f"The connection to the ledger {self._terms.address} was lost while it stored a "
            "change, and nobody knows whether it did. Look before you do it again."
        )
