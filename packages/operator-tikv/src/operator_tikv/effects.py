"""The temporary effects of actions on a TiKV cluster: their names, and which are to be seen."""

from collections.abc import Iterator, Mapping
from typing import Final

from operator_core.monitor.types import Observation

EFFECT_SECONDS: Final = 8 * 3600.0
"""How long an effect stays where nobody renews it: a night."""

SCATTER_RANGE: Final = "scatter-range"
GRANT_LEADER: Final = "grant-leader-scheduler"
GRANT_HOT_REGION: Final = "grant-hot-region-scheduler"
TEST_SCHEDULERS: Final = (
    "shuffle-leader-scheduler",
    "shuffle-region-scheduler",
    "shuffle-hot-region-scheduler",
    "random-merge-scheduler",
)

EFFECTS: Final[Mapping[str, str]] = {
    "drain_store": "evict-leader/store-{store_id}",
    "grant_leaders": "grant-leader/store-{store_id}",
    "pause_scheduler": "paused-scheduler/{name}",
    "pause_checker": "paused-checker/{name}",
    "add_test_scheduler": "scheduler/{name}",
    "add_scatter_range_scheduler": f"scheduler/{SCATTER_RANGE}-{{range_name}}",
    "add_grant_hot_region_scheduler": f"scheduler/{GRANT_HOT_REGION}",
}
"""Action to the name of its effect."""


def temporary_effects(observation: Observation) -> list[str] | None:
    """Return the temporary effects on a cluster, whoever made them; None: PD was not read."""
    if not observation.sees(("schedulers",)):
        return None
    return list(_seen(observation.data("schedulers")))


def _seen(schedulers: Mapping[str, list[str]]) -> Iterator[str]:
    for store_id in schedulers["evict_leader_store_ids"]:
        yield f"evict-leader/store-{store_id}"
    for store_id in schedulers.get("grant_leader_store_ids", ()):
        yield f"grant-leader/store-{store_id}"
    for name in schedulers["paused"]:
        yield f"paused-scheduler/{name}"
    for name in schedulers["paused_checkers"]:
        yield f"paused-checker/{name}"
    for name in schedulers["names"]:
        if name in (*TEST_SCHEDULERS, GRANT_HOT_REGION) or name.startswith(f"{SCATTER_RANGE}-"):
            yield f"scheduler/{name}"
