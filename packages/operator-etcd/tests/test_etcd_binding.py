"""What each action is bound to: every path leads somewhere, and what must be seen is a part."""

from dataclasses import replace

import pytest

from etcd_samples import IDS, failure, healthy_survey, look, status, survey_of
from operator_core.actions.policy.binding import drift, facts_at, paths_of
from operator_core.actions.policy.sight import blindness
from operator_core.actions.types import ActionDefinition
from operator_core.monitor.types import Observation
from operator_etcd.definitions import DEFINITIONS, RESTART_MEMBER

ARGUMENTS: dict[str, object] = {
    "target_member_id": "22",
    "member_id": "22",
    "member_name": "n2",
    "alarm": "NOSPACE",
    "peer_url": "http://10.0.0.4:2380",
    "revision": 5,
}
HEALTHY = look(healthy_survey())
ONE_DOWN = look(survey_of(status("11"), status("22"), failures={"33": failure("33")}))
MINORITY = look(survey_of(status("11", leader="0"), failures={i: failure(i) for i in IDS[1:]}))
TWO_LEADERS = look(
    survey_of(status("11", leader="11"), status("22", leader="22"), status("33", leader="22"))
)

by_name = pytest.mark.parametrize("definition", DEFINITIONS, ids=lambda one: one.name)


def facts_of(definition: ActionDefinition, seen: Observation) -> dict[str, object]:
    return facts_at(seen, paths_of(definition.facts, ARGUMENTS))


@by_name
def test_an_action_names_its_target_its_facts_and_what_must_be_seen(
    definition: ActionDefinition,
) -> None:
    assert definition.target_parameters
    assert definition.needs_sources
    assert set(definition.needs_sources) <= HEALTHY.parts.keys()
    assert len(facts_of(definition, HEALTHY)) == len(definition.facts) > 0


@by_name
def test_a_healthy_cluster_is_seen_well_enough(definition: ActionDefinition) -> None:
    assert blindness(definition, HEALTHY, HEALTHY.observed_at) == ()
    assert blindness(definition, ONE_DOWN, ONE_DOWN.observed_at) == ()


@by_name
@pytest.mark.parametrize("seen", [MINORITY, TWO_LEADERS], ids=["minority", "two leaders"])
def test_a_minority_or_two_leaders_bind_nobody(
    definition: ActionDefinition, seen: Observation
) -> None:
    blind = blindness(definition, seen, seen.observed_at)
    assert bool(blind) is (definition is not RESTART_MEMBER), blind
    if blind:
        assert "contradicted by another source, or told by a minority" in blind[0]


def test_two_leaders_of_different_terms_are_an_election_that_was_missed() -> None:
    seen = healthy_survey()
    behind = seen.statuses["33"].model_copy(update={"leader": "33", "raft_term": 1})
    late = look(replace(seen, statuses={**seen.statuses, "33": behind}))
    assert late.parts["cluster"].agrees


@by_name
def test_a_member_that_goes_voids_what_takes_another_one_away(
    definition: ActionDefinition,
) -> None:
    found = drift(facts_of(definition, HEALTHY), facts_of(definition, ONE_DOWN))
    unmoved = {"move_leader", "compact", "disarm_alarm"}
    told = [one.path for one in found]
    assert told == ([] if definition.name in unmoved else ["cluster/unreachable"])
