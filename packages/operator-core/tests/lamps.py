"""A cluster small enough to reason about: lamps that go out and can be relit.

Effects are counted here, outside the ledger. A lamp that is relit while it burns counts as a
second effect, which is what an engine that does things twice would show.
"""

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from operator_core.actions.types import ActionDefinition, ParamDef
from operator_core.agent.diagnosis import (
    ActionRecommendation,
    Assessment,
    Claim,
    Predicate,
    WorkflowRecommendation,
)
from operator_core.clock import Clock
from operator_core.errors import ActionFailedError, OutcomeUnknownError, SubjectUnreachableError
from operator_core.monitor.types import Invariant, Observation, Part, Violation
from operator_core.subject import ActionCall, Hypothesis, ProbeAnswer, SubjectDefaults
from operator_core.types import Severity


@dataclass
class Room:
    """The lamps themselves: what is true, whatever anybody observed."""

    rng: random.Random
    burning: dict[str, bool] = field(default_factory=dict)
    relit: Counter[str] = field(default_factory=Counter)
    went_out: Counter[str] = field(default_factory=Counter)
    bells: Counter[str] = field(default_factory=Counter)
    trouble: float = 0.0

    def put_out(self, lamp: str) -> None:
        """Let a lamp go out, if it burns."""
        if self.burning[lamp]:
            self.burning[lamp] = False
            self.went_out[lamp] += 1

    def unlucky(self) -> bool:
        """Return whether something goes wrong now."""
        return self.rng.random() < self.trouble


class LampSubject(SubjectDefaults):
    """Watches and relights the lamps of a room; its answers get lost now and then."""

    name = "lamps"

    def __init__(self, room: Room, clock: Clock) -> None:
        """Take a room and a clock."""
        self._room = room
        self._clock = clock

    async def observe(self) -> Observation:
        """Return which lamps burn."""
        if self._room.unlucky():
            raise SubjectUnreachableError("it is too dark to see")
        now = self._clock.now()
        lamps = {name: {"burning": burning} for name, burning in self._room.burning.items()}
        part = Part(source="eyes", observed_at=now, data=lamps)
        return Observation(subject=self.name, observed_at=now, parts={"lamps": part})

    def get_action_definitions(self) -> list[ActionDefinition]:
        """Return what can be done: ring a bell, relight a lamp."""
        lamp = {"lamp": ParamDef(type="str", description="Which lamp")}
        return [
            ActionDefinition(name="relight", description="Relight a lamp", parameters=lamp),
            ActionDefinition(name="ring", description="Ring the bell of a lamp", parameters=lamp),
        ]

    async def relight(self, lamp: str) -> dict[str, str]:
        """Relight a lamp; fails before or after the effect when the room is unlucky."""
        if self._room.unlucky():
            raise ActionFailedError("no match at hand")
        self._room.burning[lamp] = True
        self._room.relit[lamp] += 1
        if self._room.unlucky():
            raise OutcomeUnknownError("lit it, or not? the wind took the answer")
        return {"lamp": lamp}

    async def ring(self, lamp: str) -> None:
        """Ring the bell of a lamp; its effect can be probed by nobody."""
        self._room.bells[lamp] += 1

    async def probe(self, call: ActionCall) -> ProbeAnswer:
        """Say whether a lamp burns, which is what relighting it was for."""
        if call.action_name != "relight":
            return ProbeAnswer.UNKNOWN
        burning = self._room.burning[str(call.parameters["lamp"])]
        return ProbeAnswer.HAPPENED if burning else ProbeAnswer.NOT_HAPPENED

    def invariants(self) -> Sequence[Invariant]:
        """Return the one rule: every lamp burns."""
        rule = Invariant(
            name="lamp_out", description="A lamp does not burn", check=_lamps_out, needs=("lamps",)
        )
        return (rule,)

    def hypotheses(self) -> Sequence[Hypothesis]:
        """Return the one cause: the wind."""
        return (Hypothesis("wind", frozenset({"lamp_out"}), _wind, prior=0.9),)


def _lamps_out(observation: Observation) -> Iterable[Violation]:
    for lamp, state in observation.data("lamps").items():
        if not state["burning"]:
            message = f"{lamp} is out"
            yield Violation(
                invariant="lamp_out", target=lamp, message=message, severity=Severity.CRITICAL
            )


def _wind(violation: Violation, observation: Observation) -> Assessment:
    del observation
    lamp = violation.target
    out = Claim(
        statement=f"{lamp} does not burn",
        path=f"lamps/{lamp}/burning",
        predicate=Predicate.EQ,
        value=False,
    )
    steps = [
        ActionRecommendation(action_name="ring", parameters={"lamp": lamp}, reason="warn people"),
        ActionRecommendation(action_name="wait", parameters={"seconds": 2}, reason="let them look"),
        ActionRecommendation(action_name="relight", parameters={"lamp": lamp}, reason="it is dark"),
    ]
    workflow = WorkflowRecommendation(
        name="relight", description="Warn, then relight", actions=steps
    )
    return Assessment(cause=f"The wind blew {lamp} out", supports=[out], workflows=[workflow])
