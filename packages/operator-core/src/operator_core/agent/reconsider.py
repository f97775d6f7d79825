"""The stage that asks again about diagnosed tickets: once a look, while nothing is under way."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from operator_core.actions.registry import ActionRegistry
from operator_core.agent.again import MAX_AGAIN, Superseded, sees_as_much, superseded
from operator_core.agent.answering import Answering
from operator_core.agent.diagnosis import Diagnosis
from operator_core.clock import SYSTEM_CLOCK, Clock
from operator_core.db.again import AgainDB, Case
from operator_core.db.ledger import Ledger
from operator_core.db.tickets import TicketDB
from operator_core.db.watching import WatchingDB
from operator_core.logs import get_logger
from operator_core.monitor.types import Observation, Sighting
from operator_core.subject import FullSubject

log = get_logger(__name__)


@dataclass
class _Trial:
    """What looks said of one stored diagnosis: the cause they lead to; empty: it stands."""

    stored_id: int
    said: dict[int, str] = field(default_factory=dict)


class ReconsiderStage:
    """Supersedes diagnoses of one cluster that later looks do not bear out."""

    def __init__(
        self,
        ledger: Ledger,
        subject: FullSubject,
        registry: ActionRegistry,
        *,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """Take an open ledger, the cluster's catalogue and the actions that may be named."""
        self._tickets = TicketDB(ledger)
        self._again = AgainDB(ledger)
        self._watching = WatchingDB(ledger)
        self._answering = Answering(ledger, subject, registry, clock)
        self._name = subject.name
        self._look_id: int | None = None
        self._trials: dict[int, _Trial] = {}  # only saves work: it is found again from the looks

    async def step(self) -> list[Diagnosis]:
        """Ask about each ticket that may change its mind, once a look; return what changed."""
        look_id = await self._again.latest_look_id(self._name)
        if look_id is None or look_id == self._look_id:
            return []
        self._look_id = look_id
        cases = await self._again.cases(self._name)
        self._trials = _kept(self._trials, cases)
        if not cases:
            return []
        look = await self._tickets.get_observation(look_id)
        made = [await self._reconsider(one, look) for one in await self._asked(cases, look)]
        return [one for one in made if one is not None]

    async def _asked(self, cases: list[Case], look: Observation) -> list[Case]:
        snoozes = await self._watching.active_snoozes(self._name)
        sightings = await self._tickets.load_sightings(self._name)
        return [
            one
            for one in cases
            if one.times < MAX_AGAIN
            and _shows(look, sightings.get(one.ticket.violation_key))
            and not any(snooze.covers_ticket(one.ticket) for snooze in snoozes)
        ]

    async def _reconsider(self, case: Case, look: Observation) -> Diagnosis | None:
        cause = await self._cause(case, int(look.id or 0), look)
        if not cause or not await self._is_confirmed(case, cause):
            return None
        answer = await self._answering.answer(case.ticket, look)
        why = _why(case, answer, look)
        if why is None:
            return None
        made = await self._again.supersede(case.stored, answer, why)
        if made is not None:
            log.info("diagnosis_superseded", ticket_id=case.ticket.id, why=why.reason)
        return made

    async def _is_confirmed(self, case: Case, cause: str) -> bool:
        """Return whether enough looks in a row lead away from a diagnosis, to the same cause."""
        own = case.stored.observation_id or 0
        ids = await self._again.recent_look_ids(self._name, case.looks_needed)
        if len([one for one in ids if one > own]) < case.looks_needed:
            return False
        for one in ids[1:]:
            if await self._cause(case, one) != cause:
                return False
        return True

    async def _cause(self, case: Case, look_id: int, look: Observation | None = None) -> str:
        """Return the cause that a look leads to instead of the stored one; empty: that stands."""
        trial = self._trials.setdefault(int(case.ticket.id or 0), _Trial(case.stored.id or 0))
        if look_id not in trial.said:
            seen = look or await self._tickets.get_observation(look_id)
            answer = self._answering.sketch(case.ticket, seen)
            turns = _why(case, answer, seen) is not None and await self._can_refute(case, seen)
            trial.said[look_id] = answer.hypothesis if turns else ""
        return trial.said[look_id]

    async def _can_refute(self, case: Case, look: Observation) -> bool:
        own = case.stored.observation_id
        found = await self._tickets.list_looks([own]) if own is not None else {}
        return all(sees_as_much(one, look) for one in found.values())


def _why(case: Case, answer: Diagnosis, look: Observation) -> Superseded | None:
    return superseded(case.stored, answer, look, case.former)


def _kept(trials: Mapping[int, _Trial], cases: Iterable[Case]) -> dict[int, _Trial]:
    """Return the trials of diagnoses that are still the present ones."""
    present = {int(one.ticket.id or 0): one.stored.id or 0 for one in cases}
    return {key: one for key, one in trials.items() if present.get(key) == one.stored_id}


def _shows(look: Observation, sighting: Sighting | None) -> bool:
    """Return whether a look shows the problem: what is clearing, or was not judged, is left."""
    if sighting is None or sighting.clear_since is not None:
        return False
    return sighting.last_seen_at >= look.observed_at
