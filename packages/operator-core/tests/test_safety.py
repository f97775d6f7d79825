"""The switch: observe by default, set once, seen by everybody, lifted only by a person."""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from engine_bench import bench, id_of, proposal, recommend
from operator_core.actions.audit import ActionAuditor
from operator_core.actions.executor import ActionExecutor
from operator_core.actions.policy import load
from operator_core.actions.registry import ActionRegistry
from operator_core.actions.safety import SafetyController
from operator_core.actions.types import ActionStatus, SafetyMode
from operator_core.config import approval_mode
from operator_core.db import changes, safety
from operator_core.db.changes import Stamp
from operator_core.db.engine import Row, Tx
from operator_core.db.policy import PolicyDB
from operator_core.db.workflows import WorkflowDB
from operator_core.errors import ConfigurationError, LedgerFullError, ObserveOnlyError, RequestError
from operator_core.testing.fakes import FakeSubject, Mode

OBSERVE, EXECUTE = SafetyMode.OBSERVE, SafetyMode.EXECUTE
DENIES = 'version = 1\n[[rule]]\nname = "all"\neffect = "deny"\nreason = "no"\n'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "l.db"


def controller(path: Path, mode: SafetyMode | None = None) -> SafetyController:
    auditor = ActionAuditor(path)
    return (
        SafetyController(path, auditor) if mode is None else SafetyController(path, auditor, mode)
    )


async def test_it_observes_by_default(path: Path) -> None:
    assert (await controller(path).state()).mode is OBSERVE
    with pytest.raises(ObserveOnlyError, match="operator mode execute"):
        await controller(path).check_can_execute()


async def test_the_first_mode_is_set_only_where_none_was_ever_set(path: Path) -> None:
    assert (await controller(path, EXECUTE).state()).mode is EXECUTE
    assert (await controller(path, OBSERVE).state()).mode is EXECUTE
    assert (await controller(path).state()).mode is EXECUTE


async def test_a_mode_survives_reopening_and_its_old_value_is_told(path: Path) -> None:
    """Pitfall 9: a restart forgot it, and the audit made up the old mode."""
    await controller(path, EXECUTE).state()
    await controller(path).set_mode(OBSERVE, actor="alice")
    assert (await controller(path, EXECUTE).state()).mode is OBSERVE
    first, second = await ActionAuditor(path).list_events(event_type="mode_changed")
    assert (first.event_data["from"], first.event_data["to"]) == (None, "execute")
    assert (second.event_data["from"], second.event_data["to"]) == ("execute", "observe")
    assert second.actor == "alice"


async def test_a_controller_never_lifts_a_kill(path: Path) -> None:
    await controller(path, EXECUTE).kill(actor="alice", reason="enough")
    state = await controller(path, EXECUTE).state()
    assert (state.mode, state.killed_by, state.kill_reason) == (OBSERVE, "alice", "enough")
    await controller(path).set_mode(OBSERVE)
    with pytest.raises(ObserveOnlyError, match="kill switch"):
        await controller(path, EXECUTE).check_can_execute()


async def test_a_person_lifts_a_kill_with_execute(path: Path) -> None:
    await controller(path).kill()
    state = await controller(path).set_mode(EXECUTE, actor="alice")
    assert (state.mode, state.killed_at) == (EXECUTE, None)
    await controller(path).check_can_execute()


async def test_another_process_sees_it_at_once(path: Path) -> None:
    """Pitfall 9: another connection stands for another process."""
    async with bench(path.parent) as one:
        target = await one.validated()
        with closing(sqlite3.connect(path.parent / "ledger.db")) as other:
            other.execute("UPDATE safety SET mode = 'observe'")
            other.commit()
        with pytest.raises(ObserveOnlyError):
            await one.run(target)


async def test_each_change_counts(path: Path) -> None:
    first = await controller(path).state()
    changed = [await controller(path).set_mode(mode) for mode in (EXECUTE, OBSERVE, OBSERVE)]
    await controller(path).kill()
    killed = await controller(path).state()
    revisions = [state.revision for state in (first, *changed, killed)]
    assert revisions == [1, 2, 3, 4, 5]


