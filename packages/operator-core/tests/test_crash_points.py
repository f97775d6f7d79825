"""Crash points, the trigger, the judge and the table, without processes."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from operator_core.actions.leases import EffectLease
from operator_core.actions.types import (
    ActionProposal,
    ActionStatus,
    Compensation,
    WorkflowProposal,
    WorkflowStatus,
)
from operator_core.db.statements import statements
from operator_core.errors import LedgerUnavailableError
from operator_core.testing.clock import START
from operator_core.testing.crash import written
from operator_core.testing.crash.campaign import Extent, cases, sample
from operator_core.testing.crash.judge import End, Tally, tally_of
from operator_core.testing.crash.points import (
    EFFECT,
    EVERYWHERE,
    OPERATIONS,
    STOPPED,
    Blow,
    CrashPoint,
    Fault,
    Side,
    World,
    blows,
    is_out_of_reach,
    points,
)
from operator_core.testing.crash.scenario import (
    COMPLETING,
    FAILING,
    FIRED,
    PROPOSED_LATER,
    RUN_LATER,
    SHUTTING,
    WORKFLOW_LATER,
    WORKFLOW_RUN_LATER,
    Want,
)
from operator_core.testing.crash.subject import LIFT
from operator_core.testing.crash.system import System
from operator_core.testing.crash.table import lines
from operator_core.testing.crash.trigger import Plan, Trigger, fired, under_way, unnamed

S = ActionStatus
BEFORE_EFFECT = CrashPoint(EFFECT, Side.BEFORE)


# --- what is run -------------------------------------------------------------------------


def test_every_transaction_that_is_a_crash_point_is_a_statement() -> None:
    own = {name for name in OPERATIONS if not name.startswith("subject.")}
    assert own <= set(statements("sqlite"))


def test_every_statement_that_writes_has_its_place() -> None:
    """A new one is in an operation, rides in one, or is named as somebody else's."""
    assert written.in_no_operation() == frozenset()
    lists = (written.reached(), written.OF_PEOPLE, written.OF_THE_POLICY, written.OF_CARE)
    assert set().union(*lists) <= written.writing()
    assert sum(map(len, lists)) == len(set().union(*lists))


@pytest.mark.parametrize("name", ["proposal.new", "effect.new", "record.new", "other.new"])
def test_a_new_statement_that_has_no_place_is_found(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = statements("sqlite")
    new = known | {name: "UPDATE action_proposals SET held = 1", "proposal.seen": "SELECT 1"}
    monkeypatch.setattr(written, "statements", lambda _: new)
    assert written.in_no_operation() == {name}


def test_every_fault_happens_at_every_point() -> None:
    every = list(blows())
    assert len(set(every)) == len(every) == len(OPERATIONS) * 2 * 3 + 1
    assert {(blow.point, blow.fault) for blow in every} >= {
        (point, fault) for point in points() for fault in EVERYWHERE
    }


def test_all_is_run_but_what_no_engine_can_do() -> None:
    planned = list(cases(Extent(seeds=range(2))))
    left_out = {(each, world) for each in blows() for world in World} - {
        (case.blow, case.world) for case in planned
    }
    assert left_out == {
        (Blow(BEFORE_EFFECT, Fault.STOP), World.LOOK),
        (Blow(BEFORE_EFFECT, Fault.LATE), World.LOOK),
        *(
            (Blow(CrashPoint(STOPPED, side), fault), World.BLIND)
            for side in Side
            for fault in EVERYWHERE
        ),
    }
    assert len(planned) == (len(list(blows())) * len(World) - len(left_out)) * 2 * 2


def test_the_sample_has_each_point_fault_world_and_number_of_processes() -> None:
    planned = sample()
    struck = [case.blow for case in planned if case.blow is not None]
    assert [blow.point for blow in struck] == list(points())
    assert {blow.fault for blow in struck} == set(EVERYWHERE)
    assert {(case.world, case.processes) for case in planned} == {
        (world, processes) for world in World for processes in (1, 3)
    }
    assert not any(is_out_of_reach(case.blow, case.world) for case in planned if case.blow)


# --- the trigger -------------------------------------------------------------------------


def plan(folder: Path, arrival: int) -> Plan:
    return Plan("proposal.claim", Side.AFTER, Fault.LOST, arrival, depth=0, folder=folder)


def test_the_blow_falls_once_at_its_arrival_over_all_processes(tmp_path: Path) -> None:
    one, other = Trigger(plan(tmp_path, 3)), Trigger(plan(tmp_path, 3))
    arrivals = [each.is_due("proposal.claim", Side.AFTER) for each in (one, other, one, other)]
    assert arrivals == [False, False, True, False]
    assert not one.is_due("proposal.claim", Side.BEFORE)
    assert under_way(tmp_path) == frozenset()
    one.under_way.add(("put", 30))
    with pytest.raises(TimeoutError):
        one.strike(TimeoutError)
    assert fired(tmp_path)
    assert under_way(tmp_path) == {("put", 30)}


def test_the_blow_falls_once_where_an_engine_runs_the_read_again_in_which_it_fell(
    tmp_path: Path,
) -> None:
    trigger = Trigger(Plan("proposal.claim", Side.AFTER, Fault.LOST, 1, 0, tmp_path))
    with pytest.raises(LedgerUnavailableError):
        trigger.strike(LedgerUnavailableError)
    trigger.strike(LedgerUnavailableError)
    assert under_way(tmp_path) == frozenset()


def test_a_transaction_without_a_crash_point_is_told(tmp_path: Path) -> None:
    Trigger(plan(tmp_path, 1)).tell_unnamed("proposal.new")
    assert unnamed(tmp_path) == {"proposal.new"}


# --- the system --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("world", "times", "answer"),
    [(World.KEYS, 1, "happened"), (World.LOOK, 2, "happened"), (World.BLIND, 2, "happened")],
)
def test_a_request_sent_again_happens_again_without_keys(
    world: World, times: int, answer: str
) -> None:
    system = System(world)
    assert [system.do(("put", 1), "a"), system.do(("put", 1), "a")] == ["done", "done"]
    assert system.done["put", 1] == times
    assert system.probe(("put", 1), "a", "") == answer


