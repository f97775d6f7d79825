"""Plays the scenario of a file in virtual time: look, detect with grace, diagnose, act."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from operator_core.actions.registry import ActionRegistry
from operator_core.actions.validation import validate_action_params
from operator_core.agent.recommend import checked
from operator_core.agent.rules import diagnose
from operator_core.errors import OperatorError, OutcomeUnknownError
from operator_core.monitor.detect import detect
from operator_core.subject import ActionCall
from operator_lab.scenario import Asked, Expectation, load_scenario
from operator_tikv.causes.failures import Failure, Guard, known_failures
from operator_tikv.hypotheses import HYPOTHESES
from operator_tikv.lab import Site, TikvLab
from operator_tikv.pd.client import API, Page, PdAnswer, PdClient
from operator_tikv.pd.errors import PdRefusalError
from operator_tikv.pd.parse import decode_json, reason_of
from operator_tikv.simulator import front
from operator_tikv.simulator.api.http import Call
from operator_tikv.simulator.scenario import Scenario, build, read_scenario
from operator_tikv.subject import TikvSubject
from tikv_support import PD_URL, ClusterClock, simulated_subject

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pydantic import JsonValue

    from operator_core.agent.diagnosis import ActionRecommendation, Diagnosis
    from operator_core.monitor.types import Observation, Sighting, Violation
    from operator_tikv.pd.client import Params
    from operator_tikv.simulator import SimulatedCluster

SCENARIOS = TikvLab.scenarios
BUILT_IN = frozenset({"wait", "log_message"})


STIR_SECONDS = 900.0
"""How long after planned work, and after something was found, each look counts."""


SHOWS_LATER = frozenset({"transfer_pd_leader"})
"""What PD takes and does not do: that is told once nothing has come of it."""


@dataclass(frozen=True)
class Told:
    """A scenario and what is expected of it."""

    scenario: Scenario
    expect: Expectation


@dataclass
class Outcome:
    """What happened."""

    opened: dict[str, Violation] = field(default_factory=dict)
    open_keys: set[str] = field(default_factory=set)
    diagnoses: dict[str, Diagnosis] = field(default_factory=dict)
    performed: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    got_through: list[str] = field(default_factory=list)
    asked_at_height: set[str] = field(default_factory=set)

    @property
    def escalated(self) -> set[str]:
        """The problems that a person was asked about."""
        return {key for key, one in self.diagnoses.items() if one.escalate}


def files() -> list[Path]:
    """Return the files of all scenarios."""
    return sorted(SCENARIOS.glob("*.toml"))


def read(path: Path) -> Told:
    """Read a file."""
    found = load_scenario(path)
    table = {**found.table, "name": found.name, "duration": found.duration}
    return Told(read_scenario(table), found.expect)


class ShortWay(PdClient):
    """The same network without HTTP: a simulated day has tens of thousands of requests.

    It reads only; what is the same as at the look before is not decoded again.
    """

    def __init__(self, cluster: SimulatedCluster) -> None:
        super().__init__([PD_URL])
        self._cluster = cluster
        self._known: dict[tuple[str, str], tuple[bytes, JsonValue]] = {}

    async def get(self, path: str, params: Params | None = None) -> PdAnswer:
        """Read one path of PD's API."""
        query = tuple((name, str(value)) for name, value in (params or {}).items())
        found = front.answer(self._cluster, Call("GET", API + path, query))
        if found.status != HTTPStatus.OK:
            raise PdRefusalError(found.status, reason_of(found.body), f"GET {path}")
        return PdAnswer(self._decoded(path, repr(query), found.body), PD_URL, self._date())

    async def page(self, url: str, limit_bytes: int, timeout_seconds: float | None = None) -> Page:
        """Read a page of one of the processes."""
        del timeout_seconds
        address, path = url.removeprefix("http://").split("/", 1)
        stores = self._cluster.world.stores.values()
        node = next((one.node for one in stores if one.status_address == address), "")
        found = front.answer(self._cluster, Call("GET", f"/{path}", node=node))
        return Page(found.status, found.body[:limit_bytes], len(found.body) <= limit_bytes)

    def _decoded(self, path: str, query: str, body: bytes) -> JsonValue:
        known = self._known.get((path, query))
        if known is None or known[0] != body:
            known = self._known[path, query] = (body, decode_json(body))
        return known[1]

    def _date(self) -> datetime:
        world = self._cluster.world
        return datetime.fromtimestamp(int(world.unix_seconds(world.now_seconds)), tz=UTC)


