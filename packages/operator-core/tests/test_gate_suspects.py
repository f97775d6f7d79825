"""With several suspects of one kind nothing is done to any of them without a person."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from engine_bench import id_of
from gate_kit import ALLOW, ASK_ONE, Gate, gate, wanted
from operator_core.actions.policy import Effect, decide, load
from operator_core.actions.policy.decide import suspecting
from operator_core.actions.policy.request import PolicyRequest
from operator_core.actions.types import ActionStatus
from operator_core.errors import ApprovalRequiredError, PolicyDeniedError
from operator_core.monitor.types import Violation
from policy_kit import NOON

DENY_MANY = (
    ALLOW + '[[suspects]]\nname = "hands off"\nmatch = { tags = "disruptive" }\neffect = "deny"\n'
)
OFF = ALLOW.replace("unknown_blast", "suspects = []\nunknown_blast", 1)
THREE = ALLOW + '[[suspects]]\nname = "three"\nat_most = 2\nwithin_seconds = 600\n'


@pytest.fixture
async def gated(tmp_path: Path) -> AsyncIterator[Gate]:
    async with gate(tmp_path, ALLOW) as one:
        yield one


async def ticket(one: Gate, target: str, invariant: str = "silent") -> int:
    found = await one.bench.tickets.report(
        Violation(invariant=invariant, target=target, message="-"), subject="fake"
    )
    return int(found.id or 0)


async def knock(one: Gate, valve: int, ticket_id: int | None = None) -> int:
    """Propose what is disruptive, and validate it."""
    executor = one.bench.executor()
    proposal_id = id_of(await executor.propose_action(wanted("knock", valve), ticket_id))
    await executor.validate_proposal(proposal_id)
    return proposal_id


async def approved_by(one: Gate, proposal_id: int) -> str | None:
    return (await one.bench.get(proposal_id)).approved_by


# --- the rule -----------------------------------------------------------------------------


def asked(*suspects: str, tags: tuple[str, ...] = ("disruptive",)) -> PolicyRequest:
    return PolicyRequest("knock", NOON, tags=frozenset(tags), suspects=suspects)


def test_one_suspect_is_no_crowd() -> None:
    assert decide(load(ALLOW), asked()).effect is Effect.AUTO


def test_of_several_a_person_must_say_which() -> None:
    decision = decide(load(ALLOW), asked("valve=2 (proposal 7)"))
    assert decision.effect is Effect.APPROVE
    assert "valve=2 (proposal 7)" in decision.told
    assert not decision.proposer_may_approve


def test_or_nothing_is_done_at_all() -> None:
    decision = decide(load(DENY_MANY), asked("valve=2 (proposal 7)"))
    assert decision.effect is Effect.DENY
    assert "hands off" in decision.told


def test_a_rule_that_asks_people_asks_the_same_people() -> None:
    alone, crowded = (decide(load(ASK_ONE), asked(*who)) for who in ((), ("valve=2",)))
    assert crowded._replace(reasons=alone.reasons) == alone


@pytest.mark.parametrize(
    ("tags", "concerned"),
    [(("disruptive",), True), (("membership",), True), (("movement",), False), ((), False)],
)
def test_by_default_it_concerns_what_disrupts_or_changes_members(
    tags: tuple[str, ...], *, concerned: bool
) -> None:
    assert (suspecting(load(ALLOW), asked(tags=tags)) is not None) is concerned
    assert suspecting(load(OFF), asked(tags=tags)) is None


def test_a_request_keeps_its_suspects_in_the_ledger() -> None:
    request = asked("valve=2 (proposal 7)")
    assert PolicyRequest.of_json(request.to_json()) == request
    old = {key: value for key, value in request.to_json().items() if key != "suspects"}
    assert PolicyRequest.of_json(old).suspects == ()


# --- the ledger ---------------------------------------------------------------------------


async def test_of_two_proposals_of_a_kind_none_runs_without_a_person(gated: Gate) -> None:
    first = await knock(gated, 1)
    assert await approved_by(gated, first) == "policy"
    second = await knock(gated, 2)
    assert await approved_by(gated, second) is None
    with pytest.raises(ApprovalRequiredError, match=r"valve=2 \(proposal 2\)|what was given"):
        await gated.bench.run(first)
    assert await approved_by(gated, first) is None
    assert gated.valves.done == []


async def test_a_person_who_knows_of_both_may_let_one_run(gated: Gate) -> None:
    first, _ = await knock(gated, 1), await knock(gated, 2)
    with pytest.raises(ApprovalRequiredError):
        await gated.bench.run(first)
    gated.bench.clock.advance(1)
    await gated.approve(first, "alice")
    await gated.bench.run(first)
    assert gated.valves.done == [("knock", 1)]


async def test_a_word_from_before_the_second_suspect_does_not_count(gated: Gate) -> None:
    await gated.enforce(ASK_ONE)
    first = await knock(gated, 1)
    await gated.approve(first, "alice")
    gated.bench.clock.advance(1)
    await knock(gated, 2)
    with pytest.raises(ApprovalRequiredError, match="suspected of the same since"):
        await gated.bench.run(first)
    gated.bench.clock.advance(1)
    await gated.approve(first, "bob")
    await gated.bench.run(first)
    assert gated.valves.done == [("knock", 1)]


async def test_two_tickets_of_one_rule_are_two_suspects(gated: Gate) -> None:
    one, _ = await ticket(gated, "valve-1"), await ticket(gated, "valve-2")
    proposal_id = await knock(gated, 1, one)
    assert await approved_by(gated, proposal_id) is None
    with pytest.raises(ApprovalRequiredError, match="anybody"):
        await gated.bench.run(proposal_id)


@pytest.mark.parametrize("other", ["valve-1:loud", "gone", "old"])
async def test_another_rule_or_what_is_over_is_no_suspect(gated: Gate, other: str) -> None:
    if other == "valve-1:loud":
        await ticket(gated, "valve-2", "loud")
    if other in {"gone", "old"}:
        second = await ticket(gated, "valve-2")
        if other == "gone":
            await gated.bench.tickets.resolve(second, actor="alice", resolution="-")
        gated.bench.clock.advance(timedelta(hours=2).total_seconds() if other == "old" else 1)
    proposal_id = await knock(gated, 1, await ticket(gated, "valve-1"))
    await gated.bench.run(proposal_id)
    assert gated.valves.done == [("knock", 1)]


async def test_steps_of_one_workflow_are_one_plan(gated: Gate) -> None:
    executor = gated.bench.executor()
    workflow = await executor.propose_workflow("w", "-", [wanted("knock", 1), wanted("knock", 2)])
    steps = [id_of(one) for one in await gated.bench.db.list_workflow_actions(workflow)]
    for step in steps:
        await executor.validate_proposal(step)
    for step in steps:
        await gated.bench.run(step)
    assert gated.valves.done == [("knock", 1), ("knock", 2)]


async def test_what_is_cancelled_is_no_suspect_any_more(gated: Gate) -> None:
    first, second = await knock(gated, 1), await knock(gated, 2)
    await gated.bench.db.cancel_proposal(second, cancelled_by="alice")
    await gated.bench.run(first)
    assert gated.valves.done == [("knock", 1)]


async def test_what_does_not_disrupt_may_be_done_to_many(gated: Gate) -> None:
    for valve in (1, 2, 3):
        await gated.bench.run(await gated.valid("shut", valve))
    waiting = [await gated.valid("shut", valve) for valve in (4, 5)]
    for proposal_id in waiting:
        await gated.bench.run(proposal_id)
    assert len(gated.valves.done) == 5


async def test_a_policy_can_deny_allow_more_or_turn_it_off(gated: Gate) -> None:
    one, _ = await ticket(gated, "valve-1"), await ticket(gated, "valve-2")
    await gated.enforce(DENY_MANY)
    denied = await gated.bench.get(await knock(gated, 1, one))
    assert denied.status is ActionStatus.CANCELLED
    await gated.enforce(THREE)
    await gated.bench.run(await knock(gated, 1, one))
    await ticket(gated, "valve-3")
    assert await approved_by(gated, await knock(gated, 2, one)) is None
    await gated.enforce(OFF)
    await gated.bench.run(await knock(gated, 3, one))
    assert [valve for _, valve in gated.valves.done] == [1, 3]


async def test_a_policy_that_denies_stops_what_it_had_allowed(gated: Gate) -> None:
    await gated.enforce(DENY_MANY)
    one = await ticket(gated, "valve-1")
    proposal_id = await knock(gated, 1, one)
    await ticket(gated, "valve-2")
    with pytest.raises(PolicyDeniedError, match="hands off"):
        await gated.bench.run(proposal_id)
    assert gated.valves.done == []
