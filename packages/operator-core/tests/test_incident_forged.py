"""Exports that were tampered with, in fifty ways: refused in a line, or the same to the byte."""

import io
import json
import struct
import unicodedata
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cli_kit import Cli, install, now_do
from operator_core.db.exports import ExportDB
from operator_core.runtime.incident.archive import MANIFEST, SEAL, canonical, parcel, unpack
from operator_core.runtime.incident.misfits import ArchiveError, digest_of
from test_cli_diagnose import see

Files = dict[str, bytes]
Json = Any
LOOK = "observations/1.json"


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """An exported incident with a comment, a diagnosis and looks."""
    with pytest.MonkeyPatch.context() as patch:
        install(patch)
        cli = Cli(tmp_path_factory.mktemp("forged"))
        cli.ok("connect", "fake", "--address", "x")
        now_do(see(cli.db_path))
        now_do(see(cli.db_path))
        cli.ok("diagnose", "1")
        cli.ok("tickets", "comment", "1", "caf\u00e9: 1.50 and 2")
        return now_do(_export(cli))


async def _export(cli: Cli) -> bytes:
    async with ExportDB(cli.db_path) as db:
        ready = parcel(await db.incident(1), {"operator-core": "1"})
        return ready.sealed(await db.seal(1, ready.digest, actor="ann"))


def files_of(packed: bytes) -> Files:
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(files: Files, compression: int = zipfile.ZIP_STORED) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return made.getvalue()


# --- what a forger does to the files --------------------------------------------------


def text(name: str, edit: Callable[[str], str]) -> Callable[[Files], Files]:
    return lambda files: {**files, name: edit(files[name].decode()).encode()}


def value(name: str, edit: Callable[[Json], Json]) -> Callable[[Files], Files]:
    """Edit what a file says; it is written canonically again."""
    return lambda files: {**files, name: canonical(edit(json.loads(files[name])))}


def content(name: str, edit: Callable[[str], str]) -> Callable[[Files], Files]:
    """Edit the text of the row in a file, and its digest with it."""

    def change(found: Json) -> Json:
        row = found if isinstance(found, dict) else found[0]
        row["content"] = edit(row["content"])
        if "digest" in row:
            row["digest"] = digest_of(row["content"])
        return found

    return value(name, change)


def put(**changed: Json) -> Callable[[Json], Json]:
    def change(found: Json) -> Json:
        row = found if isinstance(found, dict) else found[0]
        row.update(changed)
        return found

    return change


def rehashed(edit: Callable[[Json], None]) -> Callable[[Json], Json]:
    """Edit the audit's rows, and make every hash of the chain anew."""
    from operator_core.db import audit  # noqa: PLC0415 - a forger's tool

    def change(events: Json) -> Json:
        edit(events)
        before = events[0]["prev_hash"]
        for one in events:
            one["prev_hash"] = before
            one["hash"] = before = audit.row_hash(one)
        return events

    return change


def reversed_keys(found: str) -> str:
    row = json.loads(found)
    return json.dumps(dict(reversed(row.items())), separators=(",", ":"), ensure_ascii=False)


