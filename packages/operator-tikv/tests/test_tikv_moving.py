"""Rules about replicas and load on the move, and what only several looks show of them."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from operator_core.types import JsonObject
from operator_tikv import facts_config
from operator_tikv.facts_moving import hot_facts, operator_facts
from operator_tikv.history import History, filling_facts, lagging_facts, misplaced_facts
from operator_tikv.metrics.exposition import labels_of, samples_of
from operator_tikv.pd.errors import PdAnswerError
from operator_tikv.pd.operators import read_operator
from operator_tikv.pd.parse import fit
from operator_tikv.pd.types import Regions
from operator_tikv.watched import HotRegions, WatchedReplicate, WatchedSchedule
from tikv_pictures import (
    DOWN,
    LOW_LIMIT,
    NEW,
    OFFLINE,
    TORN,
    broken,
    config,
    flows,
    hot,
    metrics,
    with_fourth,
)
from tikv_support import make_observation, make_region, make_store


@pytest.mark.parametrize(
    "changes",
    [
        {"seconds": 899.0},
        {"score_share": 0.5},
        {"missing_regions": 9.0},
        {"gained_per_minute": 1.0},
    ],
)
def test_a_store_that_is_young_or_gains_or_is_nearly_full_fills_fast_enough(
    changes: JsonObject,
) -> None:
    parts = {"filling": {"4": {**NEW, **changes}}}
    assert broken(make_observation(with_fourth(), parts=parts), "store_fills_slowly") == []


def test_a_store_id_that_is_no_number_limits_nothing() -> None:
    odd = {"store-limit": {"²": {"add-peer": 1, "remove-peer": 1e8}}}
    assert config(**odd)["config"]["unlimited_remove_store_ids"] == []


def test_low_limits_hold_nothing_up_while_nothing_is_to_be_moved() -> None:
    assert (
        broken(make_observation(with_fourth(), parts=config(**LOW_LIMIT)), "store_limit_low") == []
    )
    usual = {"store-limit": {"1": {"add-peer": 5, "remove-peer": 15}}}
    leaving_one = make_observation(with_fourth(**OFFLINE), parts=config(**usual))
    assert broken(leaving_one, "store_limit_low") == []


def test_replicas_that_lag_on_a_silent_store_are_that_stores_matter() -> None:
    lagging = {"lagging": {"4": {"seconds": [2000.0] * 5}}}
    silent = make_observation(with_fourth(**DOWN), parts=lagging)
    assert broken(silent, "pending_peers_stuck") == []
    few = {"lagging": {"4": {"seconds": [2000.0, 2000.0, 899.0]}}}
    assert broken(make_observation(with_fourth(), parts=few), "pending_peers_stuck") == []


@pytest.mark.parametrize("load", [hot(write=31.9, read=127.0), flows(store_1=99.0), flows()])
def test_a_little_heat_is_normal(load: dict[str, JsonObject]) -> None:
    observation = make_observation(parts=load)
    assert [one for rule in ("hot_region", "hot_store") for one in broken(observation, rule)] == []


def test_without_location_labels_no_isolation_is_lost() -> None:
    torn = metrics("pd_metrics", regions_by_isolation=TORN)
    assert broken(make_observation(parts=torn), "isolation_lost") == []


@pytest.mark.parametrize(
    ("replicas", "zones", "is_told"),
    [(5, "abcabca", False), (3, "abababa", True), (3, "aaaa", True), (3, "abcabc", True)],
)
def test_more_replicas_than_places_are_well_where_the_loss_of_a_place_is_borne(
    replicas: int, zones: str, *, is_told: bool
) -> None:
    stores = [
        make_store(number, meta_labels=[{"key": "zone", "value": zone}])
        for number, zone in enumerate(zones, 1)
    ]
    replicate = WatchedReplicate.model_validate(
        {"location-labels": "zone", "max-replicas": replicas}
    )
    parts = {
        "config": facts_config.config_facts(WatchedSchedule(), replicate),
        **metrics("pd_metrics", regions_by_isolation=TORN),
    }
    assert bool(broken(make_observation(stores, parts=parts), "isolation_lost")) is is_told


@pytest.mark.parametrize(
    ("operators", "seconds", "unchanged", "is_told"),
    [
        (3, 3000.0, 120.0, False),
        (0, 3000.0, 120.0, True),
        (3, 3000.0, 900.0, True),
        (3, 14400.0, 120.0, True),
    ],
)
def test_regions_that_pd_moves_apart_are_no_incident_for_a_while(
    operators: int, seconds: float, unchanged: float, *, is_told: bool
) -> None:
    memory = {"regions": 30.0, "seconds": seconds, "unchanged_seconds": unchanged}
    made = metrics("pd_metrics", regions_by_isolation=TORN)
    parts: dict[str, JsonObject] = {
        "config": {"location_labels": "zone"},
        "operators": {"count": operators, "list": []},
        "pd_metrics": {**made["pd_metrics"], "misplaced": memory},
    }
    assert bool(broken(make_observation(parts=parts), "isolation_lost")) is is_told


def test_it_is_remembered_since_when_regions_are_misplaced_and_when_they_became_fewer() -> None:
    history = History().with_misplaced(40, 0).with_misplaced(50, 60).with_misplaced(45, 120)
    told = misplaced_facts(history, 200)
    assert told == {"regions": 45, "seconds": 200, "unchanged_seconds": 80}
    assert misplaced_facts(history.with_misplaced(0, 210), 220) == {}


@pytest.mark.parametrize(
    ("regions", "free", "is_told"),
    [(14, "60GiB", False), (15, "60GiB", True), (6, "60GiB", False), (6, "10GiB", True)],
)
def test_a_small_store_leads_no_more_than_it_holds_but_a_full_one_did(
    regions: int, free: str, *, is_told: bool
) -> None:
    stores = with_fourth(leader_count=2, region_count=regions, available=free)
    assert bool(broken(make_observation(stores), "leader_imbalance")) is is_told


def test_leaders_are_kept_off_a_store_that_was_slow_for_a_while() -> None:
    stores = with_fourth(leader_count=0)
    for kept, is_told in ((1.0, False), (0.0, True)):
        off = metrics("pd_metrics", slow_evicted_by_store={"pd-0": {"4": kept}})
        assert bool(broken(make_observation(stores, parts=off), "leader_imbalance")) is is_told


@pytest.mark.parametrize(
    ("seconds", "gained", "is_told"),
    [(400.0, 15.0, False), (180.0, 0.5, True), (179.0, 0.0, False)],
)
def test_leaders_are_uneven_while_a_new_store_is_filled(
    seconds: float, gained: float, *, is_told: bool
) -> None:
    stores = with_fourth(leader_count=2, region_count=60)
    filling = {"filling": {"4": {"seconds": seconds, "gained_per_minute": gained}}}
    assert bool(broken(make_observation(stores, parts=filling), "leader_imbalance")) is is_told


def test_a_new_store_is_watched_until_it_is_about_as_full_as_the_others() -> None:
    old = [make_store(number, region_score=100) for number in (1, 2, 3)]
    new = make_store(4, region_count=5, region_score=10)
    filled = make_store(4, region_count=58, region_score=95)
    first = History().with_stores(old, 0)
    assert History().with_stores([*old, new], 0).filling == {}
    began = first.with_stores([*old, new], 60)
    later = began.with_stores([*old, make_store(4, region_count=15, region_score=20)], 660)
    facts_of = filling_facts(later, [*old, make_store(4, region_count=15, region_score=20)], 660)
    assert facts_of["4"] == {
        "seconds": 600.0,
        "region_count": 15,
        "gained_per_minute": 1.0,
        "score_share": 0.2,
        "missing_regions": 45.0,
    }
    assert later.with_stores([*old, filled], 700).filling == {}


def _in_rack(name: str) -> list[dict[str, str]]:
    return [{"key": "rack", "value": name}]


RACKED = [
    make_store(number, region_score=score, region_count=score, meta_labels=_in_rack(rack))
    for number, rack, score in ((1, "r1", 30), (2, "r2", 90), (3, "r3", 90))
]
"""Of three racks with a replica of each region, the first shares its own among several stores."""


@pytest.mark.parametrize(
    ("rack", "regions", "share", "missing"),
    [("r1", 30, 1.0, 0.0), ("r1", 3, 0.1, 27.0), ("r4", 30, 0.4286, 40.0)],
)
def test_a_new_store_is_compared_with_the_others_of_its_rack(
    rack: str, regions: int, share: float, missing: float
) -> None:
    new = make_store(4, region_score=regions, region_count=regions, meta_labels=_in_rack(rack))
    history = History().with_stores(RACKED, 0).with_stores([*RACKED, new], 60)
    found = filling_facts(history, [*RACKED, new], 60, ["rack"])["4"]
    assert (found["score_share"], found["missing_regions"]) == (share, missing)


def test_a_store_that_pd_is_preparing_is_new_also_at_the_first_look() -> None:
    old = [make_store(number, region_score=100, meta_node_state=1) for number in (1, 2, 3)]
    new = make_store(4, region_count=5, region_score=10)
    assert set(History().with_stores([*old, new], 0).filling) == {4}


def test_a_replica_lags_from_when_it_was_first_seen_until_it_caught_up() -> None:
    lags = make_region(7, [1, 2, 3], 1, pending_peers=[{"id": 1003, "store_id": 3}])
    down = {"peer": {"id": 1003, "store_id": 3}, "down_seconds": 700}
    lost = make_region(
        8, [1, 2, 3], 1, pending_peers=[{"id": 1003, "store_id": 3}], down_peers=[down]
    )
    history = History().with_lagging(Regions(count=2, regions=[lags, lost]), 0)
    history = history.with_lagging(Regions(count=1, regions=[lags]), 50)
    assert lagging_facts(history, 90) == {"3": {"seconds": [90.0], "region_ids": [7]}}
    assert lagging_facts(history.with_lagging(Regions(), 100), 100) == {}


def test_the_oldest_operators_are_listed_first_with_where_they_make_a_replica() -> None:
    text = (
        "balance-region {{mv peer: store [1] to [5]}} (kind:region, region:{0}(1, 2), "
        "createAt:2026-03-01 14:{0}:00.5 +0200 EET m=+1.5, startAt:0001-01-01 00:00:00 +0000 UTC, "
        "currentStep:0, size:9, steps:[0:{{add learner peer 7 on store 5}}, "
        "1:{{remove peer on store 1}}], timeout:[10m0s])"
    )
    now = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
    read = [read_operator(text.format(number)) for number in (20, 10)]
    found = operator_facts([*read, read_operator("no shape at all")], now)
    assert [one["age_seconds"] for one in found["list"]] == [1200.0, 600.0, None]
    assert [one["adds_to_store"] for one in found["list"]] == [5, 5, 0]


def test_hot_regions_are_told_hottest_first_or_that_there_are_too_many() -> None:
    peer = {"region_id": 9, "stores": [1, 2], "hot_degree": 40, "flow_bytes": 5.0}
    warm = {**peer, "region_id": 8, "flow_bytes": 4.0}
    answer = HotRegions.model_validate(
        {
            "as_leader": {
                "1": {"statistics": [warm]},
                "2": {"statistics": [peer]},
                "x": {},
                "²": {"statistics": [peer]},
            }
        }
    )
    found = hot_facts({"write": answer, "read": None})
    assert [one["region_id"] for one in found["write"]["regions"]] == [9, 8]
    assert found["write"]["regions"][0]["leader_store_id"] == 2
    assert found["read"] == {"is_listed": False, "count": 0, "regions": []}


def test_a_store_that_was_drained_a_moment_ago_may_have_been_restarted() -> None:
    restarted = metrics("store_metrics", restarts={"1": 1.0})
    lately = {"schedulers": {**make_observation().data("schedulers")}}
    lately["schedulers"]["evicted_lately_store_ids"] = [1]
    assert broken(make_observation(parts=restarted), "tikv_restarted")
    assert not broken(make_observation(parts={**restarted, **lately}), "tikv_restarted")
    history = History().with_evicted([1], 0).with_evicted([], 359)
    assert set(history.evicted) == {1}
    assert set(history.with_evicted([], 360).evicted) == set()


def test_no_store_for_a_replica_means_something_only_while_pd_rests() -> None:
    none = metrics("pd_metrics", no_store_per_second={"pd-0": 1.0})
    moving: dict[str, JsonObject] = {"operators": {"count": 1, "list": []}}
    assert broken(make_observation(parts=none), "no_store_for_replica")
    assert not broken(make_observation(parts={**none, **moving}), "no_store_for_replica")


# --- hostile answers ------------------------------------------------------------------------

TEXTS = st.text(max_size=60)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
FRAGMENTS = st.sampled_from(
    [
        "createAt:2026-03-01 14:10:00.5 +0200 EET",
        "createAt:9999-12-31 23:59:59 -1400 X",
        "createAt:0001-01-01 00:00:00 +9999 UTC",
        "currentStep:0",
        "steps:[0:{add learner peer 7 on store 5}",
        "region:18446744073709551615(1, 2)",
    ]
)


@given(st.lists(FRAGMENTS | TEXTS, max_size=6).map(", ".join))
def test_any_print_of_an_operator_is_read(text: str) -> None:
    found = operator_facts([read_operator(text)], datetime(2026, 3, 1, tzinfo=UTC))
    (one,) = found["list"]
    assert one["age_seconds"] is None or one["age_seconds"] >= 0.0
    assert one["adds_to_store"] >= 0


@given(st.fixed_dictionaries({}, optional={"as_leader": JSON_VALUES, "as_peer": JSON_VALUES}))
def test_any_answer_about_hot_regions_is_read_or_refused(answer: dict[str, JsonValue]) -> None:
    try:
        found = fit(HotRegions, answer, "GET /hotspot/regions/write")
    except PdAnswerError:
        return
    assert hot_facts({"write": found})["write"]["count"] >= 0


@given(st.lists(TEXTS, max_size=4).map(lambda some: "\n".join(f"up{one}" for one in some)))
def test_any_page_of_metrics_is_read_or_refused(page: str) -> None:
    try:
        found = list(samples_of(page, {"up"}))
        for _, labels, value in found:
            assert value == value  # noqa: PLR0124 - no NaN comes out
            labels_of(labels)
    except PdAnswerError:
        return
