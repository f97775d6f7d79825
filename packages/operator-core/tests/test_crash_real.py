"""The crash test in short: a blow at each crash point; and broken engines, which it must find."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from operator_core.testing.crash import flaws, written
from operator_core.testing.crash.campaign import Campaign, sample
from operator_core.testing.crash.driver import Case
from operator_core.testing.crash.judge import Tally
from operator_core.testing.crash.places import Databases, Files, Place
from operator_core.testing.crash.points import Blow, CrashPoint, Fault, Side, World
from operator_core.testing.crash.processes import Nursery
from operator_core.testing.postgres import PostgresServer

pytestmark = [pytest.mark.real, pytest.mark.asyncio(loop_scope="module")]

FILE_PARTS = 6
DATABASE_PARTS = 7
SAMPLE = sample()
AFTER_CLAIM = Blow(CrashPoint("proposal.claim", Side.AFTER), Fault.STOP)
FIRST_ARRIVAL = 1
"""A seed that lets the blow fall at the first claim, of what has its effect at its first try."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def nursery() -> AsyncIterator[Nursery]:
    async with Nursery() as opened:
        yield opened


async def run(nursery: Nursery, place: Place, cases: list[Case], keep: Path) -> Tally:
    return await Campaign([place], nursery, at_once=3, keep=keep).run(cases)


@pytest.mark.parametrize("part", range(FILE_PARTS))
async def test_every_effect_happens_once_on_sqlite(
    part: int, tmp_path: Path, nursery: Nursery
) -> None:
    cases = SAMPLE[part::FILE_PARTS]
    tally = await run(nursery, Files(), cases, tmp_path)
    assert tally.faults == []
    assert tally.runs == len(cases)
    assert tally.once > 10 * tally.runs


@pytest.mark.parametrize("part", range(DATABASE_PARTS))
async def test_every_effect_happens_once_on_postgres(
    part: int, tmp_path: Path, postgres_server: PostgresServer, nursery: Nursery
) -> None:
    databases = Databases(postgres_server)
    await databases.prepare()
    cases = SAMPLE[1::2][part::DATABASE_PARTS]
    tally = await run(nursery, databases, cases, tmp_path)
    assert tally.faults == []
    assert tally.runs == len(cases)


@pytest.mark.parametrize(
    ("flaw", "blow", "found"),
    [
        (flaws.SENDS_TWICE, None, "happened 2 times"),
        (flaws.LIES, None, "never happened"),
        (flaws.UNFENCED, AFTER_CLAIM, "happened 2 times"),
    ],
)
async def test_a_broken_engine_is_found(
    flaw: str, blow: Blow | None, found: str, tmp_path: Path, nursery: Nursery
) -> None:
    plain = blow is not None
    case = Case(blow, World.LOOK, processes=3, seed=FIRST_ARRIVAL, flaw=flaw, plain=plain)
    tally = await run(nursery, Files(), [case], tmp_path / "kept")
    assert any(found in fault for fault in tally.faults), tally.faults
    assert [each.name for each in (tmp_path / "kept").iterdir()] == [f"{case.name}-sqlite"]


async def test_a_fence_holds_back_what_a_broken_engine_sends_again(
    tmp_path: Path, nursery: Nursery
) -> None:
    """The run in which an engine without fencing must fail, with fencing."""
    case = Case(AFTER_CLAIM, World.LOOK, processes=3, seed=FIRST_ARRIVAL, plain=True)
    tally = await run(nursery, Files(), [case], tmp_path)
    assert not any("happened" in fault for fault in tally.faults), tally.faults


async def test_a_run_without_a_blow_leaves_nothing_to_say(tmp_path: Path, nursery: Nursery) -> None:
    """Two effects are in doubt in any run: nobody answers, and no probe can tell.

    And each statement that is said to be reached has written.
    """
    tally = await run(nursery, Files(), [Case(None, World.KEYS, processes=1, seed=1)], tmp_path)
    assert tally == Tally(
        1, once=27, none=5, doubt=2, seeds=frozenset({1}), written=written.reached()
    )
