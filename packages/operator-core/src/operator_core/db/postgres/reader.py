"""The reader: reads that wait share one snapshot of what is committed."""

from functools import partial

import psycopg

from operator_core.clock import monotonic_seconds
from operator_core.db.postgres.jobs import Job, Jobs, Terms, Worker, run_piece
from operator_core.db.postgres.line import Connection
from operator_core.db.postgres.server_clock import Offset
from operator_core.db.postgres.troubles import is_contention, is_lost, translate
from operator_core.db.postgres.tx import PostgresTx
from operator_core.db.work import Piece, hand_out
from operator_core.logs import get_logger

log = get_logger(__name__)

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
            return
        looked_ago_seconds = monotonic_seconds() - self._looked_seconds
        if looked_ago_seconds > _LOOK_AT_CLOCK_SECONDS or self._offset.is_outdated():
            self._look_at_clock(tx)
        self._read(connection, tx, group)
        # What was read hangs on nothing that is still to come: nobody waits for the end.
        self._terms.post(partial(hand_out, group))
        self._end_transaction(tx)
        return

    def _read(self, connection: Connection, tx: PostgresTx, group: list[Job]) -> None:
        tx.begin()
        tx.command(_BEGIN)
        try:
            for job in group:
                run_piece(Piece([job]), tx)
        except psycopg.Error as error:
            if len(group) > 1 or is_contention(error) or is_lost(error, connection):
                raise
            group[0].error = translate(error, str(self._terms.address))

    def _end_transaction(self, tx: PostgresTx) -> None:
        try:
            tx.leave()
        except psycopg.Error as error:
            log.debug("ledger_connection_lost", worker=self.name, error=str(error))
            self._tidy(error)

    def _leave(self, connection: Connection) -> None:
        """Leave nothing behind."""

    def _look_at_clock(self, tx: PostgresTx) -> None:
        self._offset.measure(tx)
        self._looked_seconds = monotonic_seconds()
