"""Pieces of work, and the thread with one connection that serves them."""

import queue
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import psycopg
from tenacity import RetryCallState, Retrying, retry_if_exception, wait_random_exponential

from operator_core.clock import block, monotonic_seconds
from operator_core.db import work
from operator_core.db.engine import ItemWork, Tx
from operator_core.db.postgres.connection import Address
from operator_core.db.postgres.line import Connection
from operator_core.db.postgres.place import require_same
from operator_core.db.postgres.troubles import is_contention, is_lost, translate
from operator_core.db.work import Piece
from operator_core.logs import get_logger

log = get_logger(__name__)

_FIRST_PAUSE_SECONDS = 0.02
_LONGEST_PAUSE_SECONDS = 1.0
_GATHER_SECONDS = 0.01
"""How long work gathers for the next worker while the one before is not through with its own."""


class Job(work.Job):
    """One caller's piece of work, and since when it waits."""

    __slots__ = ("submitted_seconds",)

    def __init__(
        self,
        plain: Callable[[Tx], object] | None = None,
        *,
        items: ItemWork[Any, object] | None = None,
        item: object = None,
    ) -> None:
        """Take plain work, or work on items and this caller's item."""
        super().__init__(plain, items=items, item=item)
        self.submitted_seconds = monotonic_seconds()


