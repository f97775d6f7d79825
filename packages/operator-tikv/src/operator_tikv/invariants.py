"""The invariants of a TiKV cluster: each check with what it needs and how long it waits."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Final

from operator_core.monitor.types import Invariant, Observation, Violation
from operator_tikv.checks import (
    check_evict_leader_left_over,
    check_leader_imbalance,
    check_low_space,
    check_pd_no_leader,
    check_region_without_leader,
    check_slow_store,
    check_store_disconnected,
    check_store_down,
    peer_check,
)


def _invariant(
    check: Callable[[Observation], Iterable[Violation]],
    name: str,
    needs: Sequence[str],
    grace_seconds: float,
    clear_seconds: float,
) -> Invariant:
    return Invariant(
        name=name,
        description=(check.__doc__ or _DESCRIPTIONS.get(name, name)).split("\n")[0],
        check=check,
        needs=tuple(needs),
        grace_seconds=grace_seconds,
        clear_seconds=clear_seconds,
    )


_DESCRIPTIONS: Final = {
    "miss_peers": "Regions with fewer replicas than wanted.",
    "down_peers": "Regions whose leader has missed a replica for ten minutes.",
    "pending_peers": "Regions with a replica that lags behind or waits for a snapshot.",
}

INVARIANTS: Final[tuple[Invariant, ...]] = (
    _invariant(check_store_disconnected, "store_disconnected", ["stores"], 10, 20),
    _invariant(check_store_down, "store_down", ["stores"], 0, 20),
    # A score rises and falls in steps of ten seconds.
    _invariant(check_slow_store, "slow_store", ["stores"], 20, 20),
    _invariant(check_low_space, "low_space", ["stores", "config"], 60, 60),
    # Nobody can see whose eviction it is: Operator's own drain, a person's or a rolling
    # restart's. They last minutes, and one that lasts longer on a store that is well is told.
    _invariant(
        check_evict_leader_left_over, "evict_leader_left_over", ["stores", "schedulers"], 180, 10
    ),
    _invariant(check_leader_imbalance, "leader_imbalance", ["stores", "schedulers"], 120, 20),
    _invariant(
        peer_check("miss_peer", "have fewer replicas than wanted"),
        "miss_peers",
        ["regions"],
        60,
        20,
    ),
    _invariant(
        peer_check("down_peer", "have a replica that their leader misses"),
        "down_peers",
        ["regions"],
        30,
        20,
    ),
    # Normal while replicas move; a snapshot takes minutes.
    _invariant(
        peer_check("pending_peer", "have a replica that lags behind"),
        "pending_peers",
        ["regions"],
        300,
        20,
    ),
    # An election takes 10 to 20 s.
    _invariant(
        check_region_without_leader,
        "region_without_leader",
        ["leaders", "cluster", "config"],
        30,
        20,
    ),
    _invariant(check_pd_no_leader, "pd_no_leader", ["pd"], 10, 10),
)


def hurried(time_scale: float) -> tuple[Invariant, ...]:
    """Return the invariants with their patience shortened.

    Args:
        time_scale: how many times faster than real time the cluster lives (1 for real ones).
    """
    return tuple(
        replace(
            invariant,
            grace_seconds=invariant.grace_seconds / time_scale,
            clear_seconds=invariant.clear_seconds / time_scale,
        )
        for invariant in INVARIANTS
    )
