"""Raft at the level of regions: who leads, who is missed, and changes of the members.

Everything here is the truth in the stores; PD hears of it only through region heartbeats.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from operator_tikv.simulator.heartbeats import region_phase, report_region
from operator_tikv.simulator.model import Peer, Role

if TYPE_CHECKING:
    from collections.abc import Callable

    from operator_tikv.simulator.model import Region, Store
    from operator_tikv.simulator.world import World

ELECTION_MIN_SECONDS: Final = 10.0
ELECTION_MAX_SECONDS: Final = 20.0
PEER_DOWN_SECONDS: Final = 600.0
CATCH_UP_MIN_SECONDS: Final = 1.0
CATCH_UP_MAX_SECONDS: Final = 5.0
SNAPSHOT_MIB_PER_SECOND: Final = 30.0
SNAPSHOT_OVERHEAD_SECONDS: Final = 1.0

_OLD_VOTERS: Final = (Role.VOTER, Role.DEMOTING_VOTER)
_NEW_VOTERS: Final = (Role.VOTER, Role.INCOMING_VOTER)


def has_quorum(region: Region, serves: Callable[[int], bool]) -> bool:
    """Whether a majority of the voters serves; in a joint state of the old and of the new ones."""
    return all(_majority(region, roles, serves) for roles in (_OLD_VOTERS, _NEW_VOTERS))


def _majority(region: Region, roles: tuple[Role, ...], serves: Callable[[int], bool]) -> bool:
    voters = [peer for peer in region.peers if peer.role in roles]
    return 2 * sum(serves(peer.store_id) for peer in voters) > len(voters)


def is_led(world: World, region: Region) -> bool:
    """Whether a region has a leader that serves and holds a quorum."""
    return world.serves_raft(region.leader_store_id) and has_quorum(region, world.serves_raft)


def on_election(world: World, args: tuple[int, ...]) -> None:
    """An election timeout: the live voters choose a leader if they are a quorum."""
    region = world.raft.get(args[0])
    if region is None or is_led(world, region):
        return
    if not has_quorum(region, world.serves_raft):
        world.raft.put(replace(region, leader_peer_id=0))
        return
    living = [p for p in region.peers if p.may_lead and world.serves_raft(p.store_id)]
    ready = [p for p in living if p.peer_id not in region.pending] or living
    install_leader(world, region, world.rng.choice(ready))


def install_leader(world: World, region: Region, leader: Peer) -> None:
    """Give a region a new leader, which starts to count anew how long it misses whom."""
    world.raft.put(
        replace(
            region,
            leader_peer_id=leader.peer_id,
            term=region.term + 1,
            led_since_seconds=world.now_seconds,
            down=(),
            pending=tuple(p for p in region.pending if p != leader.peer_id),
        )
    )
    world.record("leader", f"region {region.region_id} store {leader.store_id}")
    if any(not world.serves_raft(peer.store_id) for peer in region.peers):
        _plan_down_check(world, region.region_id)
    for peer in region.peers:
        _plan_catch_up(world, region, peer)
    report_region(world, region.region_id)


def _plan_down_check(world: World, region_id: int) -> None:
    delay_seconds = PEER_DOWN_SECONDS + region_phase(region_id)
    world.schedule(delay_seconds, "raft.down_check", region_id)


def on_down_check(world: World, args: tuple[int, ...]) -> None:
    """The leader reports the peers it has not heard of for ten minutes as down."""
    region = world.raft.get(args[0])
    if region is None or not is_led(world, region):
        return
    known = region.down_peer_ids
    fresh = [
        (peer.peer_id, since_seconds)
        for peer in region.peers
        if peer.peer_id not in known
        and (since_seconds := _missed_since(world, region, peer)) is not None
        and world.now_seconds - since_seconds >= PEER_DOWN_SECONDS
    ]
    if not fresh:
        return
    lagging = [peer_id for peer_id, _since in fresh if peer_id not in region.pending]
    world.raft.put(
        replace(region, down=(*region.down, *fresh), pending=(*region.pending, *lagging))
    )
    world.record("down_peers", f"region {region.region_id} {[peer_id for peer_id, _ in fresh]}")
    report_region(world, region.region_id)


def _missed_since(world: World, region: Region, peer: Peer) -> float | None:
    store = world.stores.get(peer.store_id)
    if store is None or store.process.silent_since_seconds is None:
        return None
    return max(store.process.silent_since_seconds, region.led_since_seconds)


def fall_silent(world: World, store: Store) -> None:
    """Let the rest of the cluster lose a store: elections soon, down peers after ten minutes."""
    store.process.silent_since_seconds = world.now_seconds
    for region_id in world.raft.led_by(store.store_id):
        _plan_election(world, region_id)
    for region_id in world.raft.on_store(store.store_id):
        region = world.raft.get(region_id)
        if region is None or region.leader_store_id == store.store_id:
            continue
        if is_led(world, region):
            _plan_down_check(world, region_id)
        else:
            _plan_election(world, region_id)


def lose_leadership(world: World, store: Store) -> None:
    """A stopped process forgets that it led; PD is not told."""
    for region_id in world.raft.led_by(store.store_id):
        region = world.raft.get(region_id)
        if region is not None:
            world.raft.put(replace(region, leader_peer_id=0))


def speak_again(world: World, store: Store) -> None:
    """Let a store take part again: its peers catch up, regions without leader elect."""
    store.process.silent_since_seconds = None
    for region_id in world.raft.on_store(store.store_id):
        region = world.raft.get(region_id)
        if region is None:
            continue
        if is_led(world, region):
            _welcome_peer(world, region, store.store_id)
        else:
            _plan_election(world, region_id)


def _plan_election(world: World, region_id: int) -> None:
    delay_seconds = world.rng.uniform(ELECTION_MIN_SECONDS, ELECTION_MAX_SECONDS)
    world.schedule(delay_seconds, "raft.election", region_id)


def _welcome_peer(world: World, region: Region, store_id: int) -> None:
    peer = region.peer_on(store_id)
    if peer is None:
        return
    if peer.peer_id in region.down_peer_ids:
        down = tuple(pair for pair in region.down if pair[0] != peer.peer_id)
        world.raft.put(replace(region, down=down))
        report_region(world, region.region_id)
    _plan_catch_up(world, region, peer)


def _plan_catch_up(world: World, region: Region, peer: Peer) -> None:
    if peer.peer_id in region.pending and world.serves_raft(peer.store_id):
        delay_seconds = world.rng.uniform(CATCH_UP_MIN_SECONDS, CATCH_UP_MAX_SECONDS)
        world.schedule(delay_seconds, "raft.catch_up", region.region_id, peer.peer_id)


def on_catch_up(world: World, args: tuple[int, ...]) -> None:
    """A lagging peer has the whole log again."""
    region_id, peer_id = args
    region = world.raft.get(region_id)
    peer = region.peer(peer_id) if region else None
    if region is None or peer is None or peer_id not in region.pending:
        return
    if not world.serves_raft(peer.store_id):
        return
    pending = tuple(other for other in region.pending if other != peer_id)
    down = tuple(pair for pair in region.down if pair[0] != peer_id)
    world.raft.put(replace(region, pending=pending, down=down))
    report_region(world, region_id)


def transfer_leader(world: World, region_id: int, to_store_id: int) -> bool:
    """Move the leader as TiKV does it; returns False where TiKV would do nothing."""
    region = world.raft.get(region_id)
    target = region.peer_on(to_store_id) if region else None
    if region is None or target is None or not target.may_lead or not is_led(world, region):
        return False
    if target.peer_id in region.pending or not world.serves_raft(to_store_id):
        return False
    install_leader(world, region, target)
    return True


def change_peers(world: World, region_id: int, peers: tuple[Peer, ...]) -> bool:
    """Apply a change of the members; returns False where there is no leader with a quorum."""
    region = world.raft.get(region_id)
    if region is None or not is_led(world, region):
        return False
    staying = {peer.peer_id for peer in peers}
    changed = replace(
        region,
        peers=peers,
        conf_ver=region.conf_ver + 1,
        pending=tuple(p for p in region.pending if p in staying),
        down=tuple(pair for pair in region.down if pair[0] in staying),
    )
    world.raft.put(changed)
    world.record("conf_change", f"region {region_id} {_peers_text(peers)}")
    report_region(world, region_id)
    return True


def add_learner(world: World, region_id: int, peer: Peer) -> bool:
    """Add a learner and start to send it a snapshot; it is pending until that has arrived."""
    region = world.raft.get(region_id)
    if region is None or not is_led(world, region) or region.peer_on(peer.store_id):
        return False
    world.raft.put(replace(region, pending=(*region.pending, peer.peer_id)))
    change_peers(world, region_id, (*region.peers, peer))
    _send_snapshot(world, region, peer)
    if not world.serves_raft(peer.store_id):
        _plan_down_check(world, region_id)
    return True


def _send_snapshot(world: World, region: Region, peer: Peer) -> None:
    sender = world.stores.get(region.leader_store_id)
    receiver = world.stores.get(peer.store_id)
    if sender is None or receiver is None:
        return
    sender.sending_snapshots += 1
    receiver.receiving_snapshots += 1
    duration_seconds = SNAPSHOT_OVERHEAD_SECONDS + region.size_mib / SNAPSHOT_MIB_PER_SECOND
    world.schedule(
        duration_seconds,
        "raft.snapshot_end",
        region.region_id,
        peer.peer_id,
        sender.store_id,
        receiver.store_id,
    )


def on_snapshot_end(world: World, args: tuple[int, ...]) -> None:
    """A snapshot has arrived, or is given up when its receiver is gone."""
    region_id, peer_id, sender_id, receiver_id = args
    if sender_id in world.stores:
        world.stores[sender_id].sending_snapshots -= 1
    if receiver_id in world.stores:
        world.stores[receiver_id].receiving_snapshots -= 1
    on_catch_up(world, (region_id, peer_id))


def _peers_text(peers: tuple[Peer, ...]) -> str:
    return " ".join(f"{peer.peer_id}@{peer.store_id}:{int(peer.role)}" for peer in peers)
