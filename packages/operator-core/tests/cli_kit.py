"""Running the command line in this process, and a plugin that needs no cluster."""

import asyncio
import json
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest
from typer.testing import CliRunner, Result

from operator_core.actions.types import ActionDefinition, ActionProposal, ParamDef
from operator_core.agent.diagnosis import (
    ActionRecommendation,
    Assessment,
    Claim,
    Predicate,
)
from operator_core.cli.main import app
from operator_core.clock import utc_now
from operator_core.db.actions import ActionDB
from operator_core.db.checked import CheckedCall
from operator_core.db.claims import Attempt, ClaimTerms
from operator_core.db.control import ControlDB
from operator_core.db.executions import ExecutionDB
from operator_core.errors import SubjectUnreachableError
from operator_core.monitor.types import Invariant, Observation, Part, Violation
from operator_core.plugin import DemoCluster
from operator_core.runtime import plugins
from operator_core.subject import Hypothesis, SubjectDefaults
from operator_core.types import JsonObject, RunMode

T = TypeVar("T")

NASTY = "[/x] [bold]b[/bold] \x1b[31mred\x07 \u202egnp.exe\u200b :smile:"
"""Markup, an escape sequence, a bell, an override of the writing direction, no width."""


def now_do(work: Coroutine[object, object, T]) -> T:
    """Run a coroutine to its end."""
    return asyncio.run(work)


class Cli:
    """The command line on a ledger of its own."""

    def __init__(self, folder: Path, *, person: str = "ann") -> None:
        self.db_path = folder / "operator.db"
        self.person = person

    def invoke(self, *arguments: str) -> Result:
        """Run a command and return what came of it."""
        whole = ["--db", str(self.db_path), "--as", self.person, *arguments]
        return CliRunner().invoke(app, whole, prog_name="operator")

    def ok(self, *arguments: str) -> str:
        """Run a command that must succeed and return what it printed."""
        result = self.invoke(*arguments)
        assert result.exit_code == 0, result.output
        return result.stdout

    def json(self, *arguments: str) -> Any:  # noqa: ANN401 - whatever the command prints
        """Run a command that must succeed and return its JSON."""
        return json.loads(self.ok(*arguments, "--json"))

    def fails(self, code: int, *arguments: str) -> str:
        """Run a command that must fail with a code and return what it says."""
        result = self.invoke(*arguments)
        assert result.exit_code == code, (result.exit_code, result.output)
        assert "Traceback" not in result.output
        assert result.stdout == ""
        return result.stderr


# --- a plugin without a cluster ---------------------------------------------------------


def part(data: JsonObject, error: str | None = None) -> Part:
    """Return a part of an observation."""
    return Part(
        source="memory://",
        observed_at=utc_now(),
        complete=error is None,
        error=error,
        data=data,
    )


def _too_full(observation: Observation) -> list[Violation]:
    stores = observation.data("stores")
    return [
        Violation(invariant="full", target=name, message=f"{name} is full")
        for name, used in stores.items()
        if used > 0.9
    ]


def _disk(violation: Violation, _: Observation) -> Assessment | None:
    claim = Claim(
        statement="the disk is nearly full",
        path=f"stores/{violation.target}",
        predicate=Predicate.GT,
        value=0.9,
    )
    step = ActionRecommendation(
        action_name="clean", parameters={"store": violation.target}, reason="frees space"
    )
    return Assessment(cause="The disk is too small", supports=[claim], actions=[step])


