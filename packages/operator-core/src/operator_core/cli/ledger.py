"""`operator ledger`: the care of the ledger's storage."""

from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.console import RenderableType

from operator_core.cli.context import Session, command, new_group, show
from operator_core.cli.failures import EXIT_WRONG
from operator_core.cli.render import facts, hint, stacked, table, word
from operator_core.cli.values import duration
from operator_core.cli.views import said
from operator_core.db.care import CareDB, CheckResult
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
    """Check the ledger's file, its schema, the links in it and the audit.

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


@command(app, "prune")
async def prune(
    session: Session,
    *,
    older_than: Annotated[
        str, typer.Option("--older-than", metavar="TIME", help="Such as 90d; at least 1d.")
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count.")] = False,
) -> None:
    """Drop old looks at clusters, and the old part of the audit.

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
        "audit rows": report.audit_rows,
    }
    return facts(title, dropped)
