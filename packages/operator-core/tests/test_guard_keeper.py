"""What becomes of the system when its guards are tried: by the loop, by hand, in `doctor`."""

import asyncio
import json
import logging
from datetime import timedelta
from pathlib import Path

import pytest

from cli_kit import Cli, FakePlugin, FakeSubject, install
from engine_bench import Bench, bench
from operator_core.actions import verdict
from operator_core.actions.cage import Cage
from operator_core.actions.canaries import canary as canaries
from operator_core.actions.canaries.table import CANARIES
from operator_core.clock import monotonic_seconds
from operator_core.errors import LedgerFullError
from operator_core.logs import ROOT
from operator_core.monitor.types import TicketStatus
from operator_core.runtime import acting, fingerprint, guards, supervisor
from operator_core.runtime.guards import (
    AGAIN_SECONDS,
    EVERY_SECONDS,
    INVARIANT,
    MOST_UNPROVEN,
    SCRATCH,
    SOON_SECONDS,
    GuardKeeper,
    last_check,
)
from operator_core.testing.clock import START, ManualClock
from operator_core.types import RunMode, Severity

FEW = tuple(one for one in CANARIES if one.name in {"observe mode", "held"})


async def test_a_dead_guard_drops_to_observe_and_pages_until_it_is_alive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    async with bench(tmp_path) as one:
        keeper = GuardKeeper(one.ledger, canaries=FEW, tell=told.append)
        with monkeypatch.context() as patch:
            patch.setattr(verdict, "_hold", lambda _: None)
            await keeper.step()
        assert not keeper.proven
        assert (await one.control.safety_state()).mode is RunMode.OBSERVE
        (ticket,) = await one.tickets.list_tickets(unresolved=True)
        page = (ticket.invariant_name, ticket.target, ticket.severity)
        assert page == (INVARIANT, "held", Severity.CRITICAL)
        assert "IT WAS EXECUTED" in ticket.message
        assert "held" in told[0]
        last = await last_check(one.ledger)
        assert last is not None
        assert list(last.event_data["dead"]) == ["held"]

        await keeper.step()
        assert not keeper.proven  # it is not yet time
        one.clock.advance(AGAIN_SECONDS)
        await keeper.step()
        assert keeper.proven
        (ticket,) = await one.tickets.list_tickets()
        assert ticket.status is TicketStatus.RESOLVED
        assert (await one.control.safety_state()).mode is RunMode.OBSERVE  # a person lifts it


