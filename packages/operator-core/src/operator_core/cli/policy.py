"""`operator policy`: what may happen, on whose word; try it before it rules."""

from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.console import RenderableType

from operator_core.actions.policy import (
    Decision,
    LoadedPolicy,
    PolicyRequest,
    decide,
    shipped_policy,
)
from operator_core.actions.policy.cases import CaseResult, load_cases, try_case
from operator_core.actions.policy.decide import Step, trace
from operator_core.actions.policy.people import people_of
from operator_core.cli.approving import words_table
from operator_core.cli.context import Id, Session, command, new_group, note, show
from operator_core.cli.failures import EXIT_WRONG
from operator_core.cli.render import facts, hint, stacked, table, word
from operator_core.cli.values import duration
from operator_core.cli.views import said
from operator_core.cli.views_rehearsal import shares_text
from operator_core.db.policy import Past, PolicyDB, Standing
from operator_core.errors import RequestError
from operator_core.runtime.policy_file import read_policy, read_text

app = new_group(
    """The policy: what Operator may do by itself, and what people must approve.

    Example:
      operator policy default > policy.toml

    Next: operator policy check policy.toml, then operator up --policy policy.toml
    """
)

File = Annotated[Path, typer.Argument(metavar="FILE", show_default=False)]


@dataclass(frozen=True)
class Flip:
    """A decision of the past that another policy would have made otherwise."""

    proposal_id: int
    action: str
    target: str
    old: str
    new: str


@command(app, "default", ledger=False)
async def default(session: Session) -> None:
    """Print the policy that Operator comes with, to start your own from.

    Example:
      operator policy default > policy.toml

    Next: operator policy check policy.toml
    """
    text = shipped_policy()
    if session.json:
        show(session, {"text": text}, lambda: said(""))
        return
    typer.echo(text, nl=False)


@command(app, "show", reads=True)
async def show_policy(session: Session) -> None:
    """Show the policy in force.

    Example:
      operator policy show

    Next: operator policy explain 1
    """
    async with PolicyDB(session.db_path) as db:
        found = [row for row in await db.list_policies() if row["in_force"]]
    if not found:
        raise RequestError("No policy is in force yet: `operator up` brings the shipped one.")
    row = found[0]
    pairs = {name: row[name] for name in ("hash", "source", "loaded_at", "loaded_by")}
    show(
        session,
        {**pairs, "text": row["text"]},
        lambda: stacked(facts("Policy in force", pairs), said(row["text"])),
    )


@command(app, "check", ledger=False)
async def check(session: Session, file: File) -> None:
    """Check a policy's file, and say every fault of it.

    Example:
      operator policy check policy.toml

    Next: operator policy test policy.toml cases.toml
    """
    loaded = read_policy(file)
    counts = {
        "hash": loaded.digest,
        "rules": len(loaded.rules),
        "limits": len(loaded.limits) + len(loaded.cooldowns) + len(loaded.breakers),
        "freezes": len(loaded.freezes),
        "warnings": list(loaded.warnings),
    }
    for warning in () if session.json else loaded.warnings:
        note(f"Note: {warning}.")
    show(
        session,
        counts,
        lambda: stacked(
            said(f"The policy can be used: {len(loaded.rules)} rules."),
            hint(f"Next: operator policy test {file} CASES, then operator up --policy {file}"),
        ),
    )


@command(app, "test", ledger=False)
async def test(
    session: Session,
    file: File,
    cases: Annotated[Path, typer.Argument(metavar="CASES", show_default=False)],
) -> None:
    """Ask a policy the cases of a table; exits with 1 where it says another thing.

    Example:
      operator policy test policy.toml cases.toml

    Next: operator policy diff old.toml policy.toml
    """
    loaded = read_policy(file)
    results = [try_case(loaded, case) for case in load_cases(read_text(cases))]
    data = [
        {"name": one.name, "ok": not one.wrong, "wrong": one.wrong, "decision": one.decision.told}
        for one in results
    ]
    show(session, data, lambda: _tested(results))
    if any(one.wrong for one in results):
        raise typer.Exit(EXIT_WRONG)


