"""The port of a storage engine: transactions that are functions.

Work is a plain function of a transaction. The engine runs it on its own writer, together with
other work that waits (group commit), and the caller goes on once its own work is durable.
A function that raises leaves nothing behind and takes nobody else with it.
"""

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

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
    """Durable storage with one writer."""

    async def write(self, work: Callable[[Tx], T]) -> T:
        """Run work in a transaction; its effects are durable on return."""
        ...

    async def read(self, work: Callable[[Tx], T]) -> T:
        """Run work that only reads, on a committed state."""
        ...

    async def changes(self) -> int:
        """Return a number that differs after any other process has committed."""
        ...

    async def close(self) -> None:
        """Let go of the file or server."""
        ...
