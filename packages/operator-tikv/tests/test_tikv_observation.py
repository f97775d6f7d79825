"""Looking at a cluster: its parts, what is read of long lists, and what fails."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from operator_core.errors import SubjectUnreachableError
from operator_core.monitor.types import Observation
from operator_tikv.heads import head_of_list, head_of_regions
from operator_tikv.metrics.sight import MetricsSettings
from operator_tikv.observation import Eyes
from operator_tikv.pd.api import PdApi
from operator_tikv.pd.client import API, PdClient
from operator_tikv.reads import SMALL_CLUSTER_REGIONS
from tikv_support import NOW, PD_URL

MEMBER = {"name": "pd-0", "member_id": 1, "client_urls": [PD_URL]}
LARGE = SMALL_CLUSTER_REGIONS + 1


class FixedClock:
    """A clock that stands still."""

    def now(self) -> Any:  # noqa: ANN401 - a datetime
        return NOW

    async def sleep(self, seconds: float) -> None:
        del seconds


def store(number: int, *, is_up: bool = True, leaders: int = 20) -> dict[str, Any]:
    return {
        "store": {
            "id": number,
            "address": f"kv-{number}:20160",
            "state_name": "Up" if is_up else "Disconnected",
        },
        "status": {"leader_count": leaders, "region_count": 60},
    }


def region(number: int, *stores: int) -> dict[str, Any]:
    peers = [{"id": 100 + one, "store_id": one, "role_name": "Voter"} for one in stores]
    return {"id": number, "peers": peers, "leader": peers[0]}


class SmallPd(httpx.AsyncBaseTransport):
    """A PD made of answers, by path; what it has none for is an unknown page."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answers: dict[str, Any] = {
            "/stores": {"count": 3, "stores": [store(number) for number in (1, 2, 3)]},
            "/regions/count": {"count": 60, "regions": None},
            "/regions": {"count": 1, "regions": [region(7, 1, 2, 3)]},
            **{
                f"/regions/check/{kind}-peer": {"count": 0, "regions": None}
                for kind in ("miss", "down", "pending", "extra", "offline")
            },
            "/schedulers": ["balance-leader-scheduler"],
            "/operators": [],
            "/config/schedule": {"leader-schedule-limit": 4},
            "/config/replicate": {"max-replicas": 3},
            "/members": {"members": [MEMBER], "leader": MEMBER},
            "/health": [{**MEMBER, "health": True}],
            "/gc/safepoint": {"gc_safe_point": 0},
        }

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix(API)
        self.asked.append(path)
        answer = self.answers.get(path)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, httpx.Response):
            return answer
        if answer is None:
            return httpx.Response(404, text="404 page not found\n")
        return httpx.Response(200, content=json.dumps(answer, separators=(",", ":")).encode())


@pytest.fixture
def pd() -> SmallPd:
    return SmallPd()


@pytest.fixture
async def api(pd: SmallPd) -> AsyncIterator[PdApi]:
    client = PdClient([PD_URL], transport=pd)
    yield PdApi(client)
    await client.close()


async def look(api: PdApi) -> Observation:
    eyes = Eyes(api, FixedClock(), MetricsSettings(is_on=False))
    observation = await eyes.look("prod")
    await eyes.close()
    return observation


async def test_a_look_has_every_part_with_its_source(api: PdApi) -> None:
    observation = await look(api)
    assert observation.complete
    assert set(observation.parts) == {
        "stores",
        "cluster",
        "leaving",
        "filling",
        "lagging",
        "hotspots",
        "regions",
        "leaders",
        "schedulers",
        "operators",
        "progress",
        "config",
        "placement",
        "gc",
        "pd",
        "store_metrics",
        "pd_metrics",
    }
    for name, part in observation.parts.items():
        assert part.observed_at == NOW
        assert part.source.startswith(f"{PD_URL}{API}/") or "metrics" in name
    assert observation.data("schedulers")["missing"] == [
        "balance-region-scheduler",
        "balance-hot-region-scheduler",
    ]


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        ("/stores", {"stores", "cluster", "leaving", "filling", "leaders", "placement"}),
        ("/regions/count", {"leaders"}),
        ("/regions/check/down-peer", {"regions"}),
        ("/schedulers", {"schedulers", "cluster"}),
        ("/operators", {"operators"}),
        ("/config/schedule", {"config"}),
        ("/config/replicate", {"config", "placement"}),
        ("/config/rules", {"placement"}),
        ("/members", {"pd"}),
        ("/gc/safepoint", {"gc"}),
    ],
)
async def test_a_part_that_fails_says_so_and_leaves_the_others_whole(
    pd: SmallPd, api: PdApi, path: str, parts: set[str]
) -> None:
    pd.answers[path] = httpx.Response(500, json="[PD:core:ErrX]broken")
    observation = await look(api)
    failed = {name for name, part in observation.parts.items() if not part.complete}
    assert failed == parts
    for name in parts:
        assert "broken" in str(observation.parts[name].error)


