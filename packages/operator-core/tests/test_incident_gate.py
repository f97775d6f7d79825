"""A replay asks the gate again, counts approvals and tries again, and says what it leaves out."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from engine_bench import Bench, bench, recommend
from gate_kit import ALLOW, ASK_ONE, ASK_TWO, Gate, gate, wanted
from operator_core.actions.event_words import EVENTS
from operator_core.actions.policy import load
from operator_core.actions.retry import RetryConfig
from operator_core.actions.types import ActionStatus
from operator_core.clock import from_text, to_text
from operator_core.db.exports import ExportDB, IncidentRows
from operator_core.monitor.types import Violation
from operator_core.runtime.incident.archive import pack, unpack
from operator_core.runtime.incident.replay import replay
from operator_core.runtime.incident.replayed import Means, Replayed
from operator_core.runtime.incident.retried import RETRIED
from operator_core.runtime.incident.unmade import FACTS, LEFT, MADE, unmade
from operator_core.subject import complete
from operator_core.testing.fakes import Mode

MICROSECOND: Final = timedelta(microseconds=1)


async def ticket_of(one: Bench) -> int:
    """Report a problem; return its ticket's id."""
    violation = Violation(invariant="leak", target="1", message="it drips")
    return int((await one.tickets.report(violation, subject="fake")).id or 0)


def tries(one: Bench, incident: IncidentRows) -> list[bool]:
    """Return of each try whether a replay of an incident's rows makes the same of it."""
    found = replay(incident, Means(complete(one.subject)))
    return [each.is_same for each in found if each.stage == "retry"]


def made_again(
    one: Bench, incident: IncidentRows, policy: str | None = None
) -> dict[str, list[Replayed]]:
    """Return what a replay makes of an incident's archive, by stage."""
    found: dict[str, list[Replayed]] = {}
    means = Means(complete(one.subject), load(policy) if policy else None)
    for each in replay(unpack(pack(incident, {})).rows, means):
        found.setdefault(each.stage, []).append(each)
    return found


@asynccontextmanager
async def turned(folder: Path, *people: str, policy: str = ASK_ONE) -> AsyncIterator[Gate]:
    """A valve that was turned for ticket 1, once these people had approved."""
    async with gate(folder, policy) as one:
        executor = one.bench.executor()
        made = await executor.propose_action(wanted("turn"), await ticket_of(one.bench))
        target = int((await executor.validate_proposal(int(made.id or 0))).id or 0)
        await one.approve(target, *people)
        await one.bench.run(target)
        yield one


async def read(one: Bench) -> IncidentRows:
    return await ExportDB(one.ledger).incident(1)


# --- approvals and claims -------------------------------------------------------------


async def test_the_approval_and_the_claim_are_the_same_again(tmp_path: Path) -> None:
    async with turned(tmp_path, "alice") as one:
        found = made_again(one.bench, await read(one.bench))
    assert [each.is_same for each in found["approve"] + found["claim"]] == [True, True]
    assert found["approve"][0].now == '"alice"'


async def test_another_policy_shows_that_its_approval_and_claim_flip(tmp_path: Path) -> None:
    async with turned(tmp_path, "alice") as one:
        incident = await read(one.bench)
        found = made_again(one.bench, incident, ASK_TWO)
        (claim,), (approval,) = found["claim"], found["approve"]
        assert approval.now == "null"
        assert "needs the approval of" in claim.now
        same = made_again(one.bench, incident, ASK_ONE + "# in other words\n")
        assert all(each.is_same for each in same["claim"] + same["approve"] + same["decide"])


async def test_what_the_policy_alone_allowed_needs_a_person_under_another(tmp_path: Path) -> None:
    async with turned(tmp_path, policy=ALLOW) as one:
        incident = await read(one.bench)
        assert made_again(one.bench, incident)["approve"][0].now == '"policy"'
        asked = made_again(one.bench, incident, ASK_ONE)
    assert not any(each.is_same for each in asked["approve"] + asked["claim"])


async def test_a_word_that_ended_in_the_moment_of_the_approval_stood_then(tmp_path: Path) -> None:
    async with turned(tmp_path, "alice") as one:
        incident = await read(one.bench)
        (word,) = incident["approvals"]
        approved = next(e for e in incident["events"] if e["event_type"] == "proposal_approved")
        word["ended_at"] = approved["timestamp"]
        assert made_again(one.bench, incident)["approve"][0].is_same
        word["ended_at"] = "2000-01-01T00:00:00.000000+00:00"
        assert not made_again(one.bench, incident)["approve"][0].is_same


def _kill(incident: IncidentRows) -> None:
    first = incident["switches"][0]
    data = json.dumps({"reason": "enough"})
    incident["switches"].append({**first, "event_type": "kill_switch", "event_data": data})


def _observe(incident: IncidentRows) -> None:
    incident["switches"][0]["event_data"] = json.dumps({"from": None, "to": "observe"})


def _no_word(incident: IncidentRows) -> None:
    incident["approvals"].clear()


def _other_call(incident: IncidentRows) -> None:
    incident["proposals"][0]["parameters"] = json.dumps({"valve": 2})


def _expired(incident: IncidentRows) -> None:
    incident["approvals"][0]["expires_at"] = incident["approvals"][0]["at"]


FORGED: dict[str, tuple[Callable[[IncidentRows], None], str]] = {
    "it was killed before": (_kill, "kill switch"),
    "it was in observe": (_observe, "observe"),
    "nobody approved": (_no_word, "needs the approval"),
    "another call was approved": (_other_call, "another call"),
    "the word had expired": (_expired, "expired"),
}


