"""Incidents whose problem was snoozed, or whose rule was changed, are made again."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from again_kit import Night, night
from operator_core.actions.policy import load
from operator_core.clock import from_text
from operator_core.db.exports import LOOKS, WATCHING, ExportDB, IncidentRows
from operator_core.db.tickets import TicketDB
from operator_core.db.watching import WatchingDB
from operator_core.monitor.types import RuleSettings, Snooze, Violation
from operator_core.runtime.incident.archive import pack, unpack
from operator_core.runtime.incident.replay import replay
from operator_core.runtime.incident.replayed import Means, Replayed
from operator_core.runtime.incident.timeline import timeline
from operator_core.runtime.incident.unmade import unmade
from operator_core.runtime.policy_file import PolicyKeeper
from operator_core.subject import complete

DENY = '[[rule]]\nname = "nothing"\neffect = "deny"\n'
TARGETS = [{"rule": "dark"}, {"target": "room"}, {"rule": "dark", "target": "room"}]


async def snoozed(one: Night, minutes: float = 5, /, **about: str) -> Snooze:
    """Snooze what is dark, or what somebody names."""
    until = one.clock.now() + timedelta(minutes=minutes)
    told = {"rule": "dark"} | about if about else {"rule": "dark"}
    made = Snooze.model_validate(
        {**told, "until": until, "reason": "the cinema is on", "created_by": "ann"}
    )
    return await WatchingDB(one.ledger).add_snooze(made, actor="ann")


async def exported(one: Night) -> IncidentRows:
    """Return the incident as it is read from its file."""
    return unpack(pack(await ExportDB(one.ledger).incident(1), {})).rows


def made_again(one: Night, incident: IncidentRows, **means: Any) -> list[Replayed]:  # noqa: ANN401 - of any kind
    return replay(incident, Means(complete(one.room), **means))


def opening(one: Night, incident: IncidentRows) -> Replayed:
    (found,) = (each for each in made_again(one, incident) if each.stage == "open")
    return found


async def before_it_opens(one: Night) -> None:
    await snoozed(one)
    await one.looks(14, fuse=10)


async def after_it_opened(one: Night) -> None:
    await TicketDB(one.ledger).report(
        Violation(invariant="dark", target="room", message="it is dark"), subject="room"
    )
    await snoozed(one)
    await one.looks(14, fuse=10)


async def after_its_diagnosis(one: Night) -> None:
    await one.looks(1, fuse=10)
    await snoozed(one)
    await one.looks(14, bulb=10)


async def ended_by_hand(one: Night) -> None:
    snooze = await snoozed(one, 60)
    await one.looks(4, fuse=10)
    await WatchingDB(one.ledger).end_snooze(int(snooze.id or 0), actor="ann")
    await one.looks(3)


async def twice(one: Night) -> None:
    await snoozed(one, 2)
    await snoozed(one, 5, target="room")
    await one.looks(14, fuse=10)


async def gone_meanwhile(one: Night) -> None:
    await one.looks(1, fuse=10)
    await snoozed(one)
    one.room.is_dark = False
    await one.looks(14)


async def blind_meanwhile(one: Night) -> None:
    await snoozed(one, 2)
    one.room.unread = frozenset({"signs"})
    await one.looks(8, fuse=10)


STORIES: dict[str, Callable[[Night], Any]] = {
    story.__name__: story
    for story in (
        before_it_opens,
        after_it_opened,
        after_its_diagnosis,
        ended_by_hand,
        twice,
        gone_meanwhile,
        blind_meanwhile,
    )
}


@pytest.mark.timeout(30)
@pytest.mark.parametrize("story", STORIES)
@pytest.mark.parametrize("has_policy", [False, True])
async def test_a_snoozed_incident_is_made_again_up_to_each_moment(
    tmp_path: Path, story: str, *, has_policy: bool
) -> None:
    async with night(tmp_path, approval=False) as one:
        if has_policy:
            await PolicyKeeper(one.ledger, None).start()
        await STORIES[story](one)
        incident = await exported(one)
        whole = made_again(one, incident)
        denied = made_again(one, incident, policy=load(DENY))
        assert whole
        assert [each for each in whole if not each.is_same] == []
        assert {each.stage for each in denied if not each.is_same} <= {"decide", "approve", "claim"}
        moments = {event["timestamp"] for event in (*incident["events"], *incident[WATCHING])}
        for moment in moments | {row["observed_at"] for row in incident[LOOKS]}:
            until = from_text(moment)
            for made, policy in ((whole, None), (denied, load(DENY))):
                some = made_again(one, incident, until=until, policy=policy)
                assert some == [each for each in made if each.at <= until]
            unmade(incident, Means(complete(one.room), until=until))
    told = [each.what for each in timeline(incident)]
    assert told.count("snoozed") == len(
        [row for row in incident[WATCHING] if row["event_type"] == "snoozed"]
    )


@pytest.mark.parametrize("about", TARGETS)
async def test_who_drops_a_snooze_from_a_file_makes_the_ticket_late(
    tmp_path: Path, about: dict[str, str]
) -> None:
    async with night(tmp_path) as one:
        await snoozed(one, 5, **about)
        await one.looks(14, fuse=10)
        incident = await exported(one)
        assert opening(one, incident).is_same
        late = opening(one, {**incident, WATCHING: []})
    assert json.loads(late.now)["due_before"] == incident[LOOKS][0]["id"]


async def test_a_ticket_that_opened_in_the_middle_of_a_snooze_differs(tmp_path: Path) -> None:
    async with night(tmp_path) as one:
        await snoozed(one, 3)
        await one.looks(8, fuse=10)
        incident = await exported(one)
        for row in incident[WATCHING]:
            row["event_data"] = json.dumps(
                json.loads(row["event_data"]) | {"until": "2999-01-01T00:00:00.000000+00:00"}
            )
        assert json.loads(opening(one, incident).now)["snoozed"]


async def test_snoozes_of_others_are_in_no_file(tmp_path: Path) -> None:
    async with night(tmp_path) as one:
        for about in ({"rule": "wet"}, {"target": "cellar"}, {"subject": "cellar"}):
            await snoozed(one, 60, **about)
        await snoozed(one, 0.5)
        one.clock.advance(60)  # over before it is dark
        await one.looks(2, fuse=10)
        assert (await exported(one))[WATCHING] == []


async def test_each_look_is_judged_by_the_settings_of_its_time(tmp_path: Path) -> None:
    async with night(tmp_path) as one:
        watching = WatchingDB(one.ledger)
        await watching.set_rule("room", "dark", RuleSettings(grace_seconds=90), actor="ann")
        await one.looks(4, fuse=10)
        assert (await one.ticket()).id == 1
        await watching.set_rule("room", "dark", RuleSettings(grace_seconds=3600), actor="ann")
        incident = await exported(one)
        assert opening(one, incident).is_same
        await watching.reset_rule("room", "dark", actor="ann")
        assert opening(one, await exported(one)).is_same
        slow = [row for row in incident[WATCHING] if "3600" in row["event_data"]]
        slow[0]["timestamp"] = incident[LOOKS][0]["observed_at"]
        assert json.loads(opening(one, incident).now)["in_grace"]


async def test_what_a_person_opened_is_not_asked_of_the_rules(tmp_path: Path) -> None:
    async with night(tmp_path) as one:
        leak = Violation(invariant="by_hand", target="roof", message="it drips")
        await TicketDB(one.ledger).report(leak, subject="room", reported_by="ann")
        await one.looks(3, fuse=10)
        incident = await exported(one)
        made = made_again(one, incident)
        left = unmade(incident, Means(complete(one.room)))
    assert {"diagnose"} <= {each.stage for each in made}
    assert [each for each in made if not each.is_same] == []
    assert "tickets that the monitor did not open" in {each.what for each in left}