class Play:
    """One run of a scenario."""

    def __init__(self, cluster: SimulatedCluster, subject: TikvSubject) -> None:
        self.cluster, self.subject = cluster, subject
        self.registry = ActionRegistry(subject)
        self.outcome = Outcome()
        self._sightings: dict[str, Sighting] = {}

    async def run(
        self, seconds: float, look_seconds: float, failure: Failure | None = None
    ) -> Outcome:
        """Let time pass, and look, judge and act at each step; at the height ask for the worst."""
        while self.cluster.now_seconds < seconds:
            self.cluster.advance(look_seconds)
            await self.look()
            if failure is not None and self.cluster.now_seconds >= failure.height:
                await self._ask_never(failure)
                failure = None
        return self.outcome

    async def _ask_never(self, failure: Failure) -> None:
        for never in failure.never:
            if never.refused_by is Guard.PREFLIGHT:
                await self.ask(Asked(action=never.action, parameters=never.parameters))
                self.outcome.asked_at_height.add(never.action)

    @property
    def is_waiting(self) -> bool:
        """Whether something was found broken of late."""
        young = ClusterClock(self.cluster).now() - timedelta(seconds=STIR_SECONDS)
        return any(one.first_seen_at > young for one in self._sightings.values())

    async def look(self) -> None:
        """Look once, and do what follows."""
        observation = await self.subject.observe()
        found = detect(
            self.subject.invariants(),
            observation,
            self._sightings,
            observation.observed_at,
            open_keys=frozenset(self.outcome.open_keys),
        )
        self._sightings = found.sightings
        self.outcome.open_keys -= found.cleared
        new = [one for one in found.present if one.key not in self.outcome.open_keys]
        self.outcome.open_keys |= {one.key for one in new}
        for violation in new:
            await self._handle(violation, observation)

    async def ask(self, asked: Asked) -> None:
        """Ask for what must be refused, or must be told to have failed."""
        definition = self.registry.require(asked.action)
        try:
            validate_action_params(definition, asked.parameters)
            await self.subject.perform(ActionCall(asked.action, asked.parameters, "test:asked"))
        except OutcomeUnknownError:
            if asked.action not in SHOWS_LATER:
                self.outcome.got_through.append(asked.action)
        except OperatorError:
            return
        else:
            self.outcome.got_through.append(asked.action)

    async def _handle(self, violation: Violation, observation: Observation) -> None:
        found = diagnose(
            violation, observation, self.subject.hypotheses(), now=observation.observed_at
        )
        whole = checked(found, self.registry.require)
        assert whole.dropped == ()
        self.outcome.opened.setdefault(violation.key, violation)
        self.outcome.diagnoses.setdefault(violation.key, whole.diagnosis)
        if not found.escalate:
            for step in _steps(whole.diagnosis):
                if not await self._perform(step):
                    break

    async def _perform(self, step: ActionRecommendation) -> bool:
        if step.action_name in BUILT_IN:
            return True
        call = ActionCall(step.action_name, step.parameters, f"test:{len(self.outcome.performed)}")
        try:
            await self.subject.perform(call)
        except OperatorError as error:
            self.outcome.refused.append(f"{step.action_name}: {error}")
            return False
        self.outcome.performed.append((step.action_name, step.parameters))
        return True


def _steps(diagnosis: Diagnosis) -> Iterator[ActionRecommendation]:
    for workflow in diagnosis.workflows:
        yield from workflow.actions
    yield from diagnosis.actions