async def test_a_kill_is_as_late_as_the_last_claim_that_it_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It had the time at which it was asked for: the audit told of claims after the kill."""
    async with bench(tmp_path) as one:
        asked_at, real = one.clock.now(), one.ledger.write

        async def waits_for_others(work: Callable[[Tx], object]) -> object:
            one.clock.advance(5)
            return await real(work)

        monkeypatch.setattr(one.ledger, "write", waits_for_others)
        await one.safety.kill(actor="alice", reason="enough")
        killed_at = (await one.control.safety_state()).killed_at
        assert killed_at is not None
        assert (killed_at - asked_at).total_seconds() == 5
        (told,) = await one.control.list_events(event_type="kill_switch")
        assert told.timestamp == killed_at


async def test_observe_a_pause_and_a_policy_are_as_late_as_the_claims_they_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bench(tmp_path) as one:
        await one.workflow("act", "act")
        asked_at, real = one.clock.now(), one.ledger.write

        async def waits_for_others(work: Callable[[Tx], object]) -> object:
            one.clock.advance(5)
            return await real(work)

        monkeypatch.setattr(one.ledger, "write", waits_for_others)
        await WorkflowDB(one.ledger).pause(1, paused_by="alice")
        await one.control.set_mode(OBSERVE, actor="alice")
        await PolicyDB(one.ledger).enforce(load(DENIES), source="x", actor="alice")
        events = ("workflow_paused", "mode_changed", "policy_in_force")
        for number, event in enumerate(events, 1):
            told = (await one.control.list_events(event_type=event))[-1]
            assert (told.timestamp - asked_at).total_seconds() == 5 * number


async def test_a_pause_says_its_time_once_it_has_the_workflow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a server a claim may hold it, and the pause had the time at which it began to wait."""
    async with bench(tmp_path) as one:
        await one.workflow("act", "act")
        asked_at, real = one.clock.now(), changes.get

        def waits_for_a_claim(tx: Tx, kind: str, row_id: int) -> Row:
            one.clock.advance(5)
            return real(tx, kind, row_id)

        monkeypatch.setattr(changes, "get", waits_for_a_claim)
        await WorkflowDB(one.ledger).pause(1, paused_by="alice")
        (told,) = await one.control.list_events(event_type="workflow_paused")
        assert (told.timestamp - asked_at).total_seconds() == 5


