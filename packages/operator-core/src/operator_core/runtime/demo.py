"""The demo: a cluster is broken on purpose, and Operator repairs it.

The cluster and the agent are processes of their own. This one starts them, breaks the
cluster, approves what the agent proposes and tells what the ledger says; it repairs nothing.
So the agent can be killed at any moment: another one is started and goes on from the ledger.
"""

import asyncio
import json
import signal
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple, Self

from operator_core.actions.types import ActionStatus, SafetyMode, WorkflowStatus
from operator_core.clock import monotonic_seconds
from operator_core.db.actions import ActionDB
from operator_core.db.control import ControlDB
from operator_core.db.ledger import Ledger
from operator_core.db.policy import PolicyDB
from operator_core.db.sharing import LedgerUse
from operator_core.db.tickets import TicketDB
from operator_core.errors import (
    ConfigurationError,
    ConflictError,
    OperatorError,
    SubjectError,
)
from operator_core.plugin import DemoCluster, SubjectPlugin
from operator_core.runtime.narrator import Narrator, Telling

LEDGER_FILE = "operator.db"
STATE_FILE = "demo.json"
AGENT_LOG_FILE = "agent.log"
_LOOK_SECONDS = 0.1
_MAX_RESTARTS = 5

Tell = Callable[[Telling], None]
Ask = Callable[[str], Awaitable[bool]]


@dataclass(frozen=True)
class DemoOptions:
    """How the demo runs.

    Attributes:
        folder: where the ledger, the logs and the cluster's files lie.
        agent_command: starts an agent on the folder's ledger.
        person: who approves.
        ask: asks a person whether to approve; None: the demo approves by itself.
        limit_seconds: how long the whole repair may take.
        keep_cluster: leave the cluster running after a good end.
    """

    folder: Path
    agent_command: Sequence[str]
    person: str
    ask: Ask | None = None
    limit_seconds: float = 120.0
    keep_cluster: bool = False

    @property
    def ledger_path(self) -> Path:
        """The demo's own ledger."""
        return self.folder / LEDGER_FILE


class DemoError(OperatorError):
    """The demo did not come to its good end."""


async def run_demo(plugin: SubjectPlugin, options: DemoOptions, tell: Tell) -> None:
    """Run the demo from a healthy cluster to a repaired one.

    Raises:
        DemoError: the repair did not end in time, or the cluster is not healthy after it.
        OperatorError: the cluster could not be started.
    """
    cluster = plugin.demo(options.folder)
    try:
        async with LedgerUse(options.ledger_path) as ledger:
            await _start(plugin, cluster, ledger, options, tell)
            async with _Agent(options, tell) as agent:
                await _first_look(ledger, agent)
                tell(Telling("healthy", await cluster.prove_healthy()))
                async for line in cluster.break_it():
                    tell(Telling("fault", line))
                await _repair(ledger, agent, options, tell)
                tell(Telling("proof", await _proof(cluster)))
    except BaseException:
        await cluster.stop()
        raise
    await _leave(cluster, options)


async def resume_demo(plugin: SubjectPlugin, options: DemoOptions, tell: Tell) -> None:
    """Go on with a demo whose process died; its cluster still runs.

    Raises:
        DemoError: as for `run_demo`.
    """
    cluster = plugin.demo(options.folder)
    try:
        async with LedgerUse(options.ledger_path) as ledger, _Agent(options, tell) as agent:
            await _repair(ledger, agent, options, tell)
            tell(Telling("proof", await _proof(cluster)))
    except BaseException:
        await cluster.stop()
        raise
    await _leave(cluster, options)


async def stop_demo(plugin: SubjectPlugin, folder: Path) -> None:
    """End the cluster of a demo that was left running."""
    await plugin.demo(folder).stop()


async def _leave(cluster: DemoCluster, options: DemoOptions) -> None:
    if not options.keep_cluster:
        await cluster.stop()


