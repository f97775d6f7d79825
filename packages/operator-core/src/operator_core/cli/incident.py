"""`operator incident`, `operator replay`, `operator timeline`: incidents as files."""

import asyncio
import json
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer
from rich.console import RenderableType

from operator_core.actions.policy import LoadedPolicy
from operator_core.agent.redact import without_secrets
from operator_core.cli.context import (
    Id,
    Session,
    command,
    is_writable,
    new_app,
    new_group,
    readable,
    show,
)
from operator_core.cli.failures import EXIT_WRONG
from operator_core.cli.incident_files import (
    IncidentFile,
    OptionalTicket,
    Unsealed,
    read_archive,
    require_one,
    rows_that_are_rows,
)
from operator_core.cli.logs import configure_logs
from operator_core.cli.render import hint, stacked, table, word
from operator_core.cli.values import moment
from operator_core.cli.views import said
from operator_core.clock import to_text
from operator_core.db import rows
from operator_core.db.exports import ExportDB, IncidentRows
from operator_core.db.sqlite.reading import undisturbed
from operator_core.errors import RequestError
from operator_core.owner import short_name
from operator_core.runtime.incident.archive import Archive, pack, parcel
from operator_core.runtime.incident.misfits import ArchiveError
from operator_core.runtime.incident.page import page
from operator_core.runtime.incident.replay import replay
from operator_core.runtime.incident.replayed import Means, Replayed
from operator_core.runtime.incident.timeline import Moment, timeline
from operator_core.runtime.incident.unmade import RULES, Unmade, unmade
from operator_core.runtime.plugins import connect, plugin_names
from operator_core.runtime.policy_file import read_policy
from operator_core.types import JsonObject

app = new_group(
    "Incidents as files: export, check.\n\nExample:\n  operator incident export 1\n\n"
    "Next: operator replay incident-1.zip"
)
replay_app = new_app()
timeline_app = new_app()

ArchiveFile = Annotated[
    Path, typer.Argument(metavar="FILE", help="An exported incident.", show_default=False)
]


@command(app, "export")
async def export(
    session: Session,
    ticket_id: Id,
    to: Annotated[
        Path | None, typer.Option("--to", help="The file; incident-ID.zip if not given.")
    ] = None,
    *,
    unsealed: Annotated[
        bool, typer.Option("--unsealed", help="Write nothing into the ledger, so no seal either.")
    ] = False,
) -> None:
    """Write everything about a ticket into one file.

    Looks, diagnoses, proposals, decisions with their policy, attempts and
    audit. Whoever has it can check and replay the incident without your
    cluster. Settings that look like secrets are left out.

    The export is sealed by a row in the audit. A ledger that cannot be
    written, or a copy of one, gives a file without a seal: --unsealed.

    Example:
      operator incident export 1

    Next: operator replay incident-1.zip
    """
    incident, packed = await (_unsealed if unsealed else _sealed)(session, ticket_id)
    place = to or Path(f"incident-{ticket_id}.zip")
    await asyncio.to_thread(_write, place, packed)
    counts = {name: len(found) for name, found in incident.items() if found}
    data = {"file": str(place), "bytes": len(packed), "sealed": not unsealed, "rows": counts}
    how = ", not sealed" if unsealed else ""
    show(session, data, lambda: said(f"Wrote {place}: {len(packed)} bytes{how}."))


async def _sealed(session: Session, ticket_id: int) -> tuple[IncidentRows, bytes]:
    if not is_writable(session.db_path):
        raise RequestError(
            f"The ledger {session.db_path} cannot be written, and the seal of an export is a row "
            "of its audit. Give --unsealed to export without one."
        )
    async with ExportDB(session.db_path) as db:
        incident = await db.incident(ticket_id)
        ready = parcel(_without_secrets(incident), _versions())
        return incident, ready.sealed(await db.seal(ticket_id, ready.digest, actor=session.person))


