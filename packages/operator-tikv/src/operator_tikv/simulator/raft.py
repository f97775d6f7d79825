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
    leader_id = region.leader_store_id
    return world.serves_raft(leader_id) and _commands_quorum(world, region, leader_id)


def _commands_quorum(world: World, region: Region, store_id: int) -> bool:
    return has_quorum(region, lambda other: world.connected(store_id, other))


def on_election(world: World, args: tuple[int, ...]) -> None:
    """An election timeout: a live voter that reaches a quorum becomes leader."""
    region = world.raft.get(args[0])
    if region is None or is_led(world, region):
        return
    living = [
        peer
        for peer in region.peers
        if peer.may_lead
        and peer.peer_id not in world.broken_peers
        and world.serves_raft(peer.store_id)
        and _commands_quorum(world, region, peer.store_id)
    ]
    if not living:
        world.raft.put(replace(region, leader_peer_id=0))
        _note_unled(world, region)
        return
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
    _log_leader(world, region, leader)
    world.unled.pop(region.region_id, None)
    if any(not world.connected(leader.store_id, peer.store_id) for peer in region.peers):
        _plan_down_check(world, region.region_id)
    for peer in region.peers:
        _plan_catch_up(world, region, peer)
    report_region(world, region.region_id)


def _log_leader(world: World, region: Region, leader: Peer) -> None:
    raft_fields = {"term": region.term + 1, "raft_id": leader.peer_id}
    fields = {**raft_fields, "region_id": region.region_id}
    world.log(f"store-{leader.store_id}", "INFO", "became leader", **fields)
    former = region.leader_store_id
    if former != leader.store_id and former:
        changed = {"region-id": region.region_id, "from": former, "to": leader.store_id}
        world.log_pd("INFO", "leader changed", **changed)


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
    """Since when the leader misses a peer: its process is silent, or a link is cut."""
    store, leader_id = world.stores.get(peer.store_id), region.leader_store_id
    if store is None:
        return None
    reasons = (
        store.process.silent_since_seconds,
        world.broken_peers.get(peer.peer_id),
        world.cuts.get((leader_id, peer.store_id)),
        world.cuts.get((peer.store_id, leader_id)),
    )
    since = [seconds for seconds in reasons if seconds is not None]
    return max(min(since), region.led_since_seconds) if since else None


def lose_contact(world: World, store_id: int) -> None:
    """A store is no longer heard by some: elections soon, down peers after ten minutes."""
    for region_id in world.raft.led_by(store_id):
        _reconsider(world, region_id)
    led_here = world.raft.leads(store_id)
    for region_id in world.raft.on_store(store_id):
        if region_id not in led_here:
            _reconsider(world, region_id)


def _reconsider(world: World, region_id: int) -> None:
    region = world.raft.get(region_id)
    if region is None:
        return
    if not is_led(world, region):
        _plan_election(world, region_id)
    elif any(not world.connected(region.leader_store_id, peer.store_id) for peer in region.peers):
        _plan_down_check(world, region_id)


def _note_unled(world: World, region: Region) -> None:
    world.unled.setdefault(region.region_id, world.now_seconds)


def break_peer(world: World, region: Region, peer: Peer, since_seconds: float) -> None:
    """Let one peer never answer again; its leader has missed it since then already."""
    world.broken_peers[peer.peer_id] = since_seconds
    down = (*region.down, (peer.peer_id, since_seconds))
    pending = tuple(dict.fromkeys((*region.pending, peer.peer_id)))
    world.raft.put(replace(region, down=down, pending=pending))
    world.record("broken_peer", f"region {region.region_id} peer {peer.peer_id}")
    report_region(world, region.region_id)


def lose_leadership(world: World, store: Store) -> None:
    """A stopped process forgets that it led; PD is not told."""
    for region_id in world.raft.led_by(store.store_id):
        region = world.raft.get(region_id)
        if region is not None:
            world.raft.put(replace(region, leader_peer_id=0))


