"""What the policy allows by itself is for a state of the cluster, as a person's word is."""

from datetime import timedelta
from pathlib import Path

import pytest

from engine_bench import id_of
from gate_kit import ALLOW, ASK_ONE, ROLES, Gate, gate, wanted
from operator_core.actions.types import ActionStatus
from operator_core.errors import BlindError, PolicyDeniedError, StaleApprovalError
from operator_core.monitor.types import Violation

DRIFTED = "when the policy allowed it: valves/1/open: false → true"


async def _again(one: Gate) -> list[int]:
    return await one.policies.decide_again(subject="fake")


async def test_drift_takes_back_what_the_policy_allowed_and_it_is_decided_again(
    tmp_path: Path,
) -> None:
    async with gate(tmp_path, ALLOW) as one:
        target = await one.valid("turn")
        one.valves.state["1"]["open"] = True
        with pytest.raises(StaleApprovalError, match=DRIFTED):
            await one.bench.run(target)
        kept = await one.bench.get(target)
        assert (kept.status, kept.is_approved) == (ActionStatus.VALIDATED, False)
        events = await one.bench.control.list_events(proposal_id=target)
        voided = [each for each in events if each.event_type == "approval_voided"]
        assert ["false → true" in each.event_data["reason"] for each in voided] == [True]
        with pytest.raises(StaleApprovalError, match="was taken back"):
            await one.bench.run(target)
        assert await _again(one) == [target]
        await one.bench.run(target)
        assert one.valves.done == [("turn", 1)]


async def test_a_state_that_comes_back_needs_a_new_decision_too(tmp_path: Path) -> None:
    async with gate(tmp_path, ALLOW) as one:
        target = await one.valid("turn")
        for is_open in (True, False):
            one.valves.state["1"]["open"] = is_open
            with pytest.raises(StaleApprovalError):
                await one.bench.run(target)
        assert one.valves.done == []


async def test_a_target_that_is_made_anew_under_its_name_is_another(tmp_path: Path) -> None:
    async with gate(tmp_path, ALLOW) as one:
        target = await one.valid("turn")
        one.valves.state["1"] = {"flow": 0}
        with pytest.raises(StaleApprovalError, match="open: false → nothing"):
            await one.bench.run(target)


async def test_unrelated_change_takes_nothing_back(tmp_path: Path) -> None:
    async with gate(tmp_path, ALLOW) as one:
        target = await one.valid("turn")
        one.valves.state["1"]["flow"] = 7
        one.valves.state["2"] = {"open": True}
        await one.bench.run(target)
        assert one.valves.done == [("turn", 1)]


async def test_what_earlier_steps_declared_takes_nothing_back(tmp_path: Path) -> None:
    async with gate(tmp_path, ALLOW) as one:
        _, steps = await one.chain("turn", "turn")
        for step in steps:
            await one.bench.run(step)
        assert len(one.valves.done) == 2


async def test_drift_before_the_second_step_takes_the_workflow_back(tmp_path: Path) -> None:
    async with gate(tmp_path, ALLOW) as one:
        flow, (first, second) = await one.chain("look", "turn")
        await one.bench.run(first)
        one.valves.state["1"]["open"] = True
        with pytest.raises(StaleApprovalError, match=DRIFTED):
            await one.bench.run(second)
        assert await one.workflow_approved_by(flow) is None
        assert await _again(one) == [second]
        await one.bench.run(second)
        assert one.valves.done == [("look", 1), ("turn", 1)]


async def test_who_cannot_see_the_facts_does_not_act(tmp_path: Path) -> None:
    async with gate(tmp_path, ALLOW) as one:
        target = await one.valid("turn")
        one.valves.dark = True
        with pytest.raises(BlindError, match="cannot be seen now"):
            await one.bench.run(target)
        one.valves.dark = False
        await one.bench.run(target)
        assert one.valves.done == [("turn", 1)]


async def test_a_ticket_whose_problem_was_not_seen_since_gets_no_new_decision(
    tmp_path: Path,
) -> None:
    broken = Violation(invariant="leak", target="1", message="it leaks")
    async with gate(tmp_path, ALLOW) as one:
        ticket = (await one.bench.tickets.report(broken, subject="fake")).id
        executor = one.bench.executor()
        target = id_of(await executor.propose_action(wanted("turn"), ticket))
        await executor.validate_proposal(target)
        one.valves.state["1"]["open"] = True
        with pytest.raises(StaleApprovalError):
            await one.bench.run(target)
        assert await _again(one) == []
        one.bench.clock.advance(timedelta(seconds=5).total_seconds())
        await one.bench.tickets.report(broken, subject="fake")
        assert await _again(one) == [target]
        await one.bench.run(target)


async def test_a_policy_that_allows_it_later_binds_it_to_what_is_seen_then(tmp_path: Path) -> None:
    async with gate(tmp_path, ASK_ONE) as one:
        target = await one.valid("turn")
        one.valves.state["1"]["open"] = True
        await one.look()
        await one.enforce(ALLOW)
        one.valves.state["1"]["open"] = False
        with pytest.raises(StaleApprovalError, match="true → false"):
            await one.bench.run(target)


async def test_what_is_decided_again_may_be_denied(tmp_path: Path) -> None:
    closed = 'when = "now < timestamp(\\"2030-01-01T00:00:00Z\\")"'
    text = ROLES + f'[[rule]]\nname = "soon"\neffect = "auto"\n{closed}\n'
    async with gate(tmp_path, text) as one:
        target = await one.valid("turn")
        one.valves.state["1"]["open"] = True
        with pytest.raises(StaleApprovalError):
            await one.bench.run(target)
        one.bench.clock.advance(timedelta(days=3650).total_seconds())
        assert await _again(one) == []
        with pytest.raises(PolicyDeniedError):
            await one.bench.run(target)
