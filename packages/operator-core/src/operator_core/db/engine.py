"""The port of a storage engine: transactions that are functions.

Work is a plain function of a transaction. The engine runs it on its own writer, together with
other work that waits (group commit), and the caller goes on once its own work is durable.
A function that raises leaves nothing behind and takes nobody else with it.
"""

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from operator_core.clock import Clock

T = TypeVar("T")

Row = dict[str, Any]
"""One row of a result, by column."""

Value = str | int | float | None
"""What a statement takes as a parameter."""


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


class Engine(Protocol):
    """Durable storage."""

    async def write(self, work: Callable[[Tx], T]) -> T:
        """Run work in a transaction; its effects are durable on return.

        Where others write at once the work may be run again from its beginning, so it has no
        effects but those of its statements. Only one run of it is committed.
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

        An engine that is not told of it never calls; `changes` tells on every engine.
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
