"""PD's balance-hot-region scheduler: spreads hot regions where that makes stores more equal.

One region whose flow is more than a store's share is left where it is: elsewhere it would be the
same. Only bytes are compared, and each run makes one move.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from statistics import fmean, pstdev
from typing import TYPE_CHECKING, Any, Final

from operator_tikv.simulator import balance_region, filters, heat, operators, rule_fit
from operator_tikv.simulator.builder import RefusedError, plan_move_peer, plan_transfer_leader
from operator_tikv.simulator.load import base_rate
from operator_tikv.simulator.operator_model import (
    AddLearner,
    Priority,
    RemovePeer,
    TransferLeader,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from operator_tikv.simulator.heat import Heat
    from operator_tikv.simulator.model import Region
    from operator_tikv.simulator.operator_model import Step
    from operator_tikv.simulator.world import World

NAME: Final = "balance-hot-region-scheduler"
KIND: Final = "hot-region"
HISTORY_SECONDS: Final = 300.0
"""PD moves nothing before a store has been above its share for this long."""

COOL_DOWN_REPORTS: Final = 3
UNIFORM_DEVIATION: Final = 0.05


@dataclass(frozen=True)
class Aim:
    """What one run compares: the flow of leaders or of all peers, of one kind."""

    kind: str
    leaders_only: bool

    @property
    def name(self) -> str:
        """The name that PD gives to operators of this aim."""
        verb, noun = ("transfer", "leader") if self.leaders_only else ("move", "peer")
        return f"{verb}-hot-{self.kind}-{noun}"

    def bearers(self, region: Region) -> list[int]:
        """The stores that a region's flow falls on."""
        if self.leaders_only:
            return [region.leader_store_id]
        return [peer.store_id for peer in region.peers if not peer.is_witness]

    def shift(self, step: Step) -> tuple[int, int]:
        """The store that a step takes the flow from and the one it brings it to; 0 for none."""
        if self.leaders_only:
            if isinstance(step, TransferLeader):
                return step.from_store_id, step.to_store_id
            return 0, 0
        leaves = step.store_id if isinstance(step, RemovePeer) else 0
        return leaves, step.store_id if isinstance(step, AddLearner) else 0


AIMS: Final = (
    Aim(heat.READ, leaders_only=True),
    Aim(heat.WRITE, leaders_only=False),
    Aim(heat.WRITE, leaders_only=True),
)


@dataclass(frozen=True)
class Picture:
    """The hot regions that may be moved, and what each store bears once what runs has ended."""

    world: World
    aim: Aim
    regions: dict[int, Heat]
    loads: dict[int, float]
    settings: dict[str, Any]

    def ratio(self, name: str) -> float:
        """One of the scheduler's ratios."""
        return float(self.settings[name])

    def is_source(self, store_id: int) -> bool:
        """Whether a store bears so much more than its share that something should leave it."""
        return self.loads.get(store_id, 0.0) > self.ratio("src-tolerance-ratio") * self.mean

    def is_target(self, store_id: int) -> bool:
        """Whether a store bears so much less than its share that something may come."""
        return self.loads[store_id] * self.ratio("dst-tolerance-ratio") < self.mean

    @property
    def mean(self) -> float:
        """The share of a store, were all equal."""
        return fmean(self.loads.values())

    @property
    def is_uniform(self) -> bool:
        """Whether the stores bear so much the same that PD leaves them alone."""
        if not self.regions or not self.loads:
            return True
        return pstdev(self.loads.values()) < UNIFORM_DEVIATION * self.mean


@dataclass(frozen=True)
class Move:
    """A region that would leave one store for another; the better, the smaller `worst`."""

    worst: float
    region: Region
    from_store_id: int
    to_store_id: int


def run(world: World) -> int:
    """Make at most one move; returns how many operators were made."""
    if not world.load.hot:
        return 0
    world.pd.count("pd_scheduler_event_count", NAME, "schedule")
    limit = world.pd.config.number("hot-region-schedule-limit")
    if operators.running_of_kind(world, KIND) >= limit:
        return 0
    hot = heat.heat_by_region(world)
    return int(any(_solve(world, aim, hot) for aim in AIMS))


def _solve(world: World, aim: Aim, hot: dict[int, Heat]) -> bool:
    picture = look(world, aim, hot)
    if picture.is_uniform or aim.kind == picture.settings.get("forbid-rw-type"):
        return False
    moves = sorted(_moves(picture), key=lambda one: (one.worst, one.region.region_id))
    return any(_make(picture, move) for move in moves[: balance_region.ATTEMPTS])


