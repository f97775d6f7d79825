"""What takes a temporary effect back may fail and be tried again, as long as it is still wanted."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from engine_bench import Bench, bench, id_of
from operator_core.actions.types import ActionProposal, ActionStatus
from operator_core.agent.janitor import JANITOR
from operator_core.subject import ActionCall
from sluices import HOUR, Weir, leases, pages, rounds, shut, wired

MINUTE = 60.0
SOON = 0.01
"""Long before what has failed is tried again."""


@dataclass
class Jammed(Weir):
    """A weir that cannot be lifted for a while: the call surely has no effect."""

    jams: int = 0

    async def perform(self, call: ActionCall) -> object:
        """Lift or shut."""
        if call.action_name == "lift" and self.jams:
            self.jams -= 1
            raise RuntimeError("the gate jams")
        return await super().perform(call)


async def over(one: Bench, *, jams: int) -> Jammed:
    """Shut a sluice, and let the time of that be over while it cannot be lifted."""
    weir = Jammed(one, jams=jams)
    await shut(one, weir)
    await rounds(one, weir)
    one.clock.advance(HOUR)
    while [made.status for made in await undos(one)] != [ActionStatus.FAILED]:
        await rounds(one, weir, 1, seconds=SOON)
    assert weir.shut == {4}
    return weir


async def undos(one: Bench) -> list[ActionProposal]:
    return [made for made in await one.db.list_proposals() if made.proposed_by == JANITOR]


async def undo_of(one: Bench) -> ActionProposal:
    (undo,) = await undos(one)
    return undo


async def test_an_undo_that_is_tried_again_pages_nobody(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        weir = await over(one, jams=1)
        await rounds(one, weir, seconds=SOON)
        assert (await undo_of(one)).status is ActionStatus.FAILED
        one.clock.advance(10 * MINUTE)
        await rounds(one, weir)
        assert weir.shut == set()
        assert await pages(one) == []


async def test_an_undo_that_is_given_up_pages(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        weir = await over(one, jams=100)
        for _ in range(10):
            one.clock.advance(HOUR)
            await rounds(one, weir)
        assert (await undo_of(one)).next_retry_at is None
        assert await pages(one) == ["fake/shut/4"]


async def test_what_somebody_keeps_is_not_taken_back_by_an_undo_that_had_failed(
    tmp_path: Path,
) -> None:
    async with bench(tmp_path) as one:
        weir = await over(one, jams=1)
        (lease,) = await leases(one).list_leases()
        until = one.clock.now() + timedelta(seconds=2 * HOUR)
        await leases(one).renew(lease.id, until, actor="ann", keep=True)
        one.clock.advance(HOUR)
        await rounds(one, weir)
        assert weir.shut == {4}
        one.clock.advance(HOUR)
        await rounds(one, weir)
        assert weir.shut == set()


async def test_an_undo_that_failed_is_not_tried_on_what_was_made_anew(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        weir = await over(one, jams=1)
        weir.shut.clear()
        await rounds(one, weir, seconds=SOON)
        again = await shut(one, weir)
        await rounds(one, weir, seconds=SOON)
        assert (weir.shut, await one.status(id_of(again))) == ({4}, ActionStatus.COMPLETED)
        one.clock.advance(HOUR / 2)
        await rounds(one, weir)
        assert weir.shut == {4}


async def test_what_was_lifted_otherwise_is_not_lifted_once_more(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        weir = await over(one, jams=1)
        undo = await undo_of(one)
        by_hand = undo.model_copy(update={"id": None, "status": ActionStatus.PROPOSED})
        made = await one.db.create_proposal(by_hand)
        executor = wired(one, weir).executor
        await executor.validate_proposal(id_of(made))
        await executor.execute_proposal(id_of(made), weir)
        assert await leases(one).list_leases() == []
        assert (await one.get(id_of(undo))).next_retry_at is None