FILES: dict[str, Callable[[Files], Files]] = {
    "rows in another order": value("events.json", lambda rows: rows[::-1]),
    "a row twice": value("comments.json", lambda rows: rows + rows),
    "the last event dropped": value("events.json", lambda rows: rows[:-1]),
    "the first event dropped": value("events.json", lambda rows: rows[1:]),
    "no events": value("events.json", lambda _: []),
    "no comments": value("comments.json", lambda _: []),
    "no diagnoses": value("diagnoses.json", lambda _: []),
    "the chain made anew": value("events.json", rehashed(lambda rows: rows[0].update(actor="eve"))),
    "a payload, the chain made anew": value(
        "events.json", rehashed(lambda rows: rows[-1].update(event_data='{"body":"all fine"}'))
    ),
    "an event dropped, the chain made anew": value(
        "events.json", rehashed(lambda rows: rows.pop())
    ),
    "another comment": value("comments.json", put(body="all fine")),
    "another author": value("comments.json", put(author="eve")),
    "another ticket's number": value("tickets.json", put(id=2)),
    "another severity": value("tickets.json", put(severity="info")),
    "another cluster": value("tickets.json", put(subject="prod")),
    "another plugin": value("subjects.json", put(plugin="etcd")),
    "another ledger": value("ledger.json", put(ledger_id="00000000-0000-0000-0000-000000000000")),
    "another setting of a rule": value(
        "rule_settings.json", lambda _: [{"rule": "x", "settings": "{}"}]
    ),
    "a policy more": value("policies.json", lambda rows: [*rows, {"hash": "0", "text": ""}]),
    "an approval more": value("approvals.json", lambda rows: [*rows, {"id": 1}]),
    "a decision more": value("decisions.json", lambda rows: [*rows, {"id": 1}]),
    "a float as a whole number": content(LOOK, lambda text: text.replace("0.95", "1")),
    "a float written longer": content(LOOK, lambda text: text.replace("0.95", "0.950")),
    "a float written as 95e-2": content(LOOK, lambda text: text.replace("0.95", "95e-2")),
    "keys in another order": content(LOOK, reversed_keys),
    "blanks": content(LOOK, lambda text: text.replace(":", ": ")),
    "escapes": content(LOOK, lambda text: text.replace("a", "\\u0061", 1)),
    "another time zone": content(LOOK, lambda text: text.replace("Z", "+00:00")),
    "another time": value(LOOK, put(observed_at="2001-01-01T00:00:00.000000+00:00")),
    "looks exchanged": lambda files: {
        **files,
        LOOK: files["observations/2.json"].replace(b'"id":2', b'"id":1'),
        "observations/2.json": files[LOOK].replace(b'"id":1', b'"id":2'),
    },
    "a look dropped": lambda files: {n: c for n, c in files.items() if n != LOOK},
    "a look of a later number": lambda files: {
        **files,
        "observations/9.json": files[LOOK].replace(b'"id":1', b'"id":9'),
    },
    "a cause": content("diagnoses.json", lambda text: text.replace("full", "fine")),
    "claims dropped": content(
        "diagnoses.json", lambda text: text.replace('"evidence":[', '"evidence":[],"x":[')
    ),
    "signs composed otherwise": text("comments.json", lambda t: unicodedata.normalize("NFD", t)),
    "small letters": text("tickets.json", str.lower),
    "a byte order mark": text("tickets.json", lambda t: "\ufeff" + t),
    "a blank at the end": text("tickets.json", lambda t: t + "\n"),
    "a key twice": text("tickets.json", lambda t: t.replace('"id":1', '"id":1,"id":1')),
    "not a number": text("tickets.json", lambda t: t.replace('"id":1', '"id":NaN')),
    "no UTF-8": lambda files: {**files, "tickets.json": b"\xff\xfe"},
    "an empty file": lambda files: {**files, "tickets.json": b""},
    "nested without end": lambda files: {**files, "tickets.json": b"[" * 100_000},
    "a table more": lambda files: {**files, "extra.json": b"[]"},
    "a table less": lambda files: {n: c for n, c in files.items() if n != "records.json"},
    "a way out": lambda files: {**files, "../../evil.json": b"[]"},
    "an absolute name": lambda files: {**files, "/etc/evil.json": b"[]"},
    "a name of Windows": lambda files: {**files, "..\\evil.json": b"[]"},
    "a name in capitals": lambda files: {**files, "TICKETS.json": files["tickets.json"]},
    "no seal": lambda files: {n: c for n, c in files.items() if n != SEAL},
    "an empty seal": lambda files: {**files, SEAL: b"{}"},
    "a list as the seal": lambda files: {**files, SEAL: b"[]"},
    "another actor in the seal": value(SEAL, put(actor="eve")),
    "another event as the seal": lambda files: {
        **files,
        SEAL: canonical(json.loads(files["events.json"])[0]),
    },
    "a later version": value(MANIFEST, put(format=3)),
    "a format that is none": value(MANIFEST, put(format="2")),
    "other versions": value(MANIFEST, put(versions={"operator-core": "9"})),
    "a manifest that is a list": value(MANIFEST, lambda _: []),
}
"""What a forger does to the files of an archive."""


def with_new_manifest(files: Files) -> Files:
    """Return the files with a manifest that fits them, as a careful forger leaves them."""
    try:
        manifest = json.loads(files[MANIFEST])
        manifest["files"] = {
            name: digest_of(one) for name, one in files.items() if name not in {MANIFEST, SEAL}
        }
    except (TypeError, KeyError):
        return files
    return {**files, MANIFEST: canonical(manifest)}


def refused(packed: bytes) -> str:
    with pytest.raises(ArchiveError) as caught:
        unpack(packed)
    told = str(caught.value)
    assert "\n" not in told
    assert len(told) < 500
    return told


@pytest.mark.parametrize("how", FILES)
def test_a_changed_file_is_refused_whether_or_not_the_manifest_fits(
    packed: bytes, how: str
) -> None:
    files = files_of(packed)
    forged = FILES[how](files)
    assert forged != files
    refused(zipped(forged))
    if (new := with_new_manifest(forged)) != files:
        refused(zipped(new))


def test_an_archive_of_another_incident_lends_no_files_and_no_seal(packed: bytes) -> None:
    files = files_of(packed)
    rows = unpack(packed).rows
    other = parcel(rows, {"operator-core": "2"})
    assert "seal" in refused(zipped({**dict(other.files), SEAL: files[SEAL]}))
    refused(zipped({**files, MANIFEST: other.files[MANIFEST]}))


# --- what a forger does to the zip ----------------------------------------------------


