"""PostgreSQL's writers where their process gets no more memory."""

from collections.abc import Callable

import pytest

from engine_bench import proposal
from operator_core.db.actions import ActionDB
from operator_core.db.postgres.writer import Writer
from operator_core.errors import LedgerUnavailableError

pytestmark = pytest.mark.real


def _fail_once_after(
    patch: pytest.MonkeyPatch, name: str, before: Callable[[Writer], None]
) -> None:
    """Let a method raise the first time, after something that has just been done."""
    done, errors = getattr(Writer, name), [MemoryError()]

    def fail(writer: Writer, *arguments: object) -> object:
        if errors:
            before(writer)
            raise errors.pop()
        return done(writer, *arguments)

    patch.setattr(Writer, name, fail)


def _sent(writer: Writer) -> None:
    writer._unsure = True


async def _stored(db: ActionDB) -> int:
    return len(await db.list_proposals())


async def test_a_group_that_broke_off_at_its_commit_does_not_stand_for_the_next_one(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next group was taken for the one that nobody knew of, and called stored."""
    async with ActionDB(postgres_url) as db:
        _fail_once_after(monkeypatch, "_settle", _sent)
        with pytest.raises(LedgerUnavailableError, match="no more memory"):
            await db.create_proposal(proposal())
        await db.create_proposal(proposal())
        assert await _stored(db) == 1


async def test_what_finds_no_memory_before_its_commit_is_tried_again(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with ActionDB(postgres_url) as db:
        _fail_once_after(monkeypatch, "_commit", lambda _: None)
        await db.create_proposal(proposal())
        assert await _stored(db) == 1
