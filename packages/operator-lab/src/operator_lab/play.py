"""Plays a scenario: the whole loop, on a ledger of its own, in virtual or in real time.

Nothing of the loop is replaced: the stages are wired as `operator up` wires them, the shipped
policy is in force, and a scripted person approves what it asks for. Virtual time moves only while
all that runs waits for it, so the same scenario and seed give the same play. Real time passes by
itself, and no two plays are quite the same.
"""

import asyncio
import tempfile
from contextlib import suppress
from pathlib import Path

from operator_core.actions.registry import ActionRegistry
from operator_core.actions.types import (
    ActionProposal,
    ActionStatus,
    SafetyMode,
    WorkflowProposal,
    WorkflowStatus,
)
from operator_core.actions.validation import validate_action_params
from operator_core.clock import from_text, monotonic_seconds
from operator_core.db.actions import ActionDB
from operator_core.db.control import ControlDB
from operator_core.db.ledger import Ledger
from operator_core.db.sharing import LedgerUse
from operator_core.db.watching import WatchingDB
from operator_core.errors import ConflictError, OperatorError, RefusedError
from operator_core.lab import Lab, LabCluster, lab_of
from operator_core.monitor.config import MonitorConfig, Patience, soonest_seconds
from operator_core.monitor.types import RuleSettings
from operator_core.runtime.acting import agent_round
from operator_core.runtime.plugins import load_plugin
from operator_core.runtime.policy_file import PolicyKeeper
from operator_core.runtime.wiring import Wired, WiringOptions, wire
from operator_core.subject import ActionCall, complete
from operator_lab.clock import PACE_SECONDS, VirtualClock, keep_pace
from operator_lab.history import history
from operator_lab.scenario import Scenario, ScenarioError
from operator_lab.witness import Witness
from operator_lab.words import Played

ON_CALL = "on-call"
_STILL_SECONDS = 5.0
"""What neither ends nor waits for the clock for so long, of real time, is not waited for."""

_TICK_SECONDS = 0.0005


def lab_for(scenario: Scenario) -> Lab:
    """Return the lab that a scenario is for.

    Raises:
        ScenarioError: the plugin has none.
        ConfigurationError: the plugin is not installed.
    """
    lab = lab_of(load_plugin(scenario.subject))
    if lab is None:
        raise ScenarioError(f"{scenario.file}: subject: {scenario.subject} has no lab.")
    return lab


async def play(scenario: Scenario, seed: int | None = None, lab: Lab | None = None) -> Played:
    """Play a scenario to its end.

    Args:
        scenario: what is played.
        seed: of the cluster; None: the scenario's own.
        lab: where; None: that of the scenario's subject.

    Raises:
        RequestError: the scenario says something that the lab does not know.
    """
    lab = lab or lab_for(scenario)
    cluster = lab.build(_table(scenario), seed)
    try:
        await cluster.start()
        clock = VirtualClock(cluster.started_at, cluster.advance_to)
        if not lab.is_real_time:
            return await _play(scenario, seed, cluster, clock)
        pace = asyncio.create_task(keep_pace(clock))
        try:
            return await _play(scenario, seed, cluster, clock, pace)
        finally:
            pace.cancel()
    finally:
        await cluster.stop()


async def _play(
    scenario: Scenario,
    seed: int | None,
    cluster: LabCluster,
    clock: VirtualClock,
    pace: asyncio.Task[None] | None = None,
) -> Played:
    """Play on a cluster that runs; what keeps the pace moves the clock, or else the player."""
    witness = Witness(complete(cluster.subject(clock)), cluster, clock)
    with tempfile.TemporaryDirectory(prefix="operator-lab-") as folder:
        async with LedgerUse(Path(folder) / "ledger.db", clock) as ledger:
            await ControlDB(ledger).set_mode(SafetyMode.EXECUTE, actor=ON_CALL)
            await PolicyKeeper(ledger, None).start()
            await _set_rules(ledger, scenario, witness.name)
            wired = wire(ledger, witness, _options(scenario, clock))
            player = _Player(scenario, wired, witness, ActionDB(ledger), pace)
            try:
                await player.run()
                await player.ask()
            finally:
                await wired.agent.drain(0)
                await witness.close()
            return await history(ledger, scenario, seed, witness)


async def _set_rules(ledger: Ledger, scenario: Scenario, subject: str) -> None:
    """Change the rules as a person does with `operator rules set`."""
    watching = WatchingDB(ledger)
    for rule, seconds in scenario.expect.grace_seconds.items():
        await watching.set_rule(subject, rule, RuleSettings(grace_seconds=seconds), actor=ON_CALL)


def _options(scenario: Scenario, clock: VirtualClock) -> WiringOptions:
    """Return how the loop is run."""
    expect = scenario.expect
    patience = Patience.with_looks_every(expect.look_seconds, soak_seconds=expect.soak_seconds)
    return WiringOptions(monitor=MonitorConfig(patience=patience), clock=clock)


def _table(scenario: Scenario) -> dict[str, object]:
    return {**scenario.table, "name": scenario.name, "duration": scenario.duration}


