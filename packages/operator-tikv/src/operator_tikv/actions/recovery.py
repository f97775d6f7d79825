"""What can lose data or only helps people look: never begun by a machine alone, or harmless."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final

from operator_core.actions.types import ParamDef
from operator_core.errors import ActionFailedError, ActionRefusedError
from operator_core.subject import ProbeAnswer
from operator_core.types import JsonObject, RiskLevel
from operator_tikv import preflight
from operator_tikv.actions.change import Change, action
from operator_tikv.actions.params import StoreIds
from operator_tikv.actions.placement import objects
from operator_tikv.pd.api import PdApi
from operator_tikv.pd.parse import shorten
from operator_tikv.pd.types import MetaState
from operator_tikv.view import View

if TYPE_CHECKING:
    from pydantic import JsonValue

UNSAFE_PATH: Final = "/admin/unsafe/remove-failed-stores"
UNSAFE_WAIT_SECONDS: Final = 3600.0
GC_WORKER: Final = "gc_worker"


@dataclass(frozen=True)
class Recovery:
    """How far an unsafe recovery is.

    Attributes:
        stages: what PD says of each stage, in order.
        gone: ids of the stores that are tombstones.
    """

    stages: tuple[str, ...]
    gone: frozenset[int]

    @property
    def last(self) -> str:
        """What PD said last."""
        return self.stages[-1] if self.stages else ""

    @property
    def is_finished(self) -> bool:
        """Whether PD came to the end."""
        return "finished" in self.last.lower()

    @property
    def has_failed(self) -> bool:
        """Whether PD gave up."""
        return "failed:" in self.last.lower() or "failed to" in self.last.lower()

    @property
    def is_running(self) -> bool:
        """Whether PD is at it."""
        idle = not self.last or "no on-going" in self.last.lower()
        return not (idle or self.is_finished or self.has_failed)


@action(
    "unsafe_remove_failed_stores",
    risk=RiskLevel.CRITICAL,
    tags=("data-loss", "membership"),
    wait_seconds=UNSAFE_WAIT_SECONDS,
    disruptive=True,
)
@dataclass(frozen=True)
class UnsafeRemoveFailedStores(Change[Recovery]):
    """Give up stores that are lost for good, with what only they had (unsafe recovery).

    For regions that have lost most of their voters, when no store can be brought back. Loses
    data. Two people should approve it; it is never begun by a machine alone.
    """

    store_ids: StoreIds
    timeout_seconds: Annotated[
        int,
        ParamDef(type="int", description="How long PD tries", minimum=60, maximum=3000),
    ] = 600

    async def read(self, api: PdApi) -> Recovery:
        """Read the stages, and which of the stores are gone."""
        path = f"{UNSAFE_PATH}/show"
        said = objects(await api.read(path), path)
        stages = tuple(shorten(str(stage.get("info", ""))) for stage in said)
        gone = {key for key in self.store_ids if await _is_gone(api, key)}
        return Recovery(stages, frozenset(gone))

    def check(self, view: View, now: Recovery) -> None:
        """Quorum must be lost for good, and every lost store be named."""
        if now.is_running:
            raise ActionFailedError("An unsafe recovery is going on already.")
        named = set(self.store_ids)
        for store_id in sorted(named):
            if preflight.store_of(view, store_id).store.state_name != "Down":
                raise ActionRefusedError(
                    f"Store {store_id} is {view.stores[store_id].store.state_name}, not Down: it "
                    "may come back. Try everything to bring it back first."
                )
        left_out = set(view.silent) - named
        if left_out or not named:
            raise ActionRefusedError(
                f"All failed stores are named in one call; {preflight.listed(left_out)} are left "
                "out. A second call would lose more."
            )
        majority = view.replicate.max_replicas // 2 + 1
        if len(named) < majority:
            raise ActionRefusedError(
                f"{len(named)} of {view.replicate.max_replicas} replicas are lost, which is no "
                "majority: PD repairs that by itself, without loss."
            )

    async def send(self, api: PdApi) -> None:
        """Begin it."""
        stores: list[JsonValue] = list(self.store_ids)
        await api.client.send(
            "POST", UNSAFE_PATH, {"stores": stores, "timeout": self.timeout_seconds}
        )

    def holds(self, now: Recovery) -> bool:
        """It can always be asked for; the preflight says where it must not be."""
        del now
        return False

    def is_done(self, before: Recovery, now: Recovery) -> bool:
        """Whether PD came to the end, and the stores are gone."""
        del before
        return now.is_finished and now.gone >= set(self.store_ids)

    def ended(self, now: Recovery) -> str:
        """Unsafe recovery that failed half way is not "surely not done"."""
        del now
        return ""

    def shown(self, now: Recovery) -> JsonObject:
        """Return the stages."""
        return {"stages": list(now.stages), "tombstone_store_ids": sorted(now.gone)}

    def progress(self, before: Recovery, now: Recovery) -> str:
        """Return the present stage."""
        del before
        return f"unsafe recovery: {now.last}"

    async def probe(self, api: PdApi) -> ProbeAnswer:
        """Done when PD says so; untouched when it is idle and the stores are still there."""
        now = await self.read(api)
        if self.is_done(now, now):
            return ProbeAnswer.HAPPENED
        is_idle = not now.is_running and not now.has_failed and not now.is_finished
        return ProbeAnswer.NOT_HAPPENED if is_idle and not now.gone else ProbeAnswer.UNKNOWN


async def _is_gone(api: PdApi, store_id: int) -> bool:
    store = await api.store(store_id)
    return store is None or store.store.state == MetaState.TOMBSTONE


@dataclass(frozen=True)
class Safepoints:
    """The services that hold garbage collection back: their safe points by their ids."""

    by_service: dict[str, int]


@action(
    "delete_gc_safepoint",
    risk=RiskLevel.CRITICAL,
    tags=("data-loss",),
    idempotent=True,
)
@dataclass(frozen=True)
class DeleteGcSafepoint(Change[Safepoints]):
    """Let garbage collection go on past a service that is surely gone.

    A changefeed or backup that still lives would lose what it has not read yet.
    """

    service_id: Annotated[
        str, ParamDef(type="str", description="Id of the service", pattern=r"^[^/?#\s]{1,200}$")
    ]
    safe_point: Annotated[
        str,
        ParamDef(
            type="str",
            description="Its safe point as it is seen now: one that moves on is alive",
            pattern=r"^\d{1,20}$",
        ),
    ]

    async def read(self, api: PdApi) -> Safepoints:
        """List the services."""
        found = await api.map_of("/gc/safepoint")
        services = objects(found.get("service_gc_safe_points"), "/gc/safepoint")
        return Safepoints(
            {str(s.get("service_id")): int(s.get("safe_point") or 0) for s in services}
        )

    def check(self, view: View, now: Safepoints) -> None:
        """Neither the collector itself, nor a service that moves on."""
        del view
        if self.service_id == GC_WORKER:
            raise ActionRefusedError(f"{GC_WORKER} is garbage collection itself.")
        found = now.by_service[self.service_id]
        if str(found) != self.safe_point:
            raise ActionRefusedError(
                f"{self.service_id} has moved on to {found}, so it is alive. Stop it in its own "
                "tool."
            )

    async def send(self, api: PdApi) -> None:
        """Delete it."""
        await api.client.send("DELETE", f"/gc/safepoint/{self.service_id}")

    def holds(self, now: Safepoints) -> bool:
        """Whether it holds nothing back."""
        return self.service_id not in now.by_service

    def shown(self, now: Safepoints) -> JsonObject:
        """Return them as texts: they do not fit into every number."""
        return {"safe_points": {key: str(value) for key, value in now.by_service.items()}}


@action(
    "set_pd_log_level",
    risk=RiskLevel.LOW,
    tags=("config",),
    requires_approval=False,
    idempotent=True,
    restored_by="set_pd_log_level",
)
@dataclass(frozen=True)
class SetPdLogLevel(Change[str]):
    """Set how much PD's leader writes to its log."""

    level: Annotated[
        str,
        ParamDef(type="str", description="The level", enum=["debug", "info", "warn", "error"]),
    ]

    async def read(self, api: PdApi) -> str:
        """Read it from the whole configuration."""
        log = (await api.map_of("/config")).get("log")
        return str(log.get("level") or "info") if isinstance(log, dict) else "info"

    async def send(self, api: PdApi) -> None:
        """Set it."""
        await api.client.send("POST", "/admin/log", self.level)

    def holds(self, now: str) -> bool:
        """Whether it is so."""
        return now == self.level

    def shown(self, now: str) -> JsonObject:
        """Return it."""
        return {"level": now}

    def undo(self, before: str, after: str) -> JsonObject | None:
        """Back to the former level."""
        del after
        return {"level": before}
