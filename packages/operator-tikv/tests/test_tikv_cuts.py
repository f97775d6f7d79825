"""What cuts between stores, and silent ones, bring: told once, and as soon as it can be known."""

import pytest

from operator_core.types import JsonObject, Severity
from tikv_pictures import broken, metrics, with_fourth
from tikv_support import make_observation

PAIR = {"1": {"4": 6.0}, "4": {"1": 5.0}}


@pytest.mark.parametrize(
    ("failing", "changes", "expected"),
    [
        (PAIR, {}, {"store-1": [4]}),
        ({"1": {"4": 6.0}, "4": {"1": 0.9}}, {}, {}),
        ({"1": {"4": 40.0}}, {}, {}),
        ({**PAIR, "2": {"4": 3.0}, "4": {"1": 5.0, "2": 2.0}}, {}, {"store-4": [1, 2]}),
        (PAIR, {"evicted": [4]}, {}),
        (PAIR, {"restarts": {"1": 1.0}}, {}),
        (PAIR, {"unreachable_per_second": {"2": {"4": 6.0}, "3": {"4": 6.0}}}, {"store-4": None}),
    ],
)
def test_two_stores_that_are_cut_apart_show_it_in_both_directions(
    failing: JsonObject, changes: JsonObject, expected: JsonObject
) -> None:
    evicted = changes.pop("evicted", []) if changes else []
    parts = metrics("store_metrics", unreachable_now_per_second=failing, **changes)
    observation = make_observation(with_fourth(), parts=parts, evicted=evicted)
    found = broken(observation, "partial_partition")
    assert {one.target: one.metrics.get("cut_from_store_ids") for one in found} == expected


@pytest.mark.parametrize(
    ("state", "severity"), [("Up", Severity.CRITICAL), ("Disconnected", Severity.WARNING)]
)
def test_a_log_that_runs_ahead_of_a_silent_store_calls_nobody_besides(
    state: str, severity: Severity
) -> None:
    age = 5 if state == "Up" else 60
    stores = with_fourth(meta_state_name=state, age_seconds=age)
    parts = metrics("store_metrics", log_lag_p99_entries={"1": 9000.0})
    found = broken(make_observation(stores, parts=parts), "raft_log_lag")
    assert [one.severity for one in found] == [severity]
