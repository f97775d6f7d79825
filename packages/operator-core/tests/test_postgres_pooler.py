"""Behind a pooler that keeps a session's settings to itself a ledger would be another one."""

from urllib.parse import urlsplit

import psycopg
import pytest

from operator_core.db.ledger import open_ledger
from operator_core.errors import LedgerUnavailableError
from pooler import Way, pooler
from test_postgres_outage import through

pytestmark = pytest.mark.real


@pytest.mark.parametrize("way", Way)
async def test_a_pooler_is_refused_before_anything_is_written(
    empty_database: str, way: Way
) -> None:
    async with pooler(urlsplit(empty_database).port or 0, way) as port:
        with pytest.raises(LedgerUnavailableError, match=r"behind a pooler.*Name the server"):
            await open_ledger(through(empty_database, port))
    with psycopg.connect(empty_database) as connection:
        made = connection.execute("SELECT count(*) FROM pg_tables WHERE tablename = 'ledger'")
        assert made.fetchone() == (0,)
