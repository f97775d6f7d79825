"""`operator effects`: what Operator has put on clusters for a while, and until when."""

from typing import Annotated

import typer
from rich.console import RenderableType

from operator_core.actions.leases import EffectLease
from operator_core.cli.context import (
    PAGE,
    After,
    Id,
    Limit,
    Session,
    command,
    new_group,
    page,
    show,
)
from operator_core.cli.render import hint, table, word
from operator_core.cli.values import not_before
from operator_core.cli.views import said
from operator_core.clock import utc_now
from operator_core.db.effect_leases import EffectDB
from operator_core.errors import RequestError
from operator_core.types import JsonObject

app = new_group(
    """Effects: what Operator has put on clusters for a while, and until when.

    Each is in the ledger before it is made, and taken back when its ticket
    or workflow is over, or its time has passed.

    Example:
      operator effects list

    Next: operator doctor, which compares clusters with the ledger
    """
)


@command(app, "list", reads=True)
async def list_effects(
    session: Session,
    limit: Limit = PAGE,
    after: After = 0,
    *,
    ended: Annotated[bool, typer.Option("--ended", help="Those that are over, too.")] = False,
) -> None:
    """List temporary effects: who made them, why, until when.

    Example:
      operator effects list
      operator effects list --ended

    Next: operator effects release 1
    """
    async with EffectDB(session.db_path) as db:
        found = await db.list_leases(ended=ended, after_id=after, limit=limit + 1)
    leases = page(found, limit, lambda one: one.id)
    show(session, [_plain(one) for one in leases], lambda: _table(leases))


@command(app, "release")
async def release(session: Session, lease: Id) -> None:
    """Let an effect end now: an agent proposes to take it back.

    It goes the way of every action: an agent (`operator up`) proposes it,
    and the policy says whether it waits for an approval.

    Example:
      operator effects release 1

    Next: operator effects list --ended
    """
    async with EffectDB(session.db_path) as db:
        kept = await db.renew(lease, utc_now(), actor=session.person, keep=False)
    show(session, _plain(kept), lambda: said(f"{kept.effect} ends now; an agent takes it back."))


@command(app, "renew")
async def renew(
    session: Session,
    lease: Id,
    *,
    length: Annotated[
        str, typer.Option("--for", metavar="TIME", help="How long from now: 90s, 5m, 2h or 1d.")
    ],
) -> None:
    """Keep an effect for longer, whatever becomes of its ticket or workflow.

    Example:
      operator effects renew 1 --for 2h

    Next: operator effects list
    """
    until = not_before(length, None, utc_now(), options=("--for", "--until"))
    if until is None:
        raise RequestError("Say for how long: --for 2h.")
    async with EffectDB(session.db_path) as db:
        kept = await db.renew(lease, until, actor=session.person, keep=True)
    show(session, _plain(kept), lambda: _table([kept]))


def _plain(one: EffectLease) -> JsonObject:
    undo = one.undo.model_dump(mode="json") if one.undo else None
    return {**one._asdict(), "undo": undo}


def _table(leases: list[EffectLease]) -> RenderableType:
    if not leases:
        return hint("Operator has put nothing temporary on any cluster.")
    rows = (
        (
            one.id,
            word("ok" if one.ended_at is None else "disabled"),
            one.effect,
            one.subject,
            f"action {one.proposal_id}, {one.taken_by}",
            one.ended_because or one.reason,
            one.ended_at or one.expires_at,
        )
        for one in leases
    )
    return table("", ("id", "status", "effect", "cluster", "by", "why", "until"), rows)
