"""What the process of a PD server counts, under PD's and etcd's own names and labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from operator_tikv.simulator.meter import Rates, Spread, key

if TYPE_CHECKING:
    from operator_tikv.simulator.world import World

CORES: Final = 8.0
MEMORY_BYTES: Final = 16 << 30
IDLE_USAGE: Final = (0.06, 0.08)
SLOW_TSO_SECONDS: Final = 0.3
_USUAL_FSYNC_SECONDS: Final = 0.002
_USUAL_TRIP_SECONDS: Final = 0.001
_USUAL_TSO_SECONDS: Final = 0.001
_SAVES_PER_SECOND: Final = 1.0 / 3.0


def settle(world: World) -> None:
    """Bring the counters of all PD servers that run up to date."""
    for member in world.pd.members:
        state = world.pd.states[member.name]
        signs = _signs(world, member.name)
        if signs != state.signs:
            state.signs = signs
            found = _rates(world, member.name), _spread(world, member.name)
            state.meter.settle(world.now_seconds, *found)


def usage(world: World, name: str) -> tuple[float, float]:
    """The shares of its cores and of its memory that a server uses."""
    return world.pd.usage.get(name, IDLE_USAGE)


def _signs(world: World, name: str) -> tuple[object, ...]:
    """Everything the rates depend on: while it is the same, they are."""
    pd = world.pd
    running = name not in pd.stopped_members
    return (
        running,
        name == pd.leader_name and pd.has_leader,
        pd.fsync_seconds.get(name),
        pd.round_trip_seconds,
        pd.usage.get(name),
        tuple(sorted(pd.stopped_members)),
        sum(store.process.talks_to_pd for store in world.stores.values()),
    )


def _rates(world: World, name: str) -> Rates:
    if name in world.pd.stopped_members:
        return {}
    rates: Rates = {key("process_cpu_seconds_total"): usage(world, name)[0] * CORES}
    if name != world.pd.leader_name or not world.pd.has_leader:
        return rates
    rates[key("pd_tso_events", type="save", group="0", dc="global")] = _SAVES_PER_SECOND
    for store in world.stores.values():
        place = {"address": store.address, "store": str(store.store_id)}
        beats = world.pd.regions.leader_count(store.store_id) / 60.0
        for status in ("ok", "err"):
            series = key("pd_scheduler_region_heartbeat", **place, type="report", status=status)
            alive = store.process.talks_to_pd and status == "ok"
            rates[series] = beats if alive else 0.0
    return rates


def _spread(world: World, name: str) -> Spread:
    pd = world.pd
    if name in pd.stopped_members:
        return {}
    fsync_seconds = pd.fsync_seconds.get(name, _USUAL_FSYNC_SECONDS)
    found: Spread = {
        key("etcd_disk_wal_fsync_duration_seconds"): {fsync_seconds: 10.0},
        key("etcd_disk_backend_commit_duration_seconds"): {fsync_seconds: 5.0},
    }
    trip_seconds = max(pd.round_trip_seconds, _USUAL_TRIP_SECONDS)
    for other in pd.members:
        if other.name != name and other.name not in pd.stopped_members:
            to = f"{other.member_id:x}"
            found[key("etcd_network_peer_round_trip_time_seconds", To=to)] = {trip_seconds: 0.5}
    if name == pd.leader_name and pd.has_leader:
        found |= _leader_spread(world, name)
    return found


def _leader_spread(world: World, name: str) -> Spread:
    slow = name in world.pd.usage or world.pd.fsync_seconds.get(name, 0.0) >= 1.0
    tso_seconds = SLOW_TSO_SECONDS if slow else _USUAL_TSO_SECONDS
    return {
        key("pd_server_handle_tso_duration_seconds"): {tso_seconds: 100.0},
        key("pd_client_request_handle_requests_duration_seconds", type="tso"): {tso_seconds: 100.0},
        key("pd_txn_handle_txns_duration_seconds", result="success"): {
            world.pd.fsync_seconds.get(name, _USUAL_FSYNC_SECONDS): 1.0
        },
    }
