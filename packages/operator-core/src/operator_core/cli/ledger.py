"""`operator ledger`: the care of the ledger's storage."""

from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.console import RenderableType

from operator_core.cli.context import Session, command, new_group, note, show
from operator_core.cli.failures import EXIT_WRONG
from operator_core.cli.keeping import kinds, told
from operator_core.cli.render import facts, hint, stacked, table, word
from operator_core.cli.values import duration
from operator_core.cli.views import said
from operator_core.config import expanded
from operator_core.db.address import is_postgres, shown
from operator_core.db.care import CareDB, CheckResult
from operator_core.db.copy import CopyReport, move_ledger
from operator_core.db.prune import PruneReport
from operator_core.errors import RequestError

_SHORTEST, _LONGEST = timedelta(days=1), timedelta(days=36_500)

app = new_group(
    """The ledger's storage: look for damage, make backups, drop what is old.

    Example:
      operator ledger check

    Next: operator ledger backup operator.backup
    """
)


@command(app, "check")
async def check(session: Session) -> None:
    """Check the ledger's file, its schema, the rows, their links and the audit.

    Exits with 1 where something is wrong.

    Example:
      operator ledger check
      operator ledger check --json

    Next: operator ledger backup operator.backup
    """
    async with CareDB(session.db_path) as db:
        found = await db.check()
    show(session, [asdict(one) for one in found], lambda: _checked(found))
    if not all(one.ok for one in found):
        raise typer.Exit(EXIT_WRONG)


def _checked(found: list[CheckResult]) -> RenderableType:
    rows = ((one.check, word("ok" if one.ok else "wrong"), one.detail) for one in found)
    wrong = sum(not one.ok for one in found)
    summary = f"{wrong} wrong." if wrong else "Nothing is wrong."
    return stacked(table("", ("check", "state", "found"), rows), hint(summary))


@command(app, "info")
async def info(session: Session) -> None:
    """Tell what is kept of what was seen, why, and how much it may take.

    `operator up` sets the budget and the greatest age. Round incidents every
    look is kept; between them fewer, the older they are. What a ticket, a
    diagnosis or an approval rests on is never dropped.

    Example:
      operator ledger info

    Next: operator up --help
    """
    async with CareDB(session.db_path) as db:
        kept = await db.kept_looks()
    data = {
        "looks": kept.looks,
        "size_bytes": kept.size_bytes,
        "limits": kept.limits._asdict() if kept.limits else None,
        "kinds": [one._asdict() for one in kept.kinds],
    }
    columns = ("why", "looks", "size", "oldest")
    show(session, data, lambda: stacked(table("", columns, kinds(kept)), hint(told(kept))))


@command(app, "backup")
async def backup(
    session: Session,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="The file to write.", show_default=False)
    ],
    *,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """Copy the ledger to a file, while Operator goes on.

    To restore it, stop Operator and put the file in the ledger's place,
    without the old -wal and -shm files beside it. It then comes up in
    observe mode with an id of its own. What was pending is held until you
    approve it anew, as it may have been done since; what was running is in
    doubt; schedules are disabled.

    Example:
      operator ledger backup operator.backup

    Next: operator ledger check
    """
    async with CareDB(session.db_path) as db:
        size = await db.backup(file, force=force)
    data = {"file": str(file), "bytes": size}
    show(session, data, lambda: said(f"The ledger is copied to {file}: {size} bytes."))


@command(app, "copy", ledger=False)
async def copy(
    session: Session,
    source: Annotated[
        str, typer.Argument(metavar="SQLITE", help="The ledger's file.", show_default=False)
    ],
    target: Annotated[
        str,
        typer.Argument(
            metavar="POSTGRES", help="An empty database: postgresql://…", show_default=False
        ),
    ],
) -> None:
    """Move a ledger with its whole history from a file to PostgreSQL.

    Stop Operator first. Ids, audit and pending work go along. The ledger in
    the database comes up in observe mode; the file is only a backup from
    then on: opened as a ledger it begins anew, with its pending work held.
    A copy that was interrupted is begun again, or ended, by the same command.

    Example:
      operator ledger copy operator.db postgresql://user@host/operator

    Next: operator ledger check --db postgresql://user@host/operator
    """
    path = _file_and_database(source, target)

    def tell(table: str, done: int, total: int) -> None:
        if total and not session.json:
            note(f"{table}: {done} of {total}")

    report = await move_ledger(path, target, actor=session.person, tell=tell)
    data = {"source": str(path), "target": shown(target), **asdict(report)}
    show(session, data, lambda: _copied(report, path, target))


def _file_and_database(source: str, target: str) -> Path:
    if is_postgres(source) or not is_postgres(target):
        raise RequestError("Name a file first and then a database: postgresql://user@host/name.")
    return expanded(source)


def _copied(report: CopyReport, path: Path, target: str) -> RenderableType:
    rows = sum(report.rows.values())
    what = f"{rows} rows were copied" if rows else "An earlier copy has come to its end"
    return stacked(
        said(f"The ledger lies in {shown(target)} now: {what}."),
        hint(f"{path} is a backup from now on. The ledger is in observe mode."),
        hint(f"Next: operator mode execute --db {shown(target)}"),
    )


@command(app, "prune")
async def prune(
    session: Session,
    *,
    older_than: Annotated[
        str, typer.Option("--older-than", metavar="TIME", help="Such as 90d; at least 1d.")
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count.")] = False,
) -> None:
    """Drop old looks, ended leases of effects, and the old part of the audit.

    What tickets and diagnoses refer to stays, as do all tickets and
    actions. The audit can be verified as before: it begins later.

    Example:
      operator ledger prune --older-than 90d --dry-run

    Next: operator audit verify
    """
    age = duration(older_than, "--older-than")
    if not _SHORTEST <= age <= _LONGEST:
        raise RequestError("--older-than must lie between 1d and 36500d.")
    async with CareDB(session.db_path) as db:
        before = db.ledger.clock.now() - age
        report = await db.prune(before, actor=session.person, dry_run=dry_run)
    data = {"dry_run": dry_run, "before": before, **asdict(report)}
    show(session, data, lambda: _pruned(report, dry_run=dry_run))


def _pruned(report: PruneReport, *, dry_run: bool) -> RenderableType:
    title = "Would be dropped" if dry_run else "Dropped"
    dropped = {
        "observations": report.observations,
        "sightings": report.sightings,
        "ended leases of effects": report.leases,
        "audit rows": report.audit_rows,
    }
    return facts(title, dropped)
