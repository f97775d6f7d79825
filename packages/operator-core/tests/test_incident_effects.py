"""That a temporary effect was over is decided again from its lease."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from engine_bench import Bench, bench
from operator_core.db.engine import Row
from operator_core.db.exports import ExportDB, IncidentRows
from operator_core.runtime.incident.replayed import Means, Replayed
from operator_core.runtime.incident.taken_back import UNDO, take_back
from operator_core.subject import complete
from sluices import HOUR, Weir, a_ticket, id_of_ticket, resolve, rounds, shut


@asynccontextmanager
async def weir(folder: Path, *, by_time: bool) -> AsyncIterator[tuple[Bench, Weir]]:
    """An effect that was taken back as its time was over, or its ticket was resolved."""
    async with bench(folder) as one:
        made, ticket = Weir(one), await a_ticket(one)
        await shut(one, made, ticket_id=id_of_ticket(ticket))
        await rounds(one, made)
        if by_time:
            one.clock.advance(HOUR)
        else:
            await resolve(one, ticket)
        await rounds(one, made)
        yield one, made


def again(made: Weir, incident: IncidentRows) -> Replayed:
    (found,) = take_back(incident, Means(complete(made)))
    return found


def the_undo(incident: IncidentRows) -> Row:
    (found,) = (row for row in incident["events"] if row["event_type"] == UNDO)
    return found


@pytest.mark.parametrize(
    ("by_time", "words"), [(True, "its time is over"), (False, "ticket 1 is resolved")]
)
async def test_the_reason_of_an_undo_is_found_again(
    tmp_path: Path, words: str, *, by_time: bool
) -> None:
    async with weir(tmp_path, by_time=by_time) as (one, made):
        found = again(made, await ExportDB(one.ledger).incident(1))
    assert found.is_same
    assert words in found.now


def later(incident: IncidentRows) -> None:
    event = the_undo(incident)
    told: dict[str, Any] = json.loads(event["event_data"])
    event["event_data"] = json.dumps({**told, "until": "2999-01-01T00:00:00.000000+00:00"})


def not_resolved(incident: IncidentRows) -> None:
    incident["events"] = [
        row for row in incident["events"] if row["event_type"] != "ticket_resolved"
    ]


def kept(incident: IncidentRows) -> None:
    undo = the_undo(incident)
    renewed = {**undo, "id": undo["id"] - 0.5, "event_type": "effect_renewed"}
    incident["events"].insert(incident["events"].index(undo), renewed)


@pytest.mark.parametrize(
    ("by_time", "forge"), [(True, later), (False, not_resolved), (False, kept)]
)
async def test_an_undo_before_its_time_differs(
    tmp_path: Path, forge: Callable[[IncidentRows], None], *, by_time: bool
) -> None:
    async with weir(tmp_path, by_time=by_time) as (one, made):
        incident = await ExportDB(one.ledger).incident(1)
        forge(incident)
        assert again(made, incident).now == "null"


async def test_what_a_person_asked_for_is_no_decision(tmp_path: Path) -> None:
    async with weir(tmp_path, by_time=True) as (one, made):
        incident = await ExportDB(one.ledger).incident(1)
        the_undo(incident)["actor"] = "ann"
        assert list(take_back(incident, Means(complete(made)))) == []