def look(world: World, aim: Aim, hot: dict[int, Heat]) -> Picture:
    """Sum the flow by store, as if the hot moves under way had arrived."""
    loads = {
        store.store_id: base_rate(world, store.store_id, aim.kind, leaders_only=aim.leaders_only)
        for store in world.stores.values()
        if balance_region.takes_part(world, store)
    }
    for region_id, one in hot.items():
        for store_id, sign in _bearing(world, aim, region_id):
            if store_id in loads:
                loads[store_id] += sign * one.rate(aim.kind)
    ready = {number: one for number, one in hot.items() if _is_ready(world, aim, number, one)}
    return Picture(world, aim, ready, loads, world.admin.payloads.get(NAME, {}))


def _bearing(world: World, aim: Aim, region_id: int) -> Iterator[tuple[int, int]]:
    region = world.pd.regions.get(region_id)
    for store_id in aim.bearers(region) if region is not None else ():
        yield store_id, 1
    running = world.pd.operators.get(region_id)
    if running is not None and running.plan.kinds[0] == KIND:
        for step in running.plan.steps[running.current_step :]:
            leaves, comes = aim.shift(step)
            yield leaves, -1
            yield comes, 1


def _is_ready(world: World, aim: Aim, region_id: int, one: Heat) -> bool:
    least = world.pd.config.number("hot-region-cache-hits-threshold")
    return (
        one.rate(aim.kind) >= heat.LEAST_BYTES_PER_SECOND[aim.kind]
        and heat.degree(world, region_id, one, aim.kind) >= least
        and world.now_seconds - one.since_seconds >= HISTORY_SECONDS
        and region_id not in world.pd.operators
    )


def _moves(picture: Picture) -> Iterator[Move]:
    """The moves that leave the fuller of the two stores with less than the source has now."""
    world, aim = picture.world, picture.aim
    for region_id, one in picture.regions.items():
        region = world.pd.regions.get(region_id)
        if region is None or not _is_movable(world, aim, region):
            continue
        for source in filter(picture.is_source, aim.bearers(region)):
            for target in filter(picture.is_target, _targets(picture, region, source)):
                flow = one.rate(aim.kind)
                worst = max(picture.loads[source] - flow, picture.loads[target] + flow)
                if worst < picture.ratio("great-dec-ratio") * picture.loads[source]:
                    yield Move(worst, region, source, target)


def _is_movable(world: World, aim: Aim, region: Region) -> bool:
    rested_seconds = world.now_seconds - region.led_since_seconds
    cool_down_seconds = COOL_DOWN_REPORTS * heat.REPORT_SECONDS[aim.kind]
    small = region.size_mib <= world.pd.config.number("max-movable-hot-peer-size")
    return (
        balance_region.is_calm(world, region)
        and rested_seconds >= cool_down_seconds
        and (aim.leaders_only or small)
    )


def _targets(picture: Picture, region: Region, source: int) -> list[int]:
    world = picture.world
    if picture.aim.leaders_only:
        followers = (peer for peer in region.peers if peer.peer_id != region.leader_peer_id)
        return [
            peer.store_id
            for peer in followers
            if peer.may_lead
            and filters.may_receive_leader(world, peer.store_id)
            and rule_fit.may_lead(world, region, peer.store_id)
        ]
    stores = [world.stores[store_id] for store_id in picture.loads]
    admitted = rule_fit.admitted(world, region, world.stores[source], stores)
    return [s.store_id for s in admitted if filters.may_receive_peer(world, s, region)]


def _make(picture: Picture, move: Move) -> bool:
    world, aim = picture.world, picture.aim
    stores = (move.from_store_id, move.to_store_id)
    try:
        if aim.leaders_only:
            plan = plan_transfer_leader(
                world, move.region, stores[1], description=aim.name, kinds=(KIND, "leader")
            )
        else:
            plan = plan_move_peer(
                world, move.region, *stores, description=aim.name, kinds=(KIND, "region")
            )
    except RefusedError:
        world.pd.count("pd_scheduler_event_count", NAME, "create_operator_failed")
        return False
    made = operators.submit(world, move.region, replace(plan, priority=Priority.HIGH))
    if made is not None:
        world.pd.count("pd_scheduler_event_count", NAME, "new_operator")
    return made is not None
