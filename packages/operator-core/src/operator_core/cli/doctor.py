"""`operator doctor`: looks at everything that can be wrong, and says what to do."""

from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.console import RenderableType

from operator_core.actions.outcomes import error_text
from operator_core.actions.types import ActionProposal, ActionStatus
from operator_core.cli.context import Session, command, new_app, show
from operator_core.cli.failures import EXIT_WRONG
from operator_core.cli.keeping import told
from operator_core.cli.leaks import leaked, overdue
from operator_core.cli.logs import configure_logs
from operator_core.cli.looking import look
from operator_core.cli.render import hint, stacked, table, word
from operator_core.cli.text import local_time
from operator_core.db.actions import ActionDB
from operator_core.db.address import shown
from operator_core.db.care import CareDB
from operator_core.db.control import ControlDB
from operator_core.db.executions import ExecutionDB
from operator_core.db.ledger import Ledger, LedgerAddress
from operator_core.db.policy import PolicyDB
from operator_core.db.sharing import LedgerUse
from operator_core.db.sqlite.disk import Kind, disk_of, trouble_of_names
from operator_core.db.sqlite.reading import undisturbed
from operator_core.db.tickets import TicketDB
from operator_core.monitor.types import Observation
from operator_core.owner import short_name
from operator_core.runtime.guards import last_check
from operator_core.runtime.plugins import connect
from operator_core.runtime.policy_file import INVARIANT
from operator_core.types import JsonObject

app = new_app()

