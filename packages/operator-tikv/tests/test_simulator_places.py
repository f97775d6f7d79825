"""PD keeps replicas apart as the location labels ask, and mends what they do not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from operator_tikv.simulator.scenario import build, read_scenario

if TYPE_CHECKING:
    from operator_tikv.simulator.world import World


Racks = dict[str, str]


def world_after(
    seconds: float, racks: Racks, joins: tuple[str, ...] = (), **config: object
) -> World:
    """A cluster whose stores stand in racks, some of which join after a minute."""
    cluster = {
        "stores": len(racks),
        "regions": 12,
        "config": {"location-labels": "rack", **config},
        "labels": {store_id: {"rack": rack} for store_id, rack in racks.items()},
    }
    faults = [{"at": "1m", "fault": "join", "labels": {"rack": rack}} for rack in joins]
    made = build(read_scenario({"duration": "1h", "cluster": cluster, "faults": faults}))
    made.advance(seconds)
    return made.world


def together(world: World) -> int:
    """How many regions have two replicas in one rack."""
    racks = [
        [world.stores[peer.store_id].labels["rack"] for peer in region.peers]
        for region in world.pd.regions
        if len(region.peers) == 3
    ]
    return sum(len(set(one)) < len(one) for one in racks)


def balanced(world: World) -> list[int]:
    return sorted(world.pd.regions.region_count(store_id) for store_id in world.stores)


THREE: Racks = {"1": "r1", "2": "r2", "3": "r3"}
TWO: Racks = {"1": "r1", "2": "r1", "3": "r2", "4": "r2"}


def test_balance_moves_no_replica_to_where_it_stands_less_apart() -> None:
    world = world_after(240, THREE, joins=("r1", "r2"))
    assert together(world) == 0
    fewest = balanced(world)[0]
    assert fewest >= 4, "the stores that joined share what their racks hold"
    assert balanced(world)[-1] == 12, "the only store of its rack keeps a replica of each region"


def test_replicas_move_apart_when_a_further_rack_joins() -> None:
    assert together(world_after(55, TWO, joins=("r3",))) == 12
    world = world_after(240, TWO, joins=("r3",))
    assert together(world) == 0
    names = {one.plan.description for one in world.pd.records}
    assert "move-to-better-location" in names


def test_replicas_move_apart_for_the_labels_of_a_rule() -> None:
    scenario = read_scenario(
        {
            "duration": "1h",
            "cluster": {
                "stores": 5,
                "regions": 12,
                "labels": {str(n): {"rack": f"r{min(n, 3)}"} for n in (1, 2, 3, 4, 5)},
            },
            "faults": [],
        }
    )
    made = build(scenario)
    made.advance(30)
    assert together(made.world) > 0
    rule = {
        "group_id": "pd",
        "id": "default",
        "role": "voter",
        "count": 3,
        "start_key": "",
        "end_key": "",
        "location_labels": ["rack"],
        "label_constraints": [{"key": "rack", "op": "exists"}],
    }
    made.world.admin.rules["pd", "default"] = rule
    made.advance(240)
    assert together(made.world) == 0


@pytest.mark.parametrize("racks", [TWO, dict.fromkeys("1234", "r1")])
def test_where_no_store_is_better_nothing_moves(racks: Racks) -> None:
    world = world_after(120, racks)
    names = {one.plan.description for one in world.pd.records}
    assert "move-to-better-location" not in names
    assert len(world.pd.fitted) == len(world.pd.regions)
