"""Remedies that only seem to help, and proofs that cannot be made: none of them is verified."""

from pathlib import Path

import pytest

from operator_core.errors import SubjectUnreachableError
from operator_core.monitor.types import Observation, Part, TicketPhase, TicketStatus
from operator_core.monitor.verification import Capacity, Verdict
from test_verifier import LOOK_SECONDS, PATIENCE, Plant, Pumps, plant


async def wait_for_sight(one: Plant) -> None:
    """Look twice, and much later once more, than which nobody waits longer."""
    await one.rounds(2 * LOOK_SECONDS)
    one.clock.advance(PATIENCE.blind_seconds)
    await one.rounds(2 * LOOK_SECONDS)


async def test_who_shrinks_more_than_was_declared_is_not_verified(tmp_path: Path) -> None:
    async with plant(tmp_path, "retire") as one:
        await one.rounds(LOOK_SECONDS)
        one.pumps.present.discard("c")
        await one.rounds(45)
        proof, ticket = await one.proof(), await one.ticket()
        assert proof.declared == ("pumps/a",)
        assert (proof.verdict, proof.reasons) == (Verdict.NOT_VERIFIED, ("pumps c is gone",))
        assert (ticket.status, ticket.phase) == (TicketStatus.DIAGNOSED, TicketPhase.ESCALATED)


async def test_another_one_in_its_place_does_not_make_up_for_what_is_gone(tmp_path: Path) -> None:
    async with plant(tmp_path, "scrap") as one:
        await one.rounds(LOOK_SECONDS)
        one.pumps.present.add("d")
        await one.rounds(45)
        assert (await one.proof()).reasons == ("pumps a is gone",)
        assert (await one.ticket()).status is TicketStatus.DIAGNOSED


async def test_the_soak_starts_anew_when_the_problem_is_back(tmp_path: Path) -> None:
    async with plant(tmp_path, "clear") as one:
        await one.rounds(20)
        assert (await one.proof()).looks > 1
        one.pumps.jammed.add("a")
        await one.rounds(LOOK_SECONDS)
        proof = await one.proof()
        assert (proof.looks, proof.held_since) == (0, None)
        one.pumps.jammed.clear()
        back_at = one.clock.now()
        await one.rounds(PATIENCE.soak_seconds)
        assert (await one.proof()).verdict is Verdict.WAITING
        await one.rounds(2 * LOOK_SECONDS)
        proof = await one.proof()
        assert proof.verdict is Verdict.VERIFIED
        assert proof.decided_at is not None
        assert (proof.decided_at - back_at).total_seconds() >= PATIENCE.soak_seconds
        assert one.pumps.done == ["clear"]


async def _cannot_look(_: Pumps) -> Observation:
    raise SubjectUnreachableError("the line is dead")


async def _looks_odd(pumps: Pumps) -> Observation:
    """Return what the rules cannot be evaluated on."""
    now = pumps.clock.now()
    odd = Part(source="eyes", observed_at=now, data={one: {} for one in pumps.present})
    return Observation(subject=pumps.name, observed_at=now, parts={"pumps": odd})


def _cannot_count(*_: object) -> Capacity:
    raise ZeroDivisionError("a fault of the adapter")


FAULTS = {
    "it cannot be looked at": ("observe", _cannot_look),
    "its rules cannot be evaluated": ("observe", _looks_odd),
    "what it has cannot be counted": ("capacity", _cannot_count),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_errors_while_checking_are_not_verified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    async with plant(tmp_path, "clear") as one:
        await one.rounds(2 * LOOK_SECONDS)
        assert one.pumps.done == ["clear"]
        monkeypatch.setattr(Pumps, *FAULTS[fault])
        await wait_for_sight(one)
        proof, ticket = await one.proof(), await one.ticket()
        assert proof.verdict is Verdict.NOT_VERIFIED
        assert "could not be" in proof.reasons[0]
        assert not proof.was_seen
        assert (ticket.status, ticket.phase) == (TicketStatus.DIAGNOSED, TicketPhase.ESCALATED)
        assert one.pumps.done == ["clear"], "what could not be seen is not taken back"


async def test_without_a_look_before_nobody_knows_what_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with plant(tmp_path, "scrap") as one:
        with monkeypatch.context() as patch:
            patch.setattr(Pumps, "capacity", _cannot_count)
            await one.rounds(2 * LOOK_SECONDS)
            assert one.pumps.done == ["scrap"]
        await wait_for_sight(one)
        proof = await one.proof()
        assert proof.verdict is Verdict.NOT_VERIFIED
        assert (await one.ticket()).status is TicketStatus.DIAGNOSED
