"""The demo: a simulated cluster under load whose maintenance somebody forgot to finish.

A rolling restart pauses balance-leader and evicts the leaders of one store; then its script
dies. Three stores carry the load of four until somebody ends the eviction and lets the
leaders spread again.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import httpx

from operator_core.clock import SYSTEM_CLOCK, Clock
from operator_core.errors import SubjectError, SubjectUnreachableError
from operator_core.types import JsonObject
from operator_tikv.pd.api import BALANCE_LEADER, PdApi
from operator_tikv.pd.client import PdClient
from operator_tikv.pd.parse import shorten
from operator_tikv.process import SimulatorProcess
from operator_tikv.view import leaders_by_store

SPEED: Final = 30
"""Virtual seconds in a real second."""

STORES: Final = 4
REGIONS: Final = 240
LOAD_FACTOR: Final = 2.0
_PAUSE_SECONDS: Final = 86_400
_DRAIN_SECONDS: Final = 30.0
_LOOK_SECONDS: Final = 0.25
_PACE_SECONDS: Final = 1.0
"""Between two lines of the story, so that a person can follow it."""

_STORY_FILE: Final = "story.json"
_OPTIONS: Final = (f"--stores={STORES}", f"--regions={REGIONS}", f"--speed={SPEED}", "--seed=7")


class TikvDemo:
    """A simulated cluster in a process of its own, so that the agent can die without it.

    Args:
        folder: where it keeps its files.
        clock: time, for waiting.
    """

    def __init__(self, folder: Path, clock: Clock = SYSTEM_CLOCK) -> None:
        self._folder = folder
        self._clock = clock
        self._process = SimulatorProcess(folder, _OPTIONS, clock)

    async def start(self) -> JsonObject:
        """Start the cluster, or find the one that runs already, and return its settings.

        Raises:
            SubjectUnreachableError: it does not start.
        """
        url = await self._process.start()
        # The simulated stores are no processes that could be asked for metrics.
        return {"pd": url, "name": "tikv", "time_scale": float(SPEED), "read_metrics": False}

    async def break_it(self) -> AsyncIterator[str]:
        """Begin a maintenance and forget it, telling each step in a line."""
        async with self._pd() as api:
            await self._sim_fault({"name": "load", "factor": LOAD_FACTOR})
            before = await _leaders(api)
            store_id = max(int(key) for key in before)
            yield (
                f"{STORES} stores, {REGIONS} regions, clients read and write. "
                f"Leaders by store: {_spread(before)}."
            )
            await self._clock.sleep(_PACE_SECONDS)
            await api.pause_scheduler(BALANCE_LEADER, _PAUSE_SECONDS)
            yield f"A maintenance script pauses {BALANCE_LEADER}."
            await self._clock.sleep(_PACE_SECONDS)
            await api.evict_leaders(store_id)
            yield f"It evicts the leaders of store {store_id} to restart it."
            broken = await self._until_drained(api, store_id)
            self._remember({"before": before, "broken": broken, "store_id": store_id})
            yield f"Then the script dies, and nobody tidies up. Leaders: {_spread(broken)}."
            yield f"Store {store_id} idles; the others carry its load."

    async def prove_healthy(self) -> str:
        """Look up the leader of every region, as clients do, and compare the spread.

        Raises:
            SubjectError: regions have no leader, or the leaders did not come back.
        """
        async with self._pd() as api:
            now = await _leaders(api)
            regions = await api.regions()
            evicted = await api.evicted_store_ids(await api.schedulers())
        unled = [region.id for region in regions if not region.leader_store_id]
        fair = len(regions) / len(now)
        idle = [store_id for store_id, count in now.items() if count < fair / 2]
        if unled or idle or evicted:
            raise SubjectError(
                f"Not healthy: {len(unled)} regions have no leader, store "
                f"{', '.join(idle) or 'none'} idles, evicted: {evicted or 'none'}."
            )
        return f"All {len(regions)} regions are led. {self._compared(now)}"

    def _compared(self, now: JsonObject) -> str:
        """Say how the leaders are spread, against how they were while it was broken."""
        broken: JsonObject = self._recall().get("broken") or {}
        if not broken:
            return f"Leaders by store: {_spread(now)}."
        most_then, most_now = max(broken.values()), max(now.values())
        return (
            f"Leaders by store: {_spread(broken)} while broken, {_spread(now)} now; "
            f"the busiest store leads {most_now} regions instead of {most_then}."
        )

    async def stop(self) -> None:
        """End the process and remove its files."""
        await self._process.stop()
        (self._folder / _STORY_FILE).unlink(missing_ok=True)

    @asynccontextmanager
    async def _pd(self) -> AsyncIterator[PdApi]:
        client = PdClient([self._process.url()])
        try:
            yield PdApi(client)
        finally:
            await client.close()

    async def _until_drained(self, api: PdApi, store_id: int) -> JsonObject:
        start = self._clock.now()
        while (leaders := await _leaders(api))[str(store_id)]:
            if (self._clock.now() - start).total_seconds() > _DRAIN_SECONDS:
                raise SubjectError(f"The simulated store {store_id} was not drained in time.")
            await self._clock.sleep(_LOOK_SECONDS)
        return leaders

    async def _sim_fault(self, fault: JsonObject) -> None:
        url = f"{self._process.url()}/sim/fault"
        try:
            async with httpx.AsyncClient(trust_env=False) as http:
                response = await http.post(url, json=fault)
        except httpx.HTTPError as error:
            raise SubjectUnreachableError(f"The simulator does not answer: {error}") from error
        if response.is_error:
            raise SubjectError(f"The simulator refused {fault['name']}: {shorten(response.text)}")

    def _remember(self, story: JsonObject) -> None:
        (self._folder / _STORY_FILE).write_text(json.dumps(story), encoding="utf-8")

    def _recall(self) -> JsonObject:
        try:
            story: JsonObject = json.loads((self._folder / _STORY_FILE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return story


async def _leaders(api: PdApi) -> JsonObject:
    stores, _ = await api.stores()
    return leaders_by_store(stores)


def _spread(leaders: JsonObject) -> str:
    return " / ".join(str(leaders[key]) for key in sorted(leaders, key=int)) or "not known"
