"""Take a store out of the cluster, change one's mind, and forget what is gone."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final, NoReturn

from operator_core.actions.types import ParamDef
from operator_core.errors import ActionFailedError, ActionRefusedError, OutcomeUnknownError
from operator_core.subject import ProbeAnswer
from operator_core.types import JsonObject, RiskLevel
from operator_tikv import preflight
from operator_tikv.actions.change import Change, action
from operator_tikv.actions.limits import UNLIMITED_RATE, read_limits, set_limit
from operator_tikv.actions.params import StoreId
from operator_tikv.pd.api import PdApi
from operator_tikv.pd.parse import fit
from operator_tikv.pd.types import MetaState, StoreInfo, Stores
from operator_tikv.view import View

if TYPE_CHECKING:
    from operator_tikv.hands import Hands

DELETE_WAIT_SECONDS: Final = 12 * 3600.0
DELETE_STALL_SECONDS: Final = 1800.0
"""A store that gives nothing away for so long does not come to an end by itself."""


@dataclass(frozen=True)
class StoreSeen:
    """A store, tombstones too; none where PD has forgotten it."""

    store: StoreInfo | None

    @property
    def state(self) -> int:
        """The state in PD's metadata; what is forgotten counts as gone."""
        return self.store.store.state if self.store else MetaState.TOMBSTONE


@dataclass(frozen=True)
class _StateChange(Change[StoreSeen]):
    store_id: StoreId

    async def read(self, api: PdApi) -> StoreSeen:
        """Look at the store."""
        return StoreSeen(await api.store(self.store_id))

    def shown(self, now: StoreSeen) -> JsonObject:
        """Return the state and how much is on it."""
        if now.store is None:
            return {"state_name": None}
        return {
            "state_name": now.store.store.state_name,
            "region_count": now.store.status.region_count,
            "leader_count": now.store.status.leader_count,
        }

    def undo(self, before: StoreSeen, after: StoreSeen) -> JsonObject | None:
        """Only a store that is not gone yet can be brought back."""
        del before
        return {"store_id": self.store_id} if after.state != MetaState.TOMBSTONE else None


@action(
    "delete_store",
    risk=RiskLevel.HIGH,
    tags=("membership", "movement"),
    wait_seconds=DELETE_WAIT_SECONDS,
    stall_seconds=DELETE_STALL_SECONDS,
    idempotent=True,
    disruptive=True,
    inverse="cancel_delete_store",
    shrinks=("stores/{store_id}",),
)
@dataclass(frozen=True)
class DeleteStore(_StateChange):
    """Take a store out for good: PD moves all its replicas away, which can take hours.

    The store keeps serving until it is a tombstone; its process must not be stopped before.
    """

    def check(self, view: View, now: StoreSeen) -> None:
        """By our own count enough healthy stores must remain, with room."""
        del now
        preflight.check_delete(view, self.store_id)

    async def send(self, api: PdApi) -> None:
        """Set it offline, never by force."""
        await api.client.send("DELETE", f"/store/{self.store_id}")

    def holds(self, now: StoreSeen) -> bool:
        """Whether it is gone."""
        return now.store is not None and now.state == MetaState.TOMBSTONE

    def is_done(self, before: StoreSeen, now: StoreSeen) -> bool:
        """Whether it is gone, remembered or not."""
        del before
        return now.state == MetaState.TOMBSTONE

    def ended(self, now: StoreSeen) -> str:
        """Return whether somebody cancelled it."""
        return "the store is Up again." if now.state == MetaState.UP else ""

    def progress(self, before: StoreSeen, now: StoreSeen) -> str:
        """Return how many replicas are still on it."""
        if before.store is None or now.store is None:
            return f"store {self.store_id} is gone"
        return (
            f"store {self.store_id} is {now.store.store.state_name}: "
            f"{now.store.status.region_count} of {before.store.status.region_count} replicas "
            "are still on it"
        )

    async def give_up(self, api: PdApi, before: StoreSeen, why: str) -> NoReturn:
        """It stays Offline: taking it back is for people to decide."""
        del before
        seen = await self.read(api)
        left = seen.store.status.region_count if seen.store else 0
        raise OutcomeUnknownError(
            f"Store {self.store_id} is Offline and still has {left} replicas; {why} it is no "
            "tombstone. Look at one of its regions: space, labels, limits, quorum. "
            "cancel_delete_store brings it back."
        )

    async def probe(self, api: PdApi) -> ProbeAnswer:
        """While it is on its way out nobody knows whether it will come to an end."""
        state = (await self.read(api)).state
        if state == MetaState.UP:
            return ProbeAnswer.NOT_HAPPENED
        return ProbeAnswer.HAPPENED if state == MetaState.TOMBSTONE else ProbeAnswer.UNKNOWN


