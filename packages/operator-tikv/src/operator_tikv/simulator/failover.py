"""PD's own servers: who leads them, and what is lost when the leader changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from operator_tikv.simulator import pd_meter
from operator_tikv.simulator.heartbeats import (
    REGION_HEARTBEAT_SECONDS,
    STORE_HEARTBEAT_SECONDS,
    forget_reports,
)
from operator_tikv.simulator.world import MemberState

if TYPE_CHECKING:
    from collections.abc import Iterable

    from operator_tikv.simulator.world import Member, World

ELECTION_MIN_SECONDS: Final = 3.0
ELECTION_MAX_SECONDS: Final = 10.0
PREPARED_SHARE: Final = 0.8
PREPARED_AFTER_SECONDS: Final = 300.0


def healthy_members(world: World) -> list[Member]:
    """The PD servers that run and answer."""
    bad = world.pd.stopped_members | world.pd.hung_members
    return [m for m in world.pd.members if m.name not in bad]


def may_elect(world: World) -> bool:
    """Whether a majority of PD's servers runs and nothing blocks them."""
    running = len(world.pd.members) - len(world.pd.stopped_members)
    majority = 2 * running > len(world.pd.members)
    return majority and bool(healthy_members(world)) and not world.pd.election_blocked


def drop_leader(world: World) -> None:
    """Take PD's leader away; another is elected within seconds if a majority can."""
    former = world.pd.leader_name
    if former:
        world.record("pd", f"leader {former} lost")
    _step_down(world)
    if may_elect(world):
        names = [member.name for member in world.pd.members]
        avoided = names.index(former) if former in names else -1
        delay_seconds = world.rng.uniform(ELECTION_MIN_SECONDS, ELECTION_MAX_SECONDS)
        world.schedule(delay_seconds, "pd.elected", world.pd.election_number, avoided)


def _step_down(world: World) -> None:
    world.pd.leader_name = ""
    world.pd.election_number += 1
    pd_meter.settle(world)


def expire_lease(world: World) -> None:
    """The leader cannot keep its lease and steps down by itself."""
    text = "no longer a leader because lease has expired, pd leader will step down"
    world.log_pd("INFO", text)
    drop_leader(world)


def lose_members(world: World, names: Iterable[str]) -> None:
    """End the processes of PD servers."""
    world.pd.stopped_members.update(names)
    if world.pd.leader_name in world.pd.stopped_members or not may_elect(world):
        drop_leader(world)


def regain_members(world: World, names: Iterable[str]) -> None:
    """Start the processes of PD servers again; what they had counted is gone."""
    for name in names:
        if name in world.pd.stopped_members:
            world.pd.stopped_members.discard(name)
            world.pd.states[name] = MemberState(start_seconds=world.now_seconds)
            world.log(name, "INFO", "Welcome to Placement Driver (PD)")
    if not world.pd.leader_name:
        drop_leader(world)


def hang_members(world: World, names: Iterable[str]) -> None:
    """Let PD servers hang: a hung leader keeps its place and answers nobody."""
    world.pd.hung_members.update(names)
    pd_meter.settle(world)
    world.record("pd", f"hung: {sorted(world.pd.hung_members)}")


def release_members(world: World, names: Iterable[str]) -> None:
    """Let hung PD servers go on; a leader whose lease ran out meanwhile is no leader any more."""
    led = world.pd.leader_name in world.pd.hung_members
    world.pd.hung_members.difference_update(names)
    if led and world.pd.leader_name not in world.pd.hung_members:
        expire_lease(world)
    elif not world.pd.leader_name:
        drop_leader(world)


def hand_over(world: World, name: str) -> None:
    """Let a named PD server follow the present leader, after an election like any other."""
    if world.pd.transfer_ignored:
        return
    _step_down(world)
    index = [member.name for member in world.pd.members].index(name)
    delay_seconds = world.rng.uniform(ELECTION_MIN_SECONDS, ELECTION_MAX_SECONDS)
    world.schedule(delay_seconds, "pd.handed_over", world.pd.election_number, index)


def on_handed_over(world: World, args: tuple[int, ...]) -> None:
    """The named PD server becomes leader, or whoever can if it has stopped."""
    number, index = args
    if number != world.pd.election_number:
        return
    member = world.pd.members[index]
    if member in healthy_members(world) and may_elect(world):
        install(world, member.name)
    else:
        drop_leader(world)


def on_elected(world: World, args: tuple[int, ...]) -> None:
    """A PD server becomes leader with what it finds in storage."""
    number, avoided = args
    if number != world.pd.election_number or not may_elect(world):
        return
    former = world.pd.members[avoided].name if avoided >= 0 else ""
    install(world, _choose(world, former).name)


def install(world: World, name: str) -> None:
    """Make a PD server leader: operators, their results, pauses and reports are lost."""
    pd = world.pd
    pd.leader_name = name
    pd.election_number += 1
    pd_meter.settle(world)
    _log_campaign(world, name)
    pd.operators, pd.results, pd.records = {}, {}, []
    pd.suspects, pd.irregular, pd.patrol, pd.fitted = {}, {}, [], {}
    pd.paused_checkers, pd.buckets = {}, {}
    pd.former_limits, pd.overlooked, pd.unwitnessed_seconds = {}, {}, {}
    pd.loaded_at_seconds = world.now_seconds
    for scheduler in pd.schedulers.values():
        scheduler.paused_until_seconds = 0.0
    forget_reports(world)
    world.record("pd", f"leader {name} elected")
    for phase in range(int(REGION_HEARTBEAT_SECONDS)):
        world.schedule(float(phase), "pd.region_heartbeats", pd.election_number, phase)
    for store_id in world.stores:
        delay_seconds = world.rng.uniform(0.0, STORE_HEARTBEAT_SECONDS)
        world.schedule(delay_seconds, "store.reconnect", store_id)


def _log_campaign(world: World, name: str) -> None:
    field = {"campaign-leader-name": name}
    world.log(name, "INFO", "pd leader has changed, try to re-campaign a pd leader")
    world.log(name, "INFO", "start to campaign PD leader", **field)
    world.log(name, "INFO", "campaign PD leader ok", **field)
    world.log(name, "INFO", "PD leader is ready to serve", **{"leader-name": name})


def knows_leaders(world: World) -> bool:
    """Whether a new leader has heard of every region: before, its counts of leaders mislead."""
    waited_seconds = world.now_seconds - world.pd.loaded_at_seconds
    return world.pd.regions.unheard_count == 0 or waited_seconds >= PREPARED_AFTER_SECONDS


def is_prepared(world: World) -> bool:
    """Whether a new leader has heard of enough regions to schedule."""
    pd = world.pd
    if world.now_seconds - pd.loaded_at_seconds >= PREPARED_AFTER_SECONDS:
        return True
    reported = len(pd.regions) - pd.regions.unheard_count
    return reported >= PREPARED_SHARE * len(pd.regions)


def _choose(world: World, former: str) -> Member:
    priority = world.pd.leader_priority
    candidates = healthy_members(world)
    others = [member for member in candidates if member.name != former] or candidates
    best = max(priority.get(member.name, 0) for member in others)
    return world.rng.choice([m for m in others if priority.get(m.name, 0) == best])
