"""What each action is bound to: every path leads somewhere, and what must be seen is a part."""

from datetime import timedelta

import pytest

from operator_core.actions.policy.binding import drift, facts_at, paths_of
from operator_core.actions.policy.request import HARMLESS_TAGS, tags_of, target_of
from operator_core.actions.policy.sight import blindness
from operator_core.actions.types import WHOLE_SUBJECT, ActionDefinition
from operator_core.monitor.types import Observation
from operator_tikv.actions.binding import BINDINGS
from operator_tikv.actions.table import DEFINITIONS
from operator_tikv.history import FROZEN_SECONDS, History
from operator_tikv.parts import answering_store_ids, is_minority
from operator_tikv.pd.types import Member
from operator_tikv.reads import PdState
from tikv_cases import CASES, Case, Stage, make_stage
from tikv_support import NOW

NEEDS_NOTHING = {"set_pd_log_level": "it changes only how much PD writes into its own log"}
RESTS_ON_NOTHING_SEEN = {
    "split_region": "a region is read by the action itself",
    "cancel_operator": "its argument names the operator that may be cancelled",
    "set_pd_server_config": "that section is read by the action itself",
    "set_service_middleware_config": "that section is read by the action itself",
    "set_store_limit_scene": "scenes are read by the action itself",
    "set_shuffle_region_roles": "the scheduler's payload is read by the action itself",
    "set_pd_log_level": "nothing on the cluster changes",
}
ABSENT_AT_FIRST = {
    "schedulers/states/{name}": "a scheduler that is to be added is not there",
    "gc/services/{service_id}/safe_point": "a service's safe point may be gone",
    "config/store_limits/{store_id}": "PD lists no limit of a store before it is set",
}
MOVES_BY_ITSELF = {"cancel_delete_store": ["stores/4/state_name"]}
"""A store on its way out is gone one day, and then it is too late to keep it."""

by_name = pytest.mark.parametrize("definition", DEFINITIONS, ids=lambda one: one.name)


@pytest.fixture(scope="module")
def stage() -> Stage:
    return make_stage()


async def looked(stage: Stage) -> Observation:
    return await stage.subject.observe()


def test_each_action_is_bound_and_nothing_else() -> None:
    assert [one.name for one in DEFINITIONS if one.name not in BINDINGS] == []
    assert BINDINGS.keys() == {one.name for one in DEFINITIONS}


@by_name
def test_an_action_names_its_target_and_what_must_be_seen(definition: ActionDefinition) -> None:
    harmless = not HARMLESS_TAGS.isdisjoint(tags_of(definition))
    assert definition.target_parameters
    told = bool(definition.needs_sources) or harmless
    assert told is (definition.name not in NEEDS_NOTHING)
    assert bool(definition.facts) is (definition.name not in RESTS_ON_NOTHING_SEEN)


@by_name
async def test_what_must_be_seen_is_seen_on_a_healthy_cluster(
    definition: ActionDefinition, stage: Stage
) -> None:
    seen = await looked(stage)
    assert set(definition.needs_sources) <= seen.parts.keys()
    assert blindness(definition, seen, seen.observed_at) == ()


@pytest.mark.parametrize("case", CASES, ids=lambda one: one.action)
async def test_facts_are_there_and_stand_still_while_nothing_happens(case: Case) -> None:
    definition = next(one for one in DEFINITIONS if one.name == case.action)
    stage = make_stage(case.stores)
    arguments = await case.made(stage)
    templates = dict(zip(paths_of(definition.facts, arguments), definition.facts, strict=True))
    before = facts_at(await looked(stage), templates)
    missing = {template for path, template in templates.items() if path not in before}
    assert missing <= ABSENT_AT_FIRST.keys()
    stage.cluster.advance(90)
    moved = [one.path for one in drift(before, facts_at(await looked(stage), templates))]
    assert moved == MOVES_BY_ITSELF.get(case.action, [])


def test_a_target_does_not_hang_on_how_much_is_asked_for() -> None:
    limit = next(one for one in DEFINITIONS if one.name == "set_store_limit")
    named = [target_of(limit.target_parameters, {"store_id": 2, "rate": rate}) for rate in (5, 50)]
    assert named == ["store_id=2", "store_id=2"]
    assert target_of(WHOLE_SUBJECT, {"rate": 5}) == "*"


# --- sources that do not agree ------------------------------------------------------------


async def test_pd_and_a_store_that_answers_contradict_each_other(stage: Stage) -> None:
    seen = await looked(stage)
    assert seen.data("cluster")["contradicted_store_ids"] == []
    assert answering_store_ids({"ages_seconds": {"1": 0.0, "2": 19.0, "3": 21.0}}) == [1, 2]
    assert answering_store_ids({}) == []


@pytest.mark.parametrize(
    ("health", "minority"),
    [
        ([True], False),
        ([None], False),
        ([False], True),
        ([True, True, False], False),
        ([True, False, False], True),
        ([True, False], True),
        ([True, True, False, False], True),
    ],
)
def test_at_most_half_of_the_members_is_a_minority(
    health: list[bool | None], minority: bool
) -> None:
    members = [
        Member(name=f"pd-{number}", member_id=number, health=one)
        for number, one in enumerate(health, start=1)
    ]
    assert is_minority(PdState(members, None)) is minority


def test_nobody_is_no_minority() -> None:
    assert is_minority(None) is False


def test_a_clock_that_stands_still_is_a_picture_of_long_ago() -> None:
    history = History().with_pd_clock(NOW, 100.0)
    assert not history.is_frozen(100.0 + FROZEN_SECONDS)
    assert history.with_pd_clock(NOW, 150.0).is_frozen(101.0 + FROZEN_SECONDS)
    moved = history.with_pd_clock(NOW + timedelta(seconds=10), 150.0)
    assert not moved.is_frozen(101.0 + FROZEN_SECONDS)
    assert not moved.with_pd_clock(None, 160.0).is_frozen(150.0 + FROZEN_SECONDS)
    assert not History().is_frozen(1e9)