def plugin_of(folder: Path) -> str:
    """Return the name of the plugin that a demo's folder belongs to.

    Raises:
        ConfigurationError: it is no demo's folder.
    """
    try:
        return str(json.loads((folder / STATE_FILE).read_text(encoding="utf-8"))["plugin"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(f"{folder} is not the folder of a demo: {error}.") from error


async def _start(
    plugin: SubjectPlugin, cluster: DemoCluster, ledger: Ledger, options: DemoOptions, tell: Tell
) -> None:
    tell(Telling("cluster", f"starting {plugin.summary}"))
    settings = await cluster.start()
    state = {"plugin": plugin.name, "settings": settings}
    (options.folder / STATE_FILE).write_text(json.dumps(state), encoding="utf-8")
    control = ControlDB(ledger)
    await control.connect_subject(plugin.name, plugin.name, settings, actor=options.person)
    await control.set_mode(SafetyMode.EXECUTE, actor=options.person)


async def _first_look(ledger: Ledger, agent: "_Agent") -> None:
    subject = (await ControlDB(ledger).list_subjects())[0]["name"]
    tickets = TicketDB(ledger)
    end = monotonic_seconds() + agent.options.limit_seconds
    while await tickets.latest_observation(subject) is None:
        await agent.keep_alive()
        if monotonic_seconds() > end:
            raise DemoError(f"The agent saw nothing. Its log: {agent.log_path}")
        await asyncio.sleep(_LOOK_SECONDS)


async def _repair(ledger: Ledger, agent: "_Agent", options: DemoOptions, tell: Tell) -> None:
    """Tell what happens and approve what is proposed, until every ticket is resolved."""
    narrator = Narrator(ledger)
    end = monotonic_seconds() + options.limit_seconds
    while not await _all_resolved(ledger):
        await agent.keep_alive()
        if monotonic_seconds() > end:
            raise DemoError(
                f"The repair did not end within {options.limit_seconds:g} s. "
                f"The agent's log: {agent.log_path}"
            )
        for telling in await narrator.news():
            tell(telling)
        await _approve(ledger, options)
        await asyncio.sleep(_LOOK_SECONDS)
    for telling in await narrator.news():
        tell(telling)


async def _all_resolved(ledger: Ledger) -> bool:
    tickets = TicketDB(ledger)
    return bool(await tickets.list_tickets(limit=1)) and not await tickets.list_tickets(
        unresolved=True, limit=1
    )


async def _approve(ledger: Ledger, options: DemoOptions) -> None:
    """Give the word for each workflow, and each action of none, that waits for one."""
    actions = ActionDB(ledger)
    for one in await actions.list_workflows(WorkflowStatus.PENDING):
        if one.approved_at is None:
            asked = _Asked("workflow", int(one.id or 0), one.name)
            say = partial(actions.approve_workflow, asked.id, approved_by=options.person)
            await _say_yes(ledger, options, asked, say)
    for status in (ActionStatus.PROPOSED, ActionStatus.VALIDATED):
        for alone in await actions.list_proposals(status):
            if alone.workflow_id is None and alone.approved_at is None:
                asked = _Asked("proposal", int(alone.id or 0), alone.action_name)
                approve = partial(actions.approve_proposal, asked.id, approved_by=options.person)
                await _say_yes(ledger, options, asked, approve)


class _Asked(NamedTuple):
    """What waits for a word."""

    kind: str
    id: int
    name: str


async def _say_yes(
    ledger: Ledger,
    options: DemoOptions,
    asked: _Asked,
    approve: Callable[[], Awaitable[object]],
) -> None:
    """Approve something once, after a person said so where one is asked."""
    # A word that was given before it was valid waits: nobody is asked twice.
    standing = await PolicyDB(ledger).standing(asked.kind, asked.id)
    if any(one["ended_at"] is None for one in standing.words):
        return
    if options.ask is not None and not await options.ask(f"Approve {asked.name}?"):
        raise DemoError("You did not approve, so nothing was done. That is the point of it.")
    with suppress(ConflictError):  # somebody approved it from another terminal
        await approve()


async def _proof(cluster: DemoCluster) -> str:
    try:
        return await cluster.prove_healthy()
    except SubjectError as error:
        raise DemoError(f"The cluster is not healthy after the repair: {error}") from error


class _Agent:
    """The agent's process; when it dies another one is started."""

    def __init__(self, options: DemoOptions, tell: Tell) -> None:
        self.options = options
        self.log_path = options.folder / AGENT_LOG_FILE
        self._tell = tell
        self._process: asyncio.subprocess.Process | None = None
        self._restarts = 0

    async def __aenter__(self) -> Self:
        await self._start()
        return self

    async def __aexit__(self, *_: object) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), timeout=10)
        except TimeoutError:
            process.kill()
            await process.wait()

    async def _start(self) -> None:
        with self.log_path.open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                *self.options.agent_command, stdout=output, stderr=output, start_new_session=True
            )
        self._tell(Telling("agent", f"process {self._process.pid} watches and acts"))

    async def keep_alive(self) -> None:
        """Start another agent if this one has died."""
        code = self._process.returncode if self._process else None
        if code is None:
            return
        if self._restarts >= _MAX_RESTARTS:
            raise DemoError(f"The agent dies again and again. Its log: {self.log_path}")
        self._restarts += 1
        how = f"killed by signal {-code}" if code < 0 else f"ended with {code}"
        self._tell(Telling("agent", f"the agent was {how}; another goes on from the ledger"))
        await self._start()
