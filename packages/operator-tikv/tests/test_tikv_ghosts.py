"""Silent stores without data: which of them were removed long ago."""

from typing import Any

import pytest

from operator_tikv.history import History
from tikv_pictures import SILENT, diagnosed, picture
from tikv_support import make_observation, make_store


def test_an_empty_store_that_was_heard_of_a_minute_ago_is_no_ghost() -> None:
    stopped = picture(fourth={**SILENT, "leader_count": 0, "region_count": 0})
    assert diagnosed("store_disconnected", stopped).hypothesis == "store_stopped"


@pytest.mark.parametrize(
    ("changes", "came_silent", "cause"),
    [
        ({"age_seconds": 1200, "meta_state_name": "Disconnected"}, [4], "ghost_of_removed_store"),
        ({"age_seconds": 90_000, "meta_state_name": "Down"}, [4], "ghost_of_removed_store"),
        ({"meta_state_name": "Down", "last_heartbeat_ts": None}, [], "ghost_of_removed_store"),
        ({"age_seconds": 90_000, "meta_state_name": "Down"}, [], "store_lost"),
        (
            {"age_seconds": 90_000, "meta_state_name": "Down", "region_count": 9},
            [4],
            "store_lost",
        ),
    ],
)
def test_an_empty_store_that_came_silent_or_was_never_heard_of_is_a_ghost(
    changes: dict[str, Any], came_silent: list[int], cause: str
) -> None:
    cluster = {**make_observation().data("cluster"), "came_silent_store_ids": came_silent}
    cluster |= {"silent_store_count": 1, "silent_store_ids": [4]}
    seen = picture(
        fourth={"leader_count": 0, "region_count": 0, **changes}, parts={"cluster": cluster}
    )
    is_down = changes["meta_state_name"] == "Down"
    assert diagnosed("store_down" if is_down else "store_disconnected", seen).hypothesis == cause


def test_it_is_remembered_which_stores_came_silent_until_they_speak() -> None:
    old, dead = make_store(1), make_store(4, **SILENT)
    assert History().with_stores([old, dead], 0).came_silent == frozenset()
    came = History().with_stores([old], 0).with_stores([old, dead], 30)
    assert came.came_silent == came.with_stores([old, dead], 60).came_silent == {4}
    spoke = came.with_stores([old, make_store(4)], 60)
    assert spoke.with_stores([old, dead], 90).came_silent == frozenset()
