"""Approving under a policy: who may, how it stands, and what to say of it."""

from rich.console import RenderableType

from operator_core import config
from operator_core.actions.policy.people import people_of
from operator_core.cli.context import Session
from operator_core.cli.render import table
from operator_core.cli.text import local_time
from operator_core.clock import from_text
from operator_core.db.ledger import Ledger
from operator_core.db.policy import PolicyDB, Standing
from operator_core.errors import RequestError


async def require_oneself(session: Session, ledger: Ledger) -> None:
    """Return only where a person approves in their own name, or no policy asks who it is.

    Raises:
        RequestError: the name is not the one that the operating system knows.
    """
    user = config.os_user()
    if session.person == user or await PolicyDB(ledger).in_force() is None:
        return
    raise RequestError(
        f"Under a policy everybody approves for themselves: you are {user}, not {session.person}. "
        "Leave --as out, and let the other person run the command."
    )


async def standing_of(ledger: Ledger, kind: str, row_id: int) -> Standing:
    """Return how the approval of a ``proposal`` or ``workflow`` stands."""
    return await PolicyDB(ledger).standing(kind, row_id)


def outcome(what: str, person: str, standing: Standing, *, approved: bool) -> str:
    """Return what came of an approval, in words.

    Args:
        what: what was approved, such as ``Action 1``.
        person: who approved.
        standing: how it stands now.
        approved: whether that was the last word needed.
    """
    if approved:
        return f"{what} is approved by {person}."
    if standing.lacks:
        return f"{what} has the word of {person}; still needed: {people_of(standing.lacks)}."
    return f"{what} has the word of {person}; it counts once the agent has validated it."


def words_table(standing: Standing) -> RenderableType | None:
    """Return a table of who approved, and why a word does not count any more."""
    if not standing.words:
        return None
    rows = (
        (
            word["approver"],
            word["roles"],
            local_time(from_text(word["at"])),
            word["expires_at"] and local_time(from_text(word["expires_at"])),
            word["ended_because"] or ("counts" if word["digest"] else "waits for validation"),
        )
        for word in standing.words
    )
    return table("Approvals", ("who", "roles", "when", "until", "found"), rows)
