"""PostgreSQL's errors: which of them pass, and all of them in Operator's words."""

import psycopg
from psycopg import errors

from operator_core.db.work import without_memory
from operator_core.errors import (
    ConstraintError,
    LedgerAwayError,
    LedgerBusyError,
    LedgerCorruptError,
    LedgerError,
    LedgerFullError,
    LedgerReadOnlyError,
    LedgerUnavailableError,
    OperatorError,
    RequestError,
)

_CONTENTION = (
    errors.DeadlockDetected,
    errors.SerializationFailure,
    errors.LockNotAvailable,
)
_GOING_AWAY = (
    errors.AdminShutdown,
    errors.CrashShutdown,
    errors.CannotConnectNow,
    errors.DatabaseDropped,
    errors.IdleInTransactionSessionTimeout,
    errors.ReadOnlySqlTransaction,  # a primary that has become a replica: connect anew
    errors.TooManyConnections,
)
_STARTING = (
    "is starting up",
    "is shutting down",
    "not yet accepting connections",
    "in recovery mode",
)
_CROWDED = ("too many clients", "too many connections", "remaining connection slots")
_REFUSED = "FATAL:"
"""Begins what a server says that will not have a connection."""
_POOLER = "unsupported startup parameter"
_STALE_PLAN = "cached plan must not change result type"


class CommitUnknownError(LedgerUnavailableError):
    """The connection was lost during a commit and could not be made again to look."""


def is_contention(error: BaseException) -> bool:
    """Return whether another transaction was in the way; the same work can pass next time."""
    return isinstance(error, _CONTENTION)


def is_lost(error: BaseException, connection: "psycopg.Connection[object] | None") -> bool:
    """Return whether the connection is of no use any more; a new one may be."""
    if isinstance(error, MemoryError):
        return True  # it was broken off anywhere, perhaps between a message and its answer
    if not isinstance(error, psycopg.Error):
        return False
    if connection is None or connection.closed or isinstance(error, _GOING_AWAY):
        return True
    # Another operator upgraded the schema: statements prepared before that are stale.
    return isinstance(error, errors.FeatureNotSupported) and _STALE_PLAN in str(error)


def is_starting(error: BaseException) -> bool:
    """Return whether the server took the connection only to say that it is not up yet, or ends.

    An error of connecting has no code of the server's, only its words.
    """
    if isinstance(error, errors.CannotConnectNow):
        return True
    refused = isinstance(error, psycopg.OperationalError)
    return refused and any(words in str(error) for words in _STARTING)


def of_statement(error: psycopg.Error) -> OperatorError | None:
    """Return Operator's error for one that lies in a statement's values; None: in no value."""
    if isinstance(error, psycopg.IntegrityError):
        return ConstraintError(_first_line(error))
    if isinstance(error, psycopg.DataError):
        return RequestError(f"A value cannot be stored: {_first_line(error)}.")
    return None


def translate(error: BaseException, where: str) -> OperatorError:
    """Return Operator's error for any that work on the ledger at ``where`` ended with."""
    if isinstance(error, OperatorError):
        return error
    if isinstance(error, MemoryError):
        return without_memory(where)
    if isinstance(error, psycopg.Error) and (told := of_statement(error)) is not None:
        return told  # where it came only with the commit
    if is_contention(error) or isinstance(error, errors.QueryCanceled):
        return LedgerBusyError(
            f"Other processes hold what is needed in the ledger {where}. Try again; if it stays "
            "so, look for a long transaction in pg_stat_activity."
        )
    if isinstance(error, psycopg.OperationalError) and any(say in str(error) for say in _CROWDED):
        return LedgerBusyError(
            f"The server of the ledger {where} has no connection left for Operator. End other "
            "sessions, or raise max_connections or the limit of the user or database."
        )
    return _of_server(error, where)


def _of_server(error: BaseException, where: str) -> LedgerError:
    if isinstance(error, errors.ReadOnlySqlTransaction):
        return LedgerReadOnlyError(
            f"The ledger {where} is on a replica or a database that may only be read. Name the "
            "primary, or look for default_transaction_read_only."
        )
    if isinstance(error, errors.InsufficientPrivilege):
        return LedgerReadOnlyError(
            f"The ledger {where} cannot be written: {_first_line(error)}. Give the user a schema "
            "of its own: CREATE SCHEMA operator AUTHORIZATION …"
        )
    if isinstance(error, errors.DiskFull):
        return LedgerFullError(f"The disk under the ledger {where} is full. Free some space.")
    if isinstance(error, errors.UndefinedTable | errors.UndefinedColumn | errors.DataCorrupted):
        return LedgerCorruptError(
            f"{where} is not a ledger or is damaged ({_first_line(error)}). Restore a backup, or "
            "name another ledger with --db."
        )
    if _POOLER in str(error):
        return behind_pooler(where)
    kind = LedgerAwayError if _is_away(error) else LedgerUnavailableError
    return kind(
        f"The ledger {where} cannot be reached: {_first_line(error)}. Check that the server runs "
        "and that the address is right."
    )


def behind_pooler(where: str) -> LedgerUnavailableError:
    """Return the error for an address at which no session of one's own is to be had."""
    return LedgerUnavailableError(
        f"The ledger {where} lies behind a pooler of connections, which keeps Operator's settings "
        "from the server. Name the server itself: Operator needs few connections."
    )


def _is_away(error: BaseException) -> bool:
    """Return whether there was no answer; one that refuses this user or database is final."""
    if not isinstance(error, psycopg.OperationalError):
        return False
    return is_starting(error) or _REFUSED not in str(error)


def _first_line(error: BaseException) -> str:
    """Return what the server says, without the values that its details repeat."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].rstrip(".")