async def test_nobody_that_answers_is_no_empty_cluster(pd: SmallPd, api: PdApi) -> None:
    pd.answers = dict.fromkeys(pd.answers, httpx.ConnectError("refused"))
    with pytest.raises(SubjectUnreachableError, match="refused"):
        await look(api)


async def test_a_large_cluster_is_not_listed(pd: SmallPd, api: PdApi) -> None:
    pd.answers["/regions/count"] = {"count": LARGE}
    pd.answers["/stores"]["stores"] = [
        store(1, leaders=LARGE - 30),
        store(2, is_up=False, leaders=0),
        store(3, is_up=False, leaders=0),
    ]
    pd.answers["/regions/store/2"] = {"count": 1, "regions": [region(7, 1, 2, 3)]}
    pd.answers["/regions/store/3"] = {"count": 2, "regions": [region(7, 1, 2, 3), region(8, 1, 3)]}
    found = (await look(api)).data("leaders")
    assert found["quorum_lost_region_ids"] == [7, 8]
    assert found["without_leader_count"] == 30
    assert not found["quorum_is_partial"]
    assert "/regions" not in pd.asked


# --- long lists ---------------------------------------------------------------------------


async def test_of_a_long_list_only_the_beginning_is_read(pd: SmallPd, api: PdApi) -> None:
    regions = [region(number, 1, 2, 3) for number in range(1, 2001)]
    pd.answers["/regions/check/down-peer"] = {"count": 2000, "regions": regions}
    found = await head_of_list(api, "/regions/check/down-peer", 10_000)
    assert found.count == 2000
    assert 10 < len(found.regions) < 100
    assert [one.id for one in found.regions] == list(range(1, len(found.regions) + 1))


async def test_a_short_list_is_read_whole(pd: SmallPd, api: PdApi) -> None:
    pd.answers["/x"] = {"count": 1, "regions": [region(7, 1, 2, 3)]}
    assert [one.id for one in (await head_of_list(api, "/x")).regions] == [7]
    pd.answers["/x"] = {"count": 0, "regions": None}
    assert (await head_of_list(api, "/x")).count == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"count":5,"regions":[{"id":1},{"id":2},{"i', (5, 2)),
        ('{"count":5,"regions":[{"id":1},', (5, 1)),
        ('{"count":5,"regions":[', (5, 0)),
        ('{\n  "count": 5,\n  "regions": [\n    {"id": 1},\n    {"id', (5, 1)),
        ('{"regions":[', None),
        ("<html>", None),
    ],
)
def test_a_list_that_was_cut_off_gives_what_is_whole(
    text: str, expected: tuple[int, int] | None
) -> None:
    found = head_of_regions(text)
    if expected is None:
        assert found is None
    else:
        assert found is not None
        regions = found["regions"]
        assert isinstance(regions, list)
        assert (found["count"], len(regions)) == expected


async def test_a_page_is_read_up_to_its_limit(api: PdApi, pd: SmallPd) -> None:
    pd.answers["/big"] = httpx.Response(200, content=b"x" * 5000)
    page = await api.client.page(f"{PD_URL}{API}/big", 100)
    assert (page.body, page.is_whole) == (b"x" * 100, False)
    pd.answers["/dead"] = httpx.ConnectError("refused")
    with pytest.raises(SubjectUnreachableError, match="refused"):
        await api.client.page(f"{PD_URL}{API}/dead", 100)


# --- what older and newer releases say ------------------------------------------------------


@pytest.mark.parametrize(
    ("paused", "expected"),
    [
        ({"rule": {"paused": True}, "merge": {"paused": False}}, ["rule"]),
        ({}, []),
        ({"rule": httpx.Response(500, json="unknown checker")}, []),
    ],
)
async def test_paused_checkers_are_told_by_releases_that_have_them(
    pd: SmallPd, api: PdApi, paused: dict[str, Any], expected: list[str]
) -> None:
    pd.answers |= {f"/checker/{name}": answer for name, answer in paused.items()}
    assert (await look(api)).data("schedulers")["paused_checkers"] == expected


async def test_rules_that_are_off_are_no_error(pd: SmallPd, api: PdApi) -> None:
    reason = "[PD:placement:ErrPlacementDisabled]placement rules feature is disabled"
    pd.answers["/config/rules"] = httpx.Response(412, json=reason)
    observation = await look(api)
    assert observation.parts["placement"].complete
    assert observation.data("placement")["rule_count"] == 0


async def test_progress_is_told_where_there_is_some(pd: SmallPd, api: PdApi) -> None:
    pd.answers["/stores/progress"] = {
        "action": "removing",
        "store_id": 4,
        "progress": 0.5,
        "current_speed": 1.5,
        "left_seconds": 60,
    }
    found = (await look(api)).data("progress")["removing"]
    assert (found["store_id"], found["progress"], found["left_seconds"]) == (4, 0.5, 60.0)
