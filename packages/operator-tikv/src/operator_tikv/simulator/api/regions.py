"""`/region` and `/regions`, without the checks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_to_bytes

from operator_tikv.simulator.api import http
from operator_tikv.simulator.load import region_flow
from operator_tikv.simulator.model import Role
from operator_tikv.simulator.render_region import region_info, regions_info

if TYPE_CHECKING:
    from collections.abc import Callable

    from operator_tikv.simulator.api.http import Answer, Call, Handler
    from operator_tikv.simulator.model import Region
    from operator_tikv.simulator.world import World

DEFAULT_LIMIT: Final = 16
MAX_LIMIT: Final = 10_240


def region_by_id(world: World, call: Call) -> Answer:
    """One region; an unknown id answers 200 with zeros."""
    raw = call.params["id"]
    if not (raw.isascii() and raw.isdigit()):
        raise http.PdError(400, f'strconv.ParseUint: parsing "{raw}": invalid syntax')
    return http.octets(region_info(world, world.pd.regions.get(int(raw))))


def region_by_key(world: World, call: Call) -> Answer:
    """The region of a key, given as it is or as hex."""
    key_hex = _key_hex(call.params["key"], call.value("format"))
    return http.octets(region_info(world, world.pd.regions.containing(key_hex)))


def all_regions(world: World, _call: Call) -> Answer:
    """Every region."""
    return http.octets(regions_info(world, world.pd.regions))


def scan(world: World, call: Call) -> Answer:
    """Regions from a key on."""
    start, end = (_key_hex(call.value(name), call.value("format")) for name in ("key", "end_key"))
    found = [
        region
        for region in world.pd.regions.in_key_order()
        if (not region.end_key or region.end_key > start) and (not end or region.start_key < end)
    ]
    return http.octets(regions_info(world, found[: _limit(call)]))


def count(world: World, _call: Call) -> Answer:
    """How many regions there are."""
    return http.ok({"count": len(world.pd.regions), "regions": None})


def of_store(world: World, call: Call) -> Answer:
    """The regions of a store, of one kind."""
    store_id = http.path_id(call)
    kind = call.value("type", "all")
    test = _KINDS.get(kind)
    if test is None:
        raise http.PdError(400, f"unknown sub tree type: {kind}")
    found = (world.pd.regions.get(region_id) for region_id in world.pd.regions.on_store(store_id))
    chosen = [region for region in found if region is not None and test(region, store_id)]
    return http.octets(regions_info(world, chosen))


def top(world: World, call: Call) -> Answer:
    """The regions with the most of something."""
    rank = _RANKS.get(call.params["rank"])
    if rank is None:
        return http.text(404, "404 page not found")
    ordered = sorted(world.pd.regions, key=lambda region: rank(world, region), reverse=True)
    return http.octets(regions_info(world, ordered[: _limit(call)]))


def siblings(world: World, call: Call) -> Answer:
    """The regions before and after one."""
    region = world.pd.regions.get(http.path_id(call))
    if region is None:
        message = f"[PD:region:ErrRegionNotFound]region {call.params['id']} not found"
        raise http.PdError(404, message)
    near = [
        other
        for other in world.pd.regions.in_key_order()
        if (other.end_key and other.end_key == region.start_key)
        or (region.end_key and other.start_key == region.end_key)
    ]
    return http.octets(regions_info(world, near))


def _limit(call: Call) -> int:
    raw = call.value("limit") or str(DEFAULT_LIMIT)
    if not raw.lstrip("-").isdigit():
        raise http.PdError(400, f'strconv.Atoi: parsing "{raw}": invalid syntax')
    wanted = int(raw)
    return min(wanted, MAX_LIMIT) if wanted > 0 else DEFAULT_LIMIT


def _key_hex(raw: str, key_format: str) -> str:
    if key_format == "hex":
        try:
            return bytes.fromhex(raw).hex().upper()
        except ValueError as error:
            raise http.PdError(400, f"encoding/hex: invalid byte in {raw!r}") from error
    return unquote_to_bytes(raw).hex().upper()


def _is_led(region: Region, store_id: int) -> bool:
    return region.leader_store_id == store_id


def _is_learner(region: Region, store_id: int) -> bool:
    peer = region.peer_on(store_id)
    return peer is not None and peer.role is Role.LEARNER


def _is_follower(region: Region, store_id: int) -> bool:
    return not _is_led(region, store_id) and not _is_learner(region, store_id)


def _is_witness(region: Region, store_id: int) -> bool:
    peer = region.peer_on(store_id)
    return peer is not None and peer.is_witness


def _is_pending(region: Region, store_id: int) -> bool:
    peer = region.peer_on(store_id)
    return peer is not None and peer.peer_id in region.pending


_KINDS: Final[dict[str, Callable[[Region, int], bool]]] = {
    "all": lambda _region, _store_id: True,
    "leader": _is_led,
    "follower": _is_follower,
    "learner": _is_learner,
    "witness": _is_witness,
    "pending": _is_pending,
}
_RANKS: Final[dict[str, Callable[[World, Region], int]]] = {
    "writeflow": lambda world, r: region_flow(world, r, world.now_seconds).written_bytes,
    "readflow": lambda world, r: region_flow(world, r, world.now_seconds).read_bytes,
    "cpu": lambda world, r: region_flow(world, r, world.now_seconds).cpu_usage_percent,
    "confver": lambda _world, r: r.conf_ver,
    "version": lambda _world, r: r.version,
    "size": lambda _world, r: r.size_mib,
    "keys": lambda _world, r: r.keys,
}

ROUTES: Final[list[tuple[str, str, Handler]]] = [
    ("GET", "/region/id/{id}", region_by_id),
    ("GET", "/region/key/{key}", region_by_key),
    ("GET", "/regions", all_regions),
    ("GET", "/regions/count", count),
    ("GET", "/regions/key", scan),
    ("GET", "/regions/store/{id}", of_store),
    ("GET", "/regions/sibling/{id}", siblings),
    ("GET", "/regions/{rank}", top),
]
