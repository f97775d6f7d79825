"""Temporary effects: leased before they are made, taken back when their reason or time ends."""

from pathlib import Path

import pytest

from engine_bench import bench, id_of
from operator_core.actions.leases import NOT_OURS
from operator_core.actions.policy import load, shipped_policy
from operator_core.actions.types import ActionStatus
from operator_core.agent.janitor import JANITOR
from operator_core.db.care import CareDB
from operator_core.db.policy import PolicyDB
from operator_core.errors import BlindError, ConflictError, LimitError, NotFoundError
from operator_core.types import RunMode
from sluices import HOUR, Weir, a_ticket, id_of_ticket, leases, pages, resolve, rounds, shut, wired


async def test_an_effect_stays_while_its_ticket_is_open_and_goes_with_it(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        weir, ticket = Weir(one), await a_ticket(one)
        await shut(one, weir, ticket_id=id_of_ticket(ticket))
        await rounds(one, weir)
        (lease,) = await leases(one).list_leases()
        assert (lease.effect, lease.applied, weir.shut) == ("shut/4", True, {4})
        await resolve(one, ticket)
        await rounds(one, weir)
        assert weir.done == [("shut", 4), ("lift", 4)]
        assert await leases(one).list_leases() == []
        (ended,) = await leases(one).list_leases(ended=True)
        assert ended.ended_because == f"undone by action {ended.undo_proposal_id}"
        undo = await one.get(int(ended.undo_proposal_id or 0))
        assert undo.proposed_by == JANITOR


async def test_ended_leases_are_pruned_and_those_of_what_goes_on_stay(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        weir, ticket = Weir(one), await a_ticket(one)
        await shut(one, weir, ticket_id=id_of_ticket(ticket))
        await rounds(one, weir)
        one.clock.advance(HOUR)
        await rounds(one, weir)
        (ended,) = await leases(one).list_leases(ended=True)
        assert (ended.ended_because or "").startswith("undone")
        care, later = CareDB(one.ledger), one.in_seconds(60)
        assert (await care.prune(later, actor="ann", dry_run=True)).leases == 0
        await resolve(one, ticket)
        assert (await care.prune(one.in_seconds(-60), actor="ann")).leases == 0
        assert (await care.prune(later, actor="ann", dry_run=True)).leases == 1
        assert (await care.prune(later, actor="ann")).leases == 1
        assert await leases(one).list_leases(ended=True) == []


async def test_an_effect_goes_when_its_time_is_over(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        weir = Weir(one)
        await shut(one, weir)
        await rounds(one, weir)
        one.clock.advance(HOUR - 60)
        await rounds(one, weir)
        assert weir.shut == {4}
        one.clock.advance(60)
        await rounds(one, weir)
        assert weir.done == [("shut", 4), ("lift", 4)]


async def test_what_was_there_before_is_neither_taken_over_nor_removed(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        weir = Weir(one, shut={4})
        await shut(one, weir)
        await rounds(one, weir)
        (lease,) = await leases(one).list_leases(ended=True)
        assert lease.ended_because == NOT_OURS
        one.clock.advance(2 * HOUR)
        await rounds(one, weir)
        assert weir.shut == {4}
        assert ("lift", 4) not in weir.done


async def test_what_nobody_can_see_is_not_made(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        weir = Weir(one, blind=True)
        made = await shut(one, weir)
        executor = wired(one, weir).executor
        await executor.validate_proposal(id_of(made))
        with pytest.raises(BlindError, match="shut/4 is there already"):
            await executor.execute_proposal(id_of(made), weir)
        assert await leases(one).list_leases(ended=True) == []


async def test_one_effect_has_one_lease(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        weir = Weir(one)
        await shut(one, weir)
        await rounds(one, weir)
        other = await shut(one, weir)
        executor = wired(one, weir).executor
        await executor.validate_proposal(id_of(other))
        with pytest.raises(LimitError, match="action 1 holds shut/4"):
            await executor.execute_proposal(id_of(other), weir)


async def test_a_sure_failure_ends_the_lease(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        weir = Weir(one, trouble="refuse")
        made = await shut(one, weir)
        await rounds(one, weir, 2)
        assert await one.status(id_of(made)) is ActionStatus.FAILED
        (lease,) = await leases(one).list_leases(ended=True)
        assert lease.ended_because == "its action surely had no effect"
        assert weir.done == []


async def test_a_request_that_arrives_after_its_probe_is_found_and_taken_back(
    tmp_path: Path,
) -> None:
    async with bench(tmp_path) as one:
        weir = Weir(one, trouble="late")
        made = await shut(one, weir)
        stages = wired(one, weir)
        await stages.executor.validate_proposal(id_of(made))
        await stages.executor.execute_proposal(id_of(made), weir)
        await one.db.cancel_all_pending()
        assert len(await leases(one).list_leases()) == 1
        weir.shut.add(4)
        await rounds(one, weir)
        assert weir.shut == set()
        assert await leases(one).list_leases() == []


async def test_an_effect_that_somebody_removed_ends_its_lease(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        weir = Weir(one)
        await shut(one, weir)
        await rounds(one, weir)
        weir.shut.clear()
        await rounds(one, weir)
        (lease,) = await leases(one).list_leases(ended=True)
        assert lease.ended_because == "it is not there any more"
        assert weir.done == [("shut", 4)]


async def test_nothing_is_taken_back_in_observe_mode_or_after_a_kill(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        weir = Weir(one)
        await shut(one, weir)
        await rounds(one, weir)
        one.clock.advance(2 * HOUR)
        await one.control.set_mode(RunMode.OBSERVE, actor="ann")
        await rounds(one, weir)
        assert len(await one.db.list_proposals()) == 1
        await one.control.set_mode(RunMode.EXECUTE, actor="ann")
        await wired(one, weir).janitor.step()
        await one.control.kill(actor="ann", reason="stop")
        await rounds(one, weir)
        assert weir.shut == {4}
        await one.control.set_mode(RunMode.EXECUTE, actor="ann")
        await rounds(one, weir)
        assert weir.done == [("shut", 4), ("lift", 4)]


async def test_an_undo_that_waits_for_a_word_pages_until_it_has_one(tmp_path: Path) -> None:
    async with bench(tmp_path, approval_mode=True) as one:
        weir = Weir(one)
        made = await shut(one, weir)
        await one.db.approve_proposal(id_of(made), "ann")
        await rounds(one, weir)
        one.clock.advance(2 * HOUR)
        await rounds(one, weir)
        assert weir.shut == {4}
        assert await pages(one, unresolved=True) == ["fake/shut/4"]
        (lease,) = await leases(one).list_leases()
        await one.db.approve_proposal(int(lease.undo_proposal_id or 0), "ann")
        await rounds(one, weir)
        assert weir.shut == set()
        assert await pages(one, unresolved=True) == []


async def test_the_shipped_policy_lets_it_be_taken_back_and_nothing_else(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        policies = PolicyDB(one.ledger)
        await policies.enforce(load(shipped_policy()), source="shipped", actor="ann")
        weir = Weir(one)
        made = await shut(one, weir)
        await rounds(one, weir)
        assert weir.shut == set()
        await one.db.approve_proposal(id_of(made), "ann")
        await rounds(one, weir)
        assert weir.shut == {4}
        forged = made.model_copy(
            update={"id": None, "action_name": "lift", "proposed_by": JANITOR, "compensation": None}
        )
        await one.db.create_proposal(forged)
        await rounds(one, weir)
        assert weir.shut == {4}
        one.clock.advance(2 * HOUR)
        await rounds(one, weir)
        assert weir.shut == set()


async def test_a_person_keeps_an_effect_or_lets_it_go(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        weir = Weir(one)
        await shut(one, weir)
        await rounds(one, weir)
        db = leases(one)
        kept = await db.renew(1, one.in_seconds(5 * HOUR), actor="ann", keep=True)
        assert kept.kept
        one.clock.advance(2 * HOUR)
        await rounds(one, weir)
        assert weir.shut == {4}
        await db.renew(1, one.clock.now(), actor="ann", keep=False)
        await rounds(one, weir)
        assert weir.shut == set()
        with pytest.raises(ConflictError, match="has ended"):
            await db.renew(1, one.clock.now(), actor="ann", keep=False)
        with pytest.raises(NotFoundError):
            await db.renew(9, one.clock.now(), actor="ann", keep=False)
        events = await one.events()
        assert [one for one in events if one.startswith("effect_")] == [
            "effect_leased",
            "effect_applied",
            "effect_renewed",
            "effect_released",
            "effect_undo_proposed",
            "effect_ended",
        ]
