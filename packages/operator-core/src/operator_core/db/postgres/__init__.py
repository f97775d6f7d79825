"""The shared engine: one PostgreSQL database for operators on several machines."""

from operator_core.errors import LedgerUnavailableError


def require_driver() -> None:
    """See that the driver can be loaded, before anything that needs it is.

    Raises:
        LedgerUnavailableError: it cannot; the message says how to get it.
    """
    try:
        import psycopg  # noqa: F401, PLC0415 - optional
    except ImportError as error:  # it is missing, or libpq is under it
        reason = str(error).partition("\n")[0].rstrip(".")
        raise LedgerUnavailableError(
            f"A ledger on PostgreSQL needs the driver, which cannot be loaded ({reason}): "
            "pip install 'operator-core[postgres]'."
        ) from error
