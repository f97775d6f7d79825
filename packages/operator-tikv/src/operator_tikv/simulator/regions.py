"""A table of regions with the indexes that make every question about a store cheap."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from operator_tikv.simulator.model import Region


SMALL_MIB: Final = 54
BIG_MIB: Final = 384
BIG_KEYS: Final = 3_840_000


class RegionTable:
    """Regions by id, by the stores of their peers and by the store of their leader.

    Dictionaries without values serve as sets that keep the order of insertion: iterating
    a real set would not be the same from run to run.
    """

    def __init__(self) -> None:
        """Make an empty table."""
        self._regions: dict[int, Region] = {}
        self._unheard: set[int] = set()
        self._by_store: defaultdict[int, dict[int, None]] = defaultdict(dict)
        self._led_by_store: defaultdict[int, dict[int, None]] = defaultdict(dict)
        self._size_mib: defaultdict[int, int] = defaultdict(int)
        self._led_size_mib: defaultdict[int, int] = defaultdict(int)
        self._weight: defaultdict[int, float] = defaultdict(float)
        self._led_weight: defaultdict[int, float] = defaultdict(float)
        self._starts: list[tuple[str, int]] | None = None
        self._odd_sized: dict[int, None] = {}
        self._witnesses: defaultdict[int, int] = defaultdict(int)

    def __len__(self) -> int:
        """Count the regions."""
        return len(self._regions)

    def __iter__(self) -> Iterator[Region]:
        """Iterate over the regions in order of insertion."""
        if not self._unheard:
            return iter(self._regions.values())
        return (self._shown(region) for region in self._regions.values())

    def get(self, region_id: int) -> Region | None:
        """Find a region by its id."""
        region = self._regions.get(region_id)
        return region if region is None or not self._unheard else self._shown(region)

    def put(self, region: Region) -> None:
        """Insert or replace a region and keep the indexes right."""
        region_id = region.region_id
        old = self._regions.get(region_id)
        self._regions[region_id] = region
        if old is None or old.start_key != region.start_key:
            self._starts = None
        led_before = old.leader_store_id if old and region_id not in self._unheard else 0
        self._unheard.discard(region_id)
        if old is not None and led_before:
            self._count_leader(old, led_before, -1)
        if old is None or old.peers != region.peers or not _weighs_as(old, region):
            if old is not None:
                self._count_peers(old, -1)
            self._count_peers(region, 1)
            self._note_size(region)
        led_now = region.leader_store_id
        if led_now:
            self._count_leader(region, led_now, 1)

    def forget_leaders(self) -> None:
        """Know of every region only what storage holds, until it is put again."""
        self._unheard = set(self._regions)
        self._led_by_store.clear()
        self._led_size_mib.clear()
        self._led_weight.clear()

    @property
    def unheard_count(self) -> int:
        """How many regions have not been put since the leaders were forgotten."""
        return len(self._unheard)

    def odd_sized(self) -> list[Region]:
        """The regions that are small or big: all others are neither empty, nor under or over."""
        found = (self.get(region_id) for region_id in self._odd_sized)
        return [region for region in found if region is not None]

    def _shown(self, region: Region) -> Region:
        if region.region_id not in self._unheard:
            return region
        return replace(region, leader_peer_id=0, down=(), pending=())

    def remove(self, region_id: int) -> None:
        """Forget a region that was merged into another."""
        old = self.get(region_id)
        if old is None:
            return
        if old.leader_store_id:
            self._count_leader(old, old.leader_store_id, -1)
        self._count_peers(old, -1)
        del self._regions[region_id]
        self._unheard.discard(region_id)
        self._odd_sized.pop(region_id, None)
        self._starts = None

    def on_store(self, store_id: int) -> list[int]:
        """Ids of the regions with a peer on a store."""
        return list(self._by_store[store_id])

    def led_by(self, store_id: int) -> list[int]:
        """Ids of the regions whose leader is on a store."""
        return list(self._led_by_store[store_id])

    def leads(self, store_id: int) -> Mapping[int, None]:
        """The regions whose leader is on a store, to look into and not to keep."""
        return self._led_by_store[store_id]

    def region_count(self, store_id: int) -> int:
        """Count the peers on a store."""
        return len(self._by_store[store_id])

    def witness_count(self, store_id: int) -> int:
        """Count the peers on a store that vote without data."""
        return self._witnesses[store_id]

    @property
    def has_witnesses(self) -> bool:
        """Whether any region has a witness."""
        return any(self._witnesses.values())

    def leader_count(self, store_id: int) -> int:
        """Count the leaders on a store."""
        return len(self._led_by_store[store_id])

    def region_size_mib(self, store_id: int) -> int:
        """Sum the approximate sizes of the peers on a store, in MiB."""
        return self._size_mib[store_id]

    def leader_size_mib(self, store_id: int) -> int:
        """Sum the approximate sizes of the leaders on a store, in MiB."""
        return self._led_size_mib[store_id]

    def weight(self, store_id: int) -> float:
        """Sum the shares of the load of the peers on a store."""
        return self._weight[store_id]

    def leader_weight(self, store_id: int) -> float:
        """Sum the shares of the load of the leaders on a store."""
        return self._led_weight[store_id]

    def containing(self, key_hex: str) -> Region | None:
        """Find the region of a key (upper-case hex of the encoded key)."""
        starts = self._sorted_starts()
        place = bisect_right(starts, (key_hex, 1 << 62)) - 1
        return self.get(starts[place][1]) if place >= 0 else None

    def ending_at(self, key_hex: str) -> Region | None:
        """Find the region left of the one that begins at a key."""
        starts = self._sorted_starts()
        place = bisect_left(starts, (key_hex, 0)) - 1
        return self.get(starts[place][1]) if place >= 0 else None

    def overlapping(self, start_key: str, end_key: str) -> list[Region]:
        """The regions that hold keys of a range, by key; an empty end has no limit."""
        starts = self._sorted_starts()
        first = max(0, bisect_right(starts, (start_key, 1 << 62)) - 1)
        last = bisect_left(starts, (end_key, 0)) if end_key else len(starts)
        return [self._shown(self._regions[number]) for _key, number in starts[first:last]]

    def in_key_order(self) -> list[Region]:
        """All regions by start key."""
        regions = self._regions
        return [self._shown(regions[region_id]) for _key, region_id in self._sorted_starts()]

    def _sorted_starts(self) -> list[tuple[str, int]]:
        if self._starts is None:
            self._starts = sorted((r.start_key, r.region_id) for r in self._regions.values())
        return self._starts

    def _count_peers(self, region: Region, sign: int) -> None:
        for peer in region.peers:
            store_id = peer.store_id
            if peer.is_witness:  # it holds no data and bears no load
                self._witnesses[store_id] += sign
            else:
                self._size_mib[store_id] += sign * region.size_mib
                self._weight[store_id] += sign * region.weight
            if sign > 0:
                self._by_store[store_id][region.region_id] = None
            else:
                self._by_store[store_id].pop(region.region_id, None)

    def _count_leader(self, region: Region, store_id: int, sign: int) -> None:
        self._led_size_mib[store_id] += sign * region.size_mib
        self._led_weight[store_id] += sign * region.weight
        if sign > 0:
            self._led_by_store[store_id][region.region_id] = None
        else:
            self._led_by_store[store_id].pop(region.region_id, None)

    def _note_size(self, region: Region) -> None:
        if SMALL_MIB < region.size_mib < BIG_MIB and region.keys < BIG_KEYS:
            self._odd_sized.pop(region.region_id, None)
        else:
            self._odd_sized[region.region_id] = None


def _weighs_as(region: Region, other: Region) -> bool:
    same_load = region.weight == other.weight and region.keys == other.keys
    return same_load and region.size_mib == other.size_mib
