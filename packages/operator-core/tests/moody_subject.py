"""A subject that takes calls as the test is in the mood for; what it did stands by proposal."""

from collections import Counter
from dataclasses import dataclass, field

from engine_items import ACTIONS, DISRUPTIVE, IDEMPOTENT, INVERSE, Mood
from operator_core.actions.types import ActionDefinition
from operator_core.errors import ActionFailedError, ActionRefusedError, OutcomeUnknownError
from operator_core.subject import ActionCall, ProbeAnswer
from operator_core.testing.fakes import FakeSubject


@dataclass
class MoodySubject(FakeSubject):
    """Does what it is told, or not; ``knows``: whether its probe tells the truth, or nothing."""

    mood: Mood = Mood.SUCCEED
    knows: bool = True
    done: Counter[int] = field(default_factory=Counter)
    keys: Counter[str] = field(default_factory=Counter)

    def get_action_definitions(self) -> list[ActionDefinition]:
        """Return the model's actions; the general tools are everybody's."""
        return [
            ActionDefinition(
                name=name,
                description=name,
                idempotent=name in IDEMPOTENT,
                disruptive=name in DISRUPTIVE,
                inverse=INVERSE.get(name),
            )
            for name in (*ACTIONS, *INVERSE.values())
            if name != "wait"
        ]

    async def perform(self, call: ActionCall) -> object:
        """Do it, or what the mood is."""
        if self.mood is Mood.FAIL:
            raise ActionFailedError("not this time")
        if self.mood is Mood.REFUSE:
            raise ActionRefusedError("never")
        if self.mood is not Mood.LOST_BEFORE:
            self.count(call.idempotency_key)
        if self.mood is not Mood.SUCCEED:
            raise OutcomeUnknownError("the answer is lost")
        return None

    def count(self, key: str) -> None:
        """Let the effect of a key happen."""
        self.keys[key] += 1
        self.done[int(key.split(":")[2])] += 1

    async def probe(self, call: ActionCall) -> ProbeAnswer:
        """Tell the truth, or nothing."""
        if not self.knows:
            return ProbeAnswer.UNKNOWN
        happened = self.keys[call.idempotency_key] > 0
        return ProbeAnswer.HAPPENED if happened else ProbeAnswer.NOT_HAPPENED
