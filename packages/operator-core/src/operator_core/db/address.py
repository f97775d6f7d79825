"""Addresses of ledgers: a file's path, or the URL of a PostgreSQL database."""

from pathlib import Path
from urllib.parse import urlsplit

LedgerAddress = Path | str
"""Where a ledger lies: a file's path, or ``postgresql://…``."""

_SCHEMES = ("postgresql://", "postgres://")


def is_postgres(address: LedgerAddress) -> bool:
    """Return whether an address names a PostgreSQL database."""
    return isinstance(address, str) and address.startswith(_SCHEMES)


def shown(address: LedgerAddress) -> str:
    """Return an address as it may be shown: of a URL only host, port and database.

    A URL can hold the password in more than one place, so all else is left out.
    """
    if not is_postgres(address):
        return str(address)
    parts = urlsplit(str(address))
    host = parts.netloc.rpartition("@")[2]
    return f"postgresql://{host}{parts.path}"
