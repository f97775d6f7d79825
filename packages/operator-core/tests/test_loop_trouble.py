"""What goes wrong in a round ends neither the loop nor the watch over a cluster."""

import asyncio
import random
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from lamps import LampSubject, Room
from operator_core.actions.policy import load
from operator_core.agent.investigate import BLIND_PATIENCE_SECONDS
from operator_core.clock import Clock
from operator_core.db.control import ControlDB
from operator_core.db.ledger import Ledger
from operator_core.db.policy import PolicyDB
from operator_core.db.sharing import LedgerUse
from operator_core.db.tickets import TicketDB
from operator_core.errors import LedgerBusyError
from operator_core.monitor.judge import SOURCE_UNREADABLE
from operator_core.monitor.tickets import MonitorStage
from operator_core.monitor.types import Observation, TicketPhase, TicketStatus
from operator_core.runtime import acting, loops, supervisor
from operator_core.runtime.acting import agent_round
from operator_core.runtime.options import RunOptions
from operator_core.runtime.watch import Watch
from operator_core.runtime.wiring import Wired, WiringOptions, wire
from operator_core.testing.clock import ManualClock
from operator_core.types import RunMode

LAMP = "lamp-1"


class ForeignError(Exception):
    """An error of a client library: it shares no class with Python's own."""


class Dark(LampSubject):
    """A room that cannot be seen while there is a reason why."""

    def __init__(self, clock: Clock) -> None:
        """Light one lamp."""
        self.room = Room(random.Random(0), {LAMP: True})
        self.why: Exception | None = None
        super().__init__(self.room, clock)

    async def observe(self) -> Observation:
        """Look, if anything can be seen."""
        if self.why is not None:
            raise self.why
        return await super().observe()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def dark(clock: ManualClock) -> Dark:
    return Dark(clock)


@asynccontextmanager
async def wired(
    folder: Path, dark: Dark, clock: ManualClock
) -> AsyncIterator[tuple[Ledger, Wired]]:
    async with LedgerUse(folder / "ledger.db", clock) as ledger:
        options = WiringOptions(require_approval=False, clock=clock)
        yield ledger, wire(ledger, dark, options)


async def look(one: Wired, clock: ManualClock) -> None:
    """Look twice, further apart than any rule is patient, and let the agent take its step."""
    for _ in range(2):
        await one.monitor.step()
        clock.advance(10)
    await agent_round(one)


# --- a cluster that cannot be seen -------------------------------------------------------


async def test_a_foreign_error_of_a_look_is_a_ticket_and_resolves_none(
    tmp_path: Path, dark: Dark, clock: ManualClock
) -> None:
    """Pitfalls 29 and 63: the daemon died, or every ticket was taken for resolved."""
    async with wired(tmp_path, dark, clock) as (ledger, one):
        dark.room.put_out(LAMP)
        await look(one, clock)
        dark.why = ForeignError("Error 111 connecting to redis:6379")
        await look(one, clock)
        found = await TicketDB(ledger).list_tickets(unresolved=True)
        assert [ticket.invariant_name for ticket in found] == ["lamp_out", SOURCE_UNREADABLE]
        assert "redis:6379" in found[1].message


async def test_a_cause_is_looked_for_again_when_the_cluster_is_seen_again(
    tmp_path: Path, dark: Dark, clock: ManualClock
) -> None:
    """Pitfall 27: "diagnosis error" was stored, the ticket was diagnosed, nobody tried again."""
    async with wired(tmp_path, dark, clock) as (ledger, one):
        tickets = TicketDB(ledger)
        dark.room.put_out(LAMP)
        await one.monitor.step()
        dark.why = ForeignError("no route to host")
        await look(one, clock)
        lamp, blind = await tickets.list_tickets()
        assert (lamp.status, blind.status) == (TicketStatus.OPEN, TicketStatus.DIAGNOSED)
        dark.why = None
        await look(one, clock)
        (diagnosis,) = await tickets.list_diagnoses(int(lamp.id or 0))
        assert not diagnosis.is_unknown


async def test_a_person_is_called_where_the_cluster_stays_dark(
    tmp_path: Path, dark: Dark, clock: ManualClock
) -> None:
    async with wired(tmp_path, dark, clock) as (ledger, one):
        dark.room.put_out(LAMP)
        await one.monitor.step()
        dark.why = ForeignError("no route to host")
        clock.advance(BLIND_PATIENCE_SECONDS)
        await look(one, clock)
        lamp, _ = await TicketDB(ledger).list_tickets()
        assert (lamp.status, lamp.phase) == (TicketStatus.DIAGNOSED, TicketPhase.ESCALATED)


