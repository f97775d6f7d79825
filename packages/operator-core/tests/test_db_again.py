"""Second diagnoses in the whole loop, on both engines: what changes, and what is left alone."""

import json
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from again_kit import BOTH, BULB, FUSE, MAINS, night
from operator_core.actions.types import ActionStatus, SafetyMode
from operator_core.agent.diagnosis import UNKNOWN_CAUSE
from operator_core.db.actions import ActionDB
from operator_core.db.control import ControlDB
from operator_core.db.exports import ExportDB
from operator_core.db.tickets import TicketDB
from operator_core.db.watching import WatchingDB
from operator_core.monitor.types import Snooze, TicketPhase
from operator_core.runtime.incident.archive import pack, unpack
from operator_core.runtime.incident.page import page
from operator_core.runtime.incident.replay import replay
from operator_core.runtime.incident.replayed import Means
from operator_core.runtime.narrator import Narrator, Telling
from operator_core.subject import complete


async def test_a_cause_that_shows_later_is_found(tmp_path: Path) -> None:
    async with night(tmp_path) as one:
        await one.looks(2)
        assert await one.causes() == [UNKNOWN_CAUSE]
        assert (await one.ticket()).phase is TicketPhase.ESCALATED
        await one.looks(1, bulb=10)
        assert await one.causes() == [UNKNOWN_CAUSE]
        await one.looks(1)
        first, second = await one.diagnoses()
        assert (second.hypothesis, second.supersedes) == (BULB, first.id)
        assert second.superseded_because == "bulb explains it now"
        assert [each.action_name for each in await one.proposals()] == ["change_bulb"]
        assert (await one.ticket()).phase is None


async def test_what_waits_for_an_approval_is_withdrawn_and_says_why(tmp_path: Path) -> None:
    async with night(tmp_path) as one:
        await one.looks(1, fuse=10)
        await one.looks(2, bulb=10)
        withdrawn, other = await one.proposals()
        assert (withdrawn.action_name, withdrawn.status) == ("mend_fuse", ActionStatus.CANCELLED)
        assert (other.action_name, other.status) == ("change_bulb", ActionStatus.VALIDATED)
        told = await ControlDB(one.ledger).list_events(event_type="diagnosis_superseded")
        cancelled = await ControlDB(one.ledger).list_events(event_type="proposal_cancelled")
    (event,) = told
    assert event.event_data["turn"] == "cause_refuted"
    assert event.event_data["withdrawn"] == [withdrawn.id]
    assert event.event_data["reason"].startswith("fuse does not hold any more")
    assert cancelled[0].event_data["reason"].startswith("diagnosis 1 is superseded: fuse does not")


async def test_a_proposal_that_the_other_cause_asks_for_too_is_kept(tmp_path: Path) -> None:
    async with night(tmp_path) as one:
        await one.looks(1, fuse=10)
        await one.looks(4, both=10)
        assert await one.causes() == [FUSE, BOTH]
        (kept,) = await one.proposals()
        assert kept.status is ActionStatus.VALIDATED


async def test_what_was_approved_and_cannot_start_is_left_alone(tmp_path: Path) -> None:
    async with night(tmp_path) as one:
        await one.looks(1, fuse=10)
        await ControlDB(one.ledger).set_mode(SafetyMode.OBSERVE, actor="ann")
        await ActionDB(one.ledger).approve_proposal(1, approved_by="ann")
        await one.looks(6, bulb=10)
        assert await one.causes() == [FUSE]
        (approved,) = await one.proposals()
        assert approved.status is ActionStatus.VALIDATED


async def test_what_a_person_approved_runs_to_its_end(tmp_path: Path) -> None:
    async with night(tmp_path) as one:
        await one.looks(1, fuse=10)
        await ActionDB(one.ledger).approve_proposal(1, approved_by="ann")
        await one.looks(3, bulb=10)
        assert one.room.done == ["mend_fuse"]
        assert await one.causes() == [FUSE]


