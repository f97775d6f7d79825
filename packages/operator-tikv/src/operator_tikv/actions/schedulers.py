"""Which schedulers PD runs."""

from dataclasses import dataclass
from typing import Annotated, Final

from operator_core.actions.types import ParamDef
from operator_core.errors import ActionRefusedError
from operator_core.types import JsonObject, RiskLevel
from operator_tikv import preflight
from operator_tikv.actions.change import Change, action
from operator_tikv.actions.params import KeyHex, SchedulerName, StoreId, Texts
from operator_tikv.effects import GRANT_HOT_REGION, SCATTER_RANGE, TEST_SCHEDULERS
from operator_tikv.pd.api import EVICT_LEADER, PdApi
from operator_tikv.view import View

GRANT_LEADER: Final = "grant-leader-scheduler"
BALANCE_RANGE: Final = "balance-range-scheduler"
PLAIN_SCHEDULERS: Final = (
    "balance-leader-scheduler",
    "balance-region-scheduler",
    "balance-hot-region-scheduler",
    "evict-slow-store-scheduler",
    "evict-stopping-store-scheduler",
    "evict-slow-trend-scheduler",
    "label-scheduler",
    "split-bucket-scheduler",
    "balance-witness-scheduler",
    "transfer-witness-leader-scheduler",
)
_OF_STORES: Final = (EVICT_LEADER, GRANT_LEADER)


@dataclass(frozen=True)
class Schedulers:
    """The schedulers that PD has, and those that are paused."""

    names: tuple[str, ...]
    paused: tuple[str, ...]


@dataclass(frozen=True)
class SchedulerSetChange(Change[Schedulers]):
    """A change that looks at the schedulers that PD has."""

    async def read(self, api: PdApi) -> Schedulers:
        """List them."""
        names, paused = await api.schedulers(), await api.schedulers("paused")
        return Schedulers(tuple(names), tuple(paused))

    def shown(self, now: Schedulers) -> JsonObject:
        """Return their names."""
        return {"schedulers": list(now.names), "paused": list(now.paused)}


@dataclass(frozen=True)
class _NewScheduler(SchedulerSetChange):
    def listed_as(self) -> str:
        """Return the name under which PD lists it."""
        raise NotImplementedError

    def body(self) -> JsonObject:
        """Return what is sent."""
        return {"name": self.listed_as()}

    async def send(self, api: PdApi) -> None:
        """Add it."""
        await api.client.send("POST", "/schedulers", self.body())

    def holds(self, now: Schedulers) -> bool:
        """Whether PD lists it."""
        return self.listed_as() in now.names

    def undo(self, before: Schedulers, after: Schedulers) -> JsonObject | None:
        """Remove it again."""
        del before, after
        return {"name": self.listed_as()}


@action(
    "add_scheduler",
    risk=RiskLevel.MEDIUM,
    tags=("config",),
    idempotent=True,
    inverse="remove_scheduler",
)
@dataclass(frozen=True)
class AddScheduler(_NewScheduler):
    """Let one of PD's schedulers run that does not run now."""

    name: Annotated[
        str,
        ParamDef(type="str", description="Name of the scheduler", enum=list(PLAIN_SCHEDULERS)),
    ]

    def listed_as(self) -> str:
        """Its name is what PD lists."""
        return self.name


@action(
    "add_test_scheduler",
    risk=RiskLevel.HIGH,
    tags=("temporary", "movement"),
    idempotent=True,
    disruptive=True,
    inverse="remove_scheduler",
)
@dataclass(frozen=True)
class AddTestScheduler(_NewScheduler):
    """Let a scheduler run that moves things at random, as tests want it, until it is removed."""

    name: Annotated[
        str,
        ParamDef(type="str", description="Name of the scheduler", enum=list(TEST_SCHEDULERS)),
    ]

    def listed_as(self) -> str:
        """Its name is what PD lists."""
        return self.name

    def check(self, view: View, now: Schedulers) -> None:
        """Nothing may be wrong anywhere."""
        del now
        preflight.check_quiet(view)


