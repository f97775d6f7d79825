"""Pause and resume PD's schedulers and checkers."""

from dataclasses import dataclass
from typing import Annotated, Final

from operator_core.actions.types import ParamDef
from operator_core.errors import ActionRefusedError
from operator_core.subject import ProbeAnswer
from operator_core.types import JsonObject, RiskLevel
from operator_tikv import preflight
from operator_tikv.actions.change import Change, action
from operator_tikv.actions.params import SchedulerName, Seconds
from operator_tikv.actions.schedulers import Schedulers, SchedulerSetChange
from operator_tikv.pd.api import PdApi
from operator_tikv.view import View

CHECKERS: Final = ("learner", "replica", "rule", "split", "merge", "joint-state")


@dataclass(frozen=True)
class _PauseChange(SchedulerSetChange):
    name: SchedulerName

    def check(self, view: View, now: Schedulers) -> None:
        """There must be such a scheduler."""
        del view
        if self.name not in now.names:
            names = ", ".join(now.names)
            raise ActionRefusedError(f"PD runs no scheduler {self.name!r}; it runs: {names}.")


@action(
    "pause_scheduler",
    risk=RiskLevel.MEDIUM,
    tags=("temporary", "config"),
    idempotent=True,
    inverse="resume_scheduler",
)
@dataclass(frozen=True)
class PauseScheduler(_PauseChange):
    """Keep one of PD's schedulers from running for a while."""

    seconds: Seconds

    async def send(self, api: PdApi) -> None:
        """Pause it."""
        await api.pause_scheduler(self.name, self.seconds)

    def holds(self, now: Schedulers) -> bool:
        """A pause can always be made longer."""
        del now
        return False

    def is_done(self, before: Schedulers, now: Schedulers) -> bool:
        """Whether PD lists it as paused."""
        del before
        return self.name in now.paused

    async def probe(self, api: PdApi) -> ProbeAnswer:
        """Paused is paused, whoever did it."""
        now = await self.read(api)
        return ProbeAnswer.HAPPENED if self.is_done(now, now) else ProbeAnswer.NOT_HAPPENED

    def undo(self, before: Schedulers, after: Schedulers) -> JsonObject | None:
        """Resume it, unless it was paused before."""
        del after
        return None if self.name in before.paused else {"name": self.name}


@action(
    "resume_scheduler",
    risk=RiskLevel.LOW,
    tags=("config",),
    # An import or a backup may have paused it, and only people know.
    requires_approval=True,
    idempotent=True,
)
@dataclass(frozen=True)
class ResumeScheduler(_PauseChange):
    """Let a scheduler of PD that was paused run again."""

    async def send(self, api: PdApi) -> None:
        """Resume it."""
        await api.resume_scheduler(self.name)

    def holds(self, now: Schedulers) -> bool:
        """Whether it is there and not paused."""
        return self.name in now.names and self.name not in now.paused


@dataclass(frozen=True)
class _CheckerChange(Change[JsonObject]):
    name: Annotated[str, ParamDef(type="str", description="The checker", enum=list(CHECKERS))]

    async def read(self, api: PdApi) -> JsonObject:
        """Look whether it is paused."""
        return {"paused": (await api.map_of(f"/checker/{self.name}")).get("paused") is True}

    def shown(self, now: JsonObject) -> JsonObject:
        """Return whether it is paused."""
        return now


@action(
    "pause_checker",
    risk=RiskLevel.HIGH,
    tags=("temporary", "config"),
    idempotent=True,
    inverse="resume_checker",
)
@dataclass(frozen=True)
class PauseChecker(_CheckerChange):
    """Keep one of PD's checkers from running for a while; without `rule` PD repairs nothing."""

    seconds: Seconds

    def check(self, view: View, now: JsonObject) -> None:
        """Nothing may be in need of repair."""
        del now
        preflight.check_quiet(view)

    async def send(self, api: PdApi) -> None:
        """Pause it."""
        await api.client.send("POST", f"/checker/{self.name}", {"delay": self.seconds})

    def holds(self, now: JsonObject) -> bool:
        """A pause can always be made longer."""
        del now
        return False

    def is_done(self, before: JsonObject, now: JsonObject) -> bool:
        """Whether it is paused."""
        del before
        return bool(now["paused"])

    async def probe(self, api: PdApi) -> ProbeAnswer:
        """Paused is paused, whoever did it."""
        now = await self.read(api)
        return ProbeAnswer.HAPPENED if self.is_done(now, now) else ProbeAnswer.NOT_HAPPENED

    def undo(self, before: JsonObject, after: JsonObject) -> JsonObject | None:
        """Resume it, unless it was paused before."""
        del after
        return None if before["paused"] else {"name": self.name}


@action(
    "resume_checker",
    risk=RiskLevel.LOW,
    tags=("config",),
    requires_approval=True,
    idempotent=True,
)
@dataclass(frozen=True)
class ResumeChecker(_CheckerChange):
    """Let a checker of PD that was paused run again."""

    async def send(self, api: PdApi) -> None:
        """Resume it."""
        await api.client.send("POST", f"/checker/{self.name}", {"delay": 0})

    def holds(self, now: JsonObject) -> bool:
        """Whether it is not paused."""
        return not now["paused"]