@dataclass
class FakeSubject(SubjectDefaults):
    """A cluster in memory."""

    name: str = "fake"
    parts: Mapping[str, Part] = field(default_factory=lambda: {"stores": part({"s1": 0.95})})
    error: Exception | None = None
    cleaned: list[str] = field(default_factory=list)
    closed: bool = False

    async def observe(self) -> Observation:
        """Look at the memory."""
        if self.error is not None:
            raise self.error
        return Observation(parts=dict(self.parts))

    def get_action_definitions(self) -> list[ActionDefinition]:
        """Return one action with a parameter of every type."""
        return [
            ActionDefinition(
                name="clean",
                description="Free some space",
                parameters={
                    "store": ParamDef(type="str"),
                    "share": ParamDef(type="float", required=False, default=0.5),
                    "depth": ParamDef(type="int", required=False, minimum=1),
                    "force": ParamDef(type="bool", required=False),
                    "tags": ParamDef(type="list", required=False),
                    "options": ParamDef(type="object", required=False),
                },
            )
        ]

    def invariants(self) -> Sequence[Invariant]:
        """Return the one rule."""
        return [Invariant("full", "no store is full", _too_full, needs=("stores",))]

    def hypotheses(self) -> Sequence[Hypothesis]:
        """Return the one cause."""
        return [Hypothesis("disk", frozenset({"full"}), _disk, prior=0.9)]

    async def clean(self, store: str, **_: object) -> JsonObject:
        """Free space."""
        self.cleaned.append(store)
        return {"freed": store}

    async def close(self) -> None:
        """Remember that it was closed."""
        self.closed = True


@dataclass
class FakePlugin:
    """The plugin of the cluster in memory."""

    name: str = "fake"
    summary: str = "Clusters in memory [/x]"
    settings: Mapping[str, ParamDef] = field(
        default_factory=lambda: {
            "address": ParamDef(type="str", description="Where it is [bold]"),
            "name": ParamDef(type="str", required=False, default="fake"),
            "retries": ParamDef(type="int", required=False, default=3, minimum=0),
            "secure": ParamDef(type="bool", required=False),
        }
    )
    subject: FakeSubject = field(default_factory=FakeSubject)
    asked_with: list[JsonObject] = field(default_factory=list)

    async def connect(self, settings: JsonObject) -> FakeSubject:
        """Return the cluster in memory."""
        self.asked_with.append(settings)
        self.subject.closed = False
        return self.subject

    def demo(self, folder: Path) -> DemoCluster:
        """There is none."""
        raise NotImplementedError(folder)


@dataclass(frozen=True)
class _Point:
    plugin: FakePlugin

    def load(self) -> FakePlugin:
        return self.plugin


def install(monkeypatch: pytest.MonkeyPatch, plugin: FakePlugin | None = None) -> FakePlugin:
    """Make the fake plugin the only one there is."""
    fake = plugin or FakePlugin()
    monkeypatch.setattr(plugins, "_entry_points", lambda: {fake.name: _Point(fake)})
    return fake


def unreachable() -> FakePlugin:
    """Return a plugin whose cluster cannot be read."""
    return FakePlugin(subject=FakeSubject(error=SubjectUnreachableError(f"no answer {NASTY}")))


# --- what lies in a ledger --------------------------------------------------------------


async def add_proposals(path: Path, count: int = 1, **fields: Any) -> list[ActionProposal]:  # noqa: ANN401
    """Store proposals of the general tool `wait`."""
    async with ActionDB(path) as db:
        return [
            await db.create_proposal(
                ActionProposal(
                    **{"action_name": "wait", "parameters": {"seconds": 1}, "reason": "r", **fields}
                )
            )
            for _ in range(count)
        ]


async def add_workflow(path: Path, **fields: Any) -> int:  # noqa: ANN401
    """Store a workflow of two waits."""
    actions = [
        ActionProposal(action_name="wait", parameters={"seconds": one}, reason=f"step {one}")
        for one in range(2)
    ]
    async with ActionDB(path) as db:
        return await db.create_workflow(
            fields.pop("name", "drain"), fields.pop("description", "d"), actions, **fields
        )


async def claimed(path: Path, proposal_id: int, *, lease_seconds: float = 60.0) -> Attempt:
    """Take a proposal as an executor of another process does."""
    async with ExecutionDB(path) as db:
        await ControlDB(db.ledger).set_mode(RunMode.EXECUTE, actor="test")
        actions = ActionDB(db.ledger)
        call = CheckedCall({"seconds": 1}, disruptive=False)
        await actions.validate_proposal(proposal_id, lambda _: call, auto_approve=True)
        terms = ClaimTerms(
            owner="other:1:abc",
            ledger_id=db.ledger.ledger_id,
            lease_seconds=lease_seconds,
            require_approval=False,
        )
        return await db.claim(proposal_id, terms)
