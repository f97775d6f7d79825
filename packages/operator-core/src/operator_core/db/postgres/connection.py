"""Connections to a ledger's database, set up the one way."""

import logging
from dataclasses import dataclass

import psycopg
from psycopg import RawCursor
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_random_exponential

from operator_core.clock import block
from operator_core.db.address import shown
from operator_core.db.postgres.line import Connection
from operator_core.db.postgres.troubles import behind_pooler, is_starting, translate
from operator_core.errors import LedgerUnavailableError

# What the driver notes about lost connections is told in Operator's own words.
logging.getLogger("psycopg").addHandler(logging.NullHandler())

SCHEMA = "operator"
"""Where our tables lie, unless the URL names a ``search_path``: clear of other programs'."""

LOCK_SECONDS = 0.25
"""How long one transaction waits for another before it is tried again, piece by piece. It is
shorter than the server's own search for deadlocks, which begins after a second."""

STARTING_SECONDS = 20.0
"""How long a server that says that it starts is waited for, as after a power failure."""

_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.05, 1.0
_OLDEST_SERVER = 140_000
_CONNECT_SECONDS = 5
_SETTINGS = {
    "client_min_messages": "warning",
    # Whoever has waited for a lock sees what its holder has done, whatever the server's default.
    "default_transaction_isolation": r"read\ committed",
    # Statements are prepared while the tables are small and run when they are large: each is
    # written for an index, and planning it once for all values finds that.
    "enable_seqscan": "off",
    "jit": "off",
    "plan_cache_mode": "force_generic_plan",
    # Whoever stands still in the middle of one keeps all others waiting, shorter than a lease.
    "idle_in_transaction_session_timeout": "3s",
    "synchronous_commit": "on",
    "TimeZone": "UTC",
}
_OUR_SETTING = "SELECT current_setting('plan_cache_mode')"
"""Where it is not ours, a pooler has kept our settings to itself: also which schema is ours."""
_UNHURRIED = """
SELECT set_config(name, '0', FALSE) FROM pg_settings WHERE name IN (
    'statement_timeout', 'transaction_timeout', 'idle_in_transaction_session_timeout',
    'idle_session_timeout')
"""
_NETWORK = {
    "connect_timeout": str(_CONNECT_SECONDS),
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": "10000",
}


@dataclass(frozen=True)
class Address:
    """A ledger's database; it never shows the password."""

    url: str

    def __str__(self) -> str:
        """Return what may be shown of it."""
        return shown(self.url)

    def __repr__(self) -> str:
        """Return what may be shown of it."""
        return f"Address({self})"

    def connect(self, name: str, *, lock_seconds: float = LOCK_SECONDS) -> Connection:
        """Connect, under a name that other sessions can see.

        Args:
            name: for ``pg_stat_activity``.
            lock_seconds: how long a statement waits for a lock.

        Raises:
            psycopg.OperationalError: the server does not take the connection.
            LedgerUnavailableError: the address or the server cannot be used.
        """
        given = self._parts()
        settings = {**_SETTINGS, "lock_timeout": f"{int(lock_seconds * 1000)}ms"}
        options = f"{given.get('options') or ''}"
        if "search_path" not in options:
            settings["search_path"] = SCHEMA
        options += "".join(f" -c {key}={value}" for key, value in settings.items())
        connection = psycopg.connect(
            make_conninfo(self.url, **{**_NETWORK, **given}),
            autocommit=True,
            prepare_threshold=None,  # `Line` does; a second cache would drop all at a rollback
            cursor_factory=RawCursor,
            options=options.strip(),
            application_name=name,
            client_encoding="UTF8",
        )
        try:
            self._require_fit(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def connect_once(self, name: str, *, lock_seconds: float = LOCK_SECONDS) -> Connection:
        """Connect, with every failure in Operator's words; a server that starts is waited for.

        Raises:
            LedgerError: the ledger cannot be used; the message says what to do.
        """
        retrying = Retrying(
            retry=retry_if_exception(is_starting),
            stop=stop_after_delay(STARTING_SECONDS),
            wait=wait_random_exponential(_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS),
            sleep=block,
            reraise=True,
        )
        try:
            return retrying(self.connect, name, lock_seconds=lock_seconds)
        except psycopg.Error as error:
            raise translate(error, str(self)) from None

    def _parts(self) -> dict[str, str]:
        try:
            return {key: str(value) for key, value in conninfo_to_dict(self.url).items()}
        except psycopg.Error:
            # What libpq says repeats parts of the address, the password perhaps.
            raise LedgerUnavailableError(
                "The ledger's address is no PostgreSQL URL: it has the form "
                "postgresql://user:password@host:5432/database."
            ) from None

    def _require_fit(self, connection: Connection) -> None:
        encoding = connection.info.parameter_status("server_encoding")
        version = connection.info.server_version
        if version < _OLDEST_SERVER or encoding != "UTF8":
            raise LedgerUnavailableError(
                f"The ledger {self} needs PostgreSQL 14 or newer and a database in UTF8; this is "
                f"version {version // 10_000} with {encoding}."
            )
        if connection.execute(_OUR_SETTING).fetchone() != (_SETTINGS["plan_cache_mode"],):
            raise behind_pooler(str(self))


def unhurried(connection: Connection) -> None:
    """Let one connection take its time: limits of a server are for what is done every day.

    Args:
        connection: what moves or upgrades a whole ledger.
    """
    connection.execute(_UNHURRIED)