def linked(packed: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, one in files_of(packed).items():
            info = zipfile.ZipInfo(name)
            info.external_attr = (0o120777 if name == "tickets.json" else 0o100644) << 16
            archive.writestr(info, one)
    return made.getvalue()


def doubled(packed: bytes) -> bytes:
    """Return an archive with a name that stands twice, as `zipfile` would not write it unwarned."""
    return zipped({**files_of(packed), "tickets.jsom": b"[]"}).replace(
        b"tickets.jsom", b"tickets.json"
    )


def with_one_size(packed: bytes, size: int) -> bytes:
    """Let the directory say that the first file is so large."""
    place = packed.index(b"PK\x01\x02") + 24
    return packed[:place] + struct.pack("<I", size) + packed[place + 4 :]


def encrypted(packed: bytes) -> bytes:
    place = packed.index(b"PK\x01\x02") + 8
    return packed[:place] + b"\x01\x00" + packed[place + 2 :]


def unsealed(packed: bytes, **manifest: object) -> bytes:
    """Return an archive as a forger makes it pass for one of a version that did not seal."""
    files = {name: text for name, text in files_of(packed).items() if name != SEAL}
    files[MANIFEST] = canonical({**json.loads(files[MANIFEST]), **manifest})
    return zipped(files)


ZIPS: dict[str, Callable[[bytes], bytes]] = {
    "nothing": lambda _: b"",
    "text": lambda _: b"no zip at all",
    "an empty zip": lambda _: zipped({}),
    "a link": linked,
    "a name twice": doubled,
    "bzip2": lambda packed: zipped(files_of(packed), zipfile.ZIP_BZIP2),
    "lzma": lambda packed: zipped(files_of(packed), zipfile.ZIP_LZMA),
    "a bomb": lambda packed: with_one_size(packed, 0xF0000000),
    "a size that is wrong": lambda packed: with_one_size(packed, 1),
    "an encrypted file": encrypted,
    "cut in the middle": lambda packed: packed[: len(packed) // 2],
    "without its end": lambda packed: packed[:-5],
    "without its beginning": lambda packed: packed[len(packed) // 2 :],
    "something before it": lambda packed: b"#!/bin/sh\n" + packed,
    "another archive before it": lambda packed: zipped({"tickets.json": b"[]"}) + packed,
    "something behind it": lambda packed: packed + b"all fine",
    "a comment": lambda packed: packed[:-2] + b"\x08\x00all fine",
    "a comment that is another end": lambda packed: packed[:-2] + b"\x16\x00" + packed[-22:],
    "format true": lambda packed: unsealed(packed, format=True),
    "format 1.0": lambda packed: unsealed(packed, format=1.0),
    "a zip in a zip": lambda packed: zipped({"incident-1.zip": packed}),
    "five thousand files": lambda packed: zipped(
        {**files_of(packed), **{f"{one}.json": b"" for one in range(5000)}}
    ),
}


@pytest.mark.parametrize("how", ZIPS)
def test_a_forged_zip_is_refused(packed: bytes, how: str) -> None:
    refused(ZIPS[how](packed))


SAME: dict[str, Callable[[bytes], bytes]] = {
    "stored": lambda packed: zipped(files_of(packed)),
    "packed tighter": lambda packed: zipped(files_of(packed), zipfile.ZIP_DEFLATED),
    "files in another order": lambda packed: zipped(dict(reversed(files_of(packed).items()))),
}
"""What changes the bytes of a zip and none of its files."""


@pytest.mark.parametrize("how", SAME)
def test_what_changes_no_file_is_the_same_incident(packed: bytes, how: str) -> None:
    whole, read = unpack(packed), unpack(SAME[how](packed))
    assert (read.rows, read.digest, read.seal) == (whole.rows, whole.digest, whole.seal)


def test_the_ledger_knows_its_own_seals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A forger who makes the audit anew is found out by the ledger."""
    install(monkeypatch)
    cli = Cli(tmp_path)
    cli.ok("connect", "fake", "--address", "x")
    now_do(see(cli.db_path))
    packed, place = now_do(_export(cli)), tmp_path / "i.zip"
    assert now_do(_export(cli)) == packed, "the same incident is sealed once"
    place.write_bytes(packed)
    assert cli.json("incident", "check", str(place), "--in-ledger")["in_ledger"]
    place.write_bytes(_forged_whole(packed))
    assert "is whole" in cli.ok("incident", "check", str(place))
    assert "did not export" in cli.fails(2, "incident", "check", str(place), "--in-ledger")


def _forged_whole(packed: bytes) -> bytes:
    from operator_core.db import audit  # noqa: PLC0415 - a forger's tool

    files = with_new_manifest(FILES["another severity"](files_of(packed)))
    seal = json.loads(files[SEAL])
    seal["event_data"] = json.dumps({"digest": digest_of(files[MANIFEST])})
    seal["hash"] = audit.row_hash(seal)
    return zipped({**files, SEAL: canonical(seal)})