@pytest.mark.parametrize("at_once", [safety.AT_ONCE, 1])
async def test_kill_reports_what_it_did(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    """Pitfall 56: the report is numbers, not a guess."""
    monkeypatch.setattr(safety, "AT_ONCE", at_once)
    async with bench(tmp_path) as one:
        first, second = await one.workflow("act", "act")
        alone = id_of(await one.db.create_proposal(proposal()))
        failed = proposal(status=ActionStatus.FAILED, next_retry_at=one.in_seconds(9))
        retry = id_of(await one.db.create_proposal(failed))
        report = await one.safety.kill(actor="alice", reason="enough")
        assert report.cancelled == (first, second, alone)
        assert (report.retries_dropped, report.workflows_cancelled) == ((retry,), (1,))
        again = await one.safety.kill()
        assert (again.cancelled, again.retries_dropped, again.running) == ((), (), ())


async def test_what_runs_is_stopped_before_much_that_waits_is_called_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With 50,000 actions waiting, a call ran on for the second that it took to cancel them."""
    monkeypatch.setattr(safety, "AT_ONCE", 2)
    async with bench(tmp_path) as one:
        one.subject.mode = Mode.HANG
        running = await one.validated()
        call = asyncio.create_task(one.run(running))
        await one.subject.acting.wait()
        await one.workflow("act", "act")
        waiting = [await one.validated() for _ in range(5)]
        seen: list[int] = []

        def looks_on(tx: Tx, reason: str, stamp: Stamp) -> safety.KillStep:
            (asked,) = tx.all("proposal.executing")
            assert asked["cancel_requested_at"] is not None
            seen.append(len(tx.all("proposal.pending")))
            return real(tx, reason, stamp)

        real = safety.cancel_some
        monkeypatch.setattr(safety, "cancel_some", looks_on)
        report = await one.safety.kill(actor="alice", reason="enough")
        assert len(seen) == 3
        assert report.running == (running,)
        assert set(waiting) < set(report.cancelled)
        assert len(report.cancelled) == len(waiting) + 2
        assert await one.db.list_proposals(ActionStatus.VALIDATED) == []
        await call


async def test_what_a_kill_that_broke_off_has_left_is_called_off_where_it_is_lifted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(safety, "AT_ONCE", 1)

    def breaks_off(_tx: Tx, _reason: str, _stamp: Stamp) -> safety.KillStep:
        raise LedgerFullError("the disk is full")

    async with bench(tmp_path) as one:
        first = await one.validated()
        await one.workflow("act", "act")
        with monkeypatch.context() as patch:
            patch.setattr(safety, "cancel_some", breaks_off)
            with pytest.raises(LedgerFullError):
                await one.safety.kill(actor="alice", reason="enough")
        with pytest.raises(ObserveOnlyError):
            await one.run(first)
        one.clock.advance(1)
        later = id_of(await one.db.create_proposal(proposal()))
        await one.safety.set_mode(EXECUTE, actor="bob")
        found = {row.id: row.status for row in await one.db.list_proposals()}
        assert found.pop(later) is ActionStatus.PROPOSED
        assert set(found.values()) == {ActionStatus.CANCELLED}
        assert (await one.get(first)).cancelled_at is not None
        assert one.subject.effects == []


async def test_observe_refuses_proposals_and_stores_nothing(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        await one.safety.set_mode(OBSERVE)
        with pytest.raises(ObserveOnlyError):
            await one.executor().propose_action(recommend())
        with pytest.raises(ObserveOnlyError):
            await one.executor().propose_workflow("w", "d", [recommend()])
        assert await one.db.list_proposals() == []


@pytest.mark.parametrize("actor", ["", "  "])
async def test_nobody_answers_for_nothing(path: Path, actor: str) -> None:
    """Peer bug 12."""
    async with bench(path.parent) as one:
        target = id_of(await one.db.create_proposal(proposal()))
        with pytest.raises(RequestError):
            await one.db.approve_proposal(target, approved_by=actor)
        with pytest.raises(RequestError):
            await one.safety.set_mode(EXECUTE, actor=actor)


# --- OPERATOR_APPROVAL_MODE --------------------------------------------------------------


@pytest.mark.parametrize("text", ["true", "TRUE", " 1 ", "yes", "on"])
def test_words_for_yes(text: str) -> None:
    assert approval_mode({"OPERATOR_APPROVAL_MODE": text}) is True


@pytest.mark.parametrize("text", ["false", "0", "no", "off"])
def test_words_for_no(text: str) -> None:
    assert approval_mode({"OPERATOR_APPROVAL_MODE": text}) is False


@pytest.mark.parametrize("text", ["ture", "2", "none", "maybe"])
def test_unknown_values_are_errors_and_not_no(text: str) -> None:
    with pytest.raises(ConfigurationError, match="OPERATOR_APPROVAL_MODE"):
        approval_mode({"OPERATOR_APPROVAL_MODE": text})


@pytest.mark.parametrize(("given", "expected"), [(None, True), (False, False), (True, True)])
def test_an_executor_follows_what_it_is_given_and_else_the_environment(
    path: Path, monkeypatch: pytest.MonkeyPatch, given: bool | None, expected: bool
) -> None:
    monkeypatch.setenv("OPERATOR_APPROVAL_MODE", "true")
    registry = ActionRegistry(FakeSubject())
    executor = ActionExecutor(path, registry, controller(path), ActionAuditor(path), given)
    assert executor.approval_mode is expected


def test_an_executor_refuses_an_unknown_value(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPERATOR_APPROVAL_MODE", "maybe")
    registry = ActionRegistry(FakeSubject())
    with pytest.raises(ConfigurationError):
        ActionExecutor(path, registry, controller(path), ActionAuditor(path))
