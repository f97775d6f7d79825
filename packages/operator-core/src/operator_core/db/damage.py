"""Rows that cannot be read: what a failing disk, or somebody's hand, has left of them."""

from collections.abc import Callable
from functools import wraps
from typing import TypeVar

from operator_core.db.engine import Row
from operator_core.errors import LedgerCorruptError, OperatorError

T = TypeVar("T")

_UNREADABLE = (ValueError, TypeError, KeyError, AttributeError)


def read_as(what: str) -> Callable[[Callable[[Row], T]], Callable[[Row], T]]:
    """Let a function that reads rows say which one is damaged, and not that Operator is at fault.

    What the ledger holds was checked when it entered, so a row that cannot be read was changed
    since then.

    Args:
        what: a row's name for people, which its id follows.
    """

    def telling(read: Callable[[Row], T]) -> Callable[[Row], T]:
        @wraps(read)
        def told(row: Row) -> T:
            try:
                return read(row)
            except OperatorError:
                raise
            except _UNREADABLE as error:
                raise LedgerCorruptError(
                    f"{what} {row.get('id', '')} is damaged and cannot be read ({error}). See "
                    "`operator ledger check`, and restore a backup."
                ) from error

        return told

    return telling
