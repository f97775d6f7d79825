"""How rehearsals look."""

from rich.console import RenderableType

from operator_core.actions.rehearsal import Calibration, Rehearsal
from operator_core.cli.render import cell, facts, hint, stacked, table
from operator_core.db.rehearsals import Rehearsed
from operator_core.twin import BlastRadius

_SHARES = {
    "data_share": "data",
    "leader_share": "leaders",
    "client_share": "clients",
    "quorum_share": "failures it could afford",
}


def rehearsal_view(found: Rehearsed | None) -> RenderableType | None:
    """Return what a twin said of an action, and what came of it; None: it was not rehearsed."""
    if found is None:
        return None
    said, came = found.rehearsal, found.measured
    panel = facts(
        "Rehearsal on a twin",
        {
            "blast radius": blast_text(said),
            "should take": _seconds(said.seconds),
            "gets better": "; ".join(said.better) or None,
            "refused because": "; ".join(said.worse) or None,
            "when undone": "; ".join(said.undo) or None,
            "took": came and _seconds(came.seconds),
            "error of the numbers": came and _percent(came.number_error),
        },
    )
    actual = came.actual if came else (None,) * len(said.changes)
    rows = (
        (change.path, _number(change.before), _number(change.after), _number(now))
        for change, now in zip(said.changes, actual, strict=True)
    )
    columns = ("number", "before", "predicted", "seen after")
    return stacked(panel, table("", columns, rows) if said.changes else None)


def steps_view(found: list[tuple[str, Rehearsed]]) -> RenderableType | None:
    """Return what a twin said of each step of a workflow; None: of none."""
    if not found:
        return None
    rows = (
        (
            one.proposal_id,
            name,
            _seconds(one.rehearsal.seconds),
            "; ".join(
                f"{change.path} {_number(change.before)} → {_number(change.after)}"
                for change in one.rehearsal.changes
            ),
        )
        for name, one in found
    )
    whole = found[-1][1].rehearsal
    told = f"Blast radius: {blast_text(whole)}"
    refused = f"\nRefused: {'; '.join(whole.worse)}" if whole.worse else ""
    columns = ("id", "action", "should take", "changes")
    return stacked(table("Rehearsal on a twin", columns, rows), hint(told + refused))


def blast_text(rehearsal: Rehearsal) -> str:
    """Return how much is touched, as a word and in shares."""
    shares = shares_text(rehearsal.blast or BlastRadius())
    return f"{rehearsal.tier} ({shares})" if shares else "unknown, so a person approves"


def shares_text(blast: BlastRadius) -> str:
    """Return how much is touched in shares, as far as it is known."""
    return ", ".join(
        f"{share:.0%} of the {_SHARES[name]}"
        for name, share in blast._asdict().items()
        if share is not None
    )


def calibration_view(found: list[Calibration]) -> RenderableType:
    """Return how right the twin was, or what to do where nothing was measured."""
    if not found:
        return hint("Nothing was measured yet: that takes an action that was rehearsed and done.")
    rows = (
        (one.action, one.times, _percent(one.number_error), _times(one.time_ratio)) for one in found
    )
    return stacked(
        table("", ("action", "times", "error of the numbers", "took, of predicted"), rows),
        hint("An error of 100 % is as wrong as predicting that nothing changes."),
    )


def _seconds(seconds: float | None) -> str | None:
    return None if seconds is None else f"{seconds:.1f} s"


def _percent(share: float | None) -> str | None:
    return None if share is None else f"{share:.0%}"


def _times(ratio: float | None) -> str | None:
    return None if ratio is None else f"{ratio:.2f} times"


def _number(value: float | None) -> str:
    return "" if value is None else cell(round(value, 4)).plain.removesuffix(".0")
