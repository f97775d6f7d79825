"""Incidents as files: whole or refused, replayed to the byte, told in order."""

import io
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cli_kit import NASTY, Cli, install, now_do
from operator_core.db.exports import ExportDB, IncidentRows
from operator_core.runtime.incident.archive import canonical, pack, unpack
from operator_core.runtime.incident.misfits import ArchiveError
from operator_core.runtime.incident.page import after, page
from operator_core.runtime.incident.timeline import timeline
from test_cli_diagnose import see

Files = dict[str, bytes]


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """A ledger with a ticket that was diagnosed."""
    install(monkeypatch)
    cli = Cli(tmp_path)
    cli.ok("connect", "fake", "--address", "x")
    now_do(see(cli.db_path))
    cli.ok("diagnose", "1")
    return cli


def exported(cli: Cli, tmp_path: Path) -> Path:
    place = tmp_path / "incident.zip"
    cli.ok("incident", "export", "1", "--to", str(place))
    return place


def test_an_incident_is_exported_checked_and_replayed(cli: Cli, tmp_path: Path) -> None:
    place = exported(cli, tmp_path)
    assert cli.json("incident", "check", str(place))["ticket"] == 1
    data = cli.json("replay", str(place))
    assert data["differing"] == 0
    assert [one["stage"] for one in data["decisions"]] == ["detect", "open", "diagnose"]
    assert data["not_made_again"] == []
    assert all(one["same"] for one in data["decisions"])


def test_the_same_incident_is_the_same_archive(cli: Cli, tmp_path: Path) -> None:
    first = exported(cli, tmp_path).read_bytes()
    assert exported(cli, tmp_path).read_bytes() == first


def test_claims_are_checked_again_from_the_file_to_the_same_bytes(cli: Cli, tmp_path: Path) -> None:
    place = exported(cli, tmp_path)
    here = cli.ok("diagnose", "recheck", "1", "--json")
    assert cli.ok("diagnose", "recheck", "--incident", str(place), "--json") == here
    assert "Name a ticket" in cli.fails(2, "diagnose", "recheck")


def test_nothing_is_replayed_after_the_moment_that_was_named(cli: Cli, tmp_path: Path) -> None:
    place = exported(cli, tmp_path)
    assert cli.json("replay", str(place), "--until", "2001-01-01")["decisions"] == []
    assert "no diagnoser" in cli.fails(2, "replay", str(place), "--diagnoser", "oracle")


