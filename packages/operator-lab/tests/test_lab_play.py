"""Scenarios are played through the real loop, the same way each time."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lab_kit import ETCD, PATRONI, SHIPPED, SINGLE, shipped
from operator_core.errors import OperatorError
from operator_core.lab import Lab
from operator_core.subject import SubjectDefaults
from operator_lab.commands import chosen, list_them, to_play
from operator_lab.grade import grade
from operator_lab.jobs import Job, check, check_all, in_turn, jobs_of, run_job
from operator_lab.play import lab_for, play
from operator_lab.report import failures
from operator_lab.scenario import (
    Scenario,
    ScenarioError,
    find_scenarios,
    load_scenario,
    read_scenario,
)
from operator_lab.template import TEMPLATE
from operator_lab.witness import Witness

OPERATOR = [sys.executable, "-m", "operator_core.cli.main"]
LIMIT = pytest.mark.timeout(120)
"""A crowded machine plays twenty times slower than a free one."""

EVERY = 12
"""One in so many is played with every commit, the others with the slow tests."""


def files() -> list[object]:
    return [
        pytest.param(path, id=path.stem, marks=pytest.mark.slow if place % EVERY else ())
        for place, path in enumerate(find_scenarios([SHIPPED]))
    ]


def test_a_plugin_is_looked_for_once_whatever_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[str] = []

    def finding(scenario: Scenario) -> Lab:
        found.append(scenario.subject)
        return lab_for(scenario)

    monkeypatch.setattr("operator_lab.jobs.lab_for", finding)
    checked = list(check_all(chosen([], "hostile")))
    assert len(checked) > 3
    assert found == ["tikv"]


@LIMIT
@pytest.mark.parametrize("path", files())
async def test_no_shipped_scenario_ends_in_harm(path: Path) -> None:
    scenario = load_scenario(path)
    marks = grade(scenario, await play(scenario))
    assert (marks.harmful, marks.false_actions, marks.error) == ((), (), ""), failures([marks])


@LIMIT
def test_a_name_that_the_subject_does_not_have_is_told() -> None:
    expect = {
        "ends": "healthy",
        "tickets": {"store_down:store-1": ["store_lost", "store_lots"], "low_space:x": []},
        "also": ["low_spaces"],
        "actions": ["drain_store"],
        "never": ["delete_stores"],
    }
    assert check(read_scenario({"name": "x", "expect": expect})) == [
        "no cause 'store_lots', did you mean 'store_lost'?",
        "no rule 'low_spaces', did you mean 'low_space'?",
        "no action 'delete_stores', did you mean 'delete_store'?",
    ]


@LIMIT
@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"tickets": {"store_downn:store-1": []}}, "'store_downn', did you mean 'store_down'?"),
        ({"tickets": {"store_down:store-1": ["store_lots"]}}, "did you mean 'store_lost'?"),
        ({"actions": ["drain_stores"]}, "did you mean 'drain_store'?"),
        ({"ends": "refused", "refused": [{"action": "zap"}]}, "no action 'zap', known: "),
        (
            {"ends": "refused", "refused": [{"action": "delete_store", "parameters": {"id": 3}}]},
            "no such call of delete_store: no parameter 'id', known: ",
        ),
        (
            {"ends": "refused", "refused": [{"action": "delete_store"}]},
            "no such call of delete_store: it needs 'store_id'",
        ),
    ],
)
def test_a_name_without_which_nothing_can_be_right_is_refused(
    wrong: dict[str, object], told: str
) -> None:
    table = {"name": "x", "expect": {"ends": "healthy", **wrong}}
    with pytest.raises(ScenarioError, match=re.escape(told)) as refusal:
        check(read_scenario(table, "mine.toml"))
    assert str(refusal.value).startswith("mine.toml: expect: ")


TIKV: dict[str, object] = {"subject": "tikv", "cluster": {"stores": 4}}
MISSPELT: dict[str, tuple[dict[str, object], str, str]] = {
    "a store": (TIKV, "store_down:stoer-2", "'stoer-2', did you mean 'store-2'?"),
    "a store without a number": (TIKV, "store_down:store-", "did you mean 'store-"),
    "a store that there is not": (TIKV, "store_down:store-7", "did you mean 'store-"),
    "a server of PD": (TIKV, "pd_member_down:pd-0", "'pd-0', did you mean 'pd-pd-0'?"),
    "the cluster": (TIKV, "low_space:clutser", "did you mean 'cluster'?"),
    "a scheduler": (
        TIKV,
        "scheduler_paused:balance-leader",
        "did you mean 'balance-leader-scheduler'?",
    ),
    "an item that a fault names": (
        {
            **TIKV,
            "faults": [
                {"at": 1, "fault": "config", "item": "merge-schedule-limit", "value": 0},
            ],
        },
        "schedule_limit_zero:merge-shedule-limit",
        "did you mean 'merge-schedule-limit'?",
    ),
}


@LIMIT
@pytest.mark.parametrize("what", MISSPELT)
def test_a_target_that_is_none_and_looks_like_one_is_refused(what: str) -> None:
    table, key, told = MISSPELT[what]
    expect = {"ends": "escalated", "tickets": {key: []}}
    with pytest.raises(ScenarioError, match=re.escape(told)) as refusal:
        check(read_scenario({"name": "x", **table, "expect": expect}, "mine.toml"))
    assert str(refusal.value).startswith("mine.toml: expect: there is no target ")


@LIMIT
@pytest.mark.parametrize(
    ("fault", "key"),
    [
        ({"fault": "join"}, "store_fills_slowly:store-245"),
        ({"fault": "evict_leader", "stores": [1]}, "eviction_stalled:evict-leader-scheduler"),
        ({"fault": "evict_leader", "stores": [1]}, "store_down:store-4"),
        ({"fault": "pause_scheduler"}, "scheduler_paused:balance-leader-scheduler"),
        ({"fault": "pause_checker"}, "checker_paused:rule"),
    ],
)
def test_a_target_that_may_be_is_taken(fault: dict[str, object], key: str) -> None:
    expect = {"ends": "escalated", "tickets": {key: []}}
    check(read_scenario({"name": "x", "faults": [{"at": 1, **fault}], "expect": expect}))


@LIMIT
@pytest.mark.parametrize("ends", ["healthy", "escalated"])
def test_an_end_of_no_problem_is_refused(ends: str) -> None:
    with pytest.raises(ScenarioError, match="none is named: name in"):
        check(read_scenario({"name": "x", "expect": {"ends": ends}}))
    check(read_scenario({"name": "x", "expect": {"ends": ends, "also": ["low_space"]}}))


@LIMIT
@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"sets": "x"}, "sets: is no key here; known: cluster"),
        ({"sets": "x"}, "or did you mean 'set' by 'sets'?"),
        ({"cluster": 7}, "cluster: must be a table, such as [cluster]"),
        ({"cluster": {"config": 1}}, "cluster.config: must be a table"),
        ({"name": 7}, "name: must be text in quotes"),
        ({"seeds": 7}, "seeds: must be a list"),
    ],
)
def test_what_a_value_must_be_is_told_as_toml_has_it(wrong: dict[str, object], told: str) -> None:
    with pytest.raises(ScenarioError, match=re.escape(told)):
        check(read_scenario({"name": "x", "expect": {"ends": "quiet"}, **wrong}))


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"ends": "quiet", "tickets": {"a:b": []}}, "means no ticket"),
        ({"ends": "unseen", "actions": ["a"]}, "means no action"),
        ({"ends": "refused"}, "needs an action in [[expect.refused]]"),
        ({"ends": "healthy", "actions": ["a"], "never": ["a"]}, "in actions and in never"),
        ({"end": "healthy"}, "expect.end: is no key here; did you mean 'ends'?"),
        ({"ends": "healthy", "look_seconds": "1 lightyear"}, "is no duration"),
        ({"ends": "healthy", "approves_after": True}, "is no duration"),
        ({"ends": "healthy", "actions": "a"}, "expect.actions: must be a list, such as"),
        ({"ends": "healthy", "tickets": {"store_down": []}}, "store_down: a ticket is named by"),
        ({"ends": "healthy", "tickets": {"store_down:": []}}, "by its rule and its target"),
        ({"ends": "healthy", "settles": {"a:b": []}}, "settles: a:b: name the causes"),
        ({"ends": "healthy", "settles": {"a:b": ["c"]}}, "settles: a:b: name it in tickets too"),
    ],
)
def test_an_expectation_that_cannot_be_is_refused(wrong: dict[str, object], told: str) -> None:
    with pytest.raises(ScenarioError, match=re.escape(told)):
        read_scenario({"name": "x", "expect": wrong})


def test_a_file_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(TEMPLATE, encoding="utf-8-sig")
    assert load_scenario(path).set == "mine"


@LIMIT
def test_a_scenario_in_which_nothing_would_happen_is_refused() -> None:
    fault = {"at": "1h", "fault": "stop", "stores": [1]}
    table = {"name": "x", "duration": "1h", "faults": [fault], "expect": {"ends": "quiet"}}
    with pytest.raises(ScenarioError, match="after its end"):
        check(read_scenario(table))
    with pytest.raises(ScenarioError, match="duration"):
        read_scenario({**table, "duration": 0})


def test_the_longest_play_begins_first() -> None:
    expect = {"ends": "quiet", "look_seconds": 30}
    often = {"ends": "quiet", "look_seconds": 1}
    tables = [("10m", expect), ("1h", expect), ("5m", often), ("1h", expect)]
    plays = [read_scenario({"name": "x", "duration": of, "expect": one}) for of, one in tables]
    assert in_turn(jobs_of(plays, 1)) == [2, 1, 3, 0]


@LIMIT
async def test_the_same_seed_gives_the_same_play() -> None:
    scenario = load_scenario(SINGLE / "10-a-cancelled-delete-leaves-remove-peer-unlimited.toml")
    first, second, other = [await play(scenario, seed) for seed in (3, 3, 4)]
    assert first == second
    assert first.deeds
    assert other.seed == 4


@LIMIT
async def test_a_proof_begins_with_the_moment_of_the_action() -> None:
    scenario = load_scenario(SINGLE / "10-a-cancelled-delete-leaves-remove-peer-unlimited.toml")
    marks, expect = grade(scenario, await play(scenario)), scenario.expect
    # A setting put right as rehearsed soaks for half the time, and looks come at a third of the
    # usual pause: two of them are the first that outlast it.
    pause_seconds = expect.look_seconds / 3
    soak_seconds = 2 * pause_seconds
    assert soak_seconds >= expect.soak_seconds / 2 > pause_seconds
    assert marks.own_seconds == expect.approves_after + soak_seconds


@LIMIT
async def test_a_remedy_goes_through_the_gate_with_a_persons_word() -> None:
    scenario = load_scenario(SINGLE / "06-leaders-do-not-come-back-after-a-restart.toml")
    played = await play(scenario)
    proposal, (deed,) = played.proposals[0], played.deeds
    assert (proposal.action, proposal.status) == ("undrain_store", "completed")
    assert proposal.approved is not None
    assert proposal.proposed < proposal.approved <= deed.began
    assert played.tickets[0].verified


@LIMIT
async def test_a_ticket_is_opened_when_the_grace_of_its_rule_is_over() -> None:
    scenario = load_scenario(SINGLE / "06-leaders-do-not-come-back-after-a-restart.toml")
    (ticket,) = (await play(scenario)).tickets
    assert ticket.rule == "evict_leader_left_over"
    assert ticket.opened >= ticket.first_seen + 180
    assert ticket.diagnosed == ticket.opened


@LIMIT
async def test_without_a_person_nothing_is_done() -> None:
    scenario = load_scenario(SINGLE / "06-leaders-do-not-come-back-after-a-restart.toml")
    alone = scenario.expect.model_copy(update={"approver": "nobody"})
    played = await play(scenario.model_copy(update={"expect": alone}))
    assert played.deeds == ()
    assert grade(scenario, played).remedy is False


@LIMIT
async def test_what_was_called_off_before_its_answer_does_not_hold_up_the_play() -> None:
    eviction = {"at": "1m", "fault": "evict_leader", "stores": [2], "until": "3m"}
    expect = {
        "ends": "healthy",
        "approves_after": "4m",
        "grace_seconds": {"evict_leader_left_over": 30},
        "tickets": {"evict_leader_left_over:store-2": ["interrupted_maintenance"]},
    }
    scenario = read_scenario(
        {"name": "x", "duration": "8m", "faults": [eviction], "expect": expect}
    )
    marks = grade(scenario, await play(scenario))
    assert (marks.detected, marks.harmful, marks.error) == (True, (), "")


def test_a_lab_that_breaks_is_told_from_a_wrong_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("operator_lab.play.lab_of", lambda _plugin: None)
    broken = read_scenario({"name": "x", "expect": {"ends": "quiet"}})
    result = run_job(Job(broken, None))
    assert "has no lab" in result.marks.error
    assert not result.marks.harmful


def test_the_witness_hides_nothing_of_a_subject() -> None:
    public = {name for name in vars(SubjectDefaults) if not name.startswith("_")}
    assert public - {"name"} <= vars(Witness).keys()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("name = 3", "name"),
        ("name = 'x'\n[expect]\nends = 'well'", "expect.ends"),
        ("name = 'x'", "expect"),
        ("name = 'x'\nduration = 'soon'\n[expect]\nends = 'quiet'", "duration"),
        ("name = 'x'\n[expect]\nends = 'quiet'\nhoping = 1", "expect.hoping"),
        ("name = ", "Invalid value"),
        ("name = 'x'\n[[faults]]\nat = '1m'\nfault = 'sneeze'\n[expect]\nends = 'quiet'", "sneeze"),
        ("name = 'x'\n[cluster]\nstores = -1\n[expect]\nends = 'quiet'", "stores"),
        ("name = 'x'\nsubject = 'mars'\n[expect]\nends = 'quiet'", "mars"),
    ],
)
def test_a_faulty_file_is_refused_with_its_place(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "faulty.toml"
    path.write_text(text)
    with pytest.raises(OperatorError, match=re.escape(told)) as refusal:
        check(chosen([str(path)], "")[0])
    assert str(path) in str(refusal.value)


def test_there_must_be_a_scenario(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="no scenario"):
        find_scenarios([tmp_path])
    with pytest.raises(ScenarioError, match="no scenario"):
        find_scenarios([tmp_path / "missing.toml"])


async def test_without_files_all_that_are_installed_are_meant() -> None:
    every = await list_them({"set": "", "subject": ""})
    assert len(every.rows) == len(find_scenarios([SINGLE, ETCD, PATRONI, SHIPPED]))
    hostile = await list_them({"set": "hostile", "subject": ""})
    assert {row[0] for row in hostile.rows} == {"hostile"}
    with pytest.raises(ScenarioError, match="subjects are etcd, patroni, tikv"):
        await list_them({"set": "kind", "subject": ""})


@pytest.mark.parametrize(
    ("named", "subjects"),
    [
        ({}, {"tikv"}),
        ({"subject": "etcd"}, {"etcd"}),
        ({"set": "real-etcd"}, {"etcd"}),
        ({"set": "real-patroni"}, {"patroni"}),
        ({"files": [str(ETCD), str(SINGLE)]}, {"etcd", "tikv"}),
    ],
)
def test_what_plays_in_real_time_is_played_only_where_it_is_named(
    named: dict[str, object], subjects: set[str]
) -> None:
    found = to_play({"set": "", "subject": "", **named})
    assert {one.subject for one in found} == subjects


def test_at_least_a_fifth_of_the_scenarios_are_quiet() -> None:
    found = shipped()
    assert 5 * sum(one.expect.is_control for one in found) >= len(found)


def test_what_lab_new_writes_can_be_played(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(TEMPLATE)
    check(load_scenario(path))


@pytest.mark.real
@LIMIT
def test_a_new_scenario_is_written_and_played_as_a_person_does(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    subprocess.run([*OPERATOR, "lab", "new", str(path)], check=True, timeout=60)
    again = subprocess.run(
        [*OPERATOR, "lab", "new", str(path)], capture_output=True, check=False, timeout=60
    )
    assert again.returncode == 2
    assert path.read_text() == TEMPLATE
    page = tmp_path / "page.md"
    page.write_text("<!-- judgement: begin; written by `operator lab run --docs` -->\n")
    run = [*OPERATOR, "lab", "run", str(path), "--json"]
    done = subprocess.run(run, capture_output=True, text=True, check=True, timeout=100)
    data = json.loads(done.stdout)
    assert (data["good"], data["failures"], len(data["plays"])) == (True, [], 1)
    bad = subprocess.run(
        [*run, "--docs", str(page)], capture_output=True, text=True, check=False, timeout=100
    )
    assert bad.returncode == 2
    assert "no place" in bad.stderr
