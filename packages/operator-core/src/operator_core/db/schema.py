"""The ledger's schema as it stands now, and the numbered steps that lead to it.

`SCHEMA_SQL` (watching) and `ACTIONS_SCHEMA_SQL` (acting) are the truth for a new file; the
migrations lead an older one to the same place, and a test proves the two equal.
"""

import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

_SQL = Path(__file__).with_name("sql")

SCHEMA_SQL = (_SQL / "tickets.sqlite.sql").read_text(encoding="utf-8")
ACTIONS_SCHEMA_SQL = (_SQL / "actions.sqlite.sql").read_text(encoding="utf-8")
POSTGRES_SCHEMA_SQL = (_SQL / "tickets.postgres.sql").read_text(encoding="utf-8")
POSTGRES_ACTIONS_SCHEMA_SQL = (_SQL / "actions.postgres.sql").read_text(encoding="utf-8")

_FILE_NAME = re.compile(r"(\d{4})_(\w+)\.(\w+)\.sql")


class Migration(NamedTuple):
    """One numbered step of the schema."""

    version: int
    name: str
    sql: str


@cache
def migrations(engine: str) -> tuple[Migration, ...]:
    """Return an engine's migrations in order.

    Args:
        engine: the engine's name, which is part of the file names.
    """
    found = []
    for file in (_SQL / "migrations").iterdir():
        match = _FILE_NAME.fullmatch(file.name)
        if match and match[3] == engine:
            found.append(Migration(int(match[1]), match[2], file.read_text(encoding="utf-8")))
    return tuple(sorted(found, key=lambda migration: migration.version))