def regain_contact(world: World, store_id: int) -> None:
    """A store is heard again: its peers catch up, regions without leader elect."""
    for region_id in world.raft.on_store(store_id):
        region = world.raft.get(region_id)
        if region is None:
            continue
        if is_led(world, region):
            _welcome_peers(world, region)
        else:
            _plan_election(world, region_id)


def _plan_election(world: World, region_id: int) -> None:
    delay_seconds = world.rng.uniform(ELECTION_MIN_SECONDS, ELECTION_MAX_SECONDS)
    world.schedule(delay_seconds, "raft.election", region_id)


def _welcome_peers(world: World, region: Region) -> None:
    """The leader takes back the peers that it hears again."""
    leader_id = region.leader_store_id
    heard = {
        peer.peer_id
        for peer in region.peers
        if world.connected(leader_id, peer.store_id) and peer.peer_id not in world.broken_peers
    }
    down = tuple(pair for pair in region.down if pair[0] not in heard)
    if down != region.down:
        region = replace(region, down=down)
        world.raft.put(region)
        report_region(world, region.region_id)
    for peer in region.peers:
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
    if peer_id in world.broken_peers:
        return
    if not world.connected(region.leader_store_id, peer.store_id):
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
    if target.peer_id in region.pending:
        return False
    if not (
        world.connected(region.leader_store_id, to_store_id)
        and _commands_quorum(world, region, to_store_id)
    ):
        return False
    install_leader(world, region, target)
    return True


def change_peers(world: World, region_id: int, peers: tuple[Peer, ...]) -> bool:
    """Apply a change of the members; returns False where there is no leader with a quorum.

    TiKV refuses also what would leave it none ("unsafe to perform conf change").
    """
    region = world.raft.get(region_id)
    if region is None or not is_led(world, region):
        return False
    if not _commands_quorum(world, replace(region, peers=peers), region.leader_store_id):
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
    fields = {"region-id": region_id, "detail": f"Peers changed:{_peers_text(peers)}"}
    versions = {"old-confver": region.conf_ver, "new-confver": changed.conf_ver}
    world.log_pd("INFO", "region ConfVer changed", **fields, **versions)
    report_region(world, region_id)
    return True


def add_learner(world: World, region_id: int, peer: Peer) -> bool:
    """Add a learner and start to send it a snapshot; it is pending until that has arrived.

    A witness gets the same without any data.
    """
    region = world.raft.get(region_id)
    if region is None or not is_led(world, region) or region.peer_on(peer.store_id):
        return False
    world.raft.put(replace(region, pending=(*region.pending, peer.peer_id)))
    change_peers(world, region_id, (*region.peers, peer))
    _send_snapshot(world, region, peer)
    if not world.connected(region.leader_store_id, peer.store_id):
        _plan_down_check(world, region_id)
    return True


def switch_witness(world: World, region_id: int, peer_id: int, *, to_witness: bool) -> bool:
    """Take its data from a peer, or send it some; the leader keeps its own, as it serves them."""
    region = world.raft.get(region_id)
    old = region.peer(peer_id) if region else None
    if region is None or old is None or not is_led(world, region):
        return False
    if old.is_witness is to_witness or peer_id == region.leader_peer_id:
        return False
    new = old._replace(is_witness=to_witness)
    if not to_witness:
        world.raft.put(replace(region, pending=(*region.pending, peer_id)))
    change_peers(world, region_id, tuple(new if p is old else p for p in region.peers))
    if not to_witness:
        _send_snapshot(world, region, new)
    return True


def _send_snapshot(world: World, region: Region, peer: Peer) -> None:
    sender = world.stores.get(region.leader_store_id)
    receiver = world.stores.get(peer.store_id)
    if sender is None or receiver is None:
        return
    sender.sending_snapshots += 1
    receiver.receiving_snapshots += 1
    speed = min(sender.ailments.send_mib_per_second, receiver.ailments.receive_mib_per_second)
    size_mib = 0 if peer.is_witness else region.size_mib
    duration_seconds = SNAPSHOT_OVERHEAD_SECONDS + size_mib / speed
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
