"""The order of steps in which every change is carried out.

Look, check, ask, wait for the effect, say what changed. Until the request is sent every error
means "surely not done"; from then on a read that fails says nothing of the effect and is tried
again, and an effect that is not seen in time is unknown. PD's 200 means queued.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Final, Generic

from operator_core.errors import ActionFailedError, SubjectError
from operator_core.subject import ProbeAnswer
from operator_core.types import JsonObject
from operator_tikv import preflight
from operator_tikv.actions.change import Change, Seen
from operator_tikv.hands import Hands
from operator_tikv.pd.api import PdApi

if TYPE_CHECKING:
    from pydantic import JsonValue

_LONGEST_PAUSE_SECONDS: Final = 30.0
_LOOKS_PER_TIME_PASSED: Final = 10.0
"""The longer it takes already, the more seldom it is looked at."""


async def carry_out(
    hands: Hands, change: Change[Seen], progress: Callable[[str], None]
) -> JsonObject:
    """Carry out one change, all the way to its effect.

    Raises:
        ActionRefusedError: it cannot be, or must not be, as it stands.
        ActionFailedError: not now, or PD gave up.
        OutcomeUnknownError: no answer, or no effect in sight in time.
        SubjectError: the cluster cannot be read; nothing was changed.
    """
    change.check_arguments()
    view, before = await hands.view(), await change.read(hands.api)
    preflight.check_pd(view)
    if change.holds(before):
        return _result(change, before, before, changed=False)
    change.check(view, before)
    await change.send(hands.api)
    progress(f"PD took {change.definition.name}")
    after = await _Wait(hands, change, before, progress, hands.clock.now()).until_done()
    more = await change.afterwards(hands, view, before)
    return _result(change, before, after, changed=True) | more


async def probe(api: PdApi, change: Change[Seen]) -> ProbeAnswer:
    """Say whether the effect of a change has happened; where PD cannot be read nobody knows."""
    try:
        return await change.probe(api)
    except SubjectError:
        return ProbeAnswer.UNKNOWN


def _result(change: Change[Seen], before: Seen, after: Seen, *, changed: bool) -> JsonObject:
    restores = change.definition.restored_by or change.definition.inverse
    arguments = change.undo(before, after) if changed else None
    undo: JsonValue = None
    if restores is not None and arguments is not None:
        undo = {"action_name": restores, "parameters": arguments}
    return {
        **asdict(change),
        "changed": changed,
        "before": change.shown(before),
        "after": change.shown(after),
        "undo": undo,
    }


@dataclass
class _Wait(Generic[Seen]):
    """Looks again and again until the effect is there, and says how far it has come."""

    hands: Hands
    change: Change[Seen]
    before: Seen
    progress: Callable[[str], None]
    began: datetime
    said: str = ""
    moved_seconds: float = 0.0
    """How long the wait had taken when it last came further."""
    passed_seconds: float = field(default=0.0)

    async def until_done(self) -> Seen:
        while True:
            now = await self._look()
            if now is not None and self.change.is_done(self.before, now):
                return now
            self.passed_seconds = (self.hands.clock.now() - self.began).total_seconds()
            if now is not None:
                self._note(now)
            why = self._why_over()
            if why:
                await self.change.give_up(self.hands.api, self.before, why)
            await self.hands.clock.sleep(self._pause_seconds())

    async def _look(self) -> Seen | None:
        try:
            return await self.change.read(self.hands.api)
        except SubjectError:
            return None

    def _note(self, now: Seen) -> None:
        ended = self.change.ended(now)
        if ended:
            raise ActionFailedError(f"PD ended {self.change.definition.name}: {ended}")
        text = self.change.progress(self.before, now)
        if text != self.said:
            self.said, self.moved_seconds = text, self.passed_seconds
            self.progress(text)

    def _why_over(self) -> str:
        if self.passed_seconds >= self.change.wait_seconds:
            return f"after {self.change.wait_seconds:.0f} s"
        patience = self.change.stall_seconds
        if patience is not None and self.passed_seconds - self.moved_seconds >= patience:
            return f"it has come no further for {patience:.0f} s ({self.said}), and"
        return ""

    def _pause_seconds(self) -> float:
        grown = min(self.passed_seconds / _LOOKS_PER_TIME_PASSED, _LONGEST_PAUSE_SECONDS)
        left = self.change.wait_seconds - self.passed_seconds
        return max(self.hands.poll_seconds, min(grown, left))
