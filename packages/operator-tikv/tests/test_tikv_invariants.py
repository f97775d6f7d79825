"""The invariants as tables: what breaks each, and what does not."""

from datetime import timedelta
from typing import Any

import pytest

from operator_core.monitor.types import Observation, Violation
from operator_core.types import Severity
from operator_tikv import facts
from operator_tikv.invariants import INVARIANTS, hurried
from tikv_support import NOW, make_observation, make_region, make_store


def broken(observation: Observation) -> dict[str, Violation]:
    found = [violation for rule in INVARIANTS for violation in rule.check(observation)]
    return {violation.key: violation for violation in found}


def stores(**changes: Any) -> list[Any]:  # noqa: ANN401 - any key of PD
    return [make_store(1), make_store(2), make_store(3), make_store(4, **changes)]


def test_nothing_is_broken_on_a_healthy_cluster() -> None:
    assert broken(make_observation(stores())) == {}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"meta_state_name": "Disconnected", "age_seconds": 40}, {"store_disconnected:store-4"}),
        (
            {"meta_state_name": "Down", "age_seconds": 2000},
            {"store_disconnected:store-4", "store_down:store-4"},
        ),
        ({"meta_state_name": "Offline", "meta_state": 1}, set()),
        ({"meta_state_name": "Offline", "meta_state": 1, "age_seconds": 900}, set()),
        ({"meta_state_name": "Tombstone", "meta_state": 2, "available": "1GiB"}, set()),
        ({"available": "19GiB"}, {"low_space:store-4"}),
        ({"available": "20GiB"}, set()),
        ({"capacity": None, "available": None}, set()),
        ({"slow_score": 80}, {"slow_store:store-4"}),
        ({"slow_score": 79}, set()),
        ({"slow_score": 100, "leader_count": 0}, {"slow_store:store-4"}),
        ({"leader_count": 33}, {"leader_imbalance:cluster"}),
        ({"leader_count": 32}, set()),
        ({"leader_count": 40, "leader_weight": 2.0}, set()),
        ({"leader_count": 0, "leader_weight": 0.0}, set()),
        ({"leader_count": 0, "meta_labels": [{"key": "engine", "value": "tiflash"}]}, set()),
    ],
)
def test_a_store_breaks_what_it_should(changes: dict[str, Any], expected: set[str]) -> None:
    assert set(broken(make_observation(stores(**changes)))) == expected


def test_a_slow_store_that_somebody_drained_is_told_only_while_it_leads() -> None:
    for leaders, expected in ((0, set()), (3, {"slow_store:store-4"})):
        drained = make_observation(stores(slow_score=100, leader_count=leaders), evicted=[4])
        assert set(broken(drained)) == expected


def test_an_almost_full_disk_is_worse_than_a_filling_one() -> None:
    almost = broken(make_observation(stores(available="4GiB")))
    assert almost["low_space:store-4"].severity is Severity.CRITICAL
    filling = broken(make_observation(stores(available="10GiB")))
    assert filling["low_space:store-4"].severity is Severity.WARNING


def test_the_configured_ratio_decides_what_low_space_is() -> None:
    config = {"low-space-ratio": 0.9}
    assert not broken(make_observation(stores(available="15GiB"), config=config))


@pytest.mark.parametrize(
    ("changes", "is_left_over"),
    [
        ({"leader_count": 0}, True),
        ({"leader_count": 5}, True),
        ({"leader_count": 0, "slow_score": 100}, False),
        ({"leader_count": 0, "meta_state_name": "Disconnected", "age_seconds": 30}, False),
        ({"leader_count": 0, "meta_state_name": "Offline", "meta_state": 1}, False),
    ],
)
def test_an_eviction_is_left_over_only_on_a_store_that_is_well(
    changes: dict[str, Any], is_left_over: bool
) -> None:
    found = broken(make_observation(stores(**changes), evicted=[4]))
    assert ("evict_leader_left_over:store-4" in found) is is_left_over
    assert "leader_imbalance:cluster" not in found


@pytest.mark.parametrize("kind", ["miss_peer", "down_peer", "pending_peer"])
def test_regions_on_pds_lists_are_told(kind: str) -> None:
    regions = dict(make_observation().data("regions"))
    regions[kind] = {"count": 3, "region_ids": [7, 8, 9], "peers_by_store": {"4": 3}}
    found = broken(make_observation(parts={"regions": regions}))
    assert set(found) == {f"{kind}s:regions"}
    assert "3 regions" in found[f"{kind}s:regions"].message
    assert found[f"{kind}s:regions"].metrics["region_ids"] == [7, 8, 9]