@action(
    "add_scatter_range_scheduler",
    risk=RiskLevel.MEDIUM,
    tags=("temporary", "movement"),
    idempotent=True,
    inverse="remove_scheduler",
)
@dataclass(frozen=True)
class AddScatterRange(_NewScheduler):
    """Spread the regions of a range of keys over the stores, until it is removed."""

    start_key: KeyHex
    end_key: KeyHex
    range_name: Annotated[
        str, ParamDef(type="str", description="Name of the range", pattern=r"^[A-Za-z0-9_-]{1,64}$")
    ]

    def listed_as(self) -> str:
        """PD lists it with the name of its range."""
        return f"{SCATTER_RANGE}-{self.range_name}"

    def body(self) -> JsonObject:
        """PD wants the keys themselves, escaped as in a URL."""
        return {
            "name": "scatter-range-scheduler",
            "start_key": _escaped(self.start_key),
            "end_key": _escaped(self.end_key),
            "range_name": self.range_name,
        }


def _escaped(key_hex: str) -> str:
    return "".join(f"%{byte:02X}" for byte in bytes.fromhex(key_hex))


@action(
    "add_balance_range_scheduler",
    risk=RiskLevel.MEDIUM,
    tags=("movement",),
    idempotent=True,
    inverse="remove_scheduler",
)
@dataclass(frozen=True)
class AddBalanceRange(_NewScheduler):
    """Balance the regions of a range of keys once (PD 8.5.7 and later)."""

    rule: Annotated[
        str,
        ParamDef(
            type="str",
            description="Which replicas are balanced",
            enum=["leader-scatter", "peer-scatter", "learner-scatter"],
        ),
    ]
    engine: Annotated[
        str, ParamDef(type="str", description="Kind of store", enum=["tikv", "tiflash"])
    ]
    alias: Annotated[
        str, ParamDef(type="str", description="Name of the job", pattern=r"^[\w.-]{1,64}$")
    ]
    start_key: KeyHex
    end_key: KeyHex

    def listed_as(self) -> str:
        """One scheduler does all jobs."""
        return BALANCE_RANGE

    def body(self) -> JsonObject:
        """The job, with its keys escaped as in a URL."""
        return {
            "name": BALANCE_RANGE,
            "rule": self.rule,
            "engine": self.engine,
            "alias": self.alias,
            "start-key": _escaped(self.start_key),
            "end-key": _escaped(self.end_key),
        }


@action(
    "add_grant_hot_region_scheduler",
    risk=RiskLevel.MEDIUM,
    tags=("temporary", "movement"),
    idempotent=True,
    inverse="remove_scheduler",
)
@dataclass(frozen=True)
class AddGrantHotRegion(_NewScheduler):
    """Bring the hot regions to named stores, until it is removed."""

    leader_store_id: StoreId
    store_ids: Annotated[Texts, ParamDef(type="list", description="Ids of the stores for replicas")]

    def listed_as(self) -> str:
        """Its name is fixed."""
        return GRANT_HOT_REGION

    def check(self, view: View, now: Schedulers) -> None:
        """The stores must be healthy."""
        del now
        for store_id in (self.leader_store_id, *(int(text) for text in self.store_ids)):
            preflight.store_of(view, store_id)
            preflight.check_can_lead(view, store_id)

    def body(self) -> JsonObject:
        """PD takes the ids as texts."""
        return {
            "name": GRANT_HOT_REGION,
            "store-leader-id": str(self.leader_store_id),
            "store-id": ",".join(str(text) for text in self.store_ids),
        }


@action(
    "remove_scheduler",
    risk=RiskLevel.MEDIUM,
    tags=("config",),
    idempotent=True,
    restored_by="add_scheduler",
)
@dataclass(frozen=True)
class RemoveScheduler(SchedulerSetChange):
    """Remove one of PD's schedulers; it stays away until it is added again."""

    name: SchedulerName

    def check_arguments(self) -> None:
        """Schedulers of stores are taken back store by store."""
        if self.name.startswith(_OF_STORES):
            raise ActionRefusedError(
                f"{self.name} may be working for several stores; use undrain_store or "
                "stop_granting_leaders for one of them."
            )

    async def send(self, api: PdApi) -> None:
        """Remove it; one that is gone is no error."""
        path = f"/schedulers/{self.name}"
        await api.client.send("DELETE", path, done_when=("scheduler not found",))

    def holds(self, now: Schedulers) -> bool:
        """Whether PD does not list it."""
        return self.name not in now.names

    def undo(self, before: Schedulers, after: Schedulers) -> JsonObject | None:
        """Those that need no more than their name can be added again."""
        del before, after
        return {"name": self.name} if self.name in PLAIN_SCHEDULERS else None
