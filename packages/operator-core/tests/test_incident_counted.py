"""A replay counts again what limits counted, and sees again how the cluster drifted."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine_bench import LEASE_SECONDS, bench, id_of, recommend
from gate_kit import ALLOW, ASK_ONE, Gate, gate, wanted
from operator_core.actions.policy import load
from operator_core.agent.diagnosis import Claim, Diagnosis, Predicate
from operator_core.db.exports import ExportDB, IncidentRows
from operator_core.monitor.types import Violation
from operator_core.monitor.verification import Verdict
from operator_core.runtime.incident.archive import pack, unpack
from operator_core.runtime.incident.replay import replay
from operator_core.runtime.incident.replayed import Means, Replayed
from operator_core.runtime.incident.unmade import unmade
from operator_core.subject import complete
from test_gate_breaker import judged, tried

LIMIT = ALLOW + '[[limit]]\nname = "two"\ncount = 2\nper_seconds = 600\n'
STRICT = LIMIT.replace("count = 2", "count = 1")
REST = ALLOW + '[[cooldown]]\nname = "rest"\nseconds = 60\n'
LONG_REST = REST.replace("60", "600")
BREAKER = ALLOW + '[[breaker]]\nname = "stop"\ntries = 2\n'
STRICTER = BREAKER.replace("tries = 2", "tries = 1")


async def read(one: Gate, ticket_id: int) -> IncidentRows:
    """Return the rows of an incident, as its archive gives them back."""
    rows = await ExportDB(one.bench.ledger).incident(ticket_id)
    return unpack(pack(rows, {})).rows


def claims(one: Gate, incident: IncidentRows, policy: str = "") -> list[Replayed]:
    """Return what a replay makes of an incident's claims."""
    means = Means(complete(one.valves), load(policy) if policy else None)
    return [each for each in replay(incident, means) if each.stage == "claim"]


async def done_for(one: Gate, target: str, action: str = "shut") -> int:
    """Do something for a ticket of its own; return the ticket."""
    violation = Violation(invariant="leak", target=target, message="it drips")
    ticket_id = int((await one.bench.tickets.report(violation, subject="fake")).id or 0)
    executor = one.bench.executor()
    made = id_of(await executor.propose_action(wanted(action, int(target)), ticket_id))
    await executor.validate_proposal(made)
    await one.bench.run(made)
    return ticket_id


# --- limits, cooldowns, breakers ------------------------------------------------------


async def test_a_limit_is_counted_again_over_other_incidents(tmp_path: Path) -> None:
    async with gate(tmp_path, LIMIT) as one:
        await done_for(one, "1")
        one.bench.clock.advance(10)
        incident = await read(one, await done_for(one, "2"))
        assert [row["target"] for row in incident["attempts"]] == ["valve=1", "valve=2"]
        (claim,) = claims(one, incident)
        assert claim.is_same
        (flipped,) = claims(one, incident, STRICT)
        assert "Limit 'two': 1 of 1" in flipped.now
        incident["policies"][0]["text"] = STRICT  # as if it had been so all the time
        assert not claims(one, incident)[0].is_same


async def test_a_cooldown_is_counted_again(tmp_path: Path) -> None:
    async with gate(tmp_path, REST) as one:
        await done_for(one, "1")
        one.bench.clock.advance(70)
        incident = await read(one, await done_for(one, "1"))
        assert all(each.is_same for each in claims(one, incident))
        first, second = claims(one, incident, LONG_REST)
        assert first.is_same
        assert "Cooldown 'rest'" in second.now
        told = json.loads(incident["decisions"][-1]["revisions"])
        assert told["counted"] == {"last_at": None}
        told["counted"]["last_at"] = incident["decisions"][-1]["at"]
        incident["decisions"][-1]["revisions"] = json.dumps(told)
        assert "Cooldown 'rest'" in claims(one, incident)[1].now


async def test_a_breaker_is_asked_again_with_what_had_helped_by_then(tmp_path: Path) -> None:
    async with gate(tmp_path, BREAKER) as one:
        ticket_id, _ = await tried(one)
        await judged(one, ticket_id, Verdict.NOT_VERIFIED)
        await one.bench.tickets.resolve(ticket_id, actor="ann", resolution="by hand")
        one.bench.clock.advance(7200)
        ticket_id, _ = await tried(one)
        incident = await read(one, ticket_id)
        assert all(each.is_same for each in claims(one, incident))
        *_, last = claims(one, incident, STRICTER)
        assert "Breaker 'stop'" in last.now
        await judged(one, ticket_id, Verdict.NOT_VERIFIED)
        later = await read(one, ticket_id)
        assert [row["helped"] for row in later["decisions"] if row["stage"] == "claim"][-1] == 0
        assert all(each.is_same for each in claims(one, later)), "what came later does not count"


async def test_what_an_older_version_did_not_write_down_is_said(tmp_path: Path) -> None:
    async with gate(tmp_path, LIMIT) as one:
        incident = await read(one, await done_for(one, "1"))
        means = Means(complete(one.valves))
        lacking = "claims without what their limits counted"
        assert lacking not in {each.what for each in unmade(incident, means)}
        incident["decisions"][-1]["revisions"] = '{"switch": 1}'
        told = {each.what: each.number for each in unmade(incident, means)}
        assert told[lacking] == 1
        assert claims(one, incident)[0].is_same