@pytest.mark.parametrize("how", FORGED)
async def test_a_claim_that_the_rows_do_not_allow_differs(tmp_path: Path, how: str) -> None:
    async with turned(tmp_path, "alice") as one:
        incident = await read(one.bench)
        change, told = FORGED[how]
        change(incident)
        found = list(replay(incident, Means(complete(one.bench.subject))))
    (claim,) = (each for each in found if each.stage == "claim")
    assert told in claim.now


async def test_a_step_is_claimed_once_the_one_before_has_ended(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        executor, ticket_id = one.executor(), await ticket_of(one)
        steps = [recommend(), recommend("act_again")]
        workflow_id = await executor.propose_workflow("w", "-", steps, ticket_id)
        for step in await one.db.list_workflow_actions(workflow_id):
            await executor.validate_proposal(int(step.id or 0))
            await one.run(int(step.id or 0))
        incident = await read(one)
        assert [each.is_same for each in made_again(one, incident)["claim"]] == [True, True]
        incident["events"] = [
            event for event in incident["events"] if event["event_type"] != "execution_completed"
        ]
        second = made_again(one, incident)["claim"][1]
    assert "depends on" in second.now


async def test_what_undoes_a_step_is_claimed_on_the_words_for_the_step(tmp_path: Path) -> None:
    async with gate(tmp_path) as one:
        db, executor = one.bench.db, one.bench.executor()
        steps = [wanted("turn"), wanted("shut")]
        workflow_id = await executor.propose_workflow("w", "-", steps, await ticket_of(one.bench))
        ids = [int(step.id or 0) for step in await db.list_workflow_actions(workflow_id)]
        for step_id in ids:
            await executor.validate_proposal(step_id)
        await db.approve_workflow(workflow_id, "alice")
        await one.bench.run(ids[0])
        await db.cancel_workflow(workflow_id, reason="enough")
        (undo,) = [row.id for row in await db.list_ready()]
        await one.bench.run(int(undo or 0))
        incident = await read(one.bench)
        found = made_again(one.bench, incident)["claim"]
        assert [each.now for each in found] == ['{"refused":""}'] * 2
        incident["approvals"].clear()
        without = made_again(one.bench, incident)["claim"]
    assert all("needs the approval" in each.now for each in without)


# --- retries --------------------------------------------------------------------------


async def failed_twice(one: Bench, **columns: Any) -> IncidentRows:  # noqa: ANN401 - any column
    one.subject.mode = Mode.FAIL
    executor = one.executor()
    made = await executor.propose_action(recommend(**columns), await ticket_of(one))
    target = int((await executor.validate_proposal(int(made.id or 0))).id or 0)
    await one.run(target)
    one.clock.advance(120)
    await one.db.reset_for_retry(target)
    await one.run(target)
    assert await one.status(target) is ActionStatus.FAILED
    return await read(one)


async def test_tries_are_counted_again(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        incident = await failed_twice(one)
        found = made_again(one, incident)["retry"]
        assert [each.is_same for each in found] == [True, True]
        incident["proposals"][0]["max_retries"] = 1
        assert not made_again(one, incident)["retry"][0].is_same


async def test_the_jitter_of_a_try_is_made_again_by_the_backoff_of_its_executor(
    tmp_path: Path,
) -> None:
    async with bench(tmp_path) as one:
        one.retry = RetryConfig(min_wait_seconds=7.0, jitter_fraction=0.9)
        incident = await failed_twice(one)
        assert [each.is_same for each in made_again(one, incident)["retry"]] == [True, True]
        [first, _] = [each for each in incident["events"] if each["event_type"] in RETRIED]
        told = json.loads(first["event_data"])
        due = from_text(told["next_retry_at"])
        first["event_data"] = json.dumps({**told, "next_retry_at": to_text(due + MICROSECOND)})
        assert tries(one, incident) == [False, True]


async def test_of_a_try_whose_jitter_was_drawn_only_the_bound_is_known(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        incident = await failed_twice(one)
        for event in incident["events"]:
            told = json.loads(event["event_data"])
            told.pop("backoff", None)
            event["event_data"] = json.dumps(told)
        assert tries(one, incident) == [True, True]
        left = {each.what: each.number for each in unmade(incident, Means(complete(one.subject)))}
    assert left["of a retry: its jitter"] == 2


async def test_a_try_that_comes_later_than_the_backoff_differs(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        incident = await failed_twice(one)
        for event in incident["events"]:
            told = json.loads(event["event_data"])
            if told.get("next_retry_at"):
                told["next_retry_at"] = "2040-01-01T00:00:00.000000+00:00"
                event["event_data"] = json.dumps(told)
        assert tries(one, incident) == [False, False]


# --- what is left out -----------------------------------------------------------------


def test_every_kind_of_event_is_made_again_or_said_not_to_be() -> None:
    told = [*MADE, *FACTS, *(kind for kinds, _ in LEFT.values() for kind in kinds)]
    assert sorted(told) == sorted(EVENTS.keys())


async def test_what_is_not_made_again_is_counted_with_the_reason(tmp_path: Path) -> None:
    async with turned(tmp_path, "alice") as one:
        incident = await read(one.bench)
        means = Means(complete(one.bench.subject))
        told = {each.what: each for each in unmade(incident, means)}
        assert told["what people did"].number == 1
        assert any(what.startswith("of each claim") for what in told)
        assert "claims without the switch" not in told
        older = {**incident, "switches": []}
        told = {each.what: each for each in unmade(older, means)}
    assert told["claims without the switch"].number == 1
    assert "claim" not in made_again(one.bench, older)
