"""State-bound approvals, blindness, limits and freezes, through the whole engine."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gate_kit import ALLOW, ASK_ONE, gate
from operator_core.actions.types import ActionStatus
from operator_core.db.ledger import open_ledger
from operator_core.db.policy import PolicyDB
from operator_core.errors import (
    BlindError,
    LimitError,
    NotReadyError,
    PolicyDeniedError,
    StaleApprovalError,
)

S = ActionStatus


async def test_drift_voids_the_approval_and_shows_the_difference(tmp_path: Path) -> None:
    async with gate(tmp_path) as one:
        await one.look()
        target = await one.valid("turn")
        await one.approve(target, "alice")
        one.valves.state["1"]["open"] = True
        with pytest.raises(StaleApprovalError, match="valves/1/open: false → true"):
            await one.bench.run(target)
        assert one.valves.done == []
        kept = await one.bench.get(target)
        assert (kept.status, kept.is_approved, kept.retry_count) == (S.VALIDATED, False, 0)
        (word,) = (await one.policies.standing("proposal", target)).words
        assert "false → true" in word["ended_because"]
        await one.look()
        await one.approve(target, "alice")
        await one.bench.run(target)


async def test_unrelated_change_is_no_drift(tmp_path: Path) -> None:
    async with gate(tmp_path) as one:
        await one.look()
        target = await one.valid("turn")
        await one.approve(target, "alice")
        one.valves.state["1"]["flow"] = 7
        one.valves.state["2"] = {"open": True}
        await one.bench.run(target)
        assert one.valves.done == [("turn", 1)]


async def test_what_earlier_steps_declared_is_no_drift(tmp_path: Path) -> None:
    async with gate(tmp_path) as one:
        await one.look()
        workflow_id, steps = await one.chain("turn", "turn")
        await one.bench.db.approve_workflow(workflow_id, "alice")
        for step in steps:
            await one.bench.run(step)
        assert len(one.valves.done) == 2


async def test_facts_that_cannot_be_seen_hold_it_up(tmp_path: Path) -> None:
    async with gate(tmp_path) as one:
        await one.look()
        target = await one.valid("turn")
        await one.approve(target, "alice")
        one.valves.dark = True
        with pytest.raises(BlindError, match="cannot be seen"):
            await one.bench.run(target)
        assert (await one.bench.get(target)).is_approved
        one.valves.dark = False
        await one.bench.run(target)


VIEWS: list[tuple[dict[str, Any], str]] = [
    ({"complete": False}, "in part only"),
    ({"agrees": False}, "minority"),
    ({"observed_at": "old"}, "too long ago"),
]


@pytest.mark.parametrize(("seen", "told"), VIEWS)
async def test_who_sees_too_little_acts_on_nothing(
    tmp_path: Path, seen: dict[str, Any], told: str
) -> None:
    async with gate(tmp_path, ALLOW) as one:
        target = await one.valid("flush")
        if seen.get("observed_at") == "old":
            seen = {"observed_at": one.bench.clock.now() - timedelta(seconds=60)}
        one.valves.seen = seen
        with pytest.raises(BlindError, match=told):
            await one.bench.run(target)
        assert (await one.bench.get(target)).retry_count == 0
        await one.bench.run(await one.valid("look"))
        one.valves.seen = {}
        await one.bench.run(target)


async def test_a_cooldown_and_a_breaker_hold_over_restarts(tmp_path: Path) -> None:
    text = (
        ALLOW + '[[cooldown]]\nname = "rest"\nseconds = 60\n[[breaker]]\nname = "stop"\ntries = 2\n'
    )
    async with gate(tmp_path, text) as one:
        target = 0
        for _ in range(2):
            target = await one.valid("shut")
            await one.bench.run(target)
            await one.policies.set_helped(target, helped=False)
            with pytest.raises(LimitError, match="Cooldown 'rest'"):
                await one.bench.run(await one.valid("shut"))
            one.bench.clock.advance(60)
        again = await open_ledger(tmp_path / "ledger.db", one.bench.clock)
        try:
            with pytest.raises(LimitError, match=r"Breaker 'stop'.* 2 times"):
                await one.bench.run(await one.valid("shut"), ledger=again)
            assert (await PolicyDB(again).in_force()) is not None
        finally:
            await again.engine.close()
        await one.policies.set_helped(target, helped=True)
        await one.bench.run(await one.valid("shut"))


async def test_a_cap_of_none_allows_none(tmp_path: Path) -> None:
    async with gate(tmp_path, "disruptive_at_once = 0\n" + ALLOW) as one:
        with pytest.raises(PolicyDeniedError, match="allows none"):
            await one.bench.run(await one.valid("knock"))
        await one.bench.run(await one.valid("shut"))


FREEZE = (
    ALLOW + '[[freeze]]\nname = "sale"\nmatch = { tags_none = "read-only" }\n'
    "starts = 2026-01-26T16:00:00Z\nends = 2026-01-26T17:00:00Z\n"
)


async def test_a_freeze_lets_nothing_start_and_nothing_slip_in_afterwards(tmp_path: Path) -> None:
    async with gate(tmp_path, FREEZE) as one:
        at_once, planned = await one.valid("shut"), await one.valid("shut", 2)
        await one.bench.db.update_scheduled_at(planned, one.bench.in_seconds(5400))
        one.bench.clock.advance(3600)
        with pytest.raises(NotReadyError, match="Freeze 'sale'"):
            await one.bench.run(at_once)
        await one.bench.run(await one.valid("look"))
        one.bench.clock.advance(3600)
        assert await one.bench.status(planned) is S.VALIDATED
        with pytest.raises(NotReadyError, match="inside freeze 'sale'"):
            await one.bench.run(planned)
        assert await one.policies.collect() == [planned]
        assert await one.bench.status(planned) is S.CANCELLED
        await one.bench.run(at_once)
        assert one.valves.done == [("look", 1), ("shut", 1)]


async def test_a_decision_says_what_it_was_read_from(tmp_path: Path) -> None:
    async with gate(tmp_path, ASK_ONE) as one:
        await one.look()
        target = await one.valid("turn")
        await one.approve(target, "alice")
        await one.bench.run(target)
        told = await one.policies.decisions_of(target)
        assert [(row["stage"], row["rule"], row["effect"]) for row in told] == [
            ("validate", "ask", "approve"),
            ("claim", "ask", "approve"),
        ]
        loaded = await one.policies.in_force()
        assert loaded is not None
        assert {row["policy_hash"] for row in told} == {loaded.digest}
        (past,) = await one.policies.decided_since(one.bench.clock.now() - timedelta(days=1))
        assert (past.proposal_id, past.request.action) == (target, "turn")