def test_a_region_is_without_leader_when_pd_knows_none_or_its_voters_are_silent() -> None:
    known = [
        make_store(1),
        *(
            make_store(store_id, meta_state_name="Disconnected", age_seconds=60)
            for store_id in (2, 3)
        ),
        make_store(4),
    ]
    regions = [
        make_region(10, [1, 2, 3], leader=2),
        make_region(11, [1, 2, 4], leader=1),
        make_region(12, [1, 2, 4]),
    ]
    found = broken(make_observation(known, regions=regions))["region_without_leader:regions"]
    assert found.metrics["quorum_lost_region_ids"] == [10]
    assert found.metrics["without_leader_region_ids"] == [10, 12]
    assert found.severity is Severity.CRITICAL


LARGE = 90_000


def large(silent: int, regions: list[Any], *, led: int = LARGE, partial: bool = False) -> Any:  # noqa: ANN401 - facts
    """A cluster of five stores too large to be read, some of them silent."""
    known = [
        make_store(
            number,
            meta_state_name="Disconnected" if number <= silent else "Up",
            leader_count=led // 5,
        )
        for number in range(1, 6)
    ]
    ids = list(range(1, silent + 1))
    leaders = facts.counted_leader_facts(LARGE, known, regions, ids, is_partial=partial)
    return broken(make_observation(known, parts={"leaders": leaders}))


def test_a_large_cluster_is_judged_by_the_regions_of_its_silent_stores() -> None:
    safe, lost = make_region(10, [1, 3, 4], leader=1), make_region(11, [1, 2, 4], leader=1)
    assert "region_without_leader:regions" not in large(2, [safe])
    found = large(2, [safe, lost])["region_without_leader:regions"]
    assert found.metrics["quorum_lost_region_ids"] == [11]


@pytest.mark.parametrize(("led", "is_broken"), [(LARGE, False), (LARGE - 40, False), (0, True)])
def test_leaders_are_counted_in_a_large_cluster(led: int, is_broken: bool) -> None:
    assert ("region_without_leader:regions" in large(0, [], led=led)) is is_broken


@pytest.mark.parametrize(("silent", "is_broken"), [(1, False), (2, True)])
def test_where_not_all_could_be_read_silent_stores_alone_tell_of_a_lost_quorum(
    silent: int, is_broken: bool
) -> None:
    assert ("region_without_leader:regions" in large(silent, [], partial=True)) is is_broken


def test_pd_without_a_leader_is_told() -> None:
    pd = facts.pd_facts([], None)
    assert set(broken(make_observation(parts={"pd": pd}))) == {"pd_no_leader:pd"}


def test_every_invariant_is_named_described_and_patient() -> None:
    names = [rule.name for rule in INVARIANTS]
    assert len(set(names)) == len(names)
    assert all(rule.description and rule.needs for rule in INVARIANTS)


def test_a_fast_cluster_shortens_the_patience() -> None:
    for normal, fast in zip(INVARIANTS, hurried(10), strict=True):
        assert fast.grace_seconds == pytest.approx(normal.grace_seconds / 10)
        assert fast.clear_seconds == pytest.approx(normal.clear_seconds / 10)


# --- the age of heartbeats ------------------------------------------------------------


def test_the_age_of_heartbeats_follows_the_date_that_pd_says() -> None:
    known = [make_store(1, age_seconds=3), make_store(2, age_seconds=40, meta_state_name="Down")]
    assert facts.pd_time(known, NOW) == NOW
    assert facts.silent_store_ids(known, NOW) == [2]


@pytest.mark.parametrize("offset", [timedelta(days=-2), timedelta(hours=1)])
def test_the_clock_of_a_proxy_is_not_taken_for_pds(offset: timedelta) -> None:
    known = [make_store(1, age_seconds=3), make_store(2, age_seconds=9)]
    assert facts.pd_time(known, NOW + offset) == NOW - timedelta(seconds=3)


def test_without_any_heartbeat_the_date_is_all_there_is() -> None:
    assert facts.pd_time([], NOW) == NOW
    assert facts.pd_time([], None) is None


def test_an_offline_store_that_went_silent_counts_as_silent() -> None:
    known = [make_store(1), make_store(2, meta_state_name="Offline", meta_state=1, age_seconds=90)]
    assert facts.silent_store_ids(known, NOW) == [2]
