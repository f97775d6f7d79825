"""The comparison with a PD: what is read, what differs, and that nothing is changed."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from pydantic import JsonValue
from typer.testing import CliRunner

import operator_core.cli.plugin_commands  # noqa: F401 - its loading is no part of a test's time
from operator_core.cli.main import app
from operator_tikv.compare.run import Answer, compare, report_of
from operator_tikv.compare.script import (
    REGION,
    REPLICATE,
    SCHEDULE,
    SCRIPT,
    STORE,
    STORES,
)
from operator_tikv.compare.shapes import Shape, differences
from operator_tikv.simulator import SimulatedCluster, create_app
from tikv_support import FIXTURES, PD_URL


class Sent(httpx.AsyncBaseTransport):
    """The way to a simulated PD that keeps what was sent, and can change an answer."""

    def __init__(self, change: Callable[[str, JsonValue], JsonValue] | None = None) -> None:
        cluster = SimulatedCluster(seed=3, stores=4, regions=12)
        cluster.advance(30)
        self._real = httpx.ASGITransport(app=create_app(cluster))
        self._change = change
        self.methods: set[str] = set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.methods.add(request.method)
        response = await self._real.handle_async_request(request)
        body = await response.aread()
        if (
            self._change is None
            or response.status_code != 200
            or b"metrics" in request.url.raw_path
        ):
            return httpx.Response(response.status_code, headers=response.headers, content=body)
        return httpx.Response(200, json=self._change(request.url.path, json.loads(body)))


@pytest.fixture(scope="module")
def simulated() -> tuple[Sent, list[Answer]]:
    """One comparison with the simulator, for all that look at it."""
    transport = Sent()

    async def run() -> list[Answer]:
        async with httpx.AsyncClient(transport=transport) as client:
            return await compare(client, PD_URL)

    return transport, asyncio.run(run())


NOT_SIMULATED = {"/min-resolved-ts", "/stores/progress", "/gc/safepoint", "/checker/", "/admin/"}
"""What the simulator does not answer (yet)."""


def test_the_simulator_speaks_as_we_assume(simulated: tuple[Sent, list[Answer]]) -> None:
    answers = simulated[1]
    assert len(answers) == len(SCRIPT)
    found = [
        (answer.request, one)
        for answer in answers
        for one in answer.found
        if not one.is_note and not any(path in answer.request for path in NOT_SIMULATED)
    ]
    assert found == []


def test_only_reads_are_sent(simulated: tuple[Sent, list[Answer]]) -> None:
    assert simulated[0].methods == {"GET"}


@pytest.mark.timeout(20)
async def test_a_difference_is_told_with_its_place() -> None:
    def change(path: str, value: JsonValue) -> JsonValue:
        if path == "/pd/api/v1/stores" and isinstance(value, dict):
            stores = value["stores"]
            assert isinstance(stores, list)
            for store in stores:
                assert isinstance(store, dict)
                assert isinstance(store["status"], dict)
                store["status"]["capacity"] = 12
                store["status"]["wings"] = 2
                del store["store"]["state_name"]  # type: ignore[union-attr, arg-type]  # it is a dict
        return value

    async with httpx.AsyncClient(transport=Sent(change)) as client:
        report = report_of(PD_URL, await compare(client, PD_URL))
    mine = [row for row in report.rows if row[0] == "GET /pd/api/v1/stores"]
    told = {str(row[3]): (row[2], row[4]) for row in mine}
    assert told["stores[0].status.capacity"] == ("differs", "is 12, should be size")
    assert told["stores[0].store.state_name"] == ("differs", "is missing")
    assert told["stores[0].status.wings"] == ("note", "is new to us: 2")
    assert len(mine) == 3
    assert not report.is_good
    json.dumps(report.data)


@pytest.mark.parametrize(
    ("value", "shape", "places"),
    [
        (1, "int", []),
        (True, "int", ["answer"]),
        ("1.465TiB", "size", []),
        ("12 apples", "size", ["answer"]),
        ("30m0s", "duration", []),
        ("true", "switch", []),
        ("yes", "switch", ["answer"]),
        (None, "int|null", []),
        (None, ["int"], []),
        ({}, ["int"], ["answer"]),
        ([], {"a": "int"}, ["answer"]),
        ({"a": 1}, {"a": "int", "b?": "int"}, []),
        ({"b": "x"}, {"a": "int", "b?": "int"}, ["a", "b"]),
        ({"1": 2, "x": "y"}, {"*": "int"}, ["x"]),
        ([{"a": 1}, {"a": "x"}, {"a": "y"}], [{"a": "int"}], ["[1].a"]),
    ],
)
def test_shapes_are_compared(value: JsonValue, shape: Shape, places: list[str]) -> None:
    assert [one.place for one in differences(value, shape)] == places


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("fx_stores_v4.0.14.json", STORES),
        ("fx_store_offline_draining_v5.1.json", STORE),
        ("fx_store_4.0.10_large_labelled.json", STORE),
        ("fx_stores_v3.0.0-beta.json", STORES),
        ("fx_config_replicate_v8.5.json", REPLICATE),
        ("fx_region_2voters_1down_1learner_v6.5.json", REGION),
    ],
)
def test_captured_answers_differ_in_nothing(name: str, shape: Shape) -> None:
    value = json.loads((FIXTURES / name).read_text(encoding="utf-8"))
    assert [one for one in differences(value, shape) if not one.is_note] == []


def test_the_captured_configuration_differs_in_nothing() -> None:
    value = json.loads((FIXTURES / "fx_config_v4.0.14.json").read_text(encoding="utf-8"))
    assert not [one for one in differences(value["schedule"], SCHEDULE) if not one.is_note]


@pytest.mark.timeout(20)
def test_nobody_at_the_url_is_told_in_a_line(tmp_path: Path) -> None:
    arguments = ["--db", str(tmp_path / "x.db"), "tikv", "compare", "http://127.0.0.1:9"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 6
    assert result.stderr.startswith("Error: Nobody answers at http://127.0.0.1:9")
    assert not (tmp_path / "x.db").exists()


@pytest.mark.parametrize("url", ["ftp://x", "http://x/y", ""])
def test_what_is_no_url_of_pd_is_refused(url: str) -> None:
    result = CliRunner().invoke(app, ["tikv", "compare", url])
    assert result.exit_code == 2
    assert "Traceback" not in result.output
