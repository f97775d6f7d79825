"""Unsafe recovery, stage by stage: lost stores are given up with what only they had."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from operator_tikv.simulator import raft
from operator_tikv.simulator.admin import Recovery
from operator_tikv.simulator.heartbeats import is_disconnected
from operator_tikv.simulator.model import MetaState, NodeState
from operator_tikv.simulator.units import rfc3339_nano

if TYPE_CHECKING:
    from operator_tikv.simulator.model import Region
    from operator_tikv.simulator.world import World

STAGE_SECONDS: Final = 10.0
STEP: Final = "pd.unsafe_step"
_LISTED: Final = 20


class UnsafeRefusedError(Exception):
    """PD refuses to begin; carries PD's text."""


def begin(world: World, store_ids: tuple[int, ...], timeout_seconds: float) -> None:
    """Begin to give stores up.

    Raises:
        UnsafeRefusedError: one is running, or the stores are not such.
    """
    if world.admin.recovery is not None and world.admin.recovery.running:
        text = "[PD:unsaferecovery:ErrUnsafeRecoveryIsRunning]unsafe recovery is running"
        raise UnsafeRefusedError(text)
    refusal = _refusal(world, store_ids)
    if refusal:
        text = f"[PD:unsaferecovery:ErrUnsafeRecoveryInvalidInput]invalid input {refusal}"
        raise UnsafeRefusedError(text)
    until = world.now_seconds + timeout_seconds
    world.admin.recovery = Recovery(store_ids, until)
    failed = ", ".join(map(str, store_ids))
    _enter(world, "collect report", details=[f"failed stores {failed}"])
    world.schedule(STAGE_SECONDS, STEP, 0)


def _refusal(world: World, store_ids: tuple[int, ...]) -> str:
    if not store_ids:
        return "no store specified"
    for store_id in store_ids:
        store = world.stores.get(store_id)
        if store is None:
            return f"store {store_id} doesn't exist"
        if store.meta_state is not MetaState.TOMBSTONE and not is_disconnected(world, store):
            return f"store {store_id} is up and connected"
    return ""


def stages(world: World) -> list[dict[str, object]]:
    """What PD shows of it."""
    if world.admin.recovery is None:
        return [{"info": "No on-going recovery.", "time": _time(world)}]
    return world.admin.recovery.stages


def on_step(world: World, args: tuple[int, ...]) -> None:
    """Go to the next stage."""
    recovery = world.admin.recovery
    if recovery is None or not recovery.running or not world.pd.has_leader:
        return
    if world.now_seconds > recovery.until_seconds:
        recovery.running = False
        recovery.stages.append(
            {"info": "Unsafe recovery failed: Exceeds timeout", "time": _time(world)}
        )
        return
    _STAGES[args[0]](world, recovery)
    if args[0] + 1 < len(_STAGES):
        world.schedule(STAGE_SECONDS, STEP, args[0] + 1)


def _force_leaders(world: World, recovery: Recovery) -> None:
    forced: dict[str, list[int]] = {}
    for region in _hit(world, recovery):
        leader = _survivor(world, region, recovery)
        if leader and not raft.has_quorum(region, world.serves_raft):
            forced.setdefault(f"store {leader}", []).append(region.region_id)
    _enter(world, "force leader", actions=_texts("force leader on regions: ", forced))


def _demote(world: World, recovery: Recovery) -> None:
    done: dict[str, list[int]] = {}
    for region in _hit(world, recovery):
        leader = _survivor(world, region, recovery)
        kept = tuple(peer for peer in region.peers if peer.store_id not in recovery.store_ids)
        if not leader:
            continue
        alone = replace(
            region,
            peers=kept,
            conf_ver=region.conf_ver + len(region.peers) - len(kept),
            pending=tuple(p for p in region.pending if p in {peer.peer_id for peer in kept}),
            down=(),
        )
        world.raft.put(alone)
        raft.install_leader(world, alone, next(p for p in kept if p.store_id == leader))
        done.setdefault(f"store {leader}", []).append(region.region_id)
    _enter(world, "demote failed voter", actions=_texts("demoted failed peers on regions: ", done))


def _finish(world: World, recovery: Recovery) -> None:
    for store_id in recovery.store_ids:
        store = world.stores.get(store_id)
        if store is not None:
            store.meta_state, store.node_state = MetaState.TOMBSTONE, NodeState.REMOVED
            world.record("store", f"{store_id} tombstone by unsafe recovery")
    recovery.running = False
    recovery.stages.append({"info": "Unsafe recovery finished", "time": _time(world)})


_STAGES: Final = (_force_leaders, _demote, _finish)


def _hit(world: World, recovery: Recovery) -> list[Region]:
    ids = dict.fromkeys(
        region_id for store_id in recovery.store_ids for region_id in world.raft.on_store(store_id)
    )
    found = (world.raft.get(region_id) for region_id in ids)
    return [region for region in found if region is not None]


def _survivor(world: World, region: Region, recovery: Recovery) -> int:
    """The store that is to lead: the one that leads, else the first living voter."""
    living = [
        peer.store_id
        for peer in region.peers
        if peer.store_id not in recovery.store_ids and world.serves_raft(peer.store_id)
    ]
    if region.leader_store_id in living:
        return region.leader_store_id
    return living[0] if living else 0


def _texts(words: str, regions: dict[str, list[int]]) -> dict[str, list[str]]:
    return {store: [words + ", ".join(map(str, ids[:_LISTED]))] for store, ids in regions.items()}


def _enter(world: World, stage: str, **more: object) -> None:
    if world.admin.recovery is not None:
        info = f"Unsafe recovery enters {stage} stage"
        shown = {"info": info, "time": _time(world), **{k: v for k, v in more.items() if v}}
        world.admin.recovery.stages.append(shown)
        world.record("unsafe", stage)


def _time(world: World) -> str:
    return rfc3339_nano(int(world.unix_seconds(world.now_seconds)))
