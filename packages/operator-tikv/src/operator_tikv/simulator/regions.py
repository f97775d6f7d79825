"""A table of regions with the indexes that make every question about a store cheap."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from operator_tikv.simulator.model import Region


class RegionTable:
    """Regions by id, by the stores of their peers and by the store of their leader.

    Dictionaries without values serve as sets that keep the order of insertion: iterating
    a real set would not be the same from run to run.
    """

    def __init__(self) -> None:
        """Make an empty table."""
        self._regions: dict[int, Region] = {}
        self._by_store: defaultdict[int, dict[int, None]] = defaultdict(dict)
        self._led_by_store: defaultdict[int, dict[int, None]] = defaultdict(dict)
        self._size_mib: defaultdict[int, int] = defaultdict(int)
        self._led_size_mib: defaultdict[int, int] = defaultdict(int)
        self._weight: defaultdict[int, float] = defaultdict(float)
        self._led_weight: defaultdict[int, float] = defaultdict(float)
        self._starts: list[tuple[str, int]] | None = None

    def __len__(self) -> int:
        """Count the regions."""
        return len(self._regions)

    def __iter__(self) -> Iterator[Region]:
        """Iterate over the regions in order of insertion."""
        return iter(self._regions.values())

    def get(self, region_id: int) -> Region | None:
        """Find a region by its id."""
        return self._regions.get(region_id)

    def put(self, region: Region) -> None:
        """Insert or replace a region and keep the indexes right."""
        old = self._regions.get(region.region_id)
        if old is None or old.start_key != region.start_key:
            self._starts = None
        if old is not None:
            self._unindex(old)
        self._regions[region.region_id] = region
        self._index(region)

    def remove(self, region_id: int) -> None:
        """Forget a region that was merged into another."""
        old = self._regions.pop(region_id, None)
        if old is not None:
            self._unindex(old)
            self._starts = None

    def on_store(self, store_id: int) -> list[int]:
        """Ids of the regions with a peer on a store."""
        return list(self._by_store[store_id])

    def led_by(self, store_id: int) -> list[int]:
        """Ids of the regions whose leader is on a store."""
        return list(self._led_by_store[store_id])

    def region_count(self, store_id: int) -> int:
        """Count the peers on a store."""
        return len(self._by_store[store_id])

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
        return self._regions[starts[place][1]] if place >= 0 else None

    def in_key_order(self) -> list[Region]:
        """All regions by start key."""
        return [self._regions[region_id] for _key, region_id in self._sorted_starts()]

    def _sorted_starts(self) -> list[tuple[str, int]]:
        if self._starts is None:
            self._starts = sorted((r.start_key, r.region_id) for r in self._regions.values())
        return self._starts

    def _index(self, region: Region) -> None:
        for peer in region.peers:
            self._by_store[peer.store_id][region.region_id] = None
            self._size_mib[peer.store_id] += region.size_mib
            self._weight[peer.store_id] += region.weight
        store_id = region.leader_store_id
        if store_id:
            self._led_by_store[store_id][region.region_id] = None
            self._led_size_mib[store_id] += region.size_mib
            self._led_weight[store_id] += region.weight

    def _unindex(self, region: Region) -> None:
        for peer in region.peers:
            self._by_store[peer.store_id].pop(region.region_id, None)
            self._size_mib[peer.store_id] -= region.size_mib
            self._weight[peer.store_id] -= region.weight
        store_id = region.leader_store_id
        if store_id:
            self._led_by_store[store_id].pop(region.region_id, None)
            self._led_size_mib[store_id] -= region.size_mib
            self._led_weight[store_id] -= region.weight
