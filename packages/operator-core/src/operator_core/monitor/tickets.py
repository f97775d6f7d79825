"""The stage from a look at the cluster to its tickets: observe, detect, open, resolve."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from operator_core.agent.redact import redacted
from operator_core.clock import SYSTEM_CLOCK, Clock
from operator_core.contain import contained, said
from operator_core.db.ledger import Ledger
from operator_core.db.tickets import MONITOR, TicketDB
from operator_core.db.watching import WatchingDB
from operator_core.errors import TransitionError
from operator_core.logs import get_logger
from operator_core.monitor.config import MonitorConfig, soonest_seconds
from operator_core.monitor.detect import Detection, detect, failed_observation
from operator_core.monitor.tuning import tuned
from operator_core.monitor.types import Observation, Ticket, Violation
from operator_core.monitor.verifier import GONE, Verifier, View
from operator_core.subject import FullSubject

log = get_logger(__name__)


@dataclass(frozen=True)
class Look:
    """What one step of the monitor did.

    Attributes:
        observation_id: what was seen.
        complete: whether all of it could be read.
        tickets: of the problems that are there.
        resolved: tickets of problems that are gone.
        snoozed: problems that a person wants no ticket of.
        due_seconds: until a problem that is seen has outlasted its grace; None: none is seen.
        awaits_proof: whether a remedy runs, or waits for the looks that prove it.
    """

    observation_id: int
    complete: bool
    tickets: tuple[Ticket, ...] = ()
    resolved: tuple[Ticket, ...] = ()
    snoozed: tuple[Violation, ...] = ()
    due_seconds: float | None = None
    awaits_proof: bool = False

    def pause_seconds(self, interval_seconds: float) -> float:
        """Return how long after this look the next one comes.

        Sooner than usual where that look would decide something: whether a ticket opens, or
        whether a remedy is proven. Grace and soak stay what they are; only the wait for a look
        after them gets shorter.

        Args:
            interval_seconds: the usual distance of looks.
        """
        soonest = soonest_seconds(interval_seconds)
        if self.awaits_proof:
            return soonest
        due = interval_seconds if self.due_seconds is None else self.due_seconds
        return min(max(due, soonest), interval_seconds)


class _Seen(NamedTuple):
    """A look, and its text in the ledger, which is made once."""

    observation: Observation
    content: str


class MonitorStage:
    """Watches one cluster. Each `step` is one look; what it remembers lies in the ledger."""

    def __init__(
        self,
        ledger: Ledger,
        subject: FullSubject,
        config: MonitorConfig | None = None,
        *,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """Take an open ledger and the cluster to watch."""
        self._db = TicketDB(ledger)
        self._watching = WatchingDB(ledger)
        self._subject = subject
        self._config = config or MonitorConfig()
        self._clock = clock
        self._counted = False
        self._verifier = Verifier(ledger, subject, self._config.patience)

    async def step(self) -> Look:
        """Look once: store what was seen, open and refresh tickets, resolve what is gone."""
        name = self._subject.name
        if not self._counted:
            await self._db.count_looks(name)
            self._counted = True
        observation, content = await self._observe()
        open_tickets = await self._db.list_tickets(subject=name, unresolved=True)
        open_keys = frozenset(ticket.violation_key for ticket in open_tickets)
        rules = tuned(self._subject.invariants(), await self._watching.rule_settings(name))
        found = detect(
            rules,
            observation,
            await self._db.load_sightings(name),
            self._clock.now(),
            open_keys=open_keys,
            snoozes=await self._watching.active_snoozes(name),
        )
        observation_id = await self._db.record_look(
            observation,
            found.sightings,
            subject=name,
            keep=self._config.retention,
            content=content,
        )
        reported = [
            await self._report(violation, found)
            for violation in found.present
            if violation.key in open_keys or not await self._is_meant(violation)
        ]
        look = observation.model_copy(update={"id": observation_id})
        view = View(look, rules, reported, found.cleared)
        proven = await self._verifier.judge(open_tickets, view)
        resolved = await self._resolve_each(open_tickets, view, proven)
        if resolved or any(one.violation_key not in open_keys for one in reported):
            await self._db.keep_look(observation_id)
        return Look(
            observation_id,
            observation.complete,
            tuple(reported),
            tuple(resolved),
            found.snoozed,
            due_seconds=self._until(found.due_at),
            awaits_proof=not all(proven.values()),
        )

    def _until(self, moment: datetime | None) -> float | None:
        return None if moment is None else (moment - self._clock.now()).total_seconds()

    async def _observe(self) -> _Seen:
        """Look at the cluster; a look that fails is itself an observation, of an unread source."""
        name, limit_seconds = self._subject.name, self._config.observe_limit_seconds
        try:
            async with asyncio.timeout(limit_seconds):
                seen = await contained(self._subject.observe())
        except TimeoutError:
            reason = f"no answer within {limit_seconds:g} s"
        except Exception as error:  # noqa: BLE001 - whatever a subject raises, the watch goes on
            reason = f"{type(error).__name__}: {said(error)}"
        else:
            return _as_stored(seen.model_copy(update={"subject": name}))
        log.warning("observation_failed", subject=name, reason=reason)
        return _as_stored(failed_observation(name, reason, self._clock.now()))

    async def _is_meant(self, violation: Violation) -> bool:
        """Return whether Operator itself did it, on purpose and not long ago."""
        effect = violation.meant_after
        return effect is not None and await self._watching.was_own_effect(
            self._subject.name, effect
        )

    async def _report(self, violation: Violation, found: Detection) -> Ticket:
        sighting = found.sightings.get(violation.key)
        return await self._db.report(
            violation,
            subject=self._subject.name,
            first_seen_at=sighting.first_seen_at if sighting else None,
            flap_window_seconds=self._config.flap_window_seconds,
        )

    async def _resolve_each(
        self, tickets: list[Ticket], view: View, proven: Mapping[int, str]
    ) -> list[Ticket]:
        """Resolve what is gone; where something was done about it, only what is proven."""
        gone = [
            ticket
            for ticket in tickets
            if ticket.violation_key in view.cleared
            and not ticket.held
            and proven.get(int(ticket.id or 0), GONE)
        ]
        resolved = [
            await self._resolve(ticket, view.look, proven.get(int(ticket.id or 0), GONE))
            for ticket in gone
        ]
        return [ticket for ticket in resolved if ticket is not None]

    async def _resolve(self, ticket: Ticket, look: Observation, how: str) -> Ticket | None:
        resolution = f"{how}: no longer seen in observation {look.id}"
        try:
            return await self._db.resolve(int(ticket.id or 0), actor=MONITOR, resolution=resolution)
        except TransitionError:
            return None  # a person was first


def _as_stored(seen: Observation) -> _Seen:
    """Return a look as it is stored, so that what is detected on it names no secret either."""
    content = seen.model_dump_json(exclude={"id", "subject"})
    clean = redacted(content)
    if clean == content:
        return _Seen(seen, content)
    read = Observation.model_validate_json(clean)
    return _Seen(read.model_copy(update={"subject": seen.subject}), clean)