OK, NOTE, WRONG = "ok", "note", "wrong"


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Attributes:
        check: what was looked at.
        state: ok, note (worth knowing) or wrong.
        detail: what was found, and what to do.
    """

    check: str
    state: str
    detail: str


@command(app, "doctor")
async def doctor(
    session: Session,
    reach: Annotated[
        bool, typer.Option("--reach/--no-reach", help="Look at the connected clusters too.")
    ] = True,
) -> None:
    """Check the ledger, the audit, the switch, clusters and leftovers.

    Exits with 1 where something is wrong. A file that nobody has open is only
    read, whatever its version.

    Example:
      operator doctor
      operator doctor --no-reach --json

    Next: what each line says
    """
    configure_logs(debug=session.debug)
    with undisturbed(session.db_path) as path:
        findings = await _findings(session, path, reach=reach)
    show(session, [asdict(one) for one in findings], lambda: _view(findings))
    if any(one.state == WRONG for one in findings):
        raise typer.Exit(EXIT_WRONG)


async def _findings(session: Session, path: LedgerAddress, *, reach: bool) -> list[Finding]:
    async with LedgerUse(path) as ledger:
        findings = [Finding("ledger", OK, f"{shown(session.db_path)} can be opened")]
        findings += _disk(session.db_path)
        for check in _CHECKS:
            findings += await check(ledger)
        if reach:
            findings += await _clusters(ledger)
    return findings


def _view(findings: list[Finding]) -> RenderableType:
    rows = ((one.check, word(one.state), one.detail) for one in findings)
    wrong = sum(one.state == WRONG for one in findings)
    summary = f"{wrong} wrong." if wrong else "Nothing is wrong."
    return stacked(table("", ("check", "state", "found"), rows), hint(summary))


async def _audit(ledger: Ledger) -> list[Finding]:
    broken = await ControlDB(ledger).first_broken_audit_row()
    if broken is None:
        return [Finding("audit", OK, "the chain is whole")]
    detail = f"row {broken['id']} was tampered with: see `operator audit verify`"
    return [Finding("audit", WRONG, detail)]


def _disk(address: LedgerAddress) -> list[Finding]:
    """Say what a file lies on; a server sees to its own."""
    if not isinstance(address, Path):
        return []
    trouble = trouble_of_names(address) if address.is_file() else None
    if trouble is not None:
        return [Finding("disk", WRONG, f"the ledger {trouble}")]
    disk = disk_of(address)
    if disk is None:
        return []
    if disk.kind is Kind.SHARED:
        detail = (
            f"{disk.name}: neither SQLite's locks nor its log reach other machines. Put the ledger "
            "on a disk of this machine, or on PostgreSQL with `operator ledger copy`"
        )
        return [Finding("disk", WRONG, detail)]
    if disk.kind is Kind.FLEETING:
        detail = (
            f"{disk.name}: it goes with this machine's memory, or with its container. Put the "
            "ledger on a disk or a volume"
        )
        return [Finding("disk", NOTE, detail)]
    return [Finding("disk", OK, disk.name)]


async def _server(ledger: Ledger) -> list[Finding]:
    word_of = await CareDB(ledger).durability()
    if word_of is None:
        return []
    if not word_of.outlives_power:
        detail = "says of what is not on its disk that it is stored: set fsync = on"
        return [Finding("server", WRONG, detail)]
    if not word_of.outlives_server:
        detail = (
            "has standbys, and says that something is stored before they have it: where one takes "
            "over it is lost. Set synchronous_standby_names"
        )
        return [Finding("server", NOTE, detail)]
    return [Finding("server", OK, "what it says is stored outlives it")]


async def _switch(ledger: Ledger) -> list[Finding]:
    state = await ControlDB(ledger).safety_state()
    if state.killed_at is not None:
        when = local_time(state.killed_at)
        detail = f"on since {when}, by {state.killed_by}: `operator mode execute` lifts it"
        return [Finding("kill switch", NOTE, detail)]
    detail = f"{state.mode.value}, set by {state.changed_by or 'nobody'}"
    return [Finding("mode", OK, detail), Finding("kill switch", OK, "off")]


async def _policy(ledger: Ledger) -> list[Finding]:
    found = [row for row in await PolicyDB(ledger).list_policies() if row["in_force"]]
    if not found:
        return [Finding("policy", OK, "none is in force yet; `operator up` brings one")]
    detail = f"{found[0]['hash'][:12]} is in force, from {found[0]['source']}"
    refused = [
        Finding("policy file", WRONG, one.message)
        for one in await TicketDB(ledger).list_tickets(unresolved=True)
        if one.invariant_name == INVARIANT
    ]
    return [Finding("policy", OK, detail), *refused]


async def _guards(ledger: Ledger) -> list[Finding]:
    last = await last_check(ledger)
    if last is None:
        return [Finding("guards", OK, "not tried yet; `operator up` tries them at start")]
    when, dead = local_time(last.timestamp), last.event_data.get("dead") or {}
    if dead:
        names = "; ".join(f"{name}: {detail}" for name, detail in dead.items())
        detail = (
            f"not proven when tried at {when}: {names}. Mend them, then `operator guards check`"
        )
        return [Finding("guards", WRONG, detail)]
    return [Finding("guards", OK, f"all alive; {last.event_data['tried']} tried at {when}")]


async def _looks(ledger: Ledger) -> list[Finding]:
    kept = await CareDB(ledger).kept_looks()
    return [Finding("what was seen", NOTE if kept.over_budget else OK, told(kept))]


LATE_RESEND_SECONDS = 60.0
"""How long what is to be sent again may be due before it needs a look."""


async def _doubts(ledger: Ledger) -> list[Finding]:
    executing = await ActionDB(ledger).list_proposals(ActionStatus.EXECUTING)
    found = [
        Finding(f"action {one.id}", WRONG, f"{one.action_name} is in doubt: {_settle(one)}")
        for one in executing
        if one.in_doubt
    ]
    found += [
        Finding(
            f"action {one.id}", WRONG, f"{one.action_name} was to be sent again: {_settle(one)}"
        )
        for one in executing
        if one.awaits_resend and _is_late(one, ledger.clock.now())
    ]
    return found or [Finding("actions in doubt", OK, "none")]


def _is_late(one: ActionProposal, now: datetime) -> bool:
    """Return whether nobody has sent again for a while what is due: no agent runs, or none may."""
    due = one.lease_expires_at
    return due is not None and now - due > timedelta(seconds=LATE_RESEND_SECONDS)


def _settle(one: ActionProposal) -> str:
    return f"look at the cluster, then `operator actions settle {one.id} --done` or --not-done"


async def _leases(ledger: Ledger) -> list[Finding]:
    expired = await ExecutionDB(ledger).list_expired()
    found = [
        Finding(
            f"action {one.id}",
            WRONG,
            f"{one.action_name}: its owner {short_name(one.owner or '(none)')} went away; "
            "a running `operator up` settles it",
        )
        for one in expired
    ]
    return found or [Finding("abandoned actions", OK, "none")]


async def _clusters(ledger: Ledger) -> list[Finding]:
    records = await ControlDB(ledger).list_subjects()
    if not records:
        return [Finding("clusters", NOTE, "none is connected: see `operator connect`")]
    return [one for record in records for one in await _cluster(ledger, record)]


async def _cluster(ledger: Ledger, record: JsonObject) -> list[Finding]:
    check = f"cluster {record['name']}"
    try:
        subject = await connect(record)
        try:
            observation = await look(subject)
            leaks = await leaked(ledger, subject, observation)
        finally:
            await subject.close()
    except Exception as error:  # noqa: BLE001 - a subject's code: anything may come
        return [Finding(check, WRONG, error_text(error))]
    effects = [
        Finding(f"effect {effect}", NOTE if is_others else WRONG, why)
        for effect, (why, is_others) in leaks.items()
    ]
    return [_sight(check, observation), *effects]


def _sight(check: str, observation: Observation) -> Finding:
    missing = [name for name, part in observation.parts.items() if not part.complete]
    if missing:
        return Finding(check, WRONG, f"partly seen; missing: {', '.join(sorted(missing))}")
    return Finding(check, OK, f"seen whole: {', '.join(sorted(observation.parts))}")


async def _effects(ledger: Ledger) -> list[Finding]:
    found = [
        Finding(f"effect {effect}", WRONG, f"{why}: see `operator effects list`")
        for effect, why in (await overdue(ledger)).items()
    ]
    return found or [Finding("temporary effects", OK, "none is overdue")]


_CHECKS: tuple[Callable[[Ledger], Awaitable[list[Finding]]], ...] = (
    _server,
    _audit,
    _switch,
    _policy,
    _guards,
    _doubts,
    _leases,
    _looks,
    _effects,
)