async def play(told: Told) -> Outcome:
    """Play a scenario to its end."""
    cluster = build(told.scenario)
    subject = simulated_subject(cluster, Site(cluster))
    try:
        run = Play(cluster, subject)
        by_number = {one.number: one for one in known_failures()}
        failure = by_number.get(told.expect.number)
        outcome = await run.run(told.scenario.duration, told.expect.look_seconds, failure)
        for asked in told.expect.refused:
            await run.ask(asked)
        return outcome
    finally:
        await subject.close()


async def watch(scenario: Scenario, look_seconds: float, still_seconds: float) -> Outcome:
    """Look at a scenario until its end, the short way.

    Args:
        scenario: the cluster and the planned work on it.
        look_seconds: between two looks, at work and while a rule waits in its grace.
        still_seconds: between two looks in the still hours.
    """
    cluster = build(scenario)
    subject = TikvSubject(ShortWay(cluster), clock=ClusterClock(cluster))
    plans = scenario.faults
    edges = sorted({e for p in plans for e in (p.at_seconds, p.until_seconds or p.at_seconds)})
    run = Play(cluster, subject)
    try:
        while (now := cluster.now_seconds) < scenario.duration:
            stirs = run.is_waiting or any(0.0 <= now - edge < STIR_SECONDS for edge in edges)
            ahead = [edge - now for edge in edges if edge > now]
            cluster.advance(look_seconds if stirs else min([still_seconds, *ahead]))
            await run.look()
        return run.outcome
    finally:
        await subject.close()


_FAILURES_HEAD = """## The 38 known failures

Printed from `operator_tikv/causes/failures.toml`. What must never be done is refused by the checks
of the action itself (`preflight`), waits for a person (`person`), is proposed by no cause
(`catalogue`), or cannot be asked for at all (`absent`). A test asks for each at the height of its
scenario.

"""


def failures_page() -> str:
    """Return what `docs/tikv-causes.md` says of the known failures."""
    names = {told.expect.number: told.scenario.name for told in map(read, files())}
    lines: list[str] = []
    for one in known_failures():
        lines += [f"### {one.number}. {names[one.number]}", ""]
        lines += [f"- **Seen as**: {'; '.join(one.signs)}."]
        causes = ", ".join(f"`{name}`" for name in one.causes)
        lines += [f"- **Cause**: {causes or 'told by the action itself'}."]
        apart = "; ".join(f"`{name}`: {how}" for name, how in one.told_apart.items())
        lines += [f"- **Not to be confused with**: {apart}."] if apart else []
        steps = "; ".join(f"({n}) {step}" for n, step in enumerate(one.remedy, 1))
        lines += [f"- **Remedy**: {steps}.", f"- **Healed when**: {'; '.join(one.verify)}."]
        never = "; ".join(f"`{n.action}` ({n.refused_by})" for n in one.never)
        lines += [f"- **Never**: {never}.", ""]
    return "\n".join(lines)


def tables() -> str:
    """Return what `docs/tikv-causes.md` says of the scenarios and the causes."""
    lines = [
        "| | failure | tickets and their first cause | actions | never | refused | ends |",
        "|---|---|---|---|---|---|---|",
    ]
    for path in files():
        told = read(path)
        expect = told.expect
        causes = "; ".join(f"`{key}`: {' or '.join(c)}" for key, c in expect.tickets.items())
        asked = ", ".join(f"`{one.action}`" for one in expect.refused)
        actions = ", ".join(f"`{name}`" for name in expect.actions)
        never = ", ".join(f"`{name}`" for name in expect.never)
        cells = [told.scenario.name, causes, actions, never, asked, expect.ends]
        lines.append(
            f"| {expect.number or path.stem[:2]} | {' | '.join(cell or 'none' for cell in cells)} |"
        )
    lines += ["", "| cause | explains | what it is and what to do |", "|---|---|---|"]
    for one in HYPOTHESES:
        rules = ", ".join(f"`{name}`" for name in sorted(one.explains))
        words = " ".join((one.assess.__doc__ or "").split())
        lines.append(f"| `{one.name}` | {rules} | {words} |")
    return "\n".join(lines) + "\n\n" + _FAILURES_HEAD + failures_page()