async def _unsealed(session: Session, ticket_id: int) -> tuple[IncidentRows, bytes]:
    with undisturbed(session.db_path) as path:
        async with ExportDB(path) as db:
            incident = await db.incident(ticket_id)
    return incident, pack(_without_secrets(incident), _versions())


@command(app, "check", ledger=False)
async def check(
    session: Session,
    file: ArchiveFile,
    *,
    in_ledger: Annotated[
        bool, typer.Option("--in-ledger", help="See too that its seal stands in the ledger.")
    ] = False,
    unsealed: Unsealed = False,
) -> None:
    """Check that nothing in an exported incident was changed.

    Each file has a digest, and the whole a seal: a row of the ledger's audit.
    Who makes the audit's rows anew is found out by the ledger, with
    --in-ledger, and by nobody else. A file without a seal, as older versions
    wrote them, is refused but for --unsealed.

    Example:
      operator incident check incident-1.zip
      operator incident check incident-1.zip --in-ledger

    Next: operator replay incident-1.zip
    """
    archive = await read_archive(file, unsealed=unsealed)
    if in_ledger:
        await _require_seal(session, archive)
    ticket, seal = archive.ticket, archive.seal
    data: JsonObject = {"file": str(file), "digest": archive.digest}
    data |= {"versions": dict(archive.versions)}
    data |= {"ticket": ticket["id"], "rows": {name: len(r) for name, r in archive.rows.items()}}
    data |= {"sealed_at": seal["timestamp"] if seal else None, "in_ledger": in_ledger or None}
    show(
        session, data, lambda: said(f"{file} is whole: ticket {ticket['id']}, {_told_seal(data)}.")
    )


def _told_seal(data: JsonObject) -> str:
    if data["sealed_at"] is None:
        return f"{data['digest']}; not sealed: it may have been edited"
    where = ", as its ledger says too" if data["in_ledger"] else ""
    return f"{data['digest']}, sealed at {data['sealed_at'][:19]}Z{where}"


async def _require_seal(session: Session, archive: Archive) -> None:
    session.require_ledger()
    async with ExportDB(session.db_path) as db:
        if archive.seal is None or not await db.has_seal(archive.seal):
            raise ArchiveError(f"The ledger {session.db_path} did not export this archive.")


@command(replay_app, "replay", ledger=False)
async def replay_file(
    session: Session,
    file: ArchiveFile,
    until: Annotated[
        str | None, typer.Option("--until", metavar="TIME", help="Replay nothing later.")
    ] = None,
    policy: Annotated[
        Path | None, typer.Option("--policy", help="Decide by this policy instead.")
    ] = None,
    diagnoser: Annotated[str, typer.Option("--diagnoser", help="Who diagnoses: rules.")] = RULES,
    *,
    unsealed: Unsealed = False,
) -> None:
    """Make the decisions of an exported incident again, without the cluster.

    What cannot be made again from the file is named with the reason. Exits
    with 1 if a decision differs: then the versions differ, or the policy you
    gave decides otherwise, and the first difference is shown.

    Example:
      operator replay incident-1.zip
      operator replay incident-1.zip --policy stricter.toml

    Next: operator timeline --incident incident-1.zip
    """
    configure_logs(debug=session.debug)
    if diagnoser != RULES:
        raise RequestError(f"There is no diagnoser {diagnoser!r}; there is {RULES}.")
    loaded = read_policy(policy) if policy else None
    found, left = await _replayed(await read_archive(file, unsealed=unsealed), loaded, until)
    differing = [one for one in found if not one.is_same]
    data = {"decisions": [_told(one) for one in found], "differing": len(differing)}
    data["not_made_again"] = [one.to_json() for one in left]
    show(session, data, lambda: _replay_view(found, left))
    if differing:
        raise typer.Exit(EXIT_WRONG)


