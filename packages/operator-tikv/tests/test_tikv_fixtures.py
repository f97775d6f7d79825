"""Answers captured from real clusters of many releases are all understood."""

import pytest

from operator_tikv import facts
from operator_tikv.pd.parse import fit
from operator_tikv.pd.types import (
    Members,
    RegionInfo,
    ReplicateConfig,
    ScheduleConfig,
    StoreInfo,
    Stores,
)
from tikv_support import FIXTURES, fixture

GIB = 1024**3


def test_every_fixture_tells_where_it_comes_from() -> None:
    told = {entry["file"] for entry in fixture("SOURCES.json")}
    assert told == {path.name for path in FIXTURES.glob("fx_*.json")}


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("fx_stores_two_dead_v1.1.json", 2),
        ("fx_stores_v3.0.0-beta.json", 1),
        ("fx_stores_v4.0.14.json", 3),
    ],
)
def test_lists_of_stores_of_old_releases_are_understood(name: str, count: int) -> None:
    stores = fit(Stores, fixture(name), "GET /stores").stores
    assert len(stores) == count
    assert facts.stores_facts(stores, facts.pd_time(stores, None))


def test_stores_that_were_never_heard_of_have_no_figures() -> None:
    stores = fit(Stores, fixture("fx_stores_two_dead_v1.1.json"), "GET /stores").stores
    data = facts.stores_facts(stores, None)
    assert data["2"]["state_name"] == "Down"
    assert data["2"]["capacity_bytes"] is None
    assert data["2"]["last_heartbeat_age_seconds"] is None
    assert data["7"]["state_name"] == "Offline"


def test_the_old_size_with_a_blank_is_understood() -> None:
    store = fit(Stores, fixture("fx_stores_v3.0.0-beta.json"), "GET /stores").stores[0]
    assert store.status.capacity == 20 * GIB
    assert facts.store_facts(store, None)["available_share"] == pytest.approx(0.8)


def test_a_large_labelled_store_is_understood() -> None:
    name = "fx_store_4.0.10_large_labelled.json"
    store = fit(StoreInfo, fixture(name), "GET /store/41120877")
    assert store.labels == {"host": "rack2-n19"}
    assert store.status.leader_count == 30877
    assert store.last_heartbeat is not None


def test_an_offline_store_is_going_away_and_still_leads() -> None:
    store = fit(StoreInfo, fixture("fx_store_offline_draining_v5.1.json"), "GET /store/2204417")
    data = facts.store_facts(store, store.last_heartbeat)
    assert (data["state"], data["leader_count"], data["is_healthy"]) == (1, 1023, False)


def test_a_region_with_a_down_peer_and_a_learner_is_understood() -> None:
    name = "fx_region_2voters_1down_1learner_v6.5.json"
    region = fit(RegionInfo, fixture(name), "GET /region/id/66012044")
    assert [peer.store_id for peer in region.voters] == [1, 4, 5]
    assert region.leader_store_id == 1
    assert region.unhealthy_store_ids >= {4}
    learner = region.peer_on(3100204)
    assert learner is not None
    assert not learner.is_voter


def test_ids_of_members_beyond_the_precision_of_a_float_are_kept() -> None:
    members = fit(Members, fixture("fx_members_v4.0.14.json"), "GET /members")
    health = fit(Members, {"members": fixture("fx_health_v4.0.14.json")}, "GET /health").members
    assert 2939568762143497195 in {member.member_id for member in members.members}
    assert {m.member_id for m in members.members} == {m.member_id for m in health}
    assert facts.pd_facts(health, members.leader)["healthy_member_count"] == 3


def test_the_configuration_with_its_texts_for_numbers_is_understood() -> None:
    whole = fixture("fx_config_v4.0.14.json")
    schedule = fit(ScheduleConfig, whole["schedule"], "GET /config/schedule")
    replicate = fit(
        ReplicateConfig, fixture("fx_config_replicate_v8.5.json"), "GET /config/replicate"
    )
    assert schedule.max_store_down_seconds == 1800
    assert schedule.leader_schedule_limit == 4
    assert (replicate.max_replicas, replicate.enable_placement_rules) == (3, True)
