"""A whole incident is made again from its file: with its rehearsals and the proof of its remedy."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from barrels import look_at
from cli_kit import now_do
from engine_bench import bench, recommend
from operator_core.db.exports import ExportDB, IncidentRows
from operator_core.db.tickets import TicketDB
from operator_core.monitor.types import Violation
from operator_core.monitor.verification import Verdict
from operator_core.runtime.incident.archive import pack, unpack
from operator_core.runtime.incident.proofs import rehearse
from operator_core.runtime.incident.replay import replay
from operator_core.runtime.incident.replayed import Means, Replayed
from operator_core.subject import complete
from test_cli_diagnose import seen
from test_rehearsing import Cellar, Stage
from test_verifier import Plant, plant


def made_again(one: Plant, incident: IncidentRows) -> dict[str, list[Replayed]]:
    """Return what a replay makes of an incident's archive, by stage."""
    found: dict[str, list[Replayed]] = {}
    for each in replay(unpack(pack(incident, {})).rows, Means(complete(one.pumps))):
        found.setdefault(each.stage, []).append(each)
    return found


@pytest.mark.parametrize(
    ("remedy", "ends"),
    [
        ("clear", Verdict.VERIFIED),
        ("kick", Verdict.NOT_VERIFIED),
        ("scrap", Verdict.NOT_VERIFIED),
        ("overload", Verdict.NOT_VERIFIED),
    ],
)
async def test_every_decision_up_to_the_proof_is_the_same(
    tmp_path: Path, remedy: str, ends: Verdict
) -> None:
    async with plant(tmp_path, remedy) as one:
        await one.rounds(120)
        ticket = await one.ticket()
        found = made_again(one, await ExportDB(one.ledger).incident(int(ticket.id or 0)))
    assert {"detect", "open", "diagnose", "propose", "claim", "verify"} <= found.keys()
    assert "resolve" in found or ends is Verdict.NOT_VERIFIED
    assert all(each.is_same for stage in found.values() for each in stage)
    assert json.loads(found["verify"][0].recorded)["verdict"] == ends


FALSE_PROOFS: dict[str, Callable[[dict[str, Any]], None]] = {
    "another look decided": lambda told: told.update(look_id=told["baseline_id"]),
    "too few looks": lambda told: told.update(looks=1),
    "more than there was": lambda told: told.update(
        capacity={"members": {"pumps": ["a", "b", "c", "d"]}, "amounts": {}}
    ),
    "a look that is not there": lambda told: told.update(look_id=999),
}


@pytest.mark.parametrize("how", FALSE_PROOFS)
async def test_a_verdict_that_its_look_does_not_give_differs(tmp_path: Path, how: str) -> None:
    async with plant(tmp_path, "clear") as one:
        await one.rounds(120)
        ticket = await one.ticket()
        incident = await ExportDB(one.ledger).incident(int(ticket.id or 0))
        for event in incident["events"]:
            if event["event_type"] == "remedy_verified":
                told = json.loads(event["event_data"])
                FALSE_PROOFS[how](told)
                event["event_data"] = json.dumps(told)
        (proof,) = (
            each for each in replay(incident, Means(complete(one.pumps))) if each.stage == "verify"
        )
    assert not proof.is_same


async def test_a_rehearsal_is_made_again_from_the_look_that_it_names(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        stage = Stage(one, Cellar())
        ticket = await TicketDB(one.ledger).report(
            Violation(invariant="full", target="s", message="m"), subject=stage.cellar.name
        )
        executor = one.executor(subject=stage.cellar)
        steps = [recommend("act", value=litres) for litres in (3, 4)]
        await executor.propose_workflow("drink", "-", steps, int(ticket.id or 0))
        await stage.agent.validate()
        await asyncio.sleep(0)
        incident = await ExportDB(one.ledger).incident(int(ticket.id or 0))
    means = Means(complete(stage.cellar))
    again = list(rehearse(incident, means))
    assert [each.is_same for each in again] == [True, True]
    assert "step 2 (act): it is not dry" in again[0].now
    (look,) = incident["observations"]
    assert {row["observation_id"] for row in incident["rehearsals"]} == {look["id"]}
    assert look["kept_as"] == "evidence"
    other = json.loads(look["content"])
    other["parts"]["barrel"]["data"]["litres"] = look_at(99).data("barrel")["litres"]
    look["content"] = json.dumps(other)
    assert not any(each.is_same for each in rehearse(incident, means))


ODD: dict[str, tuple[str, Any]] = {
    "a ticket that is empty": ("tickets", [{}]),
    "a time that is none": ("tickets", [{"id": 1, "first_seen_at": "soon"}]),
    "a diagnosis that is none": ("diagnoses", [{"content": "[]"}]),
    "a plugin without settings": ("subjects", [{"plugin": "fake"}]),
}


@pytest.mark.parametrize("how", ODD)
def test_an_archive_without_a_seal_that_holds_odd_rows_is_told_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    cli = seen(tmp_path, monkeypatch)
    cli.ok("diagnose", "1")

    async def read() -> IncidentRows:
        async with ExportDB(cli.db_path) as db:
            return await db.incident(1)

    table, rows = ODD[how]
    place = tmp_path / "odd.zip"
    place.write_bytes(pack({**now_do(read()), table: rows}, {}))
    for command in (("replay",), ("timeline", "--incident"), ("diagnose", "recheck", "--incident")):
        result = cli.invoke(*command, str(place), "--unsealed")
        assert result.exit_code in {0, 1, 2}, result.output
