"""`RehearsalDB`: what twins said would come of proposals, and what came of them."""

import json
from collections.abc import Mapping
from typing import NamedTuple

from operator_core.actions.rehearsal import Measured, Rehearsal
from operator_core.db import changes, looks, rows
from operator_core.db.damage import read_as
from operator_core.db.engine import Row, Tx
from operator_core.db.looks import NewLook
from operator_core.db.store import SYSTEM_ACTOR, Store
from operator_core.monitor.types import Observation
from operator_core.types import JsonObject

_RECENT = 1000


class Rehearsed(NamedTuple):
    """A rehearsal in the ledger.

    Attributes:
        proposal_id: what was rehearsed.
        rehearsal: what the twin said.
        measured: what came of it; None: it is not done, or nobody could look.
        observation_id: the look that the twin was built from; None: an older version wrote it.
    """

    proposal_id: int
    rehearsal: Rehearsal
    measured: Measured | None = None
    observation_id: int | None = None

    def to_json(self) -> JsonObject:
        """Return it as JSON, for people's tools."""
        return {
            "proposal_id": self.proposal_id,
            **self.rehearsal.to_json(),
            "tier": self.rehearsal.tier,
            "measured": self.measured.to_json() if self.measured else None,
            "observation_id": self.observation_id,
        }


class RehearsalDB(Store):
    """Rehearsals; each method is one durable transaction."""

    async def add(self, said: Mapping[int, Rehearsal], seen: Observation) -> None:
        """Keep what a twin said of proposals, and the look it was built from; the newest counts.

        Args:
            said: by the proposal's id.
            seen: the look, of a cluster that it names; it is kept for good where one of the
                proposals is a ticket's, and else thinned and dropped as other looks are.
        """
        stamp, look = self._stamp(SYSTEM_ACTOR), NewLook.of(seen, str(seen.subject))
        texts = {one: rows.to_json(rehearsal.to_json()) for one, rehearsal in said.items()}

        def work(tx: Tx) -> None:
            look_id = looks.record_extra(tx, look, stamp.now)
            if any(changes.get(tx, "proposal", one)["ticket_id"] for one in texts):
                looks.pin(tx, [look_id])
            for proposal_id, text in sorted(texts.items()):
                tx.run(
                    "rehearsal.insert",
                    proposal_id=proposal_id,
                    now=stamp.text,
                    observation_id=look_id,
                    prediction=text,
                )

        if texts:
            await self._write(work)

    async def latest(self, proposal_id: int) -> Rehearsed | None:
        """Return the newest rehearsal of a proposal, or None."""
        row = await self._read(lambda tx: tx.one("rehearsal.latest", proposal_id=proposal_id))
        return None if row is None else _rehearsed(row)

    async def measure(self, proposal_id: int, measured: Measured) -> None:
        """Keep what came of the newest rehearsal of a proposal."""
        stamp, text = self._stamp(SYSTEM_ACTOR), rows.to_json(measured.to_json())
        await self._write(
            lambda tx: tx.run(
                "rehearsal.measure", proposal_id=proposal_id, now=stamp.text, measured=text
            )
        )

    async def measured(
        self, subject: str | None = None, limit: int = _RECENT
    ) -> list[tuple[str, Rehearsed]]:
        """Return the newest predictions with what came of them, each with its action's name.

        Args:
            subject: only those of one cluster.
            limit: at most so many.
        """
        found = await self._read(
            lambda tx: tx.all("rehearsal.measured", subject=subject, limit=limit)
        )
        return [(row["action_name"], _rehearsed(row)) for row in found]


@read_as("Rehearsal")
def _rehearsed(row: Row) -> Rehearsed:
    measured = row["measured"]
    return Rehearsed(
        proposal_id=row["proposal_id"],
        rehearsal=Rehearsal.of_json(json.loads(row["prediction"])),
        measured=Measured.of_json(json.loads(measured)) if measured else None,
        observation_id=row["observation_id"],
    )
