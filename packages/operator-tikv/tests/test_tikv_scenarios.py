"""Every scenario of `scenarios/`: the right tickets, the right causes, only allowed actions."""

from pathlib import Path

import pytest

import operator_tikv
from operator_core.monitor.tuning import BUILT_IN_RULES
from operator_core.types import JsonObject
from operator_lab.scenario import Expectation
from operator_tikv.actions.table import CHANGES
from operator_tikv.causes.failures import Guard, known_failures
from operator_tikv.hypotheses import HYPOTHESES
from operator_tikv.invariants import INVARIANTS
from operator_tikv.lab import Site
from operator_tikv.simulator.scenario import build, read_scenario
from tikv_scenarios import Outcome, Play, Told, files, play, read, tables, watch
from tikv_support import simulated_subject

FILES = {path.stem: path for path in files()}
HEAVY = {"11", "35", "38"}
"""Those that last for hours of cluster time."""

LIMIT = pytest.mark.timeout(240)
"""A crowded machine plays twenty times slower than a free one."""


def cases() -> list[object]:
    return [
        pytest.param(path, id=stem, marks=pytest.mark.slow if stem[:2] in HEAVY else ())
        for stem, path in FILES.items()
    ]


@LIMIT
@pytest.mark.parametrize("path", cases())
async def test_a_scenario_ends_as_it_should(path: Path) -> None:
    told = read(path)
    outcome = await play(told)
    _tickets_are_right(outcome, told.expect)
    names = [name for name, _ in outcome.performed]
    assert sorted(set(names)) == sorted(told.expect.actions)
    assert not set(names) & set(told.expect.never)
    assert outcome.got_through == []
    by_number = {one.number: one for one in known_failures()}
    if told.expect.number:
        never = by_number[told.expect.number].never
        refused = {one.action for one in never if one.refused_by is Guard.PREFLIGHT}
        assert outcome.asked_at_height == refused
    assert outcome.refused == []
    if told.expect.ends == "healthy":
        assert outcome.open_keys == set()
    elif told.expect.ends == "escalated":
        assert outcome.escalated
    else:
        assert outcome.opened == {}


def _tickets_are_right(outcome: Outcome, expect: Expectation) -> None:
    assert expect.tickets.keys() <= outcome.opened.keys()
    for key, causes in expect.tickets.items():
        assert _likeliest(outcome, key)[0] in causes, key
    kinds = {key.split(":")[0] for key in expect.tickets} | set(expect.also)
    assert {one.invariant for one in outcome.opened.values()} <= kinds


def _likeliest(outcome: Outcome, key: str) -> list[str]:
    diagnosis = outcome.diagnoses[key]
    return [diagnosis.hypothesis, *(one.hypothesis for one in diagnosis.alternatives)]


def test_there_is_one_scenario_for_each_of_the_38_failures() -> None:
    numbers = [read(path).expect.number for path in FILES.values()]
    assert sorted(number for number in numbers if number) == list(range(1, 39))


def test_the_files_are_installed_with_the_package() -> None:
    package = Path(operator_tikv.__file__).parent
    assert len(FILES) > 50
    assert all(package in path.parents for path in FILES.values())


def test_files_name_only_what_exists() -> None:
    rules = {rule.name for rule in INVARIANTS} | {*BUILT_IN_RULES}
    causes = {one.name for one in HYPOTHESES}
    for path in FILES.values():
        expect = read(path).expect
        assert {key.split(":")[0] for key in expect.tickets} | set(expect.also) <= rules
        assert {cause for found in expect.tickets.values() for cause in found} <= causes
        assert {*expect.actions, *expect.never} <= CHANGES.keys()
        assert not set(expect.actions) & set(expect.never)


def test_the_page_says_what_the_files_and_the_catalogue_say() -> None:
    page = Path(__file__).parents[3] / "docs" / "tikv-causes.md"
    assert page.read_text(encoding="utf-8").endswith(f"\n\n{tables()}"), (
        "Print tikv_scenarios.tables() into the page again"
    )


def test_each_failure_is_data_that_fits_its_scenario() -> None:
    told = {one.expect.number: one.expect for one in map(read, FILES.values())}
    causes = {one.name for one in HYPOTHESES}
    assert [one.number for one in known_failures()] == list(range(1, 39))
    for failure in known_failures():
        expect = told[failure.number]
        found = {cause for some in expect.tickets.values() for cause in some}
        assert set(failure.causes) <= found, failure.number
        assert bool(failure.causes) == bool(found)
        assert failure.told_apart.keys() <= causes - set(failure.causes)


def test_what_must_never_be_done_has_its_guard() -> None:
    told = {one.expect.number: one.expect for one in map(read, FILES.values())}
    for failure in known_failures():
        for never in failure.never:
            change = CHANGES.get(never.action)
            assert (change is None) is (never.refused_by is Guard.ABSENT), never
            if never.refused_by is Guard.PERSON:
                assert change is not None
                assert change.definition.requires_approval, never
            if never.refused_by is Guard.CATALOGUE:
                assert never.action in told[failure.number].never, never


