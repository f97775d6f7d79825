"""The system behind the subject: it does things, counts them, and knows nothing of the engine."""

import asyncio
import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Self

from operator_core.testing.crash.points import World

REPEATABLE = "set"
LATE_SECONDS = 2.5
"""How long a late request is under way: longer than a lease, a take-over and a retry."""

_DONE = ("done", "lost")

Effect = tuple[str, int]
"""An action and the item that it was done to; every proposal has an item of its own."""


@dataclass
class System:
    """Takes requests on a port of this machine and counts what it has done.

    Attributes:
        world: what it can do against a second effect.
        slow_seconds: how late the answer to a slow request is.
        done: how often each effect has really happened.
        asked: how many requests there were for each.
        port: where it listens.
    """

    world: World
    slow_seconds: float = 0.0
    done: Counter[Effect] = field(default_factory=Counter)
    asked: Counter[Effect] = field(default_factory=Counter)
    port: int = 0
    _answers: dict[str, str] = field(default_factory=dict)
    _under_way: set["asyncio.Task[None]"] = field(default_factory=set)
    _server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        """Listen."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def arrived(self) -> None:
        """Wait for the requests that are under way."""
        await asyncio.gather(*self._under_way)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = json.loads(await reader.readline() or b"{}")
            if request:
                writer.write(json.dumps({"answer": await self._answer(request)}).encode() + b"\n")
                await writer.drain()
        except (ConnectionError, asyncio.CancelledError):
            return  # who asked is gone, or all ends
        finally:
            writer.close()

    async def _answer(self, request: dict[str, Any]) -> str:
        effect = (request["action"], request["item"])
        if request["what"] == "probe":
            return self.probe(effect, request["key"], request["trouble"])
        if request["late"]:
            task = asyncio.create_task(self._do_late(effect, request))
            self._under_way.add(task)
            return "lost"
        answer = self.do(effect, request["key"], request["trouble"])
        if request["trouble"] == "slow":
            await asyncio.sleep(self.slow_seconds)
        return answer

    async def _do_late(self, effect: Effect, request: dict[str, Any]) -> None:
        await asyncio.sleep(LATE_SECONDS)
        self.do(effect, request["key"], request["trouble"])

    def do(self, effect: Effect, key: str, trouble: str = "") -> str:
        """Do something, once a key where keys are honoured, and answer what came of it.

        Args:
            effect: what is to be done.
            key: the idempotency key of the request.
            trouble: what goes wrong, if anything.
        """
        self.asked[effect] += 1
        if self.world is World.KEYS and key in self._answers:
            return self._answers[key]
        answer = self._outcome(effect, trouble)
        if answer in _DONE:
            again = effect[0] == REPEATABLE and self.done[effect]
            self.done[effect] += 0 if again else 1
        self._answers[key] = "done" if answer in _DONE else answer
        return answer

    def _outcome(self, effect: Effect, trouble: str) -> str:
        first = self.asked[effect] == 1
        if trouble == "refuse":
            return "refused"
        if trouble == "flaky" and first:
            return "failed"
        return "lost" if trouble == "silent" and first else "done"

    def probe(self, effect: Effect, key: str, trouble: str) -> str:
        """Say whether an effect has happened, as far as this world can tell."""
        if trouble == "silent":
            return "unknown"
        if self.world is World.KEYS:
            done = self._answers.get(key) == "done"
        else:
            done = self.done[effect] > 0
        if done:
            return "happened"
        return "unknown" if self.world is World.BLIND else "not_happened"
