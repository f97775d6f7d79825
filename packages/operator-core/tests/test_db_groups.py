"""Groups in the ledger, on both engines: stored with their audit, undone when their root ends."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from grouping_kit import CAUSES
from ledger_places import address_of
from operator_core.actions.types import ActionProposal, ActionStatus
from operator_core.agent.diagnosis import Claim, Diagnosis, Predicate
from operator_core.agent.grouping import Move, MoveKind
from operator_core.db.actions import ActionDB
from operator_core.db.control import ControlDB
from operator_core.db.groups import GroupDB
from operator_core.db.tickets import TicketDB
from operator_core.monitor.types import (
    Observation,
    Part,
    Ticket,
    TicketPhase,
    TicketStatus,
    Violation,
)
from operator_core.testing.clock import ManualClock
from operator_core.types import Severity

LOOK = Observation(
    parts={"seen": Part(source="s", observed_at=ManualClock().now(), data={"up": 1})}
)
SEEN = Claim(
    statement="it is so", path="seen/up", predicate=Predicate.EQ, value=1, observation_id=1
)
PATIENCE = {"raft_slow": 90.0}


@dataclass
class Desk:
    """Tickets on a ledger of their own."""

    clock: ManualClock
    tickets: TicketDB
    groups: GroupDB
    actions: ActionDB

    async def problem(
        self, key: str, cause: str, at: str, severity: Severity = Severity.WARNING
    ) -> int:
        """Open a ticket and diagnose it; return its number."""
        ticket_id = await self.seen(key, severity)
        await self.diagnosed(ticket_id, cause, at)
        return ticket_id

    async def seen(self, key: str, severity: Severity = Severity.WARNING) -> int:
        rule, _, target = key.partition(":")
        violation = Violation(invariant=rule, target=target, message=key, severity=severity)
        return int((await self.tickets.report(violation, subject="prod")).id or 0)

    async def diagnosed(self, ticket_id: int, cause: str, at: str) -> None:
        self.clock.advance(1)
        await self.tickets.add_diagnosis(
            Diagnosis(
                ticket_id=ticket_id,
                subject="prod",
                observation_id=1,
                hypothesis=cause,
                cause=cause,
                confidence=0.8,
                evidence=[SEEN],
                components=[at],
                escalate=True,
            )
        )

    async def regroup(self) -> list[Move]:
        return await self.groups.regroup("prod", CAUSES, PATIENCE)

    async def ticket(self, ticket_id: int) -> Ticket:
        found = await self.tickets.get_ticket(ticket_id)
        assert found is not None
        return found

    async def events(self, ticket_id: int) -> list[str]:
        told = await ControlDB(self.groups.ledger).list_events(ticket_id=ticket_id)
        return [one.event_type for one in told]


@asynccontextmanager
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    clock = ManualClock()
    async with TicketDB(address_of(tmp_path), clock=clock) as tickets:
        await tickets.record_look(LOOK, {}, subject="prod")
        yield Desk(clock, tickets, GroupDB(tickets.ledger), ActionDB(tickets.ledger))


async def pair(one: Desk) -> tuple[int, int]:
    """Return a root and its follower."""
    root = await one.problem("store_silent:store-4", "store_stopped", "store-4")
    follower = await one.problem("raft_slow:store-4", "slow_thing", "store-4")
    assert [move.kind for move in await one.regroup()] == [MoveKind.FOLLOW]
    return root, follower


async def test_a_group_is_stored_with_its_audit_and_nobody_is_called_twice(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        root, follower = await pair(one)
        stored = await one.ticket(follower)
        assert (stored.root_ticket_id, stored.phase) == (root, None)
        assert (await one.ticket(root)).phase is TicketPhase.ESCALATED
        assert [ticket.id for ticket in await one.groups.followers(root)] == [follower]
        assert (await one.events(follower))[-1] == "ticket_grouped"
        assert (await one.events(root))[-1] == "ticket_took_in"
        assert await one.regroup() == []


async def test_a_graver_follower_still_pages(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        root, follower = await pair(one)
        await one.seen("raft_slow:store-4", Severity.CRITICAL)
        (move,) = await one.regroup()
        assert (move.root_id, move.pages) == (root, True)
        assert (await one.ticket(follower)).phase is TicketPhase.ESCALATED


async def test_the_agents_own_proposal_for_a_follower_is_taken_back(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        follower = await one.problem("raft_slow:store-4", "slow_thing", "store-4")
        mine = await one.actions.create_proposal(
            ActionProposal(action_name="act", reason="r", ticket_id=follower)
        )
        steps = [ActionProposal(action_name="act", reason="r", ticket_id=follower)]
        await one.actions.create_workflow("w", "d", steps, ticket_id=follower)
        await one.problem("store_silent:store-4", "store_stopped", "store-4")
        assert [move.kind for move in await one.regroup()] == [MoveKind.FOLLOW]
        left = await one.actions.list_proposals(ticket_id=follower)
        assert {proposal.status for proposal in left} == {ActionStatus.CANCELLED}
        assert len(left) == 2
        assert mine.id in {proposal.id for proposal in left}


@pytest.mark.parametrize("how", ["approved", "by a person", "workflow"])
async def test_what_somebody_wants_done_goes_on(tmp_path: Path, how: str) -> None:
    async with desk(tmp_path) as one:
        follower = await one.problem("raft_slow:store-4", "slow_thing", "store-4")
        by = "ann" if how == "by a person" else "agent"
        wanted = ActionProposal(action_name="act", reason="r", ticket_id=follower, proposed_by=by)
        if how == "workflow":
            made = await one.actions.create_workflow("w", "d", [wanted], ticket_id=follower)
            await one.actions.approve_workflow(made, approved_by="ann")
        else:
            stored = await one.actions.create_proposal(wanted)
            if how == "approved":
                await one.actions.approve_proposal(int(stored.id or 0), approved_by="ann")
        await one.problem("store_silent:store-4", "store_stopped", "store-4")
        assert await one.regroup() == []
        (left,) = await one.actions.list_proposals(ticket_id=follower)
        assert left.status is not ActionStatus.CANCELLED


async def test_who_outlasts_its_root_is_diagnosed_anew(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        root, follower = await pair(one)
        await one.tickets.resolve(root, actor="monitor", resolution="gone")
        one.clock.advance(90)
        assert await one.regroup() == []
        assert await one.tickets.list_undiagnosed("prod") == []
        one.clock.advance(1)
        assert [move.kind for move in await one.regroup()] == [MoveKind.STAND_ALONE]
        stored = await one.ticket(follower)
        assert (stored.status, stored.root_ticket_id) == (TicketStatus.OPEN, None)
        assert [ticket.id for ticket in await one.tickets.list_undiagnosed("prod")] == [follower]
        assert (await one.events(follower))[-1] == "ticket_stands_alone"


async def test_a_follower_resolves_by_itself_and_comes_back_alone(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        root, follower = await pair(one)
        gone = await one.tickets.resolve(follower, actor="monitor", resolution="gone")
        assert gone.root_ticket_id == root
        assert await one.seen("raft_slow:store-4") == follower
        assert (await one.ticket(follower)).root_ticket_id is None


async def test_a_root_that_came_back_with_another_cause_lets_go(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        root, follower = await pair(one)
        await one.diagnosed(root, "store_lost", "store-4")
        assert [move.kind for move in await one.regroup()] == [MoveKind.STAND_ALONE]
        assert (await one.ticket(follower)).status is TicketStatus.OPEN


async def test_a_graver_cause_takes_the_lead_of_the_group(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        slow = await one.problem("raft_slow:store-4", "slow_disk", "store-4")
        silent = await one.problem("store_silent:store-4", "store_stopped", "store-4")
        await one.regroup()
        assert (await one.ticket(silent)).root_ticket_id == slow
        await one.seen("store_silent:store-4", Severity.CRITICAL)
        assert [move.kind for move in await one.regroup()] == [MoveKind.LEAD, MoveKind.FOLLOW]
        assert (await one.ticket(slow)).root_ticket_id == silent
        assert (await one.ticket(silent)).root_ticket_id is None
        assert await one.regroup() == []


async def test_many_that_group_at_once_make_one_group(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        root = await one.problem("store_silent:store-4", "store_stopped", "store-4")
        for rule in ("raft_slow", "down_peers", "hot"):
            await one.problem(f"{rule}:store-4", "slow_thing", "store-4")
        made = await asyncio.gather(*[one.regroup() for _ in range(4)])
        assert sum(len(moves) for moves in made) == 3
        assert [ticket.root_ticket_id for ticket in await one.groups.followers(root)] == [root] * 3


async def test_tickets_of_another_cluster_stay_out_of_it(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        await pair(one)
        assert await one.groups.regroup("other", CAUSES, PATIENCE) == []


async def test_a_follower_is_not_followed_into_a_chain(tmp_path: Path) -> None:
    """The ledger itself refuses a root that follows somebody, whatever the rule said."""
    async with desk(tmp_path) as one:
        root, follower = await pair(one)
        third = await one.problem("down_peers:regions", "x", "nowhere")
        change = {"id": third, "root_ticket_id": follower, "phase": None, "now": "2025"}
        found = await one.tickets.ledger.write(lambda tx: tx.one("ticket.group", **change))
        assert found is None
        assert (await one.ticket(root)).root_ticket_id is None