async def test_a_stage_that_fails_holds_up_no_other(
    tmp_path: Path, dark: Dark, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a dead owner left was settled by nobody while an earlier stage failed each time."""
    reached: list[str] = []

    def stage(name: str, error: Exception | None) -> Callable[[], Awaitable[None]]:
        async def step() -> None:
            reached.append(name)
            if error is not None:
                raise error

        return step

    async with wired(tmp_path, dark, clock) as (_, one):
        for target, name, error in (
            (one.investigate, "step", ForeignError("a")),
            (one.agent, "validate", KeyError("b")),
            (one.agent, "recover", None),
        ):
            monkeypatch.setattr(target, name, stage(name, error))
        with pytest.raises(ForeignError):
            await agent_round(one)
        assert reached == ["step", "validate", "recover"]
        reached.clear()
        monkeypatch.setattr(one.investigate, "step", stage("step", LedgerBusyError("busy")))
        with pytest.raises(LedgerBusyError):
            await agent_round(one)
        assert reached == ["step"]


FREEZE = """
unknown_blast = "as ruled"
[[rule]]
name = "auto"
effect = "auto"
[[freeze]]
name = "maintenance"
starts = 2026-01-26T14:00:00Z
ends = 2026-01-26T17:00:00Z
"""


async def test_maintenance_closes_what_is_gone_and_leaves_all_as_it_was(
    tmp_path: Path, dark: Dark, clock: ManualClock
) -> None:
    """Peer bug 33: nothing closed meanwhile, and afterwards what lasted was forgotten."""
    dark.room.burning["lamp-2"] = True
    async with wired(tmp_path, dark, clock) as (ledger, one):
        await ControlDB(ledger).set_mode(RunMode.EXECUTE, actor="alice")
        await PolicyDB(ledger).enforce(load(FREEZE), source="test", actor="alice")
        for lamp in (LAMP, "lamp-2"):
            dark.room.put_out(lamp)
        await look(one, clock)
        dark.room.burning["lamp-2"] = True
        await look(one, clock)
        await one.agent.drain(1)
        gone = {ticket.target: ticket.status for ticket in await TicketDB(ledger).list_tickets()}
        assert gone["lamp-2"] is TicketStatus.RESOLVED
        assert gone[LAMP] is TicketStatus.DIAGNOSED
        assert not dark.room.bells
        clock.advance(2 * 3_600)
        for _ in range(4):
            await look(one, clock)
            await one.agent.drain(1)
        assert dark.room.relit == {LAMP: 1}


# --- a round that fails ------------------------------------------------------------------


@asynccontextmanager
async def running(folder: Path, monkeypatch: pytest.MonkeyPatch, dark: Dark) -> AsyncIterator[None]:
    """Run the loop of a process beside the test, with short pauses."""

    async def connect(_: object) -> Dark:
        return dark

    monkeypatch.setattr(supervisor, "connect", connect)
    monkeypatch.setattr(loops, "TROUBLE_PAUSE_SECONDS", 0.02)
    monkeypatch.setattr(supervisor, "LONGEST_WAIT_SECONDS", 0.01)
    async with ControlDB(folder / "ledger.db") as control:
        await control.connect_subject("lamps", "lamps", {}, actor="test")
    options = RunOptions(interval_seconds=0.02, require_approval=False)
    loop = asyncio.create_task(supervisor.run(folder / "ledger.db", options))
    try:
        yield
    finally:
        loop.cancel()
        with suppress(asyncio.CancelledError):
            await loop


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "error", [sqlite3.OperationalError("disk I/O error"), LedgerBusyError("busy"), KeyError("x")]
)
async def test_a_round_that_fails_is_followed_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dark: Dark, error: Exception
) -> None:
    """Pitfall 47: any error of the ledger ended the daemon."""
    enough, rounds = asyncio.Event(), 0

    async def round_of(_: Wired, *, may_act: bool) -> None:
        del may_act
        nonlocal rounds
        rounds += 1
        if rounds < 3:
            raise error
        enough.set()

    monkeypatch.setattr(acting, "agent_round", round_of)
    async with running(tmp_path, monkeypatch, dark):
        await enough.wait()


@pytest.mark.timeout(20)
async def test_a_monitor_whose_looks_fail_lets_another_one_watch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dark: Dark
) -> None:
    """Peer bug 32: a leader whose loop failed each time kept the lead."""
    failed = asyncio.Event()

    async def fail(_: MonitorStage) -> None:
        failed.set()
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(MonitorStage, "step", fail)
    async with LedgerUse(tmp_path / "ledger.db") as ledger:
        other = Watch(ledger, "lamps", "other", 30)
        async with running(tmp_path, monkeypatch, dark):
            await failed.wait()
            while not await other.is_mine():  # noqa: ASYNC110 - the other one tells nobody
                await asyncio.sleep(0.005)
