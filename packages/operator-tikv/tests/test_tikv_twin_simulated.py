"""The twin on simulated clusters: what runs there is let pass, what must not be is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from operator_core.actions.rehearsal import Rehearsal, rehearse
from operator_core.actions.types import ActionRequest
from operator_core.errors import ActionFailedError
from operator_tikv.twin.twin import twin_of
from tikv_cases import CASES, Case, Stage, make_stage

if TYPE_CHECKING:
    from operator_core.types import JsonObject

REFUSED = {
    "remove_scheduler": "PD balances",
    "set_region_label_rule": "forbids to schedule every key",
}
"""Cases that PD would carry out and that the twin is right to refuse."""


async def rehearsed(stage: Stage, action: str, given: JsonObject) -> Rehearsal:
    twin = twin_of(await stage.subject.observe())
    assert twin is not None
    return rehearse(twin, [ActionRequest(action_name=action, parameters=given)])[0]


@pytest.mark.parametrize("case", CASES, ids=[one.action for one in CASES])
async def test_what_can_be_done_is_let_pass(case: Case) -> None:
    stage = make_stage(case.stores)
    found = await rehearsed(stage, case.action, await case.made(stage))
    assert (found.blast is None) is (case.action == "remove_peer")  # is it one too many?
    assert REFUSED.get(case.action, "") in "; ".join(found.worse)
    assert bool(found.worse) is (case.action in REFUSED)


def down(*store_ids: int, stores: int = 4) -> Stage:
    """A cluster of which stores are gone for longer than PD waits."""
    stage = make_stage(stores)
    stage.cluster.apply_fault("quorum_loss", store_ids=list(store_ids))
    stage.cluster.advance(1900)
    return stage


def item(name: str, value: str) -> dict[str, Any]:
    return {"item": name, "value": value}


UNSAFE: list[tuple[tuple[int, ...], int, str, dict[str, Any], str]] = [
    ((3,), 3, "drain_store", {"store_id": 1}, "PD does not hear store 3"),
    ((3,), 3, "delete_store", {"store_id": 1}, "nowhere to go"),
    ((), 3, "delete_store", {"store_id": 1}, "nowhere to go"),
    ((1, 2), 4, "drain_store", {"store_id": 3}, "PD does not hear"),
    ((), 4, "drain_store", {"store_id": 2**63}, "knows no store"),
    ((), 4, "set_replication_config", item("max-replicas", "5"), "replicas have places"),
    ((), 4, "set_replication_config", item("max-replicas", "2"), "a store may fail"),
    ((), 4, "set_replication_config", item("location-labels", "rack"), "kept apart"),
    ((4,), 4, "set_schedule_config", item("halt-scheduling", "true"), "PD repairs"),
    ((4,), 4, "remove_scheduler", {"name": "balance-region-scheduler"}, "PD balances"),
    ((4,), 4, "set_label_property", {}, "PD does not hear store 4"),
    ((4,), 4, "add_test_scheduler", {"name": "shuffle-region-scheduler"}, "PD does not hear"),
    ((4,), 4, "unsafe_remove_failed_stores", {"store_ids": [4]}, "no majority"),
    ((), 4, "unsafe_remove_failed_stores", {"store_ids": [1, 2]}, "not Down"),
    ((), 4, "transfer_pd_leader", {"name": "nobody"}, "not there"),
    ((4,), 4, "grant_leaders", {"store_id": 4}, "not well enough"),
]
"""Stores that are down, of how many; the call; why it is refused."""

_REJECT = {"property_type": "reject-leader", "label_key": "zone", "label_value": "far"}


@pytest.mark.parametrize(("gone", "stores", "action", "given", "why"), UNSAFE)
async def test_what_is_unsafe_is_refused(
    gone: tuple[int, ...], stores: int, action: str, given: dict[str, Any], why: str
) -> None:
    stage = down(*gone, stores=stores) if gone else make_stage(stores)
    assert why in "; ".join((await rehearsed(stage, action, given or _REJECT)).worse)


async def test_regions_without_quorum_are_left_alone() -> None:
    stage = down(1, 2, 3)
    one, other = (await stage.subject._api.regions())[:2]
    with pytest.raises(ActionFailedError, match="lost its quorum"):
        await stage.subject.split_region(region_id=one.id)
    with pytest.raises(ActionFailedError, match="lost its quorum"):
        await stage.subject.merge_regions(source_region_id=one.id, target_region_id=other.id)
    found = await rehearsed(stage, "split_region", {"region_id": one.id})
    assert "lost their quorum" in "; ".join(found.worse)
