"""Temporary effects on a simulated cluster are taken back, after a crash too; a person's stay."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest

from operator_core.actions.leases import EffectLease
from operator_core.agent.diagnosis import ActionRecommendation
from operator_core.db.control import ControlDB
from operator_core.db.effect_leases import EffectDB
from operator_core.db.ledger import Ledger, open_ledger
from operator_core.db.tickets import TicketDB
from operator_core.monitor.types import Violation
from operator_core.runtime.acting import agent_round
from operator_core.runtime.wiring import WiringOptions, wire
from operator_core.testing.faults import CrashError, CrashingEngine
from operator_core.types import RunMode
from operator_tikv.actions.table import DEFINITIONS
from operator_tikv.effects import EFFECT_SECONDS, EFFECTS
from operator_tikv.metrics.sight import MetricsSettings
from operator_tikv.pd.client import PdClient
from operator_tikv.simulator import SimulatedCluster
from operator_tikv.simulator.server import create_app
from operator_tikv.subject import TikvSubject
from tikv_support import PD_URL, ClusterClock


@pytest.fixture
def cluster() -> SimulatedCluster:
    cluster = SimulatedCluster(seed=7, stores=4, regions=12)
    cluster.advance(30)
    return cluster


@pytest.fixture
async def subject(cluster: SimulatedCluster) -> AsyncIterator[TikvSubject]:
    transport = httpx.ASGITransport(app=create_app(cluster))
    client = PdClient([PD_URL], transport=transport)
    # Effects are PD's: what the processes print is read by nobody here, and costs the most.
    unread = MetricsSettings(is_on=False)
    subject = TikvSubject(client, clock=ClusterClock(cluster), metrics=unread)
    yield subject
    await subject.close()


@asynccontextmanager
async def a_ledger(folder: Path, cluster: SimulatedCluster) -> AsyncIterator[Ledger]:
    ledger = await open_ledger(folder / "ledger.db", ClusterClock(cluster))
    try:
        await ControlDB(ledger).set_mode(RunMode.EXECUTE, actor="ann")
        yield ledger
    finally:
        await ledger.engine.close()


async def rounds(ledger: Ledger, subject: TikvSubject, cluster: SimulatedCluster) -> None:
    """Let a process that has just started look and act a few times."""
    options = WiringOptions(require_approval=False, clock=ClusterClock(cluster))
    stages = wire(ledger, subject, options)
    for _ in range(5):
        cluster.advance(1)
        await stages.monitor.step()
        await agent_round(stages)
        await stages.agent.drain(10.0)


async def drain_for(
    ledger: Ledger, subject: TikvSubject, cluster: SimulatedCluster, ticket_id: int | None = None
) -> None:
    options = WiringOptions(require_approval=False, clock=ClusterClock(cluster))
    wanted = ActionRecommendation(
        action_name="drain_store", parameters={"store_id": 3}, reason="its disk is replaced"
    )
    await wire(ledger, subject, options).executor.propose_action(wanted, ticket_id)


async def a_ticket(ledger: Ledger) -> int:
    violation = Violation(invariant="disk_errors", target="store-3", message="store 3 has errors")
    ticket = await TicketDB(ledger).report(violation)
    return int(ticket.id or 0)


async def evicted(subject: TikvSubject) -> list[str]:
    seen = subject.temporary_effects(await subject.observe())
    assert seen is not None
    return seen


async def the_lease(ledger: Ledger) -> EffectLease:
    (lease,) = await EffectDB(ledger).list_leases(ended=True)
    return lease


def test_every_action_with_a_temporary_effect_names_it() -> None:
    tagged = {one.name for one in DEFINITIONS if "temporary" in one.tags}
    assert tagged == set(EFFECTS)
    assert {one.effect_seconds for one in DEFINITIONS} == {EFFECT_SECONDS}
    assert all((one.temporary_effect is not None) == (one.name in tagged) for one in DEFINITIONS)


async def test_a_store_that_was_drained_for_a_ticket_leads_again_after_a_crash(
    tmp_path: Path, cluster: SimulatedCluster, subject: TikvSubject
) -> None:
    async with a_ledger(tmp_path, cluster) as ledger:
        ticket_id = await a_ticket(ledger)
        await drain_for(ledger, subject, cluster, ticket_id)
        engine = CrashingEngine(ledger.engine, after_commit=7)
        with suppress(CrashError):
            await rounds(Ledger(engine, ledger.ledger_id, ledger.clock), subject, cluster)
        assert engine.dead
        assert await evicted(subject) == ["evict-leader/store-3"]
        await TicketDB(ledger).resolve(ticket_id, actor="ann", resolution="the disk is new")
        cluster.advance(120)
        await rounds(ledger, subject, cluster)
        assert await evicted(subject) == []
        ended = await the_lease(ledger)
        assert ended.ended_because == f"undone by action {ended.undo_proposal_id}"


async def test_a_drain_ends_while_everybody_sleeps(
    tmp_path: Path, cluster: SimulatedCluster, subject: TikvSubject
) -> None:
    async with a_ledger(tmp_path, cluster) as ledger:
        await drain_for(ledger, subject, cluster)
        await rounds(ledger, subject, cluster)
        assert await evicted(subject) == ["evict-leader/store-3"]
        later = ClusterClock(cluster)
        await EffectDB(ledger).renew(1, later.now(), actor="ann", keep=True)
        await rounds(ledger, subject, cluster)
        assert await evicted(subject) == []


async def test_an_eviction_of_a_persons_own_stays(
    tmp_path: Path, cluster: SimulatedCluster, subject: TikvSubject
) -> None:
    await subject._api.evict_leaders(3)
    async with a_ledger(tmp_path, cluster) as ledger:
        ticket_id = await a_ticket(ledger)
        await drain_for(ledger, subject, cluster, ticket_id)
        await rounds(ledger, subject, cluster)
        assert (await the_lease(ledger)).ended_because == "not ours: it was there before"
        await TicketDB(ledger).resolve(ticket_id, actor="ann", resolution="the disk is new")
        cluster.advance(60)
        await rounds(ledger, subject, cluster)
        assert await evicted(subject) == ["evict-leader/store-3"]


async def test_pauses_grants_and_passing_schedulers_are_seen(subject: TikvSubject) -> None:
    await subject.grant_leaders(store_id=2)
    await subject.pause_scheduler(name="balance-region-scheduler", seconds=600)
    await subject.pause_checker(name="merge", seconds=600)
    assert set(await evicted(subject)) == {
        "grant-leader/store-2",
        "paused-scheduler/balance-region-scheduler",
        "paused-checker/merge",
    }