async def test_a_persons_no_ends_the_search(tmp_path: Path) -> None:
    async with night(tmp_path) as one:
        await one.looks(1, fuse=10)
        await ActionDB(one.ledger).reject_proposal(1, "ann", "not tonight")
        await one.looks(8, bulb=10)
        assert await one.causes() == [FUSE]


async def test_held_and_snoozed_tickets_are_left_alone(tmp_path: Path) -> None:
    async with night(tmp_path) as one:
        await one.looks(1, fuse=10)
        await TicketDB(one.ledger).hold(1, actor="ann")
        await one.looks(4, bulb=10)
        await TicketDB(one.ledger).unhold(1, actor="ann")
        assert await one.causes() == [FUSE]
        await one.looks(2)
        assert await one.causes() == [FUSE, BULB]


async def test_a_problem_that_is_clearing_is_left_alone(tmp_path: Path) -> None:
    async with night(tmp_path) as one:
        await one.looks(1, fuse=10)
        one.room.unread = frozenset({"room"})  # nobody sees whether it is dark
        await one.looks(6, bulb=10)
        assert await one.causes() == [FUSE]


async def test_blindness_refutes_nothing_and_sight_does(tmp_path: Path) -> None:
    async with night(tmp_path) as one:
        await one.looks(1, fuse=10)
        one.room.unread = frozenset({"signs"})
        await one.looks(5, bulb=10)
        assert await one.causes() == [FUSE]
        one.room.unread = frozenset()
        await one.looks(2)
        assert await one.causes() == [FUSE, BULB]


async def test_causes_do_not_take_turns(tmp_path: Path) -> None:
    async with night(tmp_path) as one:
        await one.looks(1, fuse=10)
        for _ in range(6):
            await one.looks(1, bulb=10)
            await one.looks(1, fuse=10)
        assert await one.causes() == [FUSE]
        await one.looks(2, bulb=10)
        for _ in range(4):
            await one.looks(3, fuse=10)
            await one.looks(3, bulb=10)
        assert await one.causes() == [FUSE, BULB]


async def test_a_person_is_told_again_only_of_another_cause(tmp_path: Path) -> None:
    async with night(tmp_path) as one:
        narrator = Narrator(one.ledger)
        await one.looks(1, mains=8)
        assert _calls(await narrator.news()) == 1
        await one.looks(4, mains=10)
        assert _calls(await narrator.news()) == 0
        await one.looks(2, none=1)
        assert await one.causes() == [MAINS, UNKNOWN_CAUSE]
        assert _calls(await narrator.news()) == 1


def _calls(news: Sequence[Telling]) -> int:
    return sum(one.stage == "escalate" for one in news)


async def test_both_diagnoses_are_exported_shown_and_made_again(tmp_path: Path) -> None:
    async with night(tmp_path) as one:
        await one.looks(1, fuse=10)
        await one.looks(2, bulb=10)
        incident = await ExportDB(one.ledger).incident(1)
        subject = complete(one.room)
    assert "the diagnosis before is superseded" in page(incident)
    made = replay(unpack(pack(incident, {})).rows, Means(subject))
    assert [each.is_same for each in made] == [True] * len(made)
    assert [each.what for each in made if each.stage == "diagnose"] == [
        "diagnosis 1",
        "diagnosis 2",
    ]
    (turn,) = [each for each in made if each.stage == "supersede"]
    assert json.loads(turn.recorded)["turn"] == "cause_refuted"


async def test_a_snoozed_problem_is_left_alone(tmp_path: Path) -> None:
    async with night(tmp_path) as one:
        await one.looks(1, fuse=10)
        snooze = Snooze(
            rule="dark",
            until=one.clock.now() + timedelta(hours=1),
            reason="cinema",
            created_by="ann",
        )
        await WatchingDB(one.ledger).add_snooze(snooze, actor="ann")
        await one.looks(4, bulb=10)
        assert await one.causes() == [FUSE]
