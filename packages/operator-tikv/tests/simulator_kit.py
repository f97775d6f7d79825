"""Helpers of the simulator's tests: a client over ASGI and a few words about clusters."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx

from operator_tikv.simulator import SimulatedCluster, create_app

FIXTURES = Path(__file__).parent / "fixtures"
PREFIX = "/pd/api/v1"

Json = Any


class Pd:
    """A client of one simulated cluster, without a socket and without real time."""

    def __init__(self, cluster: SimulatedCluster) -> None:
        self.cluster = cluster
        transport = httpx.ASGITransport(app=create_app(cluster))
        self._client = httpx.AsyncClient(transport=transport, base_url="http://pd")

    async def send(self, method: str, path: str, body: Json = None) -> httpx.Response:
        """Send one request to PD's API."""
        content = None if body is None else json.dumps(body).encode()
        return await self._client.request(method, PREFIX + path, content=content)

    async def raw(self, method: str, path: str, content: bytes | None = None) -> httpx.Response:
        """Send one request to any path."""
        return await self._client.request(method, path, content=content)

    async def get(self, path: str) -> Json:
        """Read what must answer 200."""
        answer = await self.send("GET", path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def store(self, store_id: int) -> Json:
        """One store."""
        return await self.get(f"/store/{store_id}")

    async def leaders(self, store_id: int) -> int:
        """How many leaders PD counts on a store."""
        return int((await self.store(store_id))["status"]["leader_count"])

    async def peers(self, store_id: int) -> int:
        """How many peers PD counts on a store."""
        return int((await self.store(store_id))["status"]["region_count"])

    async def state_name(self, store_id: int) -> str:
        """The state PD prints for a store."""
        return str((await self.store(store_id))["store"]["state_name"])

    async def count(self, check: str) -> int:
        """How many regions a check lists."""
        return int((await self.get(f"/regions/check/{check}"))["count"])

    async def metrics(self) -> dict[str, float]:
        """All samples by their printed name with labels."""
        text = (await self.raw("GET", "/metrics")).text
        lines = [line for line in text.splitlines() if not line.startswith("#")]
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}

    async def region_led_by(self, store_id: int) -> Json:
        """Some region whose leader is on a store."""
        found = await self.get(f"/regions/store/{store_id}?type=leader")
        return found["regions"][0]


def fixture(name: str) -> Json:
    """Read one captured answer."""
    return json.loads((FIXTURES / name).read_text(encoding="utf-8"))


def kind_of(value: Json) -> str:
    """The JSON type of a value; all numbers are one type."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return {str: "string", list: "array", dict: "object", type(None): "null"}[type(value)]


def missing_or_other(captured: Json, ours: Json, path: str = "") -> list[str]:
    """Where our answer lacks a key of a captured one, or has another type there."""
    if kind_of(captured) != kind_of(ours):
        return [f"{path}: {kind_of(captured)} became {kind_of(ours)}"]
    if isinstance(captured, dict):
        lacking = [f"{path}.{key} is missing" for key in captured if key not in ours]
        shared = [key for key in captured if key in ours]
        return lacking + [
            problem
            for key in shared
            for problem in missing_or_other(captured[key], ours[key], f"{path}.{key}")
        ]
    if isinstance(captured, list) and captured and ours:
        return missing_or_other(captured[0], ours[0], f"{path}[]")
    return []


def samples(text: str) -> dict[str, float]:
    """The samples of a page of metrics by their printed name with labels."""
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}
