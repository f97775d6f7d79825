"""The subject of a worker process: it acts on the system by a connection for each request."""

import asyncio
import json
from typing import Any

from operator_core.actions.types import ActionDefinition, ParamDef
from operator_core.errors import ActionFailedError, ActionRefusedError, OutcomeUnknownError
from operator_core.monitor.types import Observation
from operator_core.subject import ActionCall, ProbeAnswer, SubjectDefaults
from operator_core.testing.crash.points import EFFECT, PROBE, Fault, Side
from operator_core.testing.crash.trigger import Trigger

NAME = "system"
SHUT, LIFT = "shut", "lift"
SHUT_SECONDS = 0.3
"""How long what is shut stays so; its action may well take longer."""
_ITEM = {"item": ParamDef(type="int", description="What it is done to")}
_TROUBLE = {"trouble": ParamDef(type="str", required=False, default="")}


def definitions() -> list[ActionDefinition]:
    """Return what can be done.

    That is: put, and take, which undoes it; set, which may be sent again; shut, which is for a
    while, and lift, which undoes it.
    """
    both = _ITEM | _TROUBLE
    return [
        ActionDefinition(name="put", description="Put", parameters=both, inverse="take"),
        ActionDefinition(name="take", description="Take", parameters=_ITEM),
        ActionDefinition(name="set", description="Set", parameters=both, idempotent=True),
        ActionDefinition(
            name=SHUT,
            description="Shut",
            parameters=both,
            inverse=LIFT,
            temporary_effect="shut/{item}",
            effect_seconds=SHUT_SECONDS,
        ),
        ActionDefinition(name=LIFT, description="Lift", parameters=_ITEM),
    ]


class FarSubject(SubjectDefaults):
    """Acts on the system; at its crash points the trigger may strike."""

    name = NAME

    def __init__(self, port: int, trigger: Trigger) -> None:
        """Take the port of the system, and what may strike."""
        self.port = port
        self.trigger = trigger

    async def observe(self) -> Observation:
        """Return an observation without parts."""
        return Observation(subject=self.name)

    def get_action_definitions(self) -> list[ActionDefinition]:
        """Return what can be done."""
        return definitions()

    async def perform(self, call: ActionCall) -> object:
        """Do it.

        Raises:
            ActionFailedError: surely not done.
            ActionRefusedError: surely not done, and it never will be.
            OutcomeUnknownError: no answer came.
        """
        late = self.trigger.is_due(EFFECT, Side.BEFORE)
        if late and self.trigger.plan.fault is Fault.LATE:
            await self.ask("do", call, late=True)
        if late:
            self.trigger.strike(_lost)
        effect = (call.action_name, int(call.parameters["item"]))
        self.trigger.under_way.add(effect)
        answer = await self.ask("do", call)
        self.trigger.under_way.discard(effect)
        if self.trigger.is_due(EFFECT, Side.AFTER):
            self.trigger.strike(_lost)
        return _told(answer)

    async def probe(self, call: ActionCall) -> ProbeAnswer:
        """Ask whether an effect has happened."""
        if self.trigger.is_due(PROBE, Side.BEFORE):
            self.trigger.strike(_lost)
        answer = await self.ask("probe", call)
        if self.trigger.is_due(PROBE, Side.AFTER):
            self.trigger.strike(_lost)
        return ProbeAnswer(answer)

    async def ask(self, what: str, call: ActionCall, *, late: bool = False) -> str:
        """Send a request and return the system's answer."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(json.dumps(_request(what, call, late=late)).encode() + b"\n")
            line = await reader.readline()
        finally:
            writer.close()
        return str(json.loads(line)["answer"])


def _request(what: str, call: ActionCall, *, late: bool) -> dict[str, Any]:
    return {
        "what": what,
        "action": call.action_name,
        "item": call.parameters["item"],
        "trouble": call.parameters.get("trouble", ""),
        "key": call.idempotency_key,
        "late": late,
    }


def _told(answer: str) -> dict[str, str]:
    if answer == "failed":
        raise ActionFailedError("it did not work this time")
    if answer == "refused":
        raise ActionRefusedError("it is not possible")
    if answer == "lost":
        raise _lost()
    return {"answer": answer}


def _lost() -> Exception:
    return OutcomeUnknownError("it was sent and no answer came")