@pytest.mark.parametrize(
    ("world", "answer"),
    [(World.KEYS, "not_happened"), (World.LOOK, "not_happened"), (World.BLIND, "unknown")],
)
def test_what_a_probe_says_where_there_is_nothing(world: World, answer: str) -> None:
    assert System(world).probe(("put", 1), "a", "") == answer


def test_another_key_is_another_effect() -> None:
    system = System(World.KEYS)
    system.do(("put", 1), "a")
    system.do(("put", 1), "b")
    assert system.done["put", 1] == 2


def test_what_is_set_again_is_no_second_effect() -> None:
    system = System(World.BLIND)
    system.do(("set", 1), "a")
    system.do(("set", 1), "b")
    assert system.done["set", 1] == 1


def test_a_failure_has_no_effect_and_the_next_key_does() -> None:
    system = System(World.KEYS)
    answers = [system.do(("put", 1), key, "flaky") for key in ("a", "a", "b")]
    assert answers == ["failed", "failed", "done"]
    assert system.done["put", 1] == 1


# --- the judge ---------------------------------------------------------------------------


def stored(want: Want, number: int, status: ActionStatus = S.COMPLETED) -> ActionProposal:
    recommended = want.recommendation
    return ActionProposal(
        id=number,
        action_name=want.action,
        parameters=recommended.parameters,
        reason=recommended.reason,
        status=status,
    )


def good_end() -> End:
    """Return the end of a run in which all has gone well."""
    later = (*WORKFLOW_LATER, PROPOSED_LATER, *WORKFLOW_RUN_LATER, RUN_LATER)
    wants = (*COMPLETING, *FAILING, *SHUTTING, *later, FIRED)
    every = [stored(want, number) for number, want in enumerate(wants, 1)]
    every = [
        one.model_copy(update={"status": S.FAILED}) if want.trouble == "refuse" else one
        for one, want in zip(every, wants, strict=True)
    ]
    done = Counter((want.action, want.item) for want in wants if want.trouble != "refuse")
    done += Counter((LIFT, want.item) for want in SHUTTING)
    return End(World.KEYS, None, proposals=every, workflows=[], done=done)


def changed(end: End, number: int, **columns: object) -> End:
    return replace(
        end,
        proposals=[
            one.model_copy(update=columns) if one.id == number else one for one in end.proposals
        ],
    )


def faults(end: End) -> list[str]:
    return tally_of(end).faults


def test_nothing_is_wrong_with_a_good_end() -> None:
    count = len(good_end().proposals)
    assert tally_of(good_end()) == Tally(runs=1, once=count - 2, none=2, doubt=0, faults=[])


def test_an_effect_that_happened_twice_is_found() -> None:
    end = good_end()
    end.done["put", 30] += 1
    assert faults(end) == ["proposal 1 (put 30, completed) happened 2 times"]


@pytest.mark.parametrize("fault", list(Fault))
@pytest.mark.parametrize("world", list(World))
def test_only_what_a_stopped_process_was_asking_for_may_leave_late(
    world: World, fault: Fault
) -> None:
    """It had looked at its lease and not sent: others looked for the effect and found none."""
    blow = Blow(CrashPoint("proposal.claim", Side.AFTER), fault)
    end = replace(good_end(), world=world, blow=blow, fired=True)
    end.done["put", 30] += 1
    end.done["shut", 70] += 1
    out_of_reach = world is World.LOOK and fault is Fault.STOP
    assert len(faults(end)) == 3
    late = replace(end, under_way=frozenset({("put", 30), ("shut", 70)}))
    assert len(faults(late)) == (0 if out_of_reach else 3)


def test_an_effect_that_never_happened_is_found() -> None:
    end = good_end()
    del end.done["put", 30]
    assert faults(end) == ["proposal 1 (put 30, completed) never happened"]


def test_an_effect_that_surely_did_not_happen_and_did_is_found() -> None:
    (fault,) = faults(changed(good_end(), 1, status=S.CANCELLED))
    assert "the ledger says that it surely did not" in fault


