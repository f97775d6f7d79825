"""Exports as a stranger hands them over: zips that hide things, rows that are none, forged rows.

Every command that reads one tells it in a line, ends with 2, and writes nothing anywhere.
"""

import json
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cli_kit import Cli, install, now_do
from operator_core.db import audit
from operator_core.db.exports import LOOKS, ExportDB, IncidentRows
from operator_core.runtime.incident.archive import MANIFEST, SEAL, canonical, pack, unpack
from operator_core.runtime.incident.misfits import ArchiveError, digest_of
from test_cli_diagnose import see
from test_incident_forged import _export, files_of, with_new_manifest

COMMANDS = (
    ("incident", "check"),
    ("replay",),
    ("timeline", "--incident"),
    ("diagnose", "recheck", "--incident"),
)
TICKETS = b"tickets.json"


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    """A ledger with an incident."""
    with pytest.MonkeyPatch.context() as patch:
        install(patch)
        made = Cli(tmp_path_factory.mktemp("stranger"))
        made.ok("connect", "fake", "--address", "x")
        now_do(see(made.db_path))
        made.ok("diagnose", "1")
        made.ok("tickets", "comment", "1", "looked at it")
        yield made


@pytest.fixture(scope="module")
def packed(cli: Cli) -> bytes:
    return now_do(_export(cli))


@pytest.fixture(scope="module")
def rows(cli: Cli) -> IncidentRows:
    async def read() -> IncidentRows:
        async with ExportDB(cli.db_path) as db:
            return await db.incident(1)

    return now_do(read())


# --- a zip byte by byte ---------------------------------------------------------------


@dataclass
class Entry:
    """A file of a zip: what the list at the end says, and what its own header says."""

    name: bytes
    data: bytes
    body: bytes | None = None
    method: int = 0
    flags: int = 0
    mode: int = 0
    dos: int = 0
    disk: int = 0
    listed_extra: bytes = b""
    comment: bytes = b""
    own_name: bytes | None = None
    own_method: int | None = None
    own_flags: int | None = None
    own_sizes: tuple[int, int] | None = None
    own_crc: int | None = None
    own_extra: bytes = b""

    def header(self) -> bytes:
        body = self.data if self.body is None else self.body
        name = self.name if self.own_name is None else self.own_name
        packed_size, size = self.own_sizes or (len(body), len(self.data))
        told = struct.pack(
            "<4sHHHHHIIIHH",
            b"PK\x03\x04", 20,
            self.flags if self.own_flags is None else self.own_flags,
            self.method if self.own_method is None else self.own_method,
            0, 33, zlib.crc32(self.data) if self.own_crc is None else self.own_crc,
            packed_size, size, len(name), len(self.own_extra),
        )  # fmt: skip
        return told + name + self.own_extra + body

    def listed(self, place: int) -> bytes:
        size = len(self.data if self.body is None else self.body)
        told = struct.pack(
            "<4sHHHHHHIIIHHHHHII",
            b"PK\x01\x02", 0x314, 20, self.flags, self.method, 0, 33, zlib.crc32(self.data),
            size, len(self.data), len(self.name), len(self.listed_extra), len(self.comment),
            self.disk, 0, self.mode << 16 | self.dos, place,
        )  # fmt: skip
        return told + self.name + self.listed_extra + self.comment


def zipped(entries: list[Entry], *, count: int | None = None, disk: int = 0) -> bytes:
    files, listed = b"", b""
    for one in entries:
        listed += one.listed(len(files))
        files += one.header()
    number = len(entries) if count is None else count
    end = struct.pack(
        "<4sHHHHIIH", b"PK\x05\x06", disk, 0, number, number, len(listed), len(files), 0
    )
    return files + listed + end


def entries_of(packed: bytes, **odd: Any) -> list[Entry]:  # noqa: ANN401 - any part of an entry
    """Return the files of an archive, the tickets' written oddly."""
    found = [Entry(name.encode(), content) for name, content in files_of(packed).items()]
    for one in found:
        if one.name == TICKETS:
            for key, value in odd.items():
                setattr(one, key, value)
    return found


