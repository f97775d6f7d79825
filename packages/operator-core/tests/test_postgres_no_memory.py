"""PostgreSQL's writers where their process gets no more memory."""

import pytest

from engine_bench import proposal
from operator_core.db.actions import ActionDB
from operator_core.db.postgres.writer import Writer
from operator_core.errors import LedgerUnavailableError
from planting import fail_once

pytestmark = pytest.mark.real


def _sent(writer: object) -> None:
    vars(writer)["_unsure"] = True


async def _stored(db: ActionDB) -> int:
    return len(await db.list_proposals())


async def test_a_group_that_broke_off_at_its_commit_does_not_stand_for_the_next_one(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next group was taken for the one that nobody knew of, and called stored."""
    async with ActionDB(postgres_url) as db:
        fail_once(monkeypatch, Writer, "_settle", MemoryError(), after=_sent)
        with pytest.raises(LedgerUnavailableError, match="no more memory"):
            await db.create_proposal(proposal())
        await db.create_proposal(proposal())
        assert await _stored(db) == 1


async def test_what_finds_no_memory_before_its_commit_is_tried_again(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with ActionDB(postgres_url) as db:
        fail_once(monkeypatch, Writer, "_commit", MemoryError())
        await db.create_proposal(proposal())
        assert await _stored(db) == 1