def test_what_another_version_would_decide_is_shown(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = exported(cli, tmp_path)
    monkeypatch.setattr("operator_core.runtime.incident.replay.diagnose", _changed)
    result = cli.invoke("replay", str(place), "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["differing"] == 1
    assert "another" in cli.invoke("replay", str(place)).stdout


def _changed(*args: Any, **named: Any) -> Any:  # noqa: ANN401 - as what it stands for
    from operator_core.agent.rules import diagnose  # noqa: PLC0415 - the real one

    return diagnose(*args, **named).model_copy(update={"cause": "another"})


# --- tampering ------------------------------------------------------------------------


def files_of(place: Path) -> Files:
    with zipfile.ZipFile(place) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(files: Files) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()


def with_new_manifest(files: Files) -> Files:
    """Return the files as a forger would leave them: their digests are made anew."""
    from operator_core.runtime.incident.misfits import (  # noqa: PLC0415 - a forger's tool
        digest_of as _digest,
    )

    manifest = json.loads(files["manifest.json"])
    manifest["files"] = {n: _digest(c) for n, c in files.items() if n != "manifest.json"}
    return {**files, "manifest.json": canonical(manifest)}


def edited(files: Files, name: str, edit: Callable[[Any], None]) -> Files:
    content = json.loads(files[name])
    edit(content)
    return {**files, name: canonical(content)}


def more_confident(rows: list[dict[str, Any]]) -> None:
    content = json.loads(rows[0]["content"])
    rows[0]["content"] = json.dumps({**content, "confidence": 1.0})


def another_look(row: dict[str, Any]) -> None:
    row["content"] = row["content"].replace("0.95", "0.10")


def another_look_and_digest(row: dict[str, Any]) -> None:
    from operator_core.runtime.incident.misfits import (  # noqa: PLC0415 - a forger's tool
        digest_of as _digest,
    )

    another_look(row)
    row["digest"] = _digest(row["content"])


def another_actor(rows: list[dict[str, Any]]) -> None:
    rows[0]["actor"] = "mallory"


LOOK = "observations/1.json"
FORGED: list[tuple[str, Callable[[Files], Files], str]] = [
    ("content", lambda f: {**f, "tickets.json": f["tickets.json"] + b" "}, "tickets.json"),
    ("missing", lambda f: {n: c for n, c in f.items() if n != LOOK}, LOOK),
    ("extra", lambda f: {**f, "more.json": b"[]"}, "more.json"),
    ("no manifest", lambda f: {n: c for n, c in f.items() if n != "manifest.json"}, "manifest"),
    ("look", lambda f: with_new_manifest(edited(f, LOOK, another_look)), "observation 1"),
    (
        "look and its digest",
        lambda f: with_new_manifest(edited(f, LOOK, another_look_and_digest)),
        "observation 1",
    ),
    (
        "diagnosis",
        lambda f: with_new_manifest(edited(f, "diagnoses.json", more_confident)),
        "diagnosis 1",
    ),
    ("audit", lambda f: with_new_manifest(edited(f, "events.json", another_actor)), "event"),
    (
        "a look under another number",
        lambda f: with_new_manifest({**f, "observations/2.json": f[LOOK]}),
        "observations/2.json",
    ),
    ("no rows", lambda f: with_new_manifest({**f, "events.json": b'{"a": 1}'}), "events.json"),
    ("odd rows", lambda f: with_new_manifest({**f, "events.json": b'[{"a":1}]'}), "row"),
    ("no ticket", lambda f: with_new_manifest({**f, "tickets.json": b"[]"}), "no ticket"),
]


@pytest.mark.parametrize(
    ("forge", "told"), [(f, t) for _, f, t in FORGED], ids=[n for n, *_ in FORGED]
)
def test_a_forged_archive_is_refused_and_says_why(
    cli: Cli, tmp_path: Path, forge: Callable[[Files], Files], told: str
) -> None:
    place = exported(cli, tmp_path)
    place.write_bytes(zipped(forge(files_of(place))))
    for command in (("incident", "check"), ("replay",), ("timeline", "--incident")):
        assert told in cli.fails(2, *command, str(place))


@pytest.mark.parametrize("cut", [0, 1, 40, 400, -1])
def test_a_truncated_archive_is_refused(cli: Cli, tmp_path: Path, cut: int) -> None:
    place = exported(cli, tmp_path)
    place.write_bytes(place.read_bytes()[:cut])
    cli.fails(2, "incident", "check", str(place))


def test_any_flipped_byte_is_found_or_means_nothing(cli: Cli, tmp_path: Path) -> None:
    packed = exported(cli, tmp_path).read_bytes()
    whole = unpack(packed)
    for place in range(0, len(packed), 97):
        flipped = bytearray(packed)
        flipped[place] ^= 0x20
        try:
            read = unpack(bytes(flipped))
        except ArchiveError:
            continue
        assert (read.rows, read.digest) == (whole.rows, whole.digest), place


def test_a_large_archive_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("operator_core.runtime.incident.zipped.MAX_BYTES", 1000)
    with pytest.raises(ArchiveError, match="too large"):
        unpack(zipped({"manifest.json": b"x" * 2000}))


# --- timeline -------------------------------------------------------------------------


def rows_of(cli: Cli) -> IncidentRows:
    async def read() -> IncidentRows:
        async with ExportDB(cli.db_path) as db:
            return await db.incident(1)

    return now_do(read())


def test_the_timeline_tells_in_order_who_did_what(cli: Cli) -> None:
    cli.ok("tickets", "comment", "1", "looking")
    cli.ok("tickets", "resolve", "1", "-r", "new disk")
    data = cli.json("timeline", "1")["moments"]
    assert [one["what"] for one in data][:2] == ["first seen", "ticket opened"]
    assert [one["stage"] for one in data if one["stage"] == "diagnose"] == ["diagnose"]
    assert data[-1]["what"] == "resolved"
    assert data[-1]["detail"] == "new disk"
    seconds = [one["seconds"] for one in data]
    assert seconds == sorted(seconds)
    assert "first seen" in cli.ok("timeline", "1")


def test_the_page_needs_nothing_and_escapes_everything(cli: Cli, tmp_path: Path) -> None:
    evil = f"<script>alert(1)</script>{NASTY}"
    cli.ok("tickets", "comment", "1", evil)
    place = tmp_path / "page.html"
    cli.ok("timeline", "1", "--html", str(place))
    text = place.read_text("utf-8")
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert "http" not in text
    assert all(char.isprintable() or char == "\n" for char in text), "nothing turns the text round"
    assert text == page(rows_of(cli))


@pytest.mark.parametrize(
    ("seconds", "told"), [(0, "0.0 s"), (119.94, "119.9 s"), (120, "0:02:00"), (7384.9, "2:03:04")]
)
def test_a_long_time_is_told_in_hours(seconds: float, told: str) -> None:
    assert after(seconds) == told


def test_a_ticket_or_a_file_is_named(cli: Cli, tmp_path: Path) -> None:
    assert "Name a ticket" in cli.fails(2, "timeline")
    assert "not found" in cli.fails(2, "timeline", "9")
    assert "not found" in cli.fails(2, "incident", "export", "9")
    assert "cannot be read" in cli.fails(2, "incident", "check", str(tmp_path / "no.zip"))
    assert "no archive" in cli.fails(2, "replay", str(cli.db_path))


def test_settings_that_are_secret_are_not_exported(cli: Cli, tmp_path: Path) -> None:
    rows = rows_of(cli)
    assert rows["subjects"]
    assert unpack(pack(rows, {"a": "1"})).versions == {"a": "1"}
    assert timeline(rows)[0].what == "first seen"
    later = {**rows["tickets"][0], "message": "what the last look said"}
    told = timeline({**rows, "tickets": [later]})[0].detail
    assert told == later["violation_key"], "of the first look only the problem's name is known"


# --- a ledger that nobody may write to ------------------------------------------------


def test_what_only_looks_reads_a_ledger_that_cannot_be_written(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = cli.db_path.parent
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    monkeypatch.setattr("os.access", lambda _path, mode: mode != os.W_OK)
    shown = [("tickets", "list"), ("tickets", "show", "1"), ("timeline", "1"), ("audit", "verify")]
    for command in shown:
        assert cli.ok(*command)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


def test_an_empty_address_of_a_ledger_is_refused(cli: Cli) -> None:
    assert "--db is empty" in cli.fails(2, "tickets", "list", "--db", "")


def test_a_ledger_that_nobody_may_write_is_exported_without_a_seal(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "unsealed.zip"
    before = cli.db_path.read_bytes()
    # Root may write whatever the file's mode is, so the question is answered for it.
    monkeypatch.setattr("operator_core.cli.incident.is_writable", lambda _path: False)
    assert "--unsealed" in cli.fails(2, "incident", "export", "1", "--to", str(place))
    cli.ok("incident", "export", "1", "--to", str(place), "--unsealed")
    assert cli.db_path.read_bytes() == before
    assert json.loads(files_of(place)["manifest.json"])["sealed"] is False
    assert "not sealed" in cli.fails(2, "incident", "check", str(place))
    assert cli.json("incident", "check", str(place), "--unsealed")["sealed_at"] is None
    assert cli.json("replay", str(place), "--unsealed")["differing"] == 0
