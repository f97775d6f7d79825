"""The reader: reads that wait share one snapshot of what is committed."""

import psycopg

from operator_core.clock import monotonic_seconds
from operator_core.db.postgres.jobs import Job, Jobs, Terms, Worker, run_piece
from operator_core.db.postgres.line import Connection
from operator_core.db.postgres.server_clock import Offset
from operator_core.db.postgres.troubles import is_contention, is_lost, translate
from operator_core.db.postgres.tx import PostgresTx
from operator_core.db.work import Piece

_BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_LOOK_AT_CLOCK_SECONDS = 30.0


class Reader(Worker):
    """Runs reading work, and keeps an eye on the server's clock."""

    def __init__(self, terms: Terms, jobs: Jobs, offset: Offset) -> None:
        """Start the reader.

        Args:
            terms: what it shares with the engine's other workers.
            jobs: the reading work that waits.
            offset: where it notes how far the server's clock is off this machine's.
        """
        self._tx: PostgresTx | None = None
        self._offset = offset
        self._looked_seconds = 0.0
        super().__init__(terms, jobs, f"operator {terms.engine_id} reads")

    def _greet(self, connection: Connection) -> None:
        self._tx = PostgresTx(connection)
        self._look_at_clock(self._tx)

    def _attempt(self, group: list[Job]) -> None:
        connection, tx = self._connected(), self._tx
        if tx is None:
            return None
        looked_ago_seconds = monotonic_seconds() - self._looked_seconds
        if looked_ago_seconds > _LOOK_AT_CLOCK_SECONDS or self._offset.is_outdated():
            self._look_at_clock(tx)
        if len(group) == 1:
            return self._alone(connection, tx, group[0])
        tx.begin()
        tx.command(_BEGIN)
        for job in group:
            run_piece(Piece([job]), tx)
        tx.command("COMMIT")
        tx.fetch()
        return None

    def _alone(self, connection: Connection, tx: PostgresTx, job: Job) -> None:
        tx.begin()
        tx.command(_BEGIN)
        try:
            run_piece(Piece([job]), tx)
        except psycopg.Error as error:
            if is_contention(error) or is_lost(error, connection):
                raise
            job.error = translate(error, str(self._terms.address))
        tx.give_up()

    def _leave(self, connection: Connection) -> None:
        """Leave nothing behind."""

    def _look_at_clock(self, tx: PostgresTx) -> None:
        self._offset.measure(tx)
        self._looked_seconds = monotonic_seconds()
