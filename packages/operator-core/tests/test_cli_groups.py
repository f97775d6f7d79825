"""How groups look on the command line, and in an incident's file."""

import json
from pathlib import Path

import pytest

from cli_kit import Cli, FakeSubject, install, now_do, part
from grouping_kit import CAUSES
from operator_core.db.tickets import TicketDB
from operator_core.monitor.types import Observation, Violation
from operator_core.runtime.incident.archive import MANIFEST, SEAL, UNSEALED, canonical
from test_cli_diagnose import seen
from test_db_groups import desk, pair
from test_incident import files_of, with_new_manifest, zipped


async def _grouped(folder: Path) -> None:
    async with desk(folder) as one:
        await one.seen("other:store-1")
        await pair(one)


def grouped(tmp_path: Path) -> Cli:
    """Return a command line whose ledger has ticket 3 under ticket 2, and ticket 1 alone."""
    cli = Cli(tmp_path)
    now_do(_grouped(tmp_path))
    (tmp_path / "ledger.db").rename(cli.db_path)
    return cli


def test_the_list_shows_followers_under_their_root(tmp_path: Path) -> None:
    cli = grouped(tmp_path)
    listed = cli.ok("tickets", "list")
    assert listed.index("store_silent") < listed.index("↳ 3")
    assert [one["root_ticket_id"] for one in cli.json("tickets", "list")] == [None, None, 2]


def test_a_ticket_shows_what_follows_it(tmp_path: Path) -> None:
    cli = grouped(tmp_path)
    assert "Brought by the same cause" in cli.ok("tickets", "show", "2")
    assert [one["id"] for one in cli.json("tickets", "show", "2")["followers"]] == [3]
    follower = cli.ok("tickets", "show", "3")
    assert "ticket 2" in follower
    assert "operator tickets show 2" in follower
    assert cli.json("tickets", "show", "3")["ticket"]["root_ticket_id"] == 2


def test_a_follower_is_exported_and_replayed_with_its_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli = grouped(tmp_path)
    install(monkeypatch)
    monkeypatch.setattr(FakeSubject, "hypotheses", lambda _self: tuple(CAUSES.values()))
    cli.ok("connect", "fake", "--name", "prod", "--address", "x")
    place = tmp_path / "incident.zip"
    for ticket in ("2", "3"):
        cli.ok("incident", "export", ticket, "--to", str(place))
        replayed = json.loads(cli.invoke("replay", str(place), "--json").stdout)["decisions"]
        (group,) = [one for one in replayed if one["stage"] == "group"]
        assert (group["what"], group["same"]) == ("ticket 3 under ticket 2", True)
        assert "follow" in cli.ok("timeline", ticket)
    monkeypatch.setattr(FakeSubject, "hypotheses", lambda _self: ())
    replayed = json.loads(cli.invoke("replay", str(place), "--json").stdout)["decisions"]
    assert [one["same"] for one in replayed if one["stage"] == "group"] == [False]


def test_an_archive_of_before_there_were_groups_is_read(tmp_path: Path) -> None:
    cli = grouped(tmp_path)
    place = tmp_path / "new.zip"
    cli.ok("incident", "export", "3", "--to", str(place))
    files = files_of(place)
    older = {name: text for name, text in files.items() if not name.startswith("group")}
    older = with_new_manifest({name: text for name, text in older.items() if name != SEAL})
    manifest = {**json.loads(older[MANIFEST]), "format": UNSEALED}
    (tmp_path / "old.zip").write_bytes(zipped({**older, MANIFEST: canonical(manifest)}))
    old = str(tmp_path / "old.zip")
    assert cli.json("incident", "check", old, "--unsealed")["ticket"] == 3
    assert "not sealed" in cli.ok("incident", "check", old, "--unsealed")
    for command in (("incident", "check"), ("replay",), ("timeline", "--incident")):
        assert "not sealed" in cli.fails(2, *command, old)


def test_what_happened_before_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cli = seen(tmp_path, monkeypatch)
    cli.ok("diagnose", "1")
    cli.ok("tickets", "resolve", "1")
    now_do(_see_another(cli.db_path))
    assert "once (tickets 1)" in cli.ok("diagnose", "2")
    assert "once (tickets 1)" in cli.ok("tickets", "show", "2")
    (known,) = cli.json("diagnose", "2")["past"]
    assert (known["seen"], known["ticket_ids"], known["weight"]) == (1, [1], 0.0)
    place = tmp_path / "incident.zip"
    cli.ok("incident", "export", "2", "--to", str(place))
    (made,) = [
        one for one in cli.json("replay", str(place))["decisions"] if one["stage"] == "diagnose"
    ]
    assert made["same"]


async def _see_another(path: Path) -> None:
    async with TicketDB(path) as db:
        look = Observation(parts={"stores": part({"s2": 0.99})})
        await db.record_look(look, {}, subject="fake")
        await db.report(
            Violation(invariant="full", target="s2", message="s2 is full"), subject="fake"
        )
