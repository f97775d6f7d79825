"""A small subject whose effects are counted outside the ledger."""

import asyncio
import os
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from operator_core.actions.types import ActionDefinition, ParamDef
from operator_core.errors import ActionFailedError, ActionRefusedError
from operator_core.monitor.types import Observation
from operator_core.subject import ActionCall, ProbeAnswer, SubjectDefaults


class Mode(StrEnum):
    """How the fake behaves when it is asked to act."""

    OK = "ok"
    FAIL = "fail"
    """Surely not done."""
    FAIL_THEN_OK = "fail_then_ok"
    REFUSE = "refuse"
    """Surely not done, and it never will be."""
    HANG = "hang"
    """Waits for ever before its effect; can be cancelled."""
    HANG_AFTER_EFFECT = "hang_after_effect"
    STUBBORN = "stubborn"
    """Waits for `FakeSubject.let_go`; being cancelled once does not stop it."""
    TIME_OUT_AFTER_EFFECT = "time_out_after_effect"
    RAISE_AFTER_EFFECT = "raise_after_effect"
    """Breaks the port's promise: an error that tells nothing, after the effect."""


@dataclass(frozen=True)
class Effect:
    """One effect that has really happened."""

    action_name: str
    value: int
    idempotency_key: str


@dataclass
class FakeSubject(SubjectDefaults):
    """A subject with three actions: ``act``, ``act_again`` (idempotent), ``act_alone``.

    Attributes:
        mode: how it behaves.
        result: what an action returns; may be no JSON.
        probe_answer: what a probe answers; None: the truth; an exception is raised.
        effects_file: where effects are counted too, a line each, for tests with processes.
    """

    name: str = "fake"
    mode: Mode = Mode.OK
    result: object = None
    probe_answer: ProbeAnswer | Exception | None = ProbeAnswer.UNKNOWN
    effects_file: Path | None = None
    effects: list[Effect] = field(default_factory=list)
    calls: list[ActionCall] = field(default_factory=list)
    probes: list[ActionCall] = field(default_factory=list)
    acting: asyncio.Event = field(default_factory=asyncio.Event)
    let_go: asyncio.Event = field(default_factory=asyncio.Event)

    async def observe(self) -> Observation:
        """Return an observation without parts."""
        return Observation(subject=self.name)

    def get_action_definitions(self) -> list[ActionDefinition]:
        """Return the three actions."""
        value = {"value": ParamDef(type="int", minimum=0, description="Any number")}
        return [
            ActionDefinition(name="act", description="Act", parameters=value),
            ActionDefinition(
                name="act_again",
                description="Act, once or twice",
                parameters=value,
                idempotent=True,
            ),
            ActionDefinition(
                name="act_alone", description="Act alone", parameters=value, disruptive=True
            ),
        ]

    async def act(self, value: int, idempotency_key: str) -> object:
        """Act."""
        return await self._do(Effect("act", value, idempotency_key))

    async def act_again(self, value: int, idempotency_key: str) -> object:
        """Act; the same key has its effect once."""
        return await self._do(Effect("act_again", value, idempotency_key))

    async def act_alone(self, value: int, idempotency_key: str) -> object:
        """Act while nothing else that disrupts may run."""
        return await self._do(Effect("act_alone", value, idempotency_key))

    async def secret(self) -> None:
        """Do what is registered nowhere, so that nobody may call it."""
        self.effects.append(Effect("secret", 0, ""))

    async def perform(self, call: ActionCall) -> object:
        """Act, and remember the call."""
        self.calls.append(call)
        return await super().perform(call)

    async def probe(self, call: ActionCall) -> ProbeAnswer:
        """Answer as the test has set it, or truly."""
        self.probes.append(call)
        if isinstance(self.probe_answer, Exception):
            raise self.probe_answer
        if self.probe_answer is not None:
            return self.probe_answer
        happened = any(one.idempotency_key == call.idempotency_key for one in self.effects)
        return ProbeAnswer.HAPPENED if happened else ProbeAnswer.NOT_HAPPENED

    async def _do(self, effect: Effect) -> object:
        self.acting.set()
        await self._before()
        self._count(effect)
        if self.mode is Mode.HANG_AFTER_EFFECT:
            await asyncio.Event().wait()
        if self.mode is Mode.TIME_OUT_AFTER_EFFECT:
            raise TimeoutError
        if self.mode is Mode.RAISE_AFTER_EFFECT:
            raise RuntimeError("broken after the effect")
        return self.result

    async def _before(self) -> None:
        if self.mode is Mode.HANG:
            await asyncio.Event().wait()
        if self.mode is Mode.STUBBORN:
            try:
                await self.let_go.wait()
            except asyncio.CancelledError:
                await self.let_go.wait()  # it does not listen the first time
        if self.mode is Mode.REFUSE:
            raise ActionRefusedError("store 4 is gone")
        if self.mode in (Mode.FAIL, Mode.FAIL_THEN_OK):
            self.mode = Mode.OK if self.mode is Mode.FAIL_THEN_OK else self.mode
            raise ActionFailedError("region 9 has no leader")

    def _count(self, effect: Effect) -> None:
        self.effects.append(effect)
        if self.effects_file is not None:
            line = f"{effect.action_name} {effect.value} {effect.idempotency_key}\n".encode()
            file = os.open(self.effects_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            try:
                os.write(file, line)
            finally:
                os.close(file)
