"""Healthy clusters of every release are seen whole, and nothing is found wrong with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from operator_tikv import facts
from operator_tikv.invariants import INVARIANTS
from operator_tikv.metrics.sight import store_processes
from operator_tikv.pd.api import PdApi
from operator_tikv.pd.client import PdClient
from operator_tikv.pd.types import StoreInfo
from operator_tikv.view import leaders_by_store
from pd_releases import LARGE_ID, RELEASES, Release, look
from tikv_support import NOW, PD_URL

if TYPE_CHECKING:
    from operator_core.monitor.types import Observation

WITH_FLASH = [name for name in RELEASES if name != "dr-auto-sync"]


def wrong(observation: Observation) -> list[str]:
    return [
        f"{rule.name}: {violation.message}"
        for rule in INVARIANTS
        if observation.sees(rule.needs)
        for violation in rule.check(observation)
    ]


@pytest.mark.parametrize("name", RELEASES)
async def test_a_healthy_cluster_of_a_release_is_seen_whole_and_nothing_is_wrong(name: str) -> None:
    release = Release(name)
    observation = await look(release)
    assert {part.error for part in observation.parts.values()} == {None}
    assert observation.complete
    assert wrong(observation) == []
    assert release.methods == {"GET"}


@pytest.mark.parametrize("name", RELEASES)
async def test_only_tikv_stores_count_as_tikv(name: str) -> None:
    cluster = (await look(Release(name))).data("cluster")
    assert cluster["healthy_store_ids"] == [1, 2, 3]
    assert cluster["leader_taker_count"] == 3
    assert set(cluster["leaders_by_store"]) == {"1", "2", "3"}
    assert len(cluster["versions"]) == 1, "TiFlash has versions of its own"


@pytest.mark.parametrize("name", RELEASES)
@pytest.mark.parametrize("store_id", [1, 9])
async def test_a_store_that_is_down_is_seen_in_every_release(name: str, store_id: int) -> None:
    release = Release(name)
    for store in release.answers["/stores"]["stores"]:
        if store["store"]["id"] == store_id:
            store["store"] |= {"state_name": "Down", "last_heartbeat": 1}
            store["status"].pop("last_heartbeat_ts")
    found = wrong(await look(release))
    assert any(f"{store_id}" in one for one in found if one.startswith("store_down")), found


@pytest.mark.parametrize("name", RELEASES)
async def test_a_region_without_a_quorum_is_seen_in_every_release(name: str) -> None:
    release = Release(name)
    for store in release.answers["/stores"]["stores"]:
        if store["store"]["id"] in {2, 3}:
            store["store"]["state_name"] = "Disconnected"
    leaders = (await look(release)).data("leaders")
    assert leaders["quorum_lost_count"] == 150


def test_engines_are_read_as_pd_reads_them() -> None:
    def store(**labels: str) -> StoreInfo:
        listed = [{"key": key, "value": value} for key, value in labels.items()]
        return StoreInfo.model_validate({"store": {"id": 1, "labels": listed}})

    assert [
        store(engine="tiflash").is_tiflash,
        store(engine="tiflash_compute").is_tiflash,
        store(Engine="tiflash").is_tiflash,
        store(engine="tikv").is_tiflash,
        store(zone="tiflash").is_tiflash,
    ] == [True, True, True, False, False]


@pytest.mark.parametrize(
    ("status_address", "page"),
    [
        ("10.0.0.7:20180", "10.0.0.7:20180"),
        ("0.0.0.0:20180", "kv-1:20180"),
        (":20180", "kv-1:20180"),
        ("[::]:20180", "kv-1:20180"),
        ("kv-1.pod", "kv-1.pod"),
    ],
)
def test_a_status_address_that_names_no_host_is_on_the_stores_own(
    status_address: str, page: str
) -> None:
    body = {"store": {"id": 1, "address": "kv-1:20160", "status_address": status_address}}
    assert [one.address for one in store_processes([StoreInfo.model_validate(body)])] == [page]


async def test_ids_of_any_size_are_kept_whole() -> None:
    observation = await look(Release("7.5.6"))
    assert str(LARGE_ID) in observation.data("stores")
    assert observation.data("stores")[str(LARGE_ID)]["is_tiflash"] is True


async def test_a_store_that_still_fills_is_a_healthy_one() -> None:
    observation = await look(Release("8.5.7"))
    assert observation.data("stores")["2"]["node_state"] in {0, None}
    assert observation.data("stores")["2"]["is_healthy"] is True


async def test_flash_takes_no_leaders_and_no_part_in_how_full_tikv_is() -> None:
    client = PdClient([PD_URL], transport=Release("8.5.7"))
    stores, _ = await PdApi(client).stores()
    assert set(leaders_by_store(stores)) == {"1", "2", "3"}
    tikv = [store for store in stores if not store.is_tiflash]
    shares = [facts.cluster_facts(some, NOW)["used_share"] for some in (stores, tikv)]
    assert shares[0] == shares[1]
    await client.close()