def odd(**parts: Any) -> Callable[[bytes], bytes]:  # noqa: ANN401 - any part of an entry
    return lambda packed: zipped(entries_of(packed, **parts))


def deflated(content: bytes) -> bytes:
    made = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return made.compress(content) + made.flush()


def hidden_behind(packed: bytes) -> bytes:
    body = deflated(files_of(packed)[TICKETS.decode()]) + b"hidden"
    return zipped(entries_of(packed, method=8, body=body))


def longer_than_told(packed: bytes) -> bytes:
    return zipped(entries_of(packed, body=files_of(packed)[TICKETS.decode()] + b"hidden"))


def cut_short(packed: bytes) -> bytes:
    body = deflated(files_of(packed)[TICKETS.decode()])[:-4]
    return zipped(entries_of(packed, method=8, body=body))


def bomb(packed: bytes) -> bytes:
    """A file of a kilobyte that says so, and unpacks to sixteen megabytes."""
    told = files_of(packed)[TICKETS.decode()]
    return zipped(entries_of(packed, method=8, body=deflated(told + b" " * (1 << 24))))


def more(name: bytes, content: bytes = b"[]") -> Callable[[bytes], bytes]:
    return lambda packed: zipped([*entries_of(packed), Entry(name, content)])


def in_between(packed: bytes) -> bytes:
    made = zipped(entries_of(packed))
    return made[:-22] + b"junk" + made[-22:]


ZIPS: dict[str, Callable[[bytes], bytes]] = {
    "bytes behind what was deflated": hidden_behind,
    "bytes behind what was stored": longer_than_told,
    "deflated and cut short": cut_short,
    "more than its size": bomb,
    "an extra field of the file": odd(own_extra=b"\x99\x99\x04\x00evil"),
    "an extra field of the list": odd(listed_extra=b"\x99\x99\x04\x00evil"),
    "a comment of a file": odd(comment=b"all fine"),
    "a name with an end inside": odd(name=TICKETS + b"\x00.exe"),
    "a file that calls itself otherwise": odd(own_name=b"ticketz.json"),
    "a file that tells other sizes": odd(own_sizes=(1, 1)),
    "a file that tells another sum": odd(own_crc=1),
    "a file that tells another compression": odd(own_method=8),
    "a file that calls itself encrypted": odd(own_flags=1),
    "sizes that come behind it": odd(flags=8, own_flags=8),
    "a name in another coding": odd(flags=0x800),
    "patched data": odd(flags=0x20),
    "strong encryption": odd(flags=0x40),
    "an unknown compression": odd(method=99),
    "deflate64": odd(method=9),
    "a device": odd(mode=0o020644),
    "a pipe": odd(mode=0o010644),
    "a socket": odd(mode=0o140644),
    "a folder by its mode": odd(mode=0o040755),
    "a folder by its mark": odd(dos=0x10),
    "a program that runs as its owner": odd(mode=0o104755),
    "on another disk": odd(disk=5),
    "an end on another disk": lambda packed: zipped(entries_of(packed), disk=1),
    "fewer files than there are": lambda packed: zipped(entries_of(packed), count=3),
    "bytes before the end": in_between,
    "twice the same": lambda packed: zipped(entries_of(packed)) * 2,
    "a folder": more(b"observations/", b""),
    "the same by another way": more(b"./tickets.json"),
    "a look-alike": more("ti\u0441kets.json".encode()),
    "a name in code page 437": more("t\u00efckets.json".encode("cp437")),
    "a name that colours": more(b"\x1b[31mred.json"),
    "a name that turns around": more("\u202egnp.json".encode()),
    "a name of two lines": more(b"a\nError: all fine.json"),
    "no name": more(b""),
    "a long name": more(b"a" * 60_000),
    "up and out": more(b"../" * 20 + b"tmp/evil.json"),
    "a device of Windows": more(b"CON"),
    "a stream of Windows": more(b"tickets.json:evil"),
}