async def _replayed(
    archive: Archive, policy: LoadedPolicy | None, until: str | None
) -> tuple[list[Replayed], list[Unmade]]:
    connected = archive.rows["subjects"]
    if not connected:
        raise RequestError("The incident belongs to no connected cluster: there are no rules.")
    with rows_that_are_rows():
        plugin = str(connected[0]["plugin"])
        record = {**connected[0], "settings": json.loads(connected[0]["settings"])}
    if plugin not in plugin_names():
        raise RequestError(f"The plugin {plugin!r} is not installed, whose rules are replayed.")
    subject = await connect(record)
    try:
        means = Means(subject, policy, moment(until, "--until") if until else None)
        with rows_that_are_rows():
            return replay(archive.rows, means), unmade(archive.rows, means)
    finally:
        await subject.close()


def _told(one: Replayed) -> JsonObject:
    return {
        "at": to_text(one.at),
        "stage": one.stage,
        "what": one.what,
        "same": one.is_same,
        "recorded": one.recorded,
        "now": one.now,
    }


def _replay_view(found: list[Replayed], left: list[Unmade]) -> RenderableType:
    lines = (
        (one.at, one.stage, one.what, word("ok" if one.is_same else "wrong"), one.first_difference)
        for one in found
    )
    differing = sum(not one.is_same for one in found)
    summary = f"{len(found) - differing} of {len(found)} decisions are the same, to the byte."
    return stacked(
        table("", ("when", "stage", "what", "same", "first difference"), lines),
        table("Not made again", ("what", "how many", "why"), left) if left else None,
        hint(summary),
    )


@command(timeline_app, "timeline", ledger=False)
async def show_timeline(
    session: Session,
    ticket_id: OptionalTicket = None,
    incident: IncidentFile = None,
    html: Annotated[
        Path | None, typer.Option("--html", help="Write a page that needs nothing else.")
    ] = None,
    *,
    unsealed: Unsealed = False,
) -> None:
    """Tell an incident moment by moment: what was seen, decided, done, by whom.

    Example:
      operator timeline 1
      operator timeline 1 --html incident.html

    Next: operator incident export 1
    """
    require_one(ticket_id, incident)
    if incident is not None:
        found = (await read_archive(incident, unsealed=unsealed)).rows
    else:
        found = await _incident(session, int(ticket_id or 0))
    with rows_that_are_rows():
        moments, text = timeline(found), page(found) if html else ""
    if html is not None:
        await asyncio.to_thread(_write, html, text.encode())
    data = {"ticket": found["tickets"][0]["id"], "moments": [one.to_json() for one in moments]}
    show(session, data, lambda: _timeline_view(moments, html))


async def _incident(session: Session, ticket_id: int) -> IncidentRows:
    session.require_ledger()
    with readable(session) as reading:
        async with ExportDB(reading.db_path) as db:
            return await db.incident(ticket_id)


def _timeline_view(moments: list[Moment], html: Path | None) -> RenderableType:
    lines = (
        (f"{one.seconds:.1f} s", one.stage, one.ids, _words(one), short_name(one.who))
        for one in moments
    )
    columns = ("after", "stage", "about", "what", "who")
    wrote = hint(f"Wrote {html}.") if html else None
    return stacked(table("Timeline", columns, lines), wrote)


def _words(moment: Moment) -> str:
    return f"{moment.what}: {moment.detail}" if moment.detail else moment.what


# --- files ----------------------------------------------------------------------------


def _write(place: Path, content: bytes) -> None:
    try:
        place.write_bytes(content)
    except OSError as error:
        raise RequestError(f"{place} cannot be written: {error.strerror}.") from error


def _versions() -> dict[str, str]:
    return {"operator-core": version("operator-core"), "plugins": ", ".join(plugin_names())}


def _without_secrets(incident: IncidentRows) -> IncidentRows:
    """Return the incident without what opens the cluster's doors."""
    kept = [
        {**row, "settings": rows.to_json(without_secrets(json.loads(row["settings"])))}
        for row in incident["subjects"]
    ]
    return {**incident, "subjects": kept}