class _Player:
    """Moves time, lets the stages take their turns, and is the person on call."""

    def __init__(
        self,
        scenario: Scenario,
        wired: Wired,
        witness: Witness,
        actions: ActionDB,
        pace: asyncio.Task[None] | None,
    ) -> None:
        self._expect = scenario.expect
        self._duration = scenario.duration
        self._wired, self._witness, self._actions = wired, witness, actions
        self._clock, self._pace = witness.clock, pace
        self._waiting_since: dict[str, float] = {}

    async def run(self) -> None:
        """Play until the scenario's time is over."""
        pause_seconds = self._expect.look_seconds
        while self._clock.seconds < self._duration:
            soonest = self._clock.seconds + soonest_seconds(self._expect.look_seconds)
            await self._pass(min(self._clock.seconds + pause_seconds, self._duration), soonest)
            self._wired.agent.acted.clear()
            look = await self._wired.monitor.step()
            pause_seconds = look.pause_seconds(self._expect.look_seconds)
            await self._round()

    async def _round(self) -> None:
        """Let the stages take turns until nothing more ends in this moment."""
        acted = self._wired.agent.acted
        await self._turn()
        has_acted = acted.is_set()
        while acted.is_set():
            acted.clear()
            await self._turn()
        if has_acted:
            acted.set()  # the next look comes soon

    async def _turn(self) -> None:
        await agent_round(self._wired)
        if self._expect.approver == ON_CALL and await self._approve():
            await agent_round(self._wired)
        if self._pace is None:
            await self._until_all_wait()

    async def _pass(self, until: float, soonest: float) -> None:
        """Let time pass; the agent takes a turn when something ends, is due, or is answered.

        Args:
            until: when the next look comes.
            soonest: when it comes where an action has ended.
        """
        while self._clock.seconds < until:
            running, due = len(self._wired.agent.running), await self._due_seconds()
            await self._step(min(until, due))
            if len(self._wired.agent.running) < running or due <= self._clock.seconds:
                await self._round()
            if self._wired.agent.acted.is_set():
                until = min(until, max(soonest, self._clock.seconds))

    async def _due_seconds(self) -> float:
        """Return when the agent next has something to do: work that is due, or an answer."""
        asked = min(self._waiting_since.values(), default=float("inf"))
        answer = asked + self._expect.approves_after
        text = await self._actions.next_due_at()
        due = self._clock.seconds_of(from_text(text)) if text else answer
        # What is due by now and was not begun waits for something else.
        return min(answer, due) if due > self._clock.seconds else answer

    async def _step(self, until: float) -> None:
        """Let a part of the time pass.

        Raises:
            OperatorError: a fault of the cluster could not be made.
        """
        if self._pace is not None:
            await asyncio.wait({self._pace}, timeout=PACE_SECONDS)
            if self._pace.done():
                self._pace.result()
            return
        await self._until_all_wait()
        next_seconds = self._clock.next_seconds
        self._clock.move_to(until if next_seconds is None else min(until, next_seconds))
        await self._until_all_wait()

    async def _until_all_wait(self) -> None:
        """Wait, in real time, until each execution waits for the clock or has ended."""
        still_since, before = monotonic_seconds(), self._state()
        await asyncio.sleep(0)
        while self._is_busy():
            await asyncio.sleep(_TICK_SECONDS)
            now = self._state()
            if now != before:
                still_since, before = monotonic_seconds(), now
            elif monotonic_seconds() - still_since > _STILL_SECONDS:
                return

    def _state(self) -> tuple[int, int]:
        return len(self._wired.agent.running), self._clock.sleepers

    def _is_busy(self) -> bool:
        # Of each execution two tasks wait: the call, and the watch beside it.
        running, sleepers = self._state()
        return sleepers < 2 * running

    # --- the person on call -----------------------------------------------------------

    async def _approve(self) -> bool:
        """Say yes to what has waited long enough; return whether anything was said."""
        pending = await self._actions.list_workflows(WorkflowStatus.PENDING)
        workflows = [one for one in pending if not one.approved_at]
        said = [await self._approve_workflow(one) for one in workflows]
        waiting = {f"workflow {one.id}" for one in workflows}
        for status in (ActionStatus.PROPOSED, ActionStatus.VALIDATED):
            alone = [
                one
                for one in await self._actions.list_proposals(status)
                if one.workflow_id is None and one.approved_at is None
            ]
            said += [await self._approve_proposal(one) for one in alone]
            waiting |= {f"proposal {one.id}" for one in alone}
        # What was called off in the meantime is not answered any more.
        self._waiting_since = {k: v for k, v in self._waiting_since.items() if k in waiting}
        return any(said)

    async def _approve_workflow(self, workflow: WorkflowProposal) -> bool:
        workflow_id = int(workflow.id or 0)
        if not self._is_time(f"workflow {workflow_id}"):
            return False
        with suppress(ConflictError, RefusedError):
            await self._actions.approve_workflow(workflow_id, approved_by=ON_CALL)
        return True

    async def _approve_proposal(self, proposal: ActionProposal) -> bool:
        proposal_id = int(proposal.id or 0)
        if not self._is_time(f"proposal {proposal_id}"):
            return False
        with suppress(ConflictError, RefusedError):
            await self._actions.approve_proposal(proposal_id, approved_by=ON_CALL)
        return True

    def _is_time(self, key: str) -> bool:
        """Return whether something has waited long enough, and not been answered yet."""
        since = self._waiting_since.setdefault(key, self._clock.seconds)
        if self._clock.seconds - since < self._expect.approves_after:
            return False
        self._waiting_since[key] = float("inf")
        return True

    async def ask(self) -> None:
        """Ask for what must be refused, past all gates: the subject itself must refuse it."""
        registry = ActionRegistry(self._witness)
        self._witness.asked = True
        for asked in self._expect.refused:
            with suppress(OperatorError):
                definition = registry.require(asked.action)
                parameters = validate_action_params(definition, asked.parameters)
                call = ActionCall(asked.action, parameters, "lab:asked")
                await self._finish(asyncio.ensure_future(self._witness.perform(call)))

    async def _finish(self, task: "asyncio.Future[object]") -> None:
        """Move the clock on until a call has ended."""
        while not task.done():
            await asyncio.sleep(_TICK_SECONDS)
            next_seconds = self._clock.next_seconds
            if self._pace is None and next_seconds is not None and not task.done():
                self._clock.move_to(next_seconds)
        await task
