"""No planted secret reaches the ledger by any public write; what cannot be redacted is refused."""

import hashlib
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from engine_bench import Bench, bench, proposal, recommend
from ledger_places import address_of
from operator_core.actions.policy import load
from operator_core.actions.types import Schedule
from operator_core.agent.diagnosis import Diagnosis
from operator_core.agent.redact import MARK
from operator_core.db.policy import PolicyDB
from operator_core.db.schedules import ScheduleDB
from operator_core.db.watching import WatchingDB
from operator_core.errors import ActionFailedError, RequestError
from operator_core.monitor.tickets import MonitorStage
from operator_core.monitor.types import Observation, Part, Snooze, Violation
from operator_core.testing.fakes import FakeSubject, Mode
from test_redact import ORDINARY, PLANTED, SECRET

PLANT = PLANTED[0]
"""An address with a password, as an error of a client names it."""


def everything(folder: Path) -> str:
    """Return every value of every table."""
    address = address_of(folder)
    if isinstance(address, Path):
        with closing(sqlite3.connect(address)) as connection:
            named = "SELECT name FROM sqlite_master WHERE type = 'table'"
            tables = [name for (name,) in connection.execute(named)]
            found = [connection.execute(f"SELECT * FROM {one}").fetchall() for one in tables]  # noqa: S608 - names of tables
            return repr(found)
    with psycopg.connect(address) as server:
        listed = "SELECT tablename FROM pg_tables WHERE schemaname = 'operator'"
        names = [name for (name,) in server.execute(listed)]
        whole = [
            server.execute(f"SELECT t::text FROM operator.{one} t".encode()).fetchall()  # noqa: S608 - names of tables
            for one in names
        ]
        return repr(whole)


class Telling(FakeSubject):
    """A cluster that tells a secret in its errors."""

    async def act(self, value: int, idempotency_key: str) -> object:
        """Act, and fail if it is told so."""
        if self.mode is Mode.FAIL:
            raise ActionFailedError(f"cannot reach {PLANT}")
        return await super().act(value, idempotency_key)

    async def observe(self) -> Observation:
        """Return a look with secrets in it."""
        seen = await super().observe()
        part = Part(source=PLANT, observed_at=seen.observed_at, data={"log": PLANTED})
        return seen.model_copy(update={"parts": {"logs": part}})


async def _proposals(one: Bench) -> None:
    texts = {"reason": PLANT, "proposed_by": PLANT, "last_error": PLANT}
    first, second = [
        await one.db.create_proposal(proposal().model_copy(update=texts)) for _ in range(2)
    ]
    await one.db.reject_proposal(int(first.id or 0), rejected_by="bob", reason=PLANT)
    await one.db.cancel_proposal(int(second.id or 0), cancelled_by=PLANT)
    workflow_id = await one.db.create_workflow(PLANT, PLANT, [proposal()])
    await one.db.approve_workflow(workflow_id, approved_by=PLANT)


async def _attempts(one: Bench) -> None:
    for mode, result in ((Mode.OK, {"said": PLANT, "token": SECRET}), (Mode.FAIL, None)):
        subject = Telling(mode=mode, result=result)
        one.subject = subject
        await one.run(await one.validated())
    attempt = await one.executions.claim(await one.validated(), one.terms("one"))
    await one.executions.tell_progress(attempt, PLANT)
    await one.executions.await_resend(attempt, PLANT, one.in_seconds(5))


async def _tickets(one: Bench) -> None:
    broken = Violation(invariant="full", target=PLANT, message=PLANT, metrics={"at": PLANT})
    ticket = await one.tickets.report(broken, subject="fake", reported_by=PLANT)
    again = await one.tickets.report(broken, subject="fake")
    assert again.id == ticket.id
    ticket_id = int(ticket.id or 0)
    await one.tickets.comment(ticket_id, author=PLANT, body=PLANT)
    await one.tickets.hold(ticket_id, actor="ann", reason=PLANT)
    words = {"diagnoser": "d", "hypothesis": "unknown", "confidence": 0.5, "cause": PLANT}
    made = Diagnosis.model_validate({"ticket_id": ticket_id, **words})
    await one.tickets.add_diagnosis(made)
    await one.tickets.resolve(ticket_id, actor="ann", resolution=PLANT)


async def _watching(one: Bench) -> None:
    until = one.in_seconds(60)
    snooze = Snooze(rule="full", target=PLANT, until=until, reason=PLANT, created_by=PLANT)
    await WatchingDB(one.ledger).add_snooze(snooze, actor=PLANT)
    await MonitorStage(one.ledger, Telling(), clock=one.clock).step()


async def _control(one: Bench) -> None:
    await one.auditor.log_event(event_type=PLANT, event_data={"a": PLANTED}, actor=PLANT)
    await one.control.kill(actor=PLANT, reason=PLANT)
    schedule = Schedule(
        name=PLANT, cron="0 3 * * *", time_zone="UTC", action_name="act", reason=PLANT
    )
    await ScheduleDB(one.ledger).create(schedule, actor=PLANT)


@pytest.mark.parametrize("write", [_proposals, _attempts, _tickets, _watching, _control])
async def test_no_public_write_stores_a_secret(
    tmp_path: Path, write: Callable[[Bench], Awaitable[None]]
) -> None:
    async with bench(tmp_path) as one:
        await write(one)
        stored = everything(tmp_path)
        assert SECRET not in stored
        assert MARK in stored
        assert await one.control.first_broken_audit_row() is None


async def test_a_secret_argument_is_refused_and_the_message_says_what_to_do(
    tmp_path: Path,
) -> None:
    async with bench(tmp_path) as one:
        for arguments in ({"password": "x9"}, {"url": PLANT}, {"a": [{"note": MARK}]}):
            bad = proposal().model_copy(update={"parameters": arguments})
            with pytest.raises(RequestError, match="file or an environment variable"):
                await one.db.create_proposal(bad)
            with pytest.raises(RequestError, match="file or an environment variable"):
                await one.db.create_workflow("w", "d", [proposal(), bad])
            timed = Schedule(
                name="s",
                cron="0 3 * * *",
                time_zone="UTC",
                action_name="act",
                reason="r",
                parameters=arguments,
            )
            with pytest.raises(RequestError, match="file or an environment variable"):
                await ScheduleDB(one.ledger).create(timed, actor="ann")
        with pytest.raises(RequestError, match="file or an environment variable"):
            await one.control.connect_subject("x", "p", {"endpoints": PLANT}, actor="ann")
        assert await one.db.list_proposals() == []
        assert SECRET not in everything(tmp_path)


async def test_a_policy_with_a_secret_does_not_come_into_force(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        loaded = load(f"# {PLANT}\nversion = 1\n")
        with pytest.raises(RequestError, match="secret"):
            await PolicyDB(one.ledger).enforce(loaded, source="s", actor="ann")
        assert SECRET not in everything(tmp_path)


async def test_ordinary_words_are_stored_as_they_are(tmp_path: Path) -> None:
    words = [*ORDINARY, hashlib.sha256(b"x").hexdigest(), "[rule]\nkeys = ['a']"]
    async with bench(tmp_path) as one:
        for text in words:
            made = await one.db.create_proposal(proposal().model_copy(update={"reason": text}))
            assert (await one.get(int(made.id or 0))).reason == text
        executor = one.executor()
        stored = await executor.propose_action(recommend("act", value=3))
        assert stored.parameters == {"value": 3}
