"""The whole loop on a simulated cluster, in virtual time, with a veil before the control plane."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from operator_core.actions.policy import load
from operator_core.actions.types import ActionProposal, SafetyMode
from operator_core.agent.diagnosis import ActionRecommendation
from operator_core.db.actions import ActionDB
from operator_core.db.control import ControlDB
from operator_core.db.ledger import Ledger
from operator_core.db.policy import PolicyDB
from operator_core.db.sharing import LedgerUse
from operator_core.db.tickets import TicketDB
from operator_core.runtime.acting import agent_round
from operator_core.runtime.wiring import Wired, WiringOptions, wire
from operator_core.subject import complete
from operator_lab.clock import VirtualClock
from operator_lab.witness import Witness
from operator_tikv.lab import Site, TikvLab, TikvLabCluster
from operator_tikv.pd.client import PdClient
from operator_tikv.subject import TikvSubject

PD_URL = "http://pd.lab:2379"
API = "/pd/api/v1"

Answer = Callable[[httpx.Request], Awaitable[httpx.Response]]


class Veil(httpx.AsyncBaseTransport):
    """The way to a cluster, on which PD can be gone, seen in part, or frozen.

    Attributes:
        gone: PD does not answer at all.
        unread: paths of PD's API that are not answered.
        instead: what is answered in PD's place, by path.
        frozen: each question that was ever answered is answered as it was the first time.
    """

    def __init__(self, site: Site) -> None:
        self.site = site
        self._kept: dict[str, httpx.Response] = {}
        self.gone = self.frozen = False
        self.unread: tuple[str, ...] = ()
        self.instead: dict[str, Answer] = {}
        self.effects: list[str] = []

    def lift(self) -> None:
        """Let everything through again."""
        self.gone = self.frozen = False
        self.unread, self.instead = (), {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer, if the veil lets through."""
        if not request.url.path.startswith(API):
            return await self.site.handle_async_request(request)
        path = request.url.path.removeprefix(API)
        if self.gone or any(path.startswith(one) for one in self.unread):
            raise httpx.ConnectError("refused", request=request)
        if request.method != "GET":
            self.effects.append(f"{request.method} {path}")
            return await self.site.handle_async_request(request)
        if path in self.instead:
            return await self.instead[path](request)
        return await self._read(request)

    async def _read(self, request: httpx.Request) -> httpx.Response:
        key = str(request.url)
        if not (self.frozen and key in self._kept):
            answer = await self.site.handle_async_request(request)
            content = await answer.aread()
            kind = {"content-type": answer.headers.get("content-type", "")}
            self._kept[key] = httpx.Response(answer.status_code, headers=kind, content=content)
        kept = self._kept[key]
        return httpx.Response(kept.status_code, headers=kept.headers, content=kept.content)


@dataclass
class Loop:
    """A wired cluster whose time stands still until it is moved."""

    ledger: Ledger
    wired: Wired
    witness: Witness
    veil: Veil
    cluster: TikvLabCluster

    @property
    def actions(self) -> ActionDB:
        """The proposals of the ledger."""
        return ActionDB(self.ledger)

    @property
    def tickets(self) -> TicketDB:
        """The tickets of the ledger."""
        return TicketDB(self.ledger)

    @property
    def done(self) -> list[str]:
        """The names of the actions that reached the subject."""
        return [one.action for one in self.witness.deeds]

    async def round(self) -> None:
        """Let the monitor look and the agent take its turn, as often as something runs on."""
        await self.wired.monitor.step()
        await self.turn()

    async def turn(self) -> None:
        """Let the agent take its turn, and whatever it started run to its end."""
        await agent_round(self.wired)
        while self.wired.agent.running:
            await self._until_all_wait()
            soon = self.witness.clock.next_seconds
            if self.wired.agent.running and soon is not None:
                self.witness.clock.move_to(soon)
            await asyncio.sleep(0)

    async def _until_all_wait(self) -> None:
        # Of each execution two tasks wait: the call, and the watch beside it.
        for _ in range(4000):
            running = len(self.wired.agent.running)
            if self.witness.clock.sleepers >= 2 * running:
                return
            await asyncio.sleep(0.0005)

    async def play(self, seconds: float, look_seconds: float) -> None:
        """Let time pass, with a look and a turn every so often."""
        clock = self.witness.clock
        until = clock.seconds + seconds
        while clock.seconds < until:
            clock.move_to(min(clock.seconds + look_seconds, until))
            await self.round()

    async def propose(
        self,
        action: str,
        ticket_id: int | None = None,
        **parameters: Any,  # noqa: ANN401 - passed on
    ) -> int:
        """Propose and validate an action; return its id."""
        wanted = ActionRecommendation(action_name=action, parameters=parameters, reason="a test")
        found = await self.wired.executor.propose_action(wanted, ticket_id)
        await self.wired.agent.validate()
        return int(found.id or 0)

    async def by_hand(self, method: str, path: str, body: object) -> None:
        """Change something on the cluster past Operator."""
        request = httpx.Request(method, f"{PD_URL}{API}{path}", json=body)
        answer = await self.veil.site.handle_async_request(request)
        assert answer.is_success, await answer.aread()

    async def proposal(self, proposal_id: int) -> ActionProposal:
        """Return a proposal that must exist."""
        found = await self.actions.get_proposal(proposal_id)
        assert found is not None
        return found


@asynccontextmanager
async def loop(
    table: Mapping[str, object], policy: str, wait_seconds: float = 30.0
) -> AsyncIterator[Loop]:
    """Wire the loop to a simulated cluster, in the mode execute and under a policy."""
    cluster = TikvLab().build(table, None)
    clock = VirtualClock(cluster.started_at, cluster.advance_to)
    veil = Veil(Site(cluster._cluster))
    subject = TikvSubject(PdClient([PD_URL], transport=veil), clock=clock)
    witness = Witness(complete(subject), cluster, clock)
    with tempfile.TemporaryDirectory() as folder:
        async with LedgerUse(Path(folder) / "ledger.db", clock) as ledger:
            await ControlDB(ledger).set_mode(SafetyMode.EXECUTE, actor="root")
            await PolicyDB(ledger).enforce(load(policy), source="test", actor="root")
            one = Loop(
                ledger, wire(ledger, witness, WiringOptions(clock=clock)), witness, veil, cluster
            )
            await one.play(wait_seconds, wait_seconds)
            try:
                yield one
            finally:
                await one.wired.agent.drain(0)
                await witness.close()