def refused(packed: bytes) -> str:
    with pytest.raises(ArchiveError) as caught:
        unpack(packed)
    told = str(caught.value)
    assert told.isprintable()
    assert len(told) < 500
    return told


@pytest.mark.parametrize("how", ZIPS)
def test_a_zip_that_no_export_writes_is_refused(packed: bytes, how: str) -> None:
    refused(ZIPS[how](packed))


def test_the_forger_writes_what_is_read_where_nothing_is_odd(packed: bytes) -> None:
    content = files_of(packed)[TICKETS.decode()]
    whole = unpack(packed)
    for made in (odd(), odd(method=8, body=deflated(content)), odd(mode=0o100600)):
        assert unpack(made(packed)).rows == whole.rows


# --- rows -----------------------------------------------------------------------------


Files = dict[str, bytes]


def changed(table: str, **columns: Any) -> Callable[[Files], Files]:  # noqa: ANN401 - any column
    """Edit the last row of a table; the row, its digest and its hash fit."""

    def forge(files: Files) -> Files:
        found = json.loads(files[f"{table}.json"])
        found[-1].update(columns)
        if table in {"events", "switches"}:
            found[-1]["hash"] = audit.row_hash(found[-1])
        return {**files, f"{table}.json": canonical(found)}

    return forge


ROWS: dict[str, Callable[[Files], Files]] = {
    "who wrote a comment": changed("comments", author="bob"),
    "who did it": changed("events", actor="bob"),
    "when it was": changed("events", timestamp="2001-01-01T00:00:00.000000+00:00"),
    "what was said": changed("events", event_data='{"body":"all fine"}'),
    "which ticket": changed("events", ticket_id=2),
    "which writer": changed("events", writer="another"),
    "its place in the chain": changed("events", seq=1),
    "how grave it is": changed("tickets", severity="info"),
    "when it was seen": changed("tickets", first_seen_at="2001-01-01T00:00:00.000000+00:00"),
    "that it is resolved": changed("tickets", status="resolved"),
    "which cause": changed("diagnoses", hypothesis="another"),
    "which ledger": changed("ledger", ledger_id="another"),
    "which plugin": changed("subjects", plugin="another"),
    "which settings": changed("subjects", settings="{}"),
    "a grace": lambda files: {**files, "rule_settings.json": b'[{"rule":"full","settings":"{}"}]'},
    "an attempt more": lambda files: {**files, "attempts.json": b'[{"id":1}]'},
    "a switch": lambda files: {**files, "switches.json": b"[]", "events.json": b"[]"},
}


@pytest.mark.parametrize("how", ROWS)
def test_a_row_that_fits_all_but_the_seal_is_refused(packed: bytes, how: str) -> None:
    files = files_of(packed)
    refused(_zip_of(ROWS[how](files)))
    refused(_zip_of(with_new_manifest(ROWS[how](files))))


def _zip_of(files: Files) -> bytes:
    return zipped([Entry(name.encode(), content) for name, content in files.items()])


DEEP = "[" * 100_000
FAR = "9999-12-31T23:59:59.999999+00:00"
ODD_ROWS: dict[str, tuple[str, str, Any]] = {
    "arguments without end": ("diagnoses", "content", DEEP),
    "an event without end": ("events", "event_data", DEEP),
    "an event that is a list": ("events", "event_data", "[]"),
    "an event that is no text": ("events", "event_data", 7),
    "settings without end": ("subjects", "settings", DEEP),
    "a time at the end of times": ("tickets", "first_seen_at", FAR),
    "a time before all times": ("events", "timestamp", "0001-01-01T00:00:00.000000+14:00"),
    "half a sign": ("events", "event_data", '{"body": "\\ud800"}'),
    "a look without end": (LOOKS, "content", DEEP),
    "a look that is text": (LOOKS, "content", '"x"'),
    "a look that has no number": (LOOKS, "id", None),
    "a look of a number that is true": (LOOKS, "id", True),
    "a look of a number with a point": (LOOKS, "id", 1.0),
    "a number without end": ("tickets", "flap_count", 10**400),
    "a plugin that is a list": ("subjects", "plugin", ["fake"]),
}


