"""A database that a ledger is moved to: all rows in one transaction, then made usable.

Until it is made usable its ledger carries a mark, and no Operator opens it: only then is it
sure that the ledger is closed where it came from.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from graphlib import TopologicalSorter

import psycopg
from psycopg import sql
from psycopg.errors import DataError, IntegrityError

from operator_core.db.engine import Value
from operator_core.db.postgres.connection import Address, unhurried
from operator_core.db.postgres.line import Connection
from operator_core.db.postgres.troubles import of_statement, translate
from operator_core.db.postgres.tx import PostgresTx
from operator_core.db.postgres.upgrade import upgrade
from operator_core.db.rows import storable
from operator_core.errors import LedgerCorruptError, RequestError

Cells = tuple[Value | bytes, ...]

_OWN = frozenset({"schema_migrations", "commit_marks"})
"""Tables of this engine's own, which no ledger brings along."""

_HASHED = frozenset({"audit_log", "audit_chains"})
"""Tables whose texts are covered by hashes, so none may be changed."""

_LOCK_SECONDS = 10.0
_COLUMNS = """
SELECT table_name, column_name FROM information_schema.columns
WHERE table_schema = current_schema() ORDER BY table_name, ordinal_position
"""
_LINKS = """
SELECT conrelid::regclass::text, confrelid::regclass::text FROM pg_constraint
WHERE contype = 'f' AND connamespace = current_schema()::regnamespace
"""
_NUMBERED = """
SELECT table_name FROM information_schema.columns
WHERE table_schema = current_schema() AND column_name = 'id' AND is_identity = 'YES'
"""


