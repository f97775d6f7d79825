"""Files of which every hash was made anew: whatever stands in a row, it is told in a line."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli_kit import now_do
from operator_core.actions.policy import load
from operator_core.clock import utc_now
from operator_core.db import audit
from operator_core.db.actions import ActionDB
from operator_core.db.engine import Row
from operator_core.db.exports import WATCHING, ExportDB, IncidentRows
from operator_core.db.policy import PolicyDB
from operator_core.runtime.incident.archive import pack, unpack
from operator_core.runtime.incident.misfits import ArchiveError
from operator_core.runtime.incident.replay import replay
from operator_core.runtime.incident.replayed import Means
from operator_core.runtime.incident.shapes import NO_ROW, _columns, faults
from operator_core.subject import complete
from test_cli_diagnose import seen
from test_incident_stranger import COMMANDS
from test_verifier import Plant, plant

VALUES: dict[str, Any] = {
    "a list": ["x"],
    "an object": {"x": 1},
    "true": True,
    "a broken number": 1.5,
    "a number without end": 10**40,
}
NOW = utc_now().isoformat()
AUTO = (
    '[[rule]]\nname = "all"\neffect = "auto"\n'
    '[[limit]]\nname = "few"\ncount = 5\nper_seconds = 9e4\n'
)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> tuple[IncidentRows, Plant]:
    """A whole incident with a policy, an approval, attempts, a rehearsal and a proof."""

    async def made() -> tuple[IncidentRows, Plant]:
        async with plant(tmp_path_factory.mktemp("plant"), "clear") as one:
            await PolicyDB(one.ledger).enforce(load(AUTO), source="test", actor="ann")
            await one.rounds(10)
            await ActionDB(one.ledger).approve_proposal(1, approved_by="bob")
            await one.rounds(120)
            ticket = await one.ticket()
            rows = await ExportDB(one.ledger).incident(int(ticket.id or 0))
            return rows, one

    return now_do(made())


def test_the_columns_of_each_table_are_those_of_the_ledger(
    story: tuple[IncidentRows, Plant],
) -> None:
    incident, _ = story
    assert {"decisions", "events", "proposals", "records"} <= {t for t, r in incident.items() if r}
    for table, found in incident.items():
        known = _columns(table)
        assert known, table
        for row in found:
            assert set(row) == set(known), table
    assert list(faults(incident)) == []


@pytest.mark.parametrize("what", VALUES)
def test_a_value_that_no_column_holds_is_told(story: tuple[IncidentRows, Plant], what: str) -> None:
    for table, found in story[0].items():
        for row in found[:1]:
            for column in row:
                if column == "confidence" and "number" in what:
                    continue
                told = list(faults({table: [{**row, column: VALUES[what]}]}))
                assert len(told) == 1, (table, column)
                assert told[0].startswith(f"{table}, row ")
                assert column in told[0]


@pytest.mark.parametrize("text", ["", "soon", "[" * 100_000, '{"a": NaN}', "7", "\ud800"])
def test_a_text_that_says_nothing_is_told_where_it_must_say_something(
    story: tuple[IncidentRows, Plant], text: str
) -> None:
    columns = [
        ("events", "event_data"),
        ("events", "timestamp"),
        ("decisions", "request"),
        ("decisions", "binds"),
        ("diagnoses", "content"),
        ("proposals", "parameters"),
        ("proposals", "status"),
        ("tickets", "first_seen_at"),
        ("tickets", "severity"),
    ]
    for table, column in columns:
        row = {**story[0][table][0], column: text}
        assert list(faults({table: [row]})), (table, column)


EVENTS: dict[str, tuple[str, dict[str, Any]]] = {
    "a backoff that is text": ("retry_scheduled", {"retry_count": 1, "backoff": "x"}),
    "a backoff of other numbers": ("retry_scheduled", {"retry_count": 1, "backoff": {"a": 1}}),
    "a backoff without end": (
        "retry_scheduled",
        {
            "retry_count": 1,
            "backoff": {
                "max_attempts": 3,
                "min_wait_seconds": 1,
                "max_wait_seconds": 1e300,
                "exponential_base": 2,
                "jitter_fraction": 0.5,
            },
        },
    ),
    "a count that is text": ("retry_exhausted", {"retry_count": "one"}),
    "no count": ("retry_scheduled", {}),
    "a time that is none": ("retry_scheduled", {"retry_count": 1, "next_retry_at": "soon"}),
    "a mode that is none": ("mode_changed", {"to": "fly"}),
    "a lift that is text": ("mode_changed", {"to": "execute", "kill_lifted": "yes"}),
    "looks that are a list": ("ticket_diagnosed", {"looks": [1]}),
    "a look's digest that is a number": ("ticket_diagnosed", {"looks": {"1": 1}}),
    "a former diagnosis that is text": (
        "diagnosis_superseded",
        {"superseded": "1", "diagnosis": 2, "turn": "x", "reason": "y"},
    ),
    "a root that is a list": ("ticket_grouped", {"root_ticket_id": [1]}),
    "a policy that is a number": ("proposal_approved", {"policy": 1, "approved_by": "ann"}),
    "a lease that is a list": ("effect_leased", {"lease_id": [1]}),
    "an end of a lease that is none": ("execution_taken_over", {"lease_expires_at": "soon"}),
    "a snooze without an end": (
        "snoozed",
        {"snooze_id": 1, "rule": "full", "target": None, "reason": "x"},
    ),
    "settings that are none": ("rule_set", {"rule": "full", "settings": {"grace_seconds": "x"}}),
    "a proof without a beginning": ("remedy_verified", {"looks": 3}),
    "a proof of fewer than no looks": (
        "remedy_verified",
        {"diagnosed_at": NOW, "started_at": NOW, "ended_at": NOW, "looks": -1},
    ),
}


@pytest.mark.parametrize("how", EVENTS)
def test_an_event_that_does_not_say_what_its_kind_says_is_told(
    story: tuple[IncidentRows, Plant], how: str
) -> None:
    kind, told = EVENTS[how]
    row = hashed({**story[0]["events"][0], "event_type": kind, "event_data": json.dumps(told)})
    for table in ("events", "switches", WATCHING):
        (found,) = faults({table: [row]})
        assert found.isprintable()


def hashed(row: Row) -> Row:
    return {**row, "hash": audit.row_hash(row)}


def mutants(incident: IncidentRows, value: object) -> Iterator[tuple[str, str, IncidentRows]]:
    """Yield an incident with one value of one JSON text changed, for each such value."""
    for table in ("approvals", "decisions", "diagnoses", "events", "rehearsals"):
        for place, row in enumerate(incident[table]):
            for column, text in row.items():
                if not isinstance(text, str) or not text.startswith("{"):
                    continue
                for key in json.loads(text):
                    changed = {**row, column: json.dumps({**json.loads(text), key: value})}
                    new = hashed(changed) if table == "events" else changed
                    found = incident[table]
                    rows = [*found[:place], new, *found[place + 1 :]]
                    yield table, key, {**incident, table: rows}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("value", [None, [], {}, "x", -1, 1e300, True], ids=str)
def test_a_replay_of_forged_rows_ends_in_an_answer_or_a_line(
    story: tuple[IncidentRows, Plant], value: object
) -> None:
    """What stands in texts: refused where the file is read, or made again and shown."""
    incident, one = story
    means = Means(complete(one.pumps))
    for table, key, forged in mutants(incident, value):
        if list(faults(forged)):
            continue
        try:
            made = replay(forged, means)
        except NO_ROW as error:
            pytest.fail(f"{table} {key}: {error!r}")
        assert made


@pytest.mark.parametrize(
    "changed", [{"worse": 1.5}, {"better": "x"}, {"changes": [1]}, {"seconds": "x"}, {"undo": [1]}]
)
def test_a_rehearsal_that_foretells_nothing_is_told(changed: dict[str, Any]) -> None:
    said = {"seconds": 1.0, "changes": [], "better": [], "worse": [], "blast": None, "undo": []}
    row = {"id": 1, "proposal_id": 1, "rehearsed_at": NOW, "prediction": json.dumps(said)}
    assert list(faults({"rehearsals": [row]})) == []
    row["prediction"] = json.dumps({**said, **changed})
    (told,) = faults({"rehearsals": [row]})
    assert next(iter(changed)) in told


FORGED: dict[str, tuple[str, dict[str, Any]]] = {
    "who did it is an object": ("events", {"actor": {"a": 1}}),
    "a policy that is none": ("policies", {"text": "[[rule]]"}),
    "a ticket without a severity": ("tickets", {"severity": "grave"}),
    "a diagnosis without a cause": ("diagnoses", {"content": "{}"}),
    "a plugin that is a number": ("subjects", {"plugin": 7}),
}


@pytest.mark.parametrize("how", FORGED)
def test_each_command_says_in_one_line_which_row_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    cli = seen(tmp_path, monkeypatch)
    cli.ok("diagnose", "1")

    async def read() -> IncidentRows:
        async with ExportDB(cli.db_path) as db:
            return await db.incident(1)

    rows = now_do(read())
    table, changed = FORGED[how]
    base = rows[table][0] if rows[table] else {"hash": "0", "loaded_at": NOW, "loaded_by": "ann"}
    row = {"source": "", "in_force": 0, **base, **changed}
    place = tmp_path / "forged.zip"
    place.write_bytes(pack({**rows, table: [row]}, {}))
    with pytest.raises(ArchiveError, match=f"{table}, row "):
        unpack(place.read_bytes())
    for command in COMMANDS:
        said = cli.fails(2, *command, str(place), "--unsealed")
        assert said.startswith("Error: The archive holds rows that are none: ")
        assert said.count("\n") == 1