@action(
    "cancel_delete_store",
    risk=RiskLevel.MEDIUM,
    tags=("membership",),
    idempotent=True,
    inverse="delete_store",
)
@dataclass(frozen=True)
class CancelDeleteStore(_StateChange):
    """Keep a store that is on its way out, and put back its limit of removals.

    PD lifts that limit while a store leaves, and forgets the former one when its leader changes.
    """

    remove_peer_limit: Annotated[
        float,
        ParamDef(
            type="float",
            description="The limit to put back where PD left none, in replicas a minute",
            minimum=0.1,
            maximum=10_000,
        ),
    ] = 15.0

    def check(self, view: View, now: StoreSeen) -> None:
        """A tombstone cannot come back."""
        del view
        if now.store is None or now.state == MetaState.TOMBSTONE:
            raise ActionRefusedError(f"Store {self.store_id} is gone and cannot come back.")

    async def send(self, api: PdApi) -> None:
        """Set it up again."""
        await api.client.send("POST", f"/store/{self.store_id}/state", params={"state": "Up"})

    def holds(self, now: StoreSeen) -> bool:
        """Whether it is not on its way out."""
        return now.state == MetaState.UP

    async def afterwards(self, hands: "Hands", view: View, before: StoreSeen) -> JsonObject:
        """Put the limit back where PD left it unlimited."""
        del view, before
        limit = (await read_limits(hands.api)).get(self.store_id, {}).get("remove-peer", 0.0)
        if limit < UNLIMITED_RATE:
            return {"remove_peer_limit_put_back": False}
        await set_limit(hands.api, self.store_id, "remove-peer", self.remove_peer_limit)
        return {"remove_peer_limit_put_back": True}


@dataclass(frozen=True)
class Tombstones:
    """The stores that are gone and that PD remembers."""

    stores: tuple[StoreInfo, ...]


@action(
    "remove_tombstones",
    risk=RiskLevel.LOW,
    tags=("membership",),
    idempotent=True,
)
@dataclass(frozen=True)
class RemoveTombstones(Change[Tombstones]):
    """Let PD forget the stores that are gone; their processes must be stopped for good."""

    async def read(self, api: PdApi) -> Tombstones:
        """List them."""
        value = await api.read("/stores", {"state": int(MetaState.TOMBSTONE)})
        listed = fit(Stores, value, "GET /stores?state=2").stores
        return Tombstones(tuple(s for s in listed if s.store.state == MetaState.TOMBSTONE))

    def check(self, view: View, now: Tombstones) -> None:
        """None may still have replicas."""
        del view
        full = [store.id for store in now.stores if store.status.region_count]
        if full:
            raise ActionFailedError(
                f"Tombstones still have replicas: {preflight.listed(full)}. Find out why first."
            )

    async def send(self, api: PdApi) -> None:
        """Remove the records."""
        await api.client.send("DELETE", "/stores/remove-tombstone")

    def holds(self, now: Tombstones) -> bool:
        """Whether there is none."""
        return not now.stores

    def shown(self, now: Tombstones) -> JsonObject:
        """Return their ids."""
        return {"tombstone_store_ids": sorted(store.id for store in now.stores)}