class CopyTarget:
    """A connection to a database with a ledger that is up to date."""

    def __init__(self, connection: Connection, where: str) -> None:
        """Take the connection and how the database may be shown."""
        self._connection = connection
        self._where = where

    def unfinished(self) -> str | None:
        """Return the id of the ledger that was copied and not made usable; None: there is none."""
        row = PostgresTx(self._connection).one("ledger.get")
        return str(row["ledger_id"]) if row and row["backup_at"] is not None else None

    def finish(self, ledger_id: str) -> None:
        """Make a copied ledger usable, now that it is closed where it came from."""
        self._connection.execute(
            "UPDATE ledger SET backup_at = NULL WHERE id = 1 AND ledger_id = $1", [ledger_id]
        )

    @contextmanager
    def filling(self, ledger_id: str, columns: Mapping[str, tuple[str, ...]]) -> Iterator[None]:
        """Fill the database in one transaction, alone.

        Args:
            ledger_id: the ledger that comes.
            columns: its tables.

        Raises:
            RequestError: another ledger is there.
            LedgerCorruptError: the tables do not fit.
        """
        with self._connection.transaction():
            tables = self._require_tables(columns)
            names = sql.SQL(", ").join(sql.Identifier(name) for name in tables)
            self._connection.execute(sql.SQL("LOCK TABLE {} IN EXCLUSIVE MODE").format(names))
            if self.unfinished() != ledger_id:
                self._require_empty(tables)
            self._connection.execute(sql.SQL("TRUNCATE {}").format(names))
            yield
            self._connection.execute("UPDATE ledger SET place = NULL")  # it said where the file lay

    def order(self) -> list[str]:
        """Return the tables in an order in which each comes after those that it refers to."""
        before: dict[str, set[str]] = {name: set() for name in self._columns()}
        for table, other in self._connection.execute(_LINKS):
            if table != other:
                before[_plain(table)].add(_plain(other))
        return [name for name in TopologicalSorter(before).static_order() if name not in _OWN]

    def put(self, table: str, columns: tuple[str, ...], rows: Iterable[Cells]) -> None:
        """Store the rows of one table.

        Raises:
            RequestError: a row cannot be stored.
        """
        command = sql.SQL("COPY {} ({}) FROM STDIN").format(
            sql.Identifier(table), sql.SQL(", ").join(sql.Identifier(name) for name in columns)
        )
        try:
            with self._connection.cursor() as cursor, cursor.copy(command) as copy:
                for row in rows:
                    copy.write_row([_cell(table, cell) for cell in row])
        except (DataError, IntegrityError) as error:
            raise RequestError(
                f"A row of {table} does not fit ({of_statement(error)}). Look for damage with "
                "`operator ledger check`; nothing was copied."
            ) from error

    def go_on_after(self, last_ids: Mapping[str, int]) -> None:
        """Let the next id of each table be one that was never given.

        Args:
            last_ids: by table, the highest that was given.
        """
        for (table,) in self._connection.execute(_NUMBERED).fetchall():
            self._connection.execute(
                sql.SQL("ALTER TABLE {} ALTER COLUMN id RESTART WITH {}").format(
                    sql.Identifier(table), sql.Literal(last_ids.get(table, 0) + 1)
                )
            )

    def analyze(self) -> None:
        """Let the server know how the tables look now."""
        names = sql.SQL(", ").join(sql.Identifier(name) for name in self.order())
        self._connection.execute(sql.SQL("ANALYZE {}").format(names))

    # --- what is there ----------------------------------------------------------------

    def _columns(self) -> dict[str, frozenset[str]]:
        found: dict[str, set[str]] = {}
        for table, column in self._connection.execute(_COLUMNS):
            found.setdefault(table, set()).add(column)
        return {table: frozenset(names) for table, names in found.items()}

    def _require_tables(self, columns: Mapping[str, tuple[str, ...]]) -> list[str]:
        there = {name: names for name, names in self._columns().items() if name not in _OWN}
        wanted = {name: frozenset(names) for name, names in columns.items() if name not in _OWN}
        if there != wanted:
            differing = {name for name, _ in there.items() ^ wanted.items()}
            raise LedgerCorruptError(
                f"The tables of the two ledgers differ: {', '.join(sorted(differing))}. Copy with "
                "the Operator that both were opened with last; nothing was copied."
            )
        return sorted(there)

    def _require_empty(self, tables: Iterable[str]) -> None:
        filled = [name for name in tables if name != "ledger" and self._has_rows(name)]
        if filled or self.unfinished() is not None:
            raise RequestError(
                f"{self._where} holds another ledger already ({', '.join(filled) or 'a copy'}). "
                "Name an empty database, or another schema by search_path in the URL's options; "
                "nothing was copied."
            )

    def _has_rows(self, table: str) -> bool:
        command = sql.SQL("SELECT EXISTS (SELECT FROM {})").format(sql.Identifier(table))
        row = self._connection.execute(command).fetchone()
        return bool(row and row[0])


@contextmanager
def open_target(url: str, now: str) -> Iterator[CopyTarget]:
    """Open a database as the target of a copy; its ledger's tables are made where they are missing.

    Args:
        url: ``postgresql://…``.
        now: the present moment as text.

    Raises:
        LedgerError: it cannot be used; the message says what to do.
    """
    address = Address(url)
    upgrade(address, now, unfinished=True)
    connection = address.connect_once("operator copy", lock_seconds=_LOCK_SECONDS)
    try:
        with connection:
            unhurried(connection)
            yield CopyTarget(connection, str(address))
    except psycopg.Error as error:
        raise translate(error, str(address)) from error


def _plain(name: str) -> str:
    """Return a table's name as the catalogue tells it, without its schema and quotes."""
    return name.rpartition(".")[2].strip('"')


def _cell(table: str, cell: Value | bytes) -> Value:
    if isinstance(cell, bytes):
        raise RequestError(f"A row of {table} holds bytes where text belongs; nothing was copied.")
    if not isinstance(cell, str):
        return cell
    stored = storable(cell)
    if stored != cell and table in _HASHED:
        raise RequestError(
            f"A row of {table} holds a NUL character, which PostgreSQL cannot store and a hash "
            "covers; nothing was copied."
        )
    return stored
