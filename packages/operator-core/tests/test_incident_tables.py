"""Every table of an incident is in its archive, and none can be changed unseen."""

import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

import operator_core.db
from cli_kit import Cli, install, now_do
from operator_core.actions.event_words import EVENTS, words_of
from operator_core.actions.types import ActionProposal
from operator_core.clock import utc_now
from operator_core.db import effects
from operator_core.db.actions import ActionDB
from operator_core.db.changes import Stamp
from operator_core.db.engine import Tx
from operator_core.db.exports import TABLES, ExportDB, IncidentRows
from operator_core.db.verifications import VerifyDB
from operator_core.monitor.verification import Verdict, Verification
from operator_core.runtime.incident.archive import pack, unpack
from operator_core.runtime.incident.misfits import ArchiveError
from operator_core.runtime.incident.timeline import timeline
from test_cli_diagnose import see

UNTIL = "2030-01-01T00:00:00.000000+00:00"


def _lease(tx: Tx, proposal_id: int, stamp: Stamp) -> None:
    row = tx.one(
        "effect.insert",
        subject="fake",
        effect="evict/1",
        proposal_id=proposal_id,
        ticket_id=1,
        workflow_id=None,
        taken_by="operator",
        expires_at=UNTIL,
        undo_action=None,
        undo_parameters=None,
        ended_at=None,
        ended_because=None,
        now=stamp.text,
    )
    effects.tell(tx, row or {}, "effect_leased", stamp)


def _proof(at: datetime) -> Verification:
    return Verification(
        subject="fake",
        ticket_id=1,
        diagnosed_at=at,
        proposals=(1,),
        started_at=at,
        ended_at=at,
        verdict=Verdict.WAITING,
    )


@pytest.fixture
def incident(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> IncidentRows:
    """A ticket with a lease and a proof that was decided."""
    install(monkeypatch)
    cli = Cli(tmp_path)
    cli.ok("connect", "fake", "--address", "x")
    now_do(see(cli.db_path))
    cli.ok("diagnose", "1")

    async def act() -> IncidentRows:
        async with ActionDB(cli.db_path) as db:
            made = await db.create_proposal(
                ActionProposal(action_name="act", reason="r", ticket_id=1, subject="fake")
            )
            stamp = Stamp("operator", utc_now())
            await db.ledger.write(lambda tx: _lease(tx, int(made.id or 0), stamp))
            proofs, proof = VerifyDB(db.ledger), _proof(stamp.now)
            await proofs.save(proof, actor="monitor")
            decided = {
                "verdict": Verdict.NOT_VERIFIED,
                "reasons": ("it is back",),
                "decided_at": stamp.now,
            }
            await proofs.save(proof.model_copy(update=decided), actor="monitor")
            return await ExportDB(db.ledger).incident(1)

    return now_do(act())


def test_an_archive_has_every_table(incident: IncidentRows) -> None:
    assert incident.keys() == TABLES
    assert len(incident["effects"]) == len(incident["verifications"]) == 1
    assert unpack(pack(incident, {})).rows == json.loads(json.dumps(incident))


def test_an_archive_of_an_older_version_lacks_what_was_added(incident: IncidentRows) -> None:
    older = {name: rows for name, rows in incident.items() if name != "verifications"}
    del older["effects"]
    read = unpack(pack(older, {}))
    assert read.rows["effects"] == read.rows["verifications"] == []
    with pytest.raises(ArchiveError, match=r"no readable records\.json"):
        unpack(pack({name: rows for name, rows in incident.items() if name != "records"}, {}))


FORGED: dict[str, tuple[str, dict[str, Any], str]] = {
    "longer lease": ("effects", {"expires_at": "2040-01-01T00:00:00.000000+00:00"}, "effect 1"),
    "other effect": ("effects", {"effect": "evict/2"}, "effect 1"),
    "lease of its own": ("effects", {"id": 7}, "effect 7"),
    "verdict": ("verifications", {"verdict": "verified"}, "verification 1"),
    "reasons": ("verifications", {"reasons": "[]"}, "verification 1"),
    "no time": ("verifications", {"diagnosed_at": "soon"}, "row"),
}


@pytest.mark.parametrize("how", FORGED)
def test_a_forged_row_with_a_true_manifest_is_refused(incident: IncidentRows, how: str) -> None:
    table, change, told = FORGED[how]
    forged = {**incident, table: [{**incident[table][0], **change}]}
    with pytest.raises(ArchiveError, match=told):
        unpack(pack(forged, {}))


def test_what_was_pruned_from_the_audit_accuses_nobody(incident: IncidentRows) -> None:
    kept = [one for one in incident["events"] if one["event_type"] == "ticket_diagnosed"]
    assert unpack(pack({**incident, "events": kept}, {})).ticket["id"] == 1


# --- words for events -----------------------------------------------------------------

_EVENT = re.compile(
    r'"((?:ticket|proposal|workflow|execution|approval|effect|remedy|retry)_[a-z_]+)"'
)
_COLUMNS = re.compile(r"_(id|count|order|status|error)$|^(retry_waits|retry_taken_by_another)$")


def test_every_event_of_an_incident_has_words() -> None:
    sources = Path(str(operator_core.db.__file__)).parent.glob("*.py")
    found = {word for file in sources for word in _EVENT.findall(file.read_text("utf-8"))}
    events = {word for word in found if not _COLUMNS.search(word)}
    assert len(events) > 25
    assert events <= EVENTS.keys()


def test_the_timeline_tells_of_leases_and_proofs(incident: IncidentRows) -> None:
    told = {one.what: one.stage for one in timeline(incident)}
    assert told["temporary effect leased"] == "execute"
    assert told["the remedy is not verified"] == "verify"
    assert words_of("nobody_knows_it") == ("", "nobody knows it")
