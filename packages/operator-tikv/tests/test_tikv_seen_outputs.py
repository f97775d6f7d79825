"""What people have shown of PD in public goes through the client and a whole look, and is read.

`fixtures/pd/seen.json` holds one output each, where it was shown, and what a look makes of it. The
shapes are those shown; ids, addresses and most figures are changed.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from operator_tikv.invariants import INVARIANTS
from operator_tikv.metrics.exposition import samples_of
from pd_releases import Release, look
from tikv_support import fixture

if TYPE_CHECKING:
    from operator_core.monitor.types import Observation

Json = Any
SEEN: list[dict[str, Json]] = fixture("seen.json")
BASE = "5.4.3"
"""The release whose other answers stand around the one that was seen."""


def served(asks: str, answer: Json) -> tuple[str, Json]:
    """The question of a look that gives this answer: one thing stands in a list of one."""
    if asks.startswith("/store/"):
        return "/stores", {"count": 1, "stores": [answer]}
    if asks.startswith("/region/id/"):
        return "/regions", {"count": 1, "regions": [answer]}
    return asks, answer


async def look_with(asks: str, answer: Json) -> Observation:
    """Look at a cluster that answers one question so, and the others as usual."""
    release = Release(BASE)
    path, whole = served(asks, answer)
    release.answers[path] = whole
    return await look(release)


def value_at(observation: Observation, path: str) -> Json:
    part, *keys = path.split("/")
    value: Json = observation.data(part)
    for key in keys:
        value = value[int(key)] if isinstance(value, list) else value[key.replace("~", "/")]
    return value


@pytest.mark.parametrize("seen", SEEN, ids=lambda seen: str(seen["name"]))
async def test_what_was_seen_is_read_and_judged(seen: dict[str, Json]) -> None:
    observation = await look_with(seen["asks"], seen["answer"])
    errors = {name: part.error for name, part in observation.parts.items() if part.error}
    assert not errors
    assert {path: value_at(observation, path) for path in seen["tells"]} == seen["tells"]
    broken = {
        rule.name
        for rule in INVARIANTS
        if observation.sees(rule.needs) and list(rule.check(observation))
    }
    assert broken >= set(seen["breaks"])
    assert not broken & set(seen["holds"])


def test_every_output_tells_where_it_was_shown_and_means_something() -> None:
    assert len(SEEN) >= 63
    assert len({seen["name"] for seen in SEEN}) == len(SEEN)
    assert all(seen["source"] and seen["release"] and seen["tells"] for seen in SEEN)
    assert len({seen["asks"].split("/")[1].partition("?")[0] for seen in SEEN}) >= 10


@pytest.mark.parametrize("seen", SEEN[:3], ids=lambda seen: str(seen["name"]))
async def test_what_was_seen_means_the_same_printed_in_one_line(seen: dict[str, Json]) -> None:
    again = json.loads(json.dumps(seen["answer"], sort_keys=True, separators=(",", ":")))
    observation = await look_with(seen["asks"], again)
    assert {path: value_at(observation, path) for path in seen["tells"]} == seen["tells"]


# github:pingcap/tiup pkg/cluster/api/tikvapi, github:DataDog/integrations-extras tidb/tests.
PAGE = """\
# HELP tikv_raftstore_region_count Number of regions collected in region_collector
# TYPE tikv_raftstore_region_count gauge
tikv_raftstore_region_count{type="buckets"} 50
tikv_raftstore_region_count{type="leader"} 20
tikv_raftstore_region_count{type="region"} 50
# HELP pd_cluster_tso Record of tso metadata.
# TYPE pd_cluster_tso gauge
pd_cluster_tso{dc="global",type="tso"} 1.634094940871e+12
"""


def test_samples_of_pages_that_were_seen_are_read() -> None:
    names = {"tikv_raftstore_region_count", "pd_cluster_tso"}
    found = {(name, labels): value for name, labels, value in samples_of(PAGE, names)}
    assert found["tikv_raftstore_region_count", 'type="leader"'] == 20.0
    assert found["pd_cluster_tso", 'dc="global",type="tso"'] == 1_634_094_940_871.0
