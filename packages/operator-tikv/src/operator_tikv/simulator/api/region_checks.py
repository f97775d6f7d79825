"""`/regions/check/*`: the lists of regions that are not as they should be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from operator_tikv.simulator.api import http
from operator_tikv.simulator.region_status import CHECKS, regions_of
from operator_tikv.simulator.render_region import regions_info

if TYPE_CHECKING:
    from operator_tikv.simulator.api.http import Answer, Call, Handler
    from operator_tikv.simulator.world import World

DEFAULT_SIZE_BOUND_MIB: Final = 10
DEFAULT_KEYS_BOUND: Final = 10_000


def check(world: World, call: Call) -> Answer:
    """The regions that one check lists."""
    name = call.params["name"]
    if name not in CHECKS:
        return http.text(404, "404 page not found")
    return http.octets(regions_info(world, regions_of(world, name)))


def hist_size(world: World, call: Call) -> Answer:
    """How many regions have which size in MiB."""
    sizes = [region.size_mib for region in world.pd.regions]
    return http.ok(_histogram(sizes, _bound(call, DEFAULT_SIZE_BOUND_MIB)))


def hist_keys(world: World, call: Call) -> Answer:
    """How many regions have how many keys."""
    keys = [region.keys for region in world.pd.regions]
    return http.ok(_histogram(keys, _bound(call, DEFAULT_KEYS_BOUND)))


def _bound(call: Call, smallest: int) -> int:
    raw = call.value("bound") or str(smallest)
    if not raw.isdigit():
        raise http.PdError(400, f'strconv.Atoi: parsing "{raw}": invalid syntax')
    return max(int(raw), smallest)


def _histogram(values: list[int], bound: int) -> list[dict[str, int]]:
    counts: dict[int, int] = {}
    for value in values:
        counts[value // bound] = counts.get(value // bound, 0) + 1
    return [
        {"start": place * bound, "end": (place + 1) * bound - 1, "count": counts[place]}
        for place in sorted(counts)
    ]


ROUTES: Final[list[tuple[str, str, Handler]]] = [
    ("GET", "/regions/check/hist-size", hist_size),
    ("GET", "/regions/check/hist-keys", hist_keys),
    ("GET", "/regions/check/{name}", check),
]
