"""The port of a storage engine: transactions that are functions.

Work is a plain function of a transaction. The engine runs it on its own writer, together with
other work that waits (group commit), and the caller goes on once its own work is durable.
A function that raises leaves nothing behind and takes nobody else with it.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from operator_core.clock import Clock

T = TypeVar("T")
I = TypeVar("I")  # noqa: E741 - an item
I_contra = TypeVar("I_contra", contravariant=True)
R_co = TypeVar("R_co", covariant=True)

Row = dict[str, Any]
"""One row of a result, by column."""

Value = str | int | float | None
"""What a statement takes as a parameter."""


AUDIT_COLUMNS = (
    "writer",
    "seq",
    "timestamp",
    "event_type",
    "actor",
    "subject",
    "ticket_id",
    "workflow_id",
    "proposal_id",
    "event_data",
    "prev_hash",
    "hash",
)
"""The columns of an audit row; its hash, the last, covers the others in this order."""


class Tx(Protocol):
    """One transaction, as work sees it."""

    writer: str
    """The name of the audit chain that this transaction writes to."""

    def one(self, name: str, /, **params: Value) -> Row | None:
        """Run a named statement and return its first row, if any."""
        ...

    def all(self, name: str, /, **params: Value) -> list[Row]:
        """Run a named statement and return all its rows."""
        ...

    def run(self, name: str, /, **params: Value) -> int:
        """Run a named statement and return how many rows it changed."""
        ...

    def each(self, name: str, params: Sequence[Mapping[str, Value]], /) -> int:
        """Run a named change for each set of parameters; return how many rows it changed."""
        ...

    def start(self, name: str, params: Sequence[Mapping[str, Value]], /) -> Callable[[], int]:
        """Begin a named change for each set of parameters, and go on while it runs.

        Returns:
            What waits for its end and returns how many rows it changed. It may fail at any
            answer until then.
        """
        ...

    def later(self, name: str, params: Sequence[Mapping[str, Value]], /) -> None:
        """Run a named change of which nobody asks how many rows it changed.

        It may wait for the next statement that is answered, or for the end of the transaction,
        and fail there.
        """
        ...

    def expect(self, name: str, /, **params: Value) -> None:
        """Tell that `one` or `all` will run a statement with these parameters soon.

        Where each answer takes its time, all that is expected is asked at once. Nothing that the
        transaction changes in the meantime may be part of the answer.
        """
        ...

    def expect_new(self, kind: str, count: int) -> None:
        """Tell how many rows will be inserted soon, at most.

        Where each answer takes its time, their ids are asked for with the next one, and `insert`
        does not wait for its own: it may fail at any answer until the end of the transaction.

        Args:
            kind: as in the name of the insert: ``proposal`` of ``proposal.insert``.
            count: how many rows.
        """
        ...

    def audit_head(self) -> tuple[int, str] | None:
        """Return number and hash of the last row of the transaction's audit chain, if any."""
        ...

    def append_audit(self, rows: Sequence[tuple[Value, ...]], /) -> None:
        """Take rows of the audit, by `AUDIT_COLUMNS`; they are stored with the transaction."""
        ...

    def insert(self, name: str, params: Sequence[Mapping[str, Value]], /) -> list[int]:
        """Run a named insert for each set of parameters; return the new rows' ids."""
        ...


class ItemWork(Protocol[I_contra, R_co]):
    """Work on items that may be done together with other callers' items.

    It returns a result for each item, or the error of an item for which it has changed nothing.
    Where it raises, all that it did is taken back and each item is worked on alone.
    """

    def __call__(self, tx: Tx, items: Sequence[I_contra], /) -> Sequence[R_co | Exception]:
        """Work on the items."""
        ...


class Engine(Protocol):
    """Durable storage."""

    async def write(self, work: Callable[[Tx], T]) -> T:
        """Run work in a transaction; its effects are durable on return.

        Where others write at once the work may be run again from its beginning, so it has no
        effects but those of its statements. Only one run of it is committed.
        """
        ...

    def write_item(self, work: ItemWork[I, T], item: I) -> Awaitable[T]:
        """Run work on an item, together with others' items that wait for the same work.

        Raises:
            Exception: the error that the work returned or raised for this item.
        """
        ...

    async def read(self, work: Callable[[Tx], T]) -> T:
        """Run work that only reads, on a committed state."""
        ...

    async def changes(self) -> int:
        """Return a number that differs after any other process has committed."""
        ...

    def on_change(self, callback: Callable[[], None]) -> None:
        """Call back in the event loop after any other process has committed.

        It may call once more than that, never less.
        """
        ...

    def clock(self, base: Clock) -> Clock:
        """Return the source of time that leases on this engine go by.

        Args:
            base: the caller's own; simulated time is returned as it is.
        """
        ...

    async def close(self) -> None:
        """Let go of the file or server."""
        ...