def _tested(results: list[CaseResult]) -> RenderableType:
    rows = (
        (one.name, word("wrong" if one.wrong else "ok"), one.wrong or one.decision.told)
        for one in results
    )
    wrong = sum(bool(one.wrong) for one in results)
    return stacked(
        table("", ("case", "state", "found"), rows), hint(f"{wrong} of {len(results)} wrong.")
    )


@command(app, "explain", reads=True)
async def explain(session: Session, action_id: Id) -> None:
    """Explain what the policy says of an action: each rule, and whose word is missing.

    Example:
      operator policy explain 1

    Next: operator actions approve 1
    """
    async with PolicyDB(session.db_path) as db:
        standing = await db.standing("proposal", action_id)
        loaded, asked = await db.in_force(), await db.latest_request(action_id)
        past = await db.decisions_of(action_id)
    if loaded is None or asked is None:
        raise RequestError(
            f"Nothing was decided about action {action_id}: "
            + ("no policy is in force." if loaded is None else "it is not validated yet.")
        )
    decision, steps = decide(loaded, asked), trace(loaded, asked)
    data = {
        "request": asked.to_json(),
        "decision": decision._asdict(),
        "rules": [step._asdict() for step in steps],
        "approvals": standing.words,
        "lacks": standing.lacks,
        "history": past,
    }
    show(session, data, lambda: _explained(asked, decision, steps, standing))


def _explained(
    asked: PolicyRequest, decision: Decision, steps: list[Step], standing: Standing
) -> RenderableType:
    known = {
        "action": asked.action,
        "target": asked.target,
        "subject": asked.subject,
        "tags": ", ".join(sorted(asked.tags)),
        "risk": asked.risk,
        "proposed by": asked.proposer,
        "severity": asked.severity,
        "confidence": asked.confidence,
        "blast radius": asked.blast and shares_text(asked.blast),
        "decision": decision.told,
        "still needed": people_of(standing.lacks),
    }
    rows = ((one.rule, "decides" if one.matched else one.why_not) for one in steps)
    return stacked(
        facts("What was asked", known),
        table("Rules", ("rule", "found"), rows),
        words_table(standing),
    )


@command(app, "diff")
async def diff(
    session: Session,
    old: Annotated[Path, typer.Argument(metavar="OLD", show_default=False)],
    new: Annotated[Path, typer.Argument(metavar="NEW", show_default=False)],
    since: Annotated[
        str, typer.Option("--since", help="Decisions of so long: 90d, 12h.", metavar="TIME")
    ] = "90d",
) -> None:
    """Show which decisions of the past would flip under another policy.

    Example:
      operator policy diff old.toml new.toml --since 90d

    Next: operator policy explain 1
    """
    before, after, span = read_policy(old), read_policy(new), duration(since, "--since")
    async with PolicyDB(session.db_path) as db:
        past = await db.decided_since(db.ledger.clock.now() - span)
    flips = [flip for one in past if (flip := _flip(one, before, after)) is not None]
    data = {"decisions": len(past), "flips": [asdict(one) for one in flips]}
    show(session, data, lambda: _differing(flips, len(past), span))


def _flip(past: Past, before: LoadedPolicy, after: LoadedPolicy) -> Flip | None:
    old, new = decide(before, past.request), decide(after, past.request)
    if (old.effect, old.approvals) == (new.effect, new.approvals):
        return None
    request = past.request
    return Flip(past.proposal_id, request.action, request.target, _told(old), _told(new))


def _told(decision: Decision) -> str:
    people = f" by {people_of(decision.approvals)}" if decision.approvals else ""
    return f"{decision.effect.value}{people} ({decision.rule or 'no rule'})"


def _differing(flips: list[Flip], decisions: int, span: timedelta) -> RenderableType:
    rows = ((one.proposal_id, one.action, one.target, one.old, one.new) for one in flips)
    summary = f"{len(flips)} of {decisions} decisions of {span.days} days would flip."
    if not flips:
        return said(summary)
    columns = ("id", "action", "target", "old", "new")
    return stacked(table("", columns, rows), hint(summary))
