"""The twin of TiKV: what is safe and what is not, as tables, and what it predicts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from operator_core.actions.rehearsal import rehearse
from operator_core.actions.types import ActionRequest
from operator_tikv.actions.table import CHANGES
from operator_tikv.twin.settings import NOT_MEASURED
from operator_tikv.twin.twin import EFFECTS, twin_of
from twin_pictures import (
    FIVE,
    HEALTHY,
    LABELLED,
    ONE_DOWN,
    Given,
    cluster,
    on,
    rehearsed,
)
from twin_places import SAFE_TOO, UNSAFE_TOO
from twin_tables import SAFE, UNSAFE

if TYPE_CHECKING:
    from operator_core.monitor.types import Observation

PEER = {"region_id": 1, "store_id": 1}


@pytest.mark.parametrize(("seen", "action", "given", "why"), UNSAFE + UNSAFE_TOO)
def test_what_is_unsafe_is_refused(seen: Observation, action: str, given: Given, why: str) -> None:
    assert why in "; ".join(rehearsed(seen, action, given).worse)


@pytest.mark.parametrize(("seen", "action", "given"), SAFE + SAFE_TOO)
def test_what_is_safe_passes(seen: Observation, action: str, given: Given) -> None:
    found = rehearsed(seen, action, given)
    assert found.worse == ()
    if action not in NOT_MEASURED:
        assert found.blast is not None
        assert all(share is not None and 0 <= share <= 1 for share in found.blast)


def test_a_label_that_keeps_replicas_apart_stays() -> None:
    config = {**LABELLED.data("config"), "location_labels": "zone"}
    part = LABELLED.parts["config"].model_copy(update={"data": config})
    seen = LABELLED.model_copy(update={"parts": {**LABELLED.parts, "config": part}})
    found = rehearsed(seen, "delete_store_label", on(1, key="zone"))
    assert found.worse == (
        "replicas are kept apart: stores 1 lack labels that keep replicas apart",
    )


def test_the_same_move_is_large_where_a_replica_is_gone() -> None:
    given = {"region_id": 1, "to_store_id": 2}
    small, large = (rehearsed(one, "transfer_leader", given) for one in (HEALTHY, ONE_DOWN))
    assert (small.tier, large.tier) == ("small", "large")
    assert large.blast is not None
    assert large.blast.quorum_share == 1.0


def test_a_drain_says_where_the_leaders_go() -> None:
    found = rehearsed(HEALTHY, "drain_store", on(1))
    assert {one.path: (one.before, one.after) for one in found.changes} == {
        "stores/1/leader_count": (20, 0),
        "stores/2/leader_count": (20, 27),
        "stores/3/leader_count": (20, 27),
        "stores/4/leader_count": (20, 27),
        "cluster/leader_taker_count": (4, 3),
    }
    assert found.blast is not None
    assert found.blast.leader_share == 0.25


def test_replicas_go_where_there_is_room() -> None:
    roomy = cluster(store_4={"available": "100GiB"}, store_3={"available": "20GiB"})
    changes = {one.path: one.after for one in rehearsed(roomy, "delete_store", on(1)).changes}
    assert changes["stores/1/region_count"] is None
    assert changes["stores/2/region_count"] == 80
    assert "stores/3/region_count" not in changes
    assert changes["stores/4/region_count"] == 100


def test_a_workflow_is_rehearsed_step_by_step() -> None:
    twin = twin_of(FIVE)
    assert twin is not None
    drain, delete, second = (
        ActionRequest(action_name=name, parameters=on(key))
        for name, key in (("drain_store", 1), ("delete_store", 1), ("drain_store", 2))
    )
    assert [one.worse for one in rehearse(twin, [drain, delete, second])] == [(), (), ()]
    both = rehearse(twin, [drain, second])
    assert both[0].worse == both[1].worse
    assert both[0].worse[0].startswith("step 2 (drain_store): the leaders of store 1 are being")


def test_what_has_no_model_is_not_known() -> None:
    for action, given in (("set_cluster_version", {"version": "9.0.0"}), ("remove_peer", PEER)):
        assert rehearsed(HEALTHY, action, given).tier == "unknown"


def test_every_action_has_a_model_or_a_reason_why_not() -> None:
    assert set(EFFECTS) == set(CHANGES)
    measured = {action for seen, action, given in SAFE if _shares_are_known(seen, action, given)}
    assert set(CHANGES) - measured == set(NOT_MEASURED) - measured
    assert all(len(why.split()) > 4 for why in NOT_MEASURED.values())


def _shares_are_known(seen: Observation, action: str, given: Given) -> bool:
    blast = rehearsed(seen, action, given).blast
    return blast is not None and None not in blast


def test_too_little_seen_is_no_twin() -> None:
    part = HEALTHY.parts["regions"].model_copy(update={"complete": False})
    seen = HEALTHY.model_copy(update={"parts": {**HEALTHY.parts, "regions": part}})
    assert twin_of(seen) is None
