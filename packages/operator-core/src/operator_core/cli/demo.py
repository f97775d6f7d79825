"""`operator demo`: the whole loop on a cluster that is broken on purpose."""

import asyncio
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Self

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from operator_core.clock import monotonic_seconds
from operator_core.config import person
from operator_core.plugin import SubjectPlugin
from operator_core.runtime.demo import DemoOptions, plugin_of, resume_demo, run_demo, stop_demo
from operator_core.runtime.ending import until_told
from operator_core.runtime.narrator import Telling
from operator_core.runtime.plugins import load_plugin
from operator_core.visible import visible

DEFAULT_SUBJECT = "tikv"
_STYLES = {
    "fault": "bold red",
    "ticket": "red",
    "diagnosis": "magenta",
    "proposal": "blue",
    "approval": "blue",
    "execution": "cyan",
    "verify": "green",
    "healthy": "green",
    "proof": "bold green",
    "escalate": "bold yellow",
    "agent": "yellow",
}
_WAITS_FOR = {
    "cluster": "the cluster starts…",
    "agent": "the agent looks at the cluster…",
    "healthy": "the fault comes…",
    "fault": "the fault is there; Operator has not seen it yet…",
    "ticket": "the agent weighs the evidence…",
    "diagnosis": "the agent proposes a remedy…",
    "proposal": "the remedy waits for approval…",
    "approval": "the first step starts…",
    "execution": "the workflow runs…",
    "verify": "the next look shows whether it held…",
}
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_MILESTONES = ("fault", "ticket", "diagnosis", "proposal", "approval", "execution", "proof")


