"""From a proposal to its rehearsal: refused, or validated with its blast radius, and measured."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from barrels import Barrel, look_at
from cli_kit import Cli, now_do
from engine_bench import Bench, bench, recommend
from gate_kit import ALLOW
from operator_core.actions.policy import load
from operator_core.actions.rehearsal import Measured, Rehearsal
from operator_core.actions.types import ActionProposal, ActionStatus, Compensation
from operator_core.agent.runner import AgentRunner
from operator_core.db.actions import ActionDB
from operator_core.db.policy import PolicyDB
from operator_core.db.rehearsals import RehearsalDB
from operator_core.errors import SubjectUnreachableError
from operator_core.subject import complete, has_twin
from operator_core.testing.fakes import FakeSubject
from operator_core.twin import BlastRadius, Change, Twin

if TYPE_CHECKING:
    from pathlib import Path

    from operator_core.monitor.types import Observation


@dataclass
class Cellar(FakeSubject):
    """A barrel: `act` with a value taps so many litres of it."""

    litres: float = 10.0
    dark: bool = False
    odd: bool = False
    looks: list[str] = field(default_factory=list)

    async def observe(self) -> Observation:
        self.looks.append("look")
        if self.dark:
            raise SubjectUnreachableError("no light")
        left = self.litres - sum(one.value for one in self.effects)
        return look_at(left)

    def twin(self, observation: Observation) -> Twin | None:
        litres = observation.data("nothing" if self.odd else "barrel")["litres"]
        return Barrel(litres, taps="act", by="value")


@dataclass
class Stage:
    """An engine with a cellar, an agent, and what both know."""

    one: Bench
    cellar: Cellar

    @property
    def agent(self) -> AgentRunner:
        one = self.one
        executor = one.executor(subject=self.cellar)
        return AgentRunner(one.ledger, complete(self.cellar), executor, one.safety, clock=one.clock)

    @property
    def rehearsals(self) -> RehearsalDB:
        return RehearsalDB(self.one.ledger)

    async def propose_undoable(self, *litres: int, undo: int) -> list[int]:
        """Propose a workflow whose steps are undone by tapping so many litres."""
        executor = self.one.executor(subject=self.cellar)
        back = Compensation(action_name="act", parameters={"value": undo})
        steps = [
            recommend("act", value=one).model_copy(update={"compensation": back}) for one in litres
        ]
        workflow = await executor.propose_workflow("drink", "-", steps)
        return [int(one.id or 0) for one in await self.one.db.list_workflow_actions(workflow)]

    async def run(self) -> None:
        """Let the agent execute what is ready, to its end."""
        agent = self.agent
        await agent.execute()
        await asyncio.gather(*agent.running)

    async def propose(self, *litres: int) -> list[int]:
        executor = self.one.executor(subject=self.cellar)
        steps = [recommend("act", value=one) for one in litres]
        workflow = await executor.propose_workflow("drink", "-", steps)
        return [int(one.id or 0) for one in await self.one.db.list_workflow_actions(workflow)]

    async def status(self, proposal_id: int) -> ActionStatus:
        return await self.one.status(proposal_id)


async def test_what_would_run_dry_is_refused_and_says_why(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        stage = Stage(one, Cellar())
        first, second = await stage.propose(3, 4)
        await stage.agent.validate()
        assert {await stage.status(first), await stage.status(second)} == {ActionStatus.CANCELLED}
        events = await one.control.list_events(proposal_id=first)
        assert "step 2 (act): it is not dry: 3 l are left" in json.dumps(
            [event.event_data for event in events]
        )
        kept = await stage.rehearsals.latest(first)
        assert kept is not None
        assert kept.rehearsal.worse


async def test_the_policy_knows_the_blast_radius_of_the_whole_workflow(tmp_path: Path) -> None:
    text = ALLOW.replace('unknown_blast = "as ruled"', "")
    async with bench(tmp_path) as one:
        await PolicyDB(one.ledger).enforce(load(text), source="test", actor="root")
        stage = Stage(one, Cellar())
        first, second = await stage.propose(1, 2)
        await stage.agent.validate()
        assert await stage.status(first) is ActionStatus.VALIDATED
        for step in (first, second):
            asked = await PolicyDB(one.ledger).latest_request(step)
            assert asked is not None
            assert asked.blast == BlastRadius(0.2, 0.2, 0.2, 0.2)
        assert stage.cellar.looks == ["look"]


async def test_a_cluster_that_cannot_be_seen_has_an_unknown_blast_radius(tmp_path: Path) -> None:
    for cellar in (Cellar(dark=True), Cellar(odd=True)):
        async with bench(tmp_path / str(cellar.odd)) as one:
            stage = Stage(one, cellar)
            [step] = await stage.propose(9)
            await stage.agent.validate()
            assert await stage.status(step) is ActionStatus.VALIDATED
            assert await stage.rehearsals.latest(step) is None


async def test_what_was_done_is_measured(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        stage = Stage(one, Cellar())
        [step] = await stage.propose(2)
        agent = stage.agent
        await agent.validate()
        await agent.execute()
        await asyncio.gather(*agent.running)
        kept = await stage.rehearsals.latest(step)
        assert kept is not None
        assert kept.measured is not None
        assert kept.measured.actual == (8.0,)
        assert kept.measured.number_error == 0.0
        [(action, same)] = await stage.rehearsals.measured("fake")
        assert (action, same) == ("act", kept)
        assert await stage.rehearsals.measured("other") == []


async def test_what_does_harm_when_it_is_undone_is_refused_with_its_workflow(
    tmp_path: Path,
) -> None:
    async with bench(tmp_path) as one:
        stage = Stage(one, Cellar())
        [step] = await stage.propose_undoable(1, undo=6)
        await stage.agent.validate()
        kept = await stage.rehearsals.latest(step)
        assert await stage.status(step) is ActionStatus.CANCELLED
        assert kept is not None
        assert kept.rehearsal.undo == ("act: it is not dry: 3 l are left",)
        assert kept.rehearsal.worse == ("undoing it (act): it is not dry: 3 l are left",)
        assert Rehearsal.of_json(kept.rehearsal.to_json()) == kept.rehearsal


@pytest.mark.parametrize(
    ("leaked", "ends"), [(0, ActionStatus.COMPLETED), (3, ActionStatus.CANCELLED)]
)
async def test_undoing_is_rehearsed_when_it_is_due(
    tmp_path: Path, leaked: int, ends: ActionStatus
) -> None:
    async with bench(tmp_path) as one:
        stage = Stage(one, Cellar())
        first, _ = await stage.propose_undoable(1, 1, undo=1)
        await stage.agent.validate()
        await stage.run()
        workflow = (await one.get(first)).workflow_id or 0
        await one.db.cancel_workflow(workflow)
        stage.cellar.litres -= leaked + 1
        [back] = await one.db.list_ready()
        await stage.run()
        kept = await stage.rehearsals.latest(int(back.id or 0))
        assert await stage.status(int(back.id or 0)) is ends
        assert kept is not None
        assert bool(kept.rehearsal.worse) is (ends is ActionStatus.CANCELLED)
        assert (kept.measured is None) is (ends is ActionStatus.CANCELLED)


def test_nobody_looks_for_a_subject_without_a_twin() -> None:
    assert has_twin(Cellar())
    assert not has_twin(FakeSubject())


# --- at the command line --------------------------------------------------------------


def rehearsed_cli(tmp_path: Path) -> Cli:
    cli = Cli(tmp_path)
    said = Rehearsal(
        2.0, (Change("barrel/litres", 10, 8),), ("it is full",), (), BlastRadius(0.2, 0, 0, 0.5)
    )

    async def fill() -> None:
        async with ActionDB(cli.db_path) as db:
            await db.create_proposal(ActionProposal(action_name="tap", reason="thirst"))
            step = ActionProposal(action_name="tap", reason="thirst")
            await db.create_workflow("drink", "-", [step])
            look = look_at(10).model_copy(update={"subject": "cellar"})
            await RehearsalDB(db.ledger).add({1: said, 2: said}, look)
            await RehearsalDB(db.ledger).measure(1, Measured(3.0, (9.0,), 0.5))

    now_do(fill())
    return cli


def test_a_rehearsal_is_shown(tmp_path: Path) -> None:
    cli = rehearsed_cli(tmp_path)
    shown = cli.ok("actions", "show", "1")
    for words in ("large (20% of the data", "barrel/litres", "2.0 s", "it is full", "50%"):
        assert words in shown
    data = json.loads(cli.ok("actions", "show", "1", "--json"))
    assert data["rehearsal"]["tier"] == "large"
    shown = cli.ok("workflows", "show", "1")
    assert "Blast radius: large" in shown
    assert "barrel/litres 10 → 8" in shown


def test_the_report_says_how_right_the_twin_was(tmp_path: Path) -> None:
    cli = rehearsed_cli(tmp_path)
    assert "Nothing was measured" in cli.ok("twin", "report", "--subject", "other")
    report = cli.ok("twin", "report")
    assert "50%" in report
    assert "1.50 times" in report
    assert json.loads(cli.ok("twin", "report", "--json")) == [
        {"action": "tap", "times": 1, "number_error": 0.5, "time_ratio": 1.5}
    ]
