"""The whole loop from a seed: faults, lost answers, crashes; in the end all lamps burn.

A failure prints its seed. Time is simulated; nothing sleeps.
"""

import asyncio
import random
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from lamps import LampSubject, Room
from operator_core.actions.retry import RetryConfig
from operator_core.actions.types import ActionStatus, SafetyMode, WorkflowStatus
from operator_core.db.actions import ActionDB
from operator_core.db.control import ControlDB
from operator_core.db.sharing import LedgerUse
from operator_core.db.tickets import TicketDB
from operator_core.monitor.config import MonitorConfig, Patience
from operator_core.monitor.types import TicketPhase
from operator_core.runtime.acting import agent_round
from operator_core.runtime.wiring import Wired, WiringOptions, wire
from operator_core.testing.clock import ManualClock

LAMPS = ("lamp-1", "lamp-2", "lamp-3")
LEASE_SECONDS = 10.0
ROUND_SECONDS = 1.0


@dataclass
class World:
    """One room, one ledger, one clock, and whoever runs the loop at the moment."""

    path: Path
    seed: int
    rng: random.Random = field(init=False)
    clock: ManualClock = field(default_factory=ManualClock)
    room: Room = field(init=False)

    def __post_init__(self) -> None:
        """Light all lamps."""
        self.rng = random.Random(self.seed)
        self.room = Room(random.Random(self.seed + 1), dict.fromkeys(LAMPS, True))

    def options(self) -> WiringOptions:
        """Return short leases and enough retries for an unlucky room."""
        retry = RetryConfig(max_attempts=50, max_wait_seconds=4, rng=random.Random(self.seed))
        return WiringOptions(
            require_approval=False,
            lease_seconds=LEASE_SECONDS,
            monitor=MonitorConfig(patience=Patience(soak_seconds=2, verify_seconds=15)),
            retry=retry,
            clock=self.clock,
        )

    async def live(self, rounds: int, *, crashes: bool) -> None:
        """Run one life of the loop: it ends after some rounds, or in the middle of one."""
        async with LedgerUse(self.path, self.clock) as ledger:
            wired = wire(ledger, LampSubject(self.room, self.clock), self.options())
            for _ in range(rounds):
                await wired.monitor.step()
                await agent_round(wired)
                if crashes and self.rng.random() < 0.4:
                    await _die(wired, self.rng)
                    return
                await _settle(wired)
                self.clock.advance(ROUND_SECONDS)
            await wired.agent.drain(5)


async def _die(wired: Wired, rng: random.Random) -> None:
    """Stop as a killed process does: what runs gets no chance to write its end."""
    for _ in range(rng.randrange(6)):
        await asyncio.sleep(0)
    for task in wired.agent.running:
        task.cancel()
    await asyncio.gather(*wired.agent.running, return_exceptions=True)


async def _settle(wired: Wired) -> None:
    for task in wired.agent.running:
        await asyncio.wait({task}, timeout=1)


async def _prepared(path: Path, seed: int) -> World:
    world = World(path, seed)
    async with ControlDB(path, clock=world.clock) as control:
        await control.set_mode(SafetyMode.EXECUTE, actor="test")
    return world


@pytest.mark.timeout(30)
@pytest.mark.parametrize("seed", range(12))
async def test_every_fault_is_repaired_once_through_crashes(tmp_path: Path, seed: int) -> None:
    world = await _prepared(tmp_path / "ledger.db", seed)
    world.room.trouble = 0.15
    for _ in range(6):
        world.room.put_out(world.rng.choice(LAMPS))
        await world.live(rounds=8, crashes=True)
        world.clock.advance(LEASE_SECONDS + 1)
    world.room.trouble = 0.0
    await world.live(rounds=30, crashes=False)
    await _assert_repaired(world)


async def _assert_repaired(world: World) -> None:
    told = f"seed {world.seed}"
    async with TicketDB(world.path, clock=world.clock) as tickets:
        unresolved = await tickets.list_tickets(unresolved=True)
        escalated = await tickets.list_in_phase(TicketPhase.ESCALATED)
    async with ActionDB(world.path, clock=world.clock) as db:
        executing = await db.list_proposals(ActionStatus.EXECUTING)
        running = await db.list_workflows(WorkflowStatus.IN_PROGRESS)
    in_doubt = [one for one in executing if one.in_doubt]
    assert executing == in_doubt, f"{told}: a row is stuck in executing"
    if not in_doubt and not escalated:  # otherwise a person has been asked, as it should be
        assert unresolved == [], told
        assert running == [], told
        assert all(world.room.burning.values()), told
    for lamp in LAMPS:
        assert world.room.relit[lamp] <= world.room.went_out[lamp], f"{told}: {lamp} relit twice"
    async with ControlDB(world.path, clock=world.clock) as control:
        assert await control.first_broken_audit_row() is None, told


async def test_a_quiet_room_makes_no_ticket_and_no_action(tmp_path: Path) -> None:
    world = await _prepared(tmp_path / "ledger.db", seed=1)
    await world.live(rounds=50, crashes=False)
    async with TicketDB(world.path) as tickets:
        assert await tickets.list_tickets() == []
    assert world.room.relit.total() + world.room.bells.total() == 0


async def test_in_observe_mode_the_ticket_shows_the_recommendation_and_nothing_acts(
    tmp_path: Path,
) -> None:
    world = World(tmp_path / "ledger.db", seed=1)
    world.room.put_out("lamp-1")
    await world.live(rounds=5, crashes=False)
    async with TicketDB(world.path) as tickets:
        (ticket,) = await tickets.list_tickets()
        (diagnosis,) = await tickets.list_diagnoses(int(ticket.id or 0))
    assert diagnosis.workflows[0].name == "relight"
    async with ActionDB(world.path) as db:
        assert await db.list_proposals() == []
    assert world.room.relit.total() == 0


async def test_a_wait_step_delays_the_next_one_and_holds_no_worker(tmp_path: Path) -> None:
    world = await _prepared(tmp_path / "ledger.db", seed=1)
    world.room.put_out("lamp-1")
    start = world.clock.now()
    async with LedgerUse(world.path, world.clock) as ledger:
        wired = wire(ledger, LampSubject(world.room, world.clock), world.options())
        await wired.monitor.step()
        for _ in range(6):
            await agent_round(wired)
            await _settle(wired)
        assert wired.agent.running == []
        _, wait, relight = await ActionDB(ledger).list_workflow_actions(1)
    assert wait.status is ActionStatus.COMPLETED
    assert relight.status is ActionStatus.VALIDATED
    assert relight.scheduled_at == start + timedelta(seconds=2)