class _Screen:
    """Draws what is told, line by line, with a live line of what is waited for."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._started_seconds = monotonic_seconds()
        self._status = console.status(Text("starting…", style="dim"))
        self.reached_seconds: dict[str, float] = {}
        self.proposed = ""

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._status.stop()

    def tell(self, telling: Telling) -> None:
        """Draw one thing that happened."""
        seconds = monotonic_seconds() - self._started_seconds
        self.reached_seconds.setdefault(telling.stage, seconds)
        if telling.stage == "proposal" and not self.proposed:
            self.proposed = telling.text.partition(":")[0]  # "workflow 1", or "action 1"
        row = Table.grid(padding=(0, 1))
        row.add_column(width=7, justify="right", style="dim")
        row.add_column(width=9)
        row.add_column()
        stage = Text(telling.stage, style=_STYLES.get(telling.stage, "bold"))
        row.add_row(Text(f"{seconds:.1f} s"), stage, Text(visible(telling.text)))
        for detail in telling.details:
            row.add_row("", "", Text(visible(detail), style="dim"))
        self.console.print(row)
        self._status.update(Text(_WAITS_FOR.get(telling.stage, "working…"), style="dim"))

    async def ask(self, question: str) -> bool:
        """Ask a person; the live line rests meanwhile."""
        self._status.stop()
        return await asyncio.to_thread(typer.confirm, question)

    def show_timeline(self) -> None:
        """Draw when each stage was reached."""
        fault = self.reached_seconds.get("fault", 0.0)
        line = Text("\nTimeline, seconds after the fault: ", style="bold")
        for stage in _MILESTONES[1:]:
            if stage in self.reached_seconds:
                line.append(f" {stage} {self.reached_seconds[stage] - fault:.1f} ", style="default")
        self.console.print(line, highlight=False)


def demo(
    *,
    subject: Annotated[
        str, typer.Option(help="Which cluster: tikv (simulated), etcd or patroni (real processes).")
    ] = DEFAULT_SUBJECT,
    ask: Annotated[bool, typer.Option("--ask", help="Ask you before anything is done.")] = False,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave the cluster running; it ends by itself.")
    ] = False,
    folder: Annotated[
        Path | None,
        typer.Option(help="Where the ledger and all files go; a new folder if not given."),
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(help="Go on with a demo that was killed, by its folder.")
    ] = None,
    stop: Annotated[
        Path | None, typer.Option(help="End the cluster that --keep left, by its folder.")
    ] = None,
) -> None:
    """Watch Operator repair a cluster that is broken on purpose.

    It starts a cluster and an agent, causes a fault, and shows the loop:
    ticket, diagnosis with its evidence, workflow, approval, each step, and
    the proof that the fix held. No key, no Docker, nothing outside a folder
    of its own, which it prints.

    Kill the agent (its process number is shown) in the middle: another one
    goes on from the ledger, and nothing is done twice.

    Example:
      operator demo
      operator demo --subject etcd --ask
    """
    console = Console()
    if stop is not None:
        asyncio.run(stop_demo(load_plugin(plugin_of(stop)), stop))
        console.print(Text(f"The cluster of {stop} is stopped."))
        return
    place = resume or folder or Path(tempfile.mkdtemp(prefix="operator-demo-"))
    plugin = load_plugin(plugin_of(resume) if resume else subject)
    _play(console, plugin, place, ask=ask, keep=keep, resumed=resume is not None)


def _play(
    console: Console, plugin: SubjectPlugin, folder: Path, *, ask: bool, keep: bool, resumed: bool
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    console.print(Text(f"Everything of this demo lies in {folder}\n", style="bold"), soft_wrap=True)
    with _Screen(console) as screen:
        options = DemoOptions(
            folder=folder,
            agent_command=_agent_command(folder),
            person=person(),
            ask=screen.ask if ask else None,
            keep_cluster=keep,
        )
        run = resume_demo if resumed else run_demo
        # A closed terminal stops the cluster too, and a second Ctrl-C does not cut that short.
        told = asyncio.run(until_told(run(plugin, options, screen.tell), *_ENDING))
    if told is signal.SIGINT:
        raise KeyboardInterrupt
    if told is not None:
        raise typer.Exit(128 + told)
    screen.show_timeline()
    _show_what_next(console, options, screen.proposed)


def _agent_command(folder: Path) -> list[str]:
    own = [sys.executable, "-m", "operator_core.cli.main", "--db", str(folder / "operator.db")]
    watching = ["up", "--interval-seconds", "1", "--ends-with-parent"]
    watching += ["--soak-seconds", "3"]  # nobody watches a demo for a minute
    # A short lease: whoever kills the agent does not want to wait long for the next one.
    return [*own, *watching, "--approval", "--lease-seconds", "4"]


def _show_what_next(console: Console, options: DemoOptions, proposed: str) -> None:
    """Print the commands with which a person looks around afterwards."""
    console.print(Text("\nLook around:", style="bold"))
    for command, why in _commands(proposed):
        line = Text(f"  {_this_program()} --db {options.ledger_path} {command:<20}", style="cyan")
        line.append(f"  {why}", style="dim")
        console.print(line, soft_wrap=True, highlight=False)
    if options.keep_cluster:
        line = Text(f"  {_this_program()} demo --stop {options.folder}", style="cyan")
        line.append("  end the cluster", style="dim")
        console.print(line, soft_wrap=True, highlight=False)


def _this_program() -> str:
    """Return how this program was called, so that its commands can be copied."""
    program = Path(sys.argv[0])
    if program.name != "operator" or shutil.which("operator") == str(program):
        return "operator"
    try:
        here = Path.cwd()
    except FileNotFoundError:
        return str(program)  # the folder that we are in was deleted
    return str(program.relative_to(here) if program.is_relative_to(here) else program)


def _commands(proposed: str) -> list[tuple[str, str]]:
    """Return commands and what they show.

    Args:
        proposed: such as "workflow 1" or "action 1"; nothing where nothing was.
    """
    kind, _, number = proposed.partition(" ")
    done = [(f"{kind}s show {number}", "what was done, step by step")] if proposed else []
    return [
        ("tickets show 1", "the problem, from its first sighting to its end"),
        ("diagnose 1", "the cause, and the evidence it stands on"),
        *done,
        ("audit list", "every change of state, who made it and when"),
        ("audit verify", "that nobody rewrote it"),
    ]