# --- drift and suspects ---------------------------------------------------------------


def _other_fact(incident: IncidentRows) -> None:
    _bind(incident, seen={"valves/1/open": True})


def _no_fact(incident: IncidentRows) -> None:
    _bind(incident, seen={})


def _bind(incident: IncidentRows, **changed: Any) -> None:  # noqa: ANN401 - as it is bound
    decision = incident["decisions"][-1]
    decision["binds"] = json.dumps({**json.loads(decision["binds"]), **changed})


@pytest.mark.parametrize("policy", [ALLOW, ASK_ONE])
@pytest.mark.parametrize("forge", [_other_fact, _no_fact])
async def test_an_attempt_on_a_cluster_that_was_another_differs(
    tmp_path: Path, policy: str, forge: Callable[[IncidentRows], None]
) -> None:
    async with gate(tmp_path, policy) as one:
        violation = Violation(invariant="leak", target="1", message="it drips")
        ticket_id = int((await one.bench.tickets.report(violation, subject="fake")).id or 0)
        executor = one.bench.executor()
        made = id_of(await executor.propose_action(wanted("turn"), ticket_id))
        await executor.validate_proposal(made)
        if policy == ASK_ONE:
            await one.approve(made, "alice")
        await one.bench.run(made)
        assert one.valves.done == [("turn", 1)]
        incident = await read(one, ticket_id)
        assert claims(one, incident)[0].is_same
        assert json.loads(incident["decisions"][-1]["binds"])["seen"] == {"valves/1/open": False}
        forge(incident)
        (claim,) = claims(one, incident)
    assert "the cluster is not as it was" in claim.now


async def test_words_before_the_last_suspect_came_up_do_not_count_again(tmp_path: Path) -> None:
    async with gate(tmp_path, ALLOW) as one:
        ids = [
            int((await one.bench.tickets.report(_silent(name), subject="fake")).id or 0)
            for name in ("1", "2")
        ]
        executor = one.bench.executor()
        made = id_of(await executor.propose_action(wanted("knock", 1), ids[0]))
        await executor.validate_proposal(made)
        one.bench.clock.advance(5)
        await one.approve(made, "alice")
        one.bench.clock.advance(5)
        await one.bench.run(made)
        incident = await read(one, ids[0])
        (claim,) = claims(one, incident)
        assert claim.is_same
        told = json.loads(incident["decisions"][-1]["revisions"])
        assert told["counted"]["suspected_at"] < incident["approvals"][0]["at"]
        told["counted"]["suspected_at"] = incident["decisions"][-1]["at"]
        incident["decisions"][-1]["revisions"] = json.dumps(told)
        (late,) = claims(one, incident)
    assert "does not count" in late.now


def _silent(target: str) -> Violation:
    return Violation(invariant="silent", target=target, message="-")


# --- take-overs, answers of models ----------------------------------------------------


async def test_work_is_taken_over_again_once_its_lease_had_ended(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        violation = Violation(invariant="leak", target="1", message="it drips")
        ticket_id = int((await one.tickets.report(violation, subject="fake")).id or 0)
        executor = one.executor("second")
        made = id_of(await executor.propose_action(recommend(), ticket_id))
        await executor.validate_proposal(made)
        await one.executions.claim(made, one.terms("dead"))
        one.clock.advance(LEASE_SECONDS)
        assert await executor.settle_expired(one.subject) == [made]
        incident = await ExportDB(one.ledger).incident(ticket_id)
        found = list(replay(incident, Means(complete(one.subject))))
        (over,) = [each for each in found if each.stage == "take over"]
        assert over.is_same
        for event in incident["events"]:
            if event["event_type"] == "execution_taken_over":
                told = json.loads(event["event_data"])
                told["lease_expires_at"] = "2999-01-01T00:00:00.000000+00:00"
                event["event_data"] = json.dumps(told)
        found = list(replay(incident, Means(complete(one.subject))))
    assert [each.is_same for each in found if each.stage == "take over"] == [False]


async def test_what_was_made_of_a_models_answer_is_made_again(tmp_path: Path) -> None:
    async with gate(tmp_path, ALLOW) as one:
        ticket_id = int((await one.bench.tickets.report(_silent("1"), subject="fake")).id or 0)
        true = Claim(
            statement="it is shut", path="valves/1/open", predicate=Predicate.EQ, value=False,
            observation_id=1,
        )  # fmt: skip
        said = Diagnosis(
            ticket_id=ticket_id, observation_id=1, subject="fake", diagnoser="a model",
            cause="c", hypothesis="h", confidence=1.0, evidence=[true],
            created_at=one.bench.clock.now(),
        )  # fmt: skip
        await one.bench.tickets.add_diagnosis(said)
        incident = await ExportDB(one.bench.ledger).incident(ticket_id)
        means = Means(complete(one.valves))
        again = [each for each in replay(incident, means) if each.stage == "diagnose"]
        assert [each.is_same for each in again] == [True]
        planted = json.loads(incident["diagnoses"][0]["content"])
        planted["evidence"][0]["value"] = True
        incident["diagnoses"][0]["content"] = json.dumps(planted)
        (struck,) = [each for each in replay(incident, means) if each.stage == "diagnose"]
    assert '"evidence":[]' in struck.now
    assert '"hypothesis":"unknown"' in struck.now
