"""The guards of the gate, tried with canaries; where one is dead, Operator only looks on."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta

from operator_core import db
from operator_core.actions import canaries as known
from operator_core.actions.canaries.sighting import Sighting
from operator_core.actions.types import AuditEvent
from operator_core.db.control import ControlDB
from operator_core.db.ledger import Ledger
from operator_core.logs import get_logger
from operator_core.monitor.types import Violation
from operator_core.runtime import fingerprint
from operator_core.types import JsonObject, RunMode, Severity

log = get_logger(__name__)

EVERY_SECONDS = 3600.0
AGAIN_SECONDS = 60.0
"""How soon they are tried again while one is dead."""

SOON_SECONDS = 5.0
MOST_UNPROVEN = 3
"""How soon a trial that proved nothing is repeated, and how many in a row call a person."""

RECALLED_ROWS = 10_000
"""How far back in the audit a proof is looked for: further back a trial is cheaper."""

INVARIANT = "guard_of_the_gate"
"""The invariant that a dead guard breaks: it has a ticket of its own."""

EVENT = "guards_checked"
SCRATCH = "the scratch ledger"
ACTOR = "operator"


class GuardKeeper:
    """Tries the guards at start and every hour, and acts on what it finds.

    Args:
        ledger: an open ledger, where the result goes and which is dropped to observe; the
            canaries themselves are planted in a scratch ledger.
        canaries: those to let go; None: all there are.
        tell: told in a line what happens.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        canaries: "Sequence[known.Canary] | None" = None,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._ledger = ledger
        self._control = ControlDB(ledger)
        self._canaries = canaries
        self._tell = tell
        self._due_at = ledger.clock.now()
        self._unproven = 0
        self._made_of = fingerprint.of_this_process()
        self.proven = False
        """Whether every guard was alive the last time; nothing is executed until it is so."""
        self.at_rest = asyncio.Event()
        """Set while they are not being tried."""
        self.at_rest.set()

    async def recall(self) -> None:
        """Rest on the last trial, if this very code on this boot stood it within the hour.

        It is still due here: a process that goes on after a crash proves its own guards too.
        """
        last = await self._control.last_event(EVENT, within_rows=RECALLED_ROWS)
        if last is None or self._made_of is None or last.event_data.get("dead"):
            return
        age = self._ledger.clock.now() - last.timestamp
        fresh = timedelta(0) <= age < timedelta(seconds=EVERY_SECONDS)
        self.proven = fresh and last.event_data.get("made_of") == self._made_of

    async def step(self) -> None:
        """Try the guards, if it is time to."""
        if self._ledger.clock.now() >= self._due_at:
            await self.check()

    async def check(self) -> list[Sighting]:
        """Try the guards now, and write down, and act on, what was found."""
        self.at_rest.clear()
        try:
            return await self._check()
        finally:
            self.at_rest.set()

    async def _check(self) -> list[Sighting]:
        found = await self._sightings()
        dead = [one for one in found if not one.alive]
        self.proven = not dead
        again_seconds = await self._answer(dead)
        told = {one.canary: one.detail for one in dead}
        data: JsonObject = {"tried": len(found), "dead": told, "made_of": self._made_of}
        now = self._ledger.clock.now()
        await self._control.append_event(
            AuditEvent(event_type=EVENT, event_data=data, actor=ACTOR, timestamp=now)
        )
        self._due_at = now + timedelta(seconds=again_seconds)
        return found

    async def _answer(self, dead: Sequence[Sighting]) -> float:
        """Act on what was found, and return in how many seconds they are tried again.

        Where a canary got through, Operator drops to observe, for every process. Where none did, as
        in a process that gets no memory, this one executes nothing until a trial succeeds.
        """
        if not dead:
            await self._settle()
            return EVERY_SECONDS
        self._unproven += 1
        if any(one.passed for one in dead):
            await self._drop()
        elif self._unproven < MOST_UNPROVEN:
            self._tell(f"the guards are not proven, tried again soon: {dead[0].detail}")
            return SOON_SECONDS
        await self._page(dead)
        return AGAIN_SECONDS

    async def _sightings(self) -> list[Sighting]:
        """Return what became of each canary; a guard that cannot be tried is not proven."""
        try:
            every = known.CANARIES if self._canaries is None else self._canaries
            return await known.release_all(every, self._ledger.clock)
        except Exception as error:  # noqa: BLE001 - whatever it is, nothing is proven
            detail = f"the guards cannot be tried: {type(error).__name__}: {error}"
            return [Sighting(SCRATCH, alive=False, detail=detail)]

    async def _drop(self) -> None:
        if (await self._control.safety_state()).mode is not RunMode.OBSERVE:
            await self._control.set_mode(RunMode.OBSERVE, actor=ACTOR)

    async def _page(self, dead: Sequence[Sighting]) -> None:
        for one in dead:
            log.critical("guard_dead", canary=one.canary, detail=one.detail)
            violation = Violation(
                invariant=INVARIANT,
                target=one.canary,
                message=_message(one),
                severity=Severity.CRITICAL,
            )
            self._tell(violation.message)
            await db.TicketDB(self._ledger).report(violation, reported_by=ACTOR)

    async def _settle(self) -> None:
        """Resolve the tickets of guards that are alive again; the mode is for a person to set."""
        self._unproven = 0
        tickets = db.TicketDB(self._ledger)
        for ticket in await tickets.list_tickets(unresolved=True):
            if ticket.invariant_name == INVARIANT:
                await tickets.resolve(
                    int(ticket.id or 0), actor=ACTOR, resolution="every guard is alive"
                )


def _message(dead: Sighting) -> str:
    if dead.passed:
        return (
            f"The guard against {dead.canary!r} is dead: {dead.detail}. Operator only looks on. "
            "Mend it, run `operator guards check`, then `operator mode execute`."
        )
    return (
        f"The guard against {dead.canary!r} cannot be proven: {dead.detail}. A process in which "
        "this is so executes nothing. Mend it; `operator guards check` tells whether it is."
    )


async def last_check(ledger: Ledger) -> AuditEvent | None:
    """Return the result of the last check, or None where there never was one."""
    found = await ControlDB(ledger).list_events(event_type=EVENT, limit=1, newest=True)
    return found[0] if found else None