def test_every_rule_has_a_cause() -> None:
    explained = {name for one in HYPOTHESES for name in one.explains}
    assert {rule.name for rule in INVARIANTS} <= explained


async def of(*faults: JsonObject, duration: str = "20m", look_seconds: float = 75.0) -> Outcome:
    scenario = read_scenario({"duration": duration, "faults": list(faults)})
    expect = Expectation(tickets={}, ends="escalated", look_seconds=look_seconds)
    return await play(Told(scenario, expect))


@LIMIT
@pytest.mark.parametrize(
    ("faults", "invariant"),
    [
        ([{"at": "1m", "fault": "evict_leader", "stores": [1, 2]}], "evict_leader_left_over"),
        (
            [
                {"at": "1m", "fault": "pause_scheduler", "scheduler": name}
                for name in ("balance-region-scheduler", "balance-hot-region-scheduler")
            ],
            "scheduler_paused",
        ),
        ([{"at": "1m", "fault": "stop", "stores": [1, 2]}], "store_disconnected"),
    ],
)
async def test_of_several_suspects_none_is_acted_on(
    faults: list[JsonObject], invariant: str
) -> None:
    outcome = await of(*faults)
    assert outcome.performed == []
    told = [key for key in outcome.escalated if key.startswith(invariant)]
    assert len(told) > 1


@LIMIT
async def test_two_faults_at_once_each_have_their_ticket_and_only_the_known_is_acted_on() -> None:
    outcome = await of(
        {"at": "1m", "fault": "evict_leader", "stores": [2]},
        {"at": "2m", "fault": "gc_block", "age": "30h"},
    )
    assert [name for name, _ in outcome.performed] == ["undrain_store"]
    assert outcome.diagnoses["gc_safe_point_stale:cluster"].hypothesis == "service_holds_gc"


@LIMIT
async def test_pd_without_a_leader_is_one_problem_and_its_parts_stay_unread() -> None:
    fault: JsonObject = {"at": "1m", "fault": "pd_stop", "members": ["pd-0", "pd-1"]}
    scenario = read_scenario({"duration": "3m", "faults": [fault]})
    cluster = build(scenario)
    subject = simulated_subject(cluster, Site(cluster))
    run = Play(cluster, subject)
    outcome = await run.run(scenario.duration, 30.0)
    observation = await subject.observe()
    await subject.close()
    kinds = {one.invariant for one in outcome.opened.values()}
    assert kinds == {"pd_no_leader", "pd_member_down"}
    unread = {name for name, part in observation.parts.items() if not part.complete}
    assert {"stores", "schedulers", "config", "regions"} <= unread
    assert set(observation.data("store_metrics")["readings"]["slow_score"]) == {"1", "2", "3", "4"}


@LIMIT
async def test_a_planned_removal_is_no_incident() -> None:
    outcome = await of({"at": "1m", "fault": "delete_store", "stores": [4]})
    assert (outcome.opened, outcome.performed) == ({}, [])


def planned_work() -> list[JsonObject]:
    """A scale-out, a rolling restart as tiup does it, a drain, and a scale-in."""
    work: list[JsonObject] = [{"at": "2h", "fault": "join"}]
    for store_id in (1, 2, 3, 4):
        start = 6 * 60 + 6 * store_id
        drain, restart = f"{start}m", f"{start + 1}m"
        undrained, up = f"{start + 2}m30s", f"{start + 1}m20s"
        work += [
            {"at": drain, "fault": "evict_leader", "stores": [store_id], "until": undrained},
            {"at": restart, "fault": "kill", "stores": [store_id], "until": up},
        ]
    alone: JsonObject = {"at": "9h", "fault": "evict_leader", "stores": [2], "until": "9h2m"}
    return [*work, alone, {"at": "12h", "fault": "delete_store", "stores": [4]}]


@LIMIT
async def test_a_day_of_planned_work_opens_no_ticket() -> None:
    scenario = read_scenario({"duration": "24h", "faults": planned_work()})
    outcome = await watch(scenario, look_seconds=30.0, still_seconds=300.0)
    assert (outcome.opened, outcome.performed) == ({}, [])


@pytest.mark.slow
@pytest.mark.timeout(3600)
async def test_a_quiet_week_opens_no_ticket() -> None:
    faults = [*planned_work()[:-1], {"at": "150h", "fault": "delete_store", "stores": [4]}]
    scenario = read_scenario({"duration": "168h", "faults": faults})
    outcome = await watch(scenario, look_seconds=30.0, still_seconds=30.0)
    assert (outcome.opened, outcome.performed) == ({}, [])