def run_piece(piece: Piece, tx: Tx) -> bool:
    """Run a piece and keep how it ended; False: it raised, so all it did must be taken back.

    Raises:
        psycopg.Error: a statement failed for no reason of the work's.
        MemoryError: nobody knows where it was broken off, perhaps in the driver.
    """
    try:
        piece.run(tx)
    except (psycopg.Error, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001 - handed to the caller, who asked for the work
        piece.fail(error)
        return False
    return True


class Jobs:
    """Work that waits for workers, of which one at a time takes all of it.

    Where two were woken by the same burst of work, one of them would get next to nothing, and a
    transaction of its own for it. The next one takes work once the one before is through with
    its own and waits for the disk: they share an interpreter, so sooner it would only get less.
    """

    def __init__(self) -> None:
        """Begin with nothing that waits."""
        self._waiting: queue.SimpleQueue[Sequence[Job]] = queue.SimpleQueue()
        self._turn = threading.Lock()
        self._through = threading.Event()
        self._through.set()
        self._taker = 0

    def put(self, *jobs: Job) -> None:
        """Let jobs wait, which one worker takes together; none: the worker that takes it ends."""
        self._waiting.put(jobs)

    def take(self, group: list[Job], enough: int) -> None:
        """Wait for work and put what waits into a group; none: the worker ends.

        A worker that stands still, before a lock for example, holds up the next one for a moment.

        Args:
            group: gets the jobs; what breaks this off leaves in it what was taken.
            enough: with how many jobs it stops to look for more.
        """
        with self._turn:
            group += self._waiting.get()
            if not group:
                return
            self._through.wait(_GATHER_SECONDS)
            self._through.clear()
            self._taker = threading.get_ident()
            while len(group) < enough:
                try:
                    jobs = self._waiting.get_nowait()
                except queue.Empty:
                    break
                if not jobs:
                    self._waiting.put(jobs)  # the end comes after this group
                    break
                group += jobs

    def through(self) -> None:
        """Note that this thread is done with what it took, but for waiting."""
        if self._taker == threading.get_ident():
            self._through.set()


@dataclass(frozen=True)
class Terms:
    """What the workers of one engine share.

    Attributes:
        address: the database.
        engine_id: the engine's own name, one that nobody else has.
        post: runs a function in the event loop.
        patience_seconds: how long work waits for a server that is away.
        group_size: with how many pieces a transaction waits for no more.
        place: which ledger it is; None: nobody looks whether it still is that one.
    """

    address: Address
    engine_id: str
    post: Callable[[Callable[[], object]], None]
    patience_seconds: float
    group_size: int
    place: str | None = None


class Worker(ABC):
    """A thread with one connection, made when first needed and again when lost."""

    def __init__(self, terms: Terms, jobs: Jobs, name: str) -> None:
        """Start the thread.

        Args:
            terms: what it shares with the engine's other workers.
            jobs: where work waits, shared with workers of its kind.
            name: what other sessions see of it.
        """
        self.name = name
        self._terms = terms
        self._jobs = jobs
        self._connection: Connection | None = None
        self._unsure = False  # whether the last group is committed
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._thread.start()

    def join(self, seconds: float) -> None:
        """Wait until the thread has ended."""
        self._thread.join(seconds)

    @abstractmethod
    def _attempt(self, group: list[Job]) -> None:
        """Run a group once.

        Raises:
            psycopg.Error: it was not settled; `_patiently` decides what follows.
        """

    @abstractmethod
    def _greet(self, connection: Connection) -> None:
        """Use a new connection for the first time."""

    @abstractmethod
    def _leave(self, connection: Connection) -> None:
        """Use a connection for the last time.

        Raises:
            psycopg.Error: it was not done.
        """

    # --- the thread -------------------------------------------------------------------

    def _serve(self) -> None:
        ended = False
        while not ended:
            group: list[Job] = []
            try:
                self._jobs.take(group, self._terms.group_size)
                ended = not group
                if group:
                    self._settle(group)
                    self._jobs.through()
            except BaseException as error:  # noqa: BLE001 - handed to those who wait for the group
                work.break_off(group, error, self._terms.address)
                self._unsure = False  # it is told to those who wait; the next group is another one
                self._drop()
            work.insist(partial(self._terms.post, partial(work.hand_out, group)))
        if self._connection is not None:
            self._end(self._connection)

    def _end(self, connection: Connection) -> None:
        try:
            self._leave(connection)
        except psycopg.Error as error:
            log.debug("ledger_connection_lost", worker=self.name, error=str(error))
        self._drop()

    def _settle(self, group: list[Job]) -> None:
        """Bring a group to its end; where one piece keeps the others from it, piece by piece."""
        error = self._patiently(group)
        if error is None:
            return
        if len(group) > 1 and self._connection is not None and not self._unsure:
            for job in group:
                self._settle([job])
            return
        failure = self._failure(error)
        for job in group:
            job.error = job.error or failure

    def _failure(self, error: Exception) -> Exception:
        return translate(error, str(self._terms.address))

    def _patiently(self, group: list[Job]) -> Exception | None:
        """Try until the group is settled or its patience is at an end; return the last error."""

        def passes(error: BaseException) -> bool:
            whole = len(group) == 1 or self._unsure
            return is_lost(error, self._connection) or (whole and is_contention(error))

        try:
            self._try(group)  # nearly always the only time, without what trying again costs
        except Exception as error:  # noqa: BLE001 - handed to those who wait for the group
            return self._again(group, passes) if passes(error) else error
        return None

    def _again(self, group: list[Job], passes: Callable[[BaseException], bool]) -> Exception | None:
        """Try again until the group is settled; return the last error."""
        end = max(job.submitted_seconds for job in group) + self._terms.patience_seconds

        def at_end(_: RetryCallState) -> bool:
            return monotonic_seconds() >= end

        retrying = Retrying(
            retry=retry_if_exception(passes),
            stop=at_end,
            wait=wait_random_exponential(_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS),
            sleep=block,
            reraise=True,
        )
        try:
            retrying(self._try, group)
        except Exception as error:  # noqa: BLE001 - handed to those who wait for the group
            return error
        return None

    def _try(self, group: list[Job]) -> None:
        try:
            self._attempt(group)
        except BaseException as error:
            self._tidy(error)
            raise

    # --- the connection ---------------------------------------------------------------

    def _connected(self) -> Connection:
        if self._connection is None:
            connection = self._terms.address.connect(self.name)
            self._require_same(connection)
            self._connection = connection
            try:
                self._greet(connection)
            except BaseException:
                self._drop()  # the next one is greeted anew
                raise
        return self._connection

    def _require_same(self, connection: Connection) -> None:
        """While there was no connection another ledger may have been restored there."""
        if self._terms.place is None:
            return
        try:
            require_same(connection, self._terms.place, str(self._terms.address))
        except BaseException:
            connection.close()
            raise

    def _tidy(self, error: BaseException) -> None:
        """Leave no transaction open behind a failure, nor a connection that is lost.

        Where something else than a statement failed, nobody knows which answers were read.
        """
        known = isinstance(error, psycopg.Error) and not is_lost(error, self._connection)
        if self._connection is not None and known:
            try:
                self._connection.execute("ROLLBACK")
            except psycopg.Error:
                self._drop()
        else:
            self._drop()

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
