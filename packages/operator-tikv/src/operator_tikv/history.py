"""What only several looks show: a leader that changes, a store that never leaves. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from operator_core.types import JsonObject
from operator_tikv.pd.types import StoreInfo

LEADER_WINDOW_SECONDS: Final = 600.0


@dataclass(frozen=True)
class Leaving:
    """A store that is being taken out.

    Attributes:
        since: when it was first seen so.
        regions: how many regions it had at the last change.
        unchanged_since: when that was.
    """

    since: float
    regions: int
    unchanged_since: float


@dataclass(frozen=True)
class History:
    """What was seen before, in seconds of one clock.

    Attributes:
        leader: the PD leader of the last look; None: it had none.
        leader_changes: when the leader was another one than the look before.
        leaving: the stores that are Offline.
    """

    leader: str | None = None
    is_known: bool = False
    leader_changes: tuple[float, ...] = ()
    leaving: Mapping[int, Leaving] = field(default_factory=dict)

    def with_leader(self, leader: str | None, now: float) -> "History":
        """Take in who leads PD now, or that nobody does."""
        kept = [at for at in self.leader_changes if now - at < LEADER_WINDOW_SECONDS]
        if self.is_known and leader != self.leader:
            kept.append(now)
        return replace(self, leader=leader, is_known=True, leader_changes=tuple(kept))

    def with_stores(self, stores: Iterable[StoreInfo], now: float) -> "History":
        """Take in the stores."""
        leaving = {}
        for store in stores:
            if store.store.state_name != "Offline":
                continue
            regions = store.status.region_count
            known = self.leaving.get(store.id, Leaving(now, regions, now))
            same = known.regions == regions
            since = known.unchanged_since if same else now
            leaving[store.id] = Leaving(known.since, regions, since)
        return replace(self, leaving=leaving)


def leader_facts(history: History, now: float) -> JsonObject:
    """Return what the part `pd` says besides: how often its leader changed of late."""
    recent = [at for at in history.leader_changes if now - at < LEADER_WINDOW_SECONDS]
    return {"leader_changes": len(recent), "leader_window_seconds": LEADER_WINDOW_SECONDS}


def leaving_facts(history: History, now: float) -> JsonObject:
    """Return the data of the part `leaving`.

    Store id → ``region_count``, ``seconds`` since it was first seen Offline, and
    ``unchanged_seconds`` since it last lost a region.
    """
    return {
        str(store_id): {
            "region_count": one.regions,
            "seconds": round(now - one.since, 1),
            "unchanged_seconds": round(now - one.unchanged_since, 1),
        }
        for store_id, one in sorted(history.leaving.items())
    }