@pytest.mark.parametrize("how", ODD_ROWS)
def test_odd_rows_of_a_file_without_a_seal_are_told_in_a_line(
    cli: Cli, rows: IncidentRows, tmp_path: Path, how: str
) -> None:
    table, column, value = ODD_ROWS[how]
    row = {**rows[table][-1], column: value}
    if table == "events":
        row["hash"] = audit.row_hash(row)
    if table == LOOKS and isinstance(row["content"], str):
        row["digest"] = digest_of(row["content"])
    place = tmp_path / "odd.zip"
    place.write_bytes(pack({**rows, table: [*rows[table][:-1], row]}, {}))
    for command in COMMANDS:
        result = cli.invoke(*command, str(place), "--unsealed")
        assert result.exit_code in {0, 1, 2}, how
        assert result.exception is None or isinstance(result.exception, SystemExit), how
        assert "Traceback" not in result.output
        if result.exit_code == 2:
            assert result.stderr.startswith("Error: ")


@pytest.mark.parametrize("content", [b'[{"id":NaN}]', b'[{"id":"\\ud800"}]', b'[{"id":1,"id":2}]'])
def test_a_table_is_written_as_an_export_writes_it(packed: bytes, content: bytes) -> None:
    files = files_of(packed)
    assert TICKETS.decode() in refused(
        _zip_of(with_new_manifest({**files, TICKETS.decode(): content}))
    )


# --- every command --------------------------------------------------------------------


@pytest.mark.parametrize(
    "how", ["a name of two lines", "up and out", "bytes behind what was stored"]
)
def test_every_command_says_so_in_a_line_and_writes_nothing(
    cli: Cli, packed: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    place, inside = tmp_path / "forged.zip", tmp_path / "inside"
    place.write_bytes(ZIPS[how](packed))
    inside.mkdir()
    monkeypatch.chdir(inside)
    for command in COMMANDS:
        told = cli.fails(2, *command, str(place))
        assert told.count("\n") == 1
    cli.fails(2, "timeline", "--incident", str(place), "--html", str(inside / "page.html"))
    assert sorted(one.name for one in tmp_path.iterdir()) == ["forged.zip", "inside"]
    assert not list(inside.iterdir())


@pytest.mark.parametrize("kind", ["nothing", "a folder", "an empty file", "a device", "a database"])
def test_what_is_no_file_of_an_incident_is_told(cli: Cli, tmp_path: Path, kind: str) -> None:
    place = tmp_path / "x"
    if kind == "a folder":
        place.mkdir()
    elif kind == "an empty file":
        place.touch()
    elif kind != "nothing":
        place.symlink_to("/dev/null" if kind == "a device" else cli.db_path)
    for command in COMMANDS:
        cli.fails(2, *command, str(place))


# --- what nobody but the ledger finds ---------------------------------------------------


def test_who_makes_rows_seal_and_chain_anew_is_found_by_the_ledger_alone(
    cli: Cli, packed: bytes, tmp_path: Path
) -> None:
    files = with_new_manifest(ROWS["how grave it is"](files_of(packed)))
    seal = json.loads(files[SEAL])
    seal["event_data"] = json.dumps({"digest": digest_of(files[MANIFEST])})
    seal["hash"] = audit.row_hash(seal)
    place = tmp_path / "forged.zip"
    place.write_bytes(_zip_of({**files, SEAL: canonical(seal)}))
    cli.ok("incident", "check", str(place))
    assert "did not export" in cli.fails(2, "incident", "check", str(place), "--in-ledger")
    place.write_bytes(packed)
    cli.ok("incident", "check", str(place), "--in-ledger")