async def test_living_guards_are_tried_every_hour_and_change_nothing(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        keeper = GuardKeeper(one.ledger, canaries=FEW)
        for _ in range(2):
            await keeper.step()
            await keeper.step()
            one.clock.advance(EVERY_SECONDS)
        assert (await one.events()).count("guards_checked") == 2
        assert keeper.proven
        assert (await one.control.safety_state()).mode is RunMode.EXECUTE
        assert await one.tickets.list_tickets() == []
        assert await one.db.list_proposals() == []


@pytest.mark.parametrize("canary", ["facts in the dark", "killed before it was sent"])
async def test_what_canaries_do_leaves_no_line_in_the_log(
    caplog: pytest.LogCaptureFixture, canary: str
) -> None:
    (one,) = (each for each in CANARIES if each.name == canary)
    with caplog.at_level(logging.DEBUG, logger=ROOT):
        (_, found) = await canaries.release_all((one,))
    assert found.alive
    assert caplog.records == []


async def test_guards_that_cannot_be_tried_are_not_proven_and_a_person_is_called_if_it_lasts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that got no memory for a moment switched all others off until morning."""

    async def full(*_: object) -> None:
        raise LedgerFullError("no room")

    async with bench(tmp_path) as one:
        keeper = GuardKeeper(one.ledger, canaries=FEW)
        with monkeypatch.context() as patch:
            patch.setattr("operator_core.actions.canaries.release_all", full)
            for _ in range(MOST_UNPROVEN):
                assert await one.tickets.list_tickets() == []
                await keeper.step()
                assert not keeper.proven
                one.clock.advance(SOON_SECONDS)
        (ticket,) = await one.tickets.list_tickets(unresolved=True)
        assert (ticket.target, ticket.severity) == (SCRATCH, Severity.CRITICAL)
        assert "no room" in ticket.message
        one.clock.advance(AGAIN_SECONDS)
        await keeper.step()
        assert keeper.proven
        assert await one.tickets.list_tickets(unresolved=True) == []
        assert (await one.control.safety_state()).mode is RunMode.EXECUTE


async def test_a_good_action_that_is_refused_is_no_guard_that_lets_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing(*_: object) -> None:
        raise MemoryError

    async with bench(tmp_path) as one:
        keeper = GuardKeeper(one.ledger, canaries=FEW)
        with monkeypatch.context() as patch:
            patch.setattr(Cage, "run", nothing)
            found = await keeper.check()
        assert [each.alive for each in found] == [False, *(True for _ in FEW)]
        assert not any(each.passed for each in found)
        assert not keeper.proven
        assert (await one.control.safety_state()).mode is RunMode.EXECUTE


async def test_a_path_that_refuses_everything_proves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing(*_: object) -> None:
        raise LedgerFullError("no room")

    monkeypatch.setattr(Cage, "run", nothing)
    found = await canaries.release_all(())
    assert [(one.canary, one.alive) for one in found] == [(canaries.CONTROL, False)]


async def test_nothing_is_executed_before_the_guards_are_proven() -> None:
    done: list[str] = []

    class Stage:
        def __getattr__(self, name: str) -> object:
            async def step() -> None:
                done.append(name)

            return step

    class Stages:
        investigate = reconsider = group = agent = janitor = Stage()

    await acting.agent_round(Stages(), may_act=False)  # type: ignore[arg-type]  # notes calls
    assert "validate" in done
    assert "execute" not in done
    done.clear()
    await acting.agent_round(Stages())  # type: ignore[arg-type]  # notes calls
    assert done[0] == done[-1] == "execute"  # what is approved waits for no other stage


class Trials:
    """A keeper whose trial never ends, or ends with a request to stop."""

    def __init__(self, stop: asyncio.Event) -> None:
        self.stop = stop
        self.proven = False
        self.waited_seconds = 0.0

    async def step(self) -> None:
        self.waited_seconds = monotonic_seconds() - self.waited_seconds
        self.stop.set()
        await asyncio.Event().wait()


async def tried_after_seconds(one: Bench) -> float:
    stop = asyncio.Event()
    trials = Trials(stop)
    trials.waited_seconds = monotonic_seconds()
    await supervisor._keep_guards(one.ledger, trials, stop)  # type: ignore[arg-type]
    return trials.waited_seconds


async def test_a_request_to_stop_ends_a_trial(tmp_path: Path) -> None:
    async with bench(tmp_path) as one, asyncio.timeout(1.5):
        assert await tried_after_seconds(one) >= supervisor.FIRST_LOOK_SECONDS


@pytest.mark.parametrize("running", [False, True])
async def test_where_work_waits_the_guards_are_tried_at_once(
    tmp_path: Path, *, running: bool
) -> None:
    async with bench(tmp_path, approval_mode=False) as one:
        target = await one.validated()
        if running:
            await one.executions.claim(target, one.terms("dead"))
        assert await tried_after_seconds(one) < supervisor.FIRST_LOOK_SECONDS


@pytest.mark.real  # thirty whole executions, twice
def test_the_guards_are_tried_by_hand_and_doctor_tells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, FakePlugin(subject=FakeSubject()))
    cli = Cli(tmp_path)
    cli.ok("mode", "execute")
    assert "not tried yet" in cli.ok("doctor", "--no-reach")
    found = cli.json("guards", "check")
    assert {one["alive"] for one in found} == {True}
    assert len(found) == len(CANARIES) + 1
    assert f"{len(found)} tried" in cli.ok("doctor", "--no-reach")
    monkeypatch.setattr(verdict, "_switch", lambda _: None)
    result = cli.invoke("guards", "check", "--json")
    assert result.exit_code == 1
    dead = {one["canary"] for one in json.loads(result.stdout) if not one["alive"]}
    assert dead == {"observe mode", "kill switch"}
    assert "kill switch" in cli.invoke("doctor", "--no-reach").stdout
    assert cli.json("mode")["mode"] == "observe"


async def stood(one: Bench) -> GuardKeeper:
    """Return a keeper whose trial is in the audit."""
    keeper = GuardKeeper(one.ledger, canaries=FEW)
    await keeper.check()
    return keeper


async def recalls(one: Bench) -> bool:
    keeper = GuardKeeper(one.ledger, canaries=FEW)
    await keeper.recall()
    return keeper.proven


async def test_the_same_code_on_the_same_boot_rests_on_a_trial_of_this_hour(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        assert not await recalls(one)  # there was none yet
        await stood(one)
        assert await recalls(one)
        before = GuardKeeper(one.ledger.told_by(ManualClock(START - timedelta(seconds=1))))
        await before.recall()
        assert not before.proven  # the time of day was set back behind it
        one.clock.advance(EVERY_SECONDS)
        assert not await recalls(one)


async def test_who_rests_on_an_earlier_trial_has_one_of_its_own_all_the_same(
    tmp_path: Path,
) -> None:
    async with bench(tmp_path, approval_mode=False) as one:
        await stood(one)
        await one.validated()
        keeper = GuardKeeper(one.ledger, canaries=FEW)
        await keeper.recall()
        await keeper.step()
        assert (await one.events()).count("guards_checked") == 2


async def test_other_code_has_to_stand_its_own_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bench(tmp_path) as one:
        await stood(one)
        monkeypatch.setattr(fingerprint, "of_this_process", lambda: "other code")
        assert not await recalls(one)
        await stood(one)
        assert await recalls(one)
        monkeypatch.setattr(fingerprint, "of_this_process", lambda: None)
        await stood(one)
        assert not await recalls(one)  # nobody knows what either was made of


async def test_nobody_rests_on_a_trial_that_found_a_dead_guard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bench(tmp_path) as one:
        await stood(one)
        with monkeypatch.context() as patch:
            patch.setattr(verdict, "_hold", lambda _: None)
            await stood(one)
        assert not await recalls(one)


async def test_a_trial_far_back_in_the_audit_is_not_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bench(tmp_path) as one:
        await stood(one)
        for _ in range(3):
            await one.control.set_mode(RunMode.EXECUTE, actor="somebody")
        monkeypatch.setattr(guards, "RECALLED_ROWS", 3)
        assert not await recalls(one)
        monkeypatch.setattr(guards, "RECALLED_ROWS", 4)
        assert await recalls(one)


async def test_a_running_agent_that_rests_on_a_trial_lets_what_waits_go_first(
    tmp_path: Path,
) -> None:
    async with bench(tmp_path, approval_mode=False) as one, asyncio.timeout(1.5):
        await one.validated()
        stop = asyncio.Event()
        trials = Trials(stop)
        trials.proven = True
        trials.waited_seconds = monotonic_seconds()
        await supervisor._keep_guards(one.ledger, trials, stop)  # type: ignore[arg-type]
        assert trials.waited_seconds >= supervisor.FIRST_LOOK_SECONDS
