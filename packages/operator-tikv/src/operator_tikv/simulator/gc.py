"""The GC safe point: it follows the clock unless a service holds it back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from operator_tikv.simulator.admin import FOREVER

if TYPE_CHECKING:
    from operator_tikv.simulator.world import World

LIFE_SECONDS: Final = 600.0
ROUND_SECONDS: Final = 600.0
_LOGICAL_BITS: Final = 18


def safe_point(world: World) -> int:
    """The timestamp up to which old versions may go; it never moves back."""
    held = [point for point, _expires in world.admin.safe_points.values()]
    reached = min([_worker_point(world), *held])
    world.safe_point = max(world.safe_point, reached)
    return world.safe_point


def is_blocked(world: World) -> bool:
    """Whether a service holds the safe point back."""
    wanted = _worker_point(world)
    return any(point < wanted for point, _expires in world.admin.safe_points.values())


def hold(world: World, service: str, age_seconds: float) -> None:
    """Let a service hold the safe point, as if it had done so for a time already."""
    held = tso(world, world.now_seconds - max(age_seconds, LIFE_SECONDS))
    if age_seconds > LIFE_SECONDS:
        world.safe_point = min(held, safe_point(world))
    world.admin.safe_points[service] = (held, FOREVER)
    fields = {"service-id": service, "expire-at": FOREVER, "safepoint": held}
    world.log_pd("INFO", "update service GC safe point", **fields)


def tso(world: World, virtual_seconds: float) -> int:
    """The timestamp of TSO for a virtual second: milliseconds and a logical part."""
    return int(world.unix_seconds(virtual_seconds) * 1000.0) << _LOGICAL_BITS


def _worker_point(world: World) -> int:
    rounds = (world.now_seconds - LIFE_SECONDS) // ROUND_SECONDS
    return tso(world, rounds * ROUND_SECONDS)