@pytest.mark.parametrize("status", [S.PROPOSED, S.VALIDATED, S.EXECUTING])
def test_a_row_that_is_left_behind_is_found(status: ActionStatus) -> None:
    end = changed(good_end(), 1, status=status)
    del end.done["put", 30]
    assert faults(end) == [f"proposal 1 (put 30, {status.value}) is neither settled nor in doubt"]


@pytest.mark.parametrize("times", [0, 1])
def test_in_doubt_an_effect_may_have_happened_where_no_probe_can_tell(times: int) -> None:
    end = changed(good_end(), 1, status=S.EXECUTING, in_doubt=True)
    end.done["put", 30] = times
    (fault,) = faults(end)
    assert "is in doubt, where a probe tells the truth" in fault
    assert faults(replace(end, world=World.BLIND)) == []


def test_a_step_may_wait_for_one_in_doubt() -> None:
    end = changed(good_end(), 1, status=S.EXECUTING, in_doubt=True, workflow_id=1)
    end = changed(replace(end, world=World.BLIND), 2, status=S.VALIDATED, workflow_id=1)
    del end.done["put", 31]
    assert faults(end) == []


def test_a_retry_that_is_still_due_and_one_that_was_given_up_are_found() -> None:
    end = changed(good_end(), 1, status=S.FAILED)
    del end.done["put", 30]
    assert "was given up" in faults(end)[0]


def test_work_that_was_lost_or_doubled_is_found() -> None:
    end = good_end()
    end = replace(end, proposals=[*end.proposals[1:], end.proposals[-1]])
    assert faults(end) == [
        "put 30 was proposed 0 times",
        "put 11 was proposed 2 times",
    ]


def test_a_workflow_that_does_not_end_or_is_not_undone_is_found() -> None:
    undo = Compensation(action_name="take", parameters={"item": 30})
    end = changed(good_end(), 1, workflow_id=1, compensation=undo)
    for status, found in [
        (WorkflowStatus.IN_PROGRESS, "workflow 1 has not ended (in_progress)"),
        (WorkflowStatus.FAILED, "workflow 1 undoes [], not [1]"),
    ]:
        workflow = WorkflowProposal(id=1, name="w", description="w", status=status)
        assert found in faults(replace(end, workflows=[workflow]))


def lease(**columns: object) -> EffectLease:
    """Return the lease of the first thing that is shut, long over."""
    then = {"taken_at": START, "expires_at": START, "changed_at": START}
    words = {"id": 1, "subject": "system", "proposal_id": 9, "taken_by": "agent", "reason": ""}
    state = {"applied": True, "unsure": False, "kept": False, "undo": None}
    given = {"action_status": S.COMPLETED, "effect": "shut/70"} | columns
    return EffectLease(**then, **words, **state, **given)  # type: ignore[arg-type] # by their names


def test_an_effect_that_no_lease_covers_is_found() -> None:
    end = good_end()
    del end.done[LIFT, 70]
    (fault,) = faults(end)
    assert fault.endswith(
        "(shut 70, completed) was left behind: it is there, and no lease covers it"
    )


def test_a_lease_that_nothing_is_under_way_for_is_found() -> None:
    end = replace(good_end(), leases=[lease()])
    assert faults(end) == ["lease 1 (shut/70) is open, and nothing is under way for it"]


@pytest.mark.parametrize("doubt", [{"undo_status": S.EXECUTING}, {"action_status": S.EXECUTING}])
def test_an_effect_may_stay_while_it_or_its_undo_is_in_doubt(doubt: dict[str, object]) -> None:
    end = replace(good_end(), leases=[lease(**doubt)])
    del end.done[LIFT, 70]
    assert faults(end) == []


def test_what_surrounds_the_effects_is_judged_too() -> None:
    end = replace(
        good_end(),
        blow=Blow(BEFORE_EFFECT, Fault.KILL),
        unnamed=frozenset({"proposal.new"}),
        broken_audit={"seq": 7},
        trouble=["a process ended with 1: see log-0"],
    )
    assert faults(end) == [
        "a process ended with 1: see log-0",
        "the crash point was never reached",
        "no crash point stands for proposal.new",
        "the audit chain is broken: {'seq': 7}",
    ]


def test_the_table_has_a_line_for_each_blow_and_the_sum() -> None:
    blow = Blow(BEFORE_EFFECT, Fault.KILL)
    told = list(
        lines(
            {
                (blow, "sqlite"): Tally(2, 40, 6, 2, seeds=frozenset({1})),
                (blow, "postgres"): Tally(1, 20, seeds=frozenset({1, 2})),
            }
        )
    )
    assert [line.split() for line in told[2:4]] == [
        ["subject.effect", "before", "SIGKILL", "sqlite", "1", "2", "48", "40", "6", "2", "0"],
        ["subject.effect", "before", "SIGKILL", "postgres", "2", "1", "20", "20", "0", "0", "0"],
    ]
    assert told[-1].split() == ["all", "2", "3", "68", "60", "6", "2", "0"]
