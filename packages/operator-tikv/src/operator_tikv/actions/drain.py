"""Keep a store from leading regions, or let it lead all it can: both stay until taken back."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NoReturn

from operator_core.errors import (
    ActionFailedError,
    ActionRefusedError,
    OutcomeUnknownError,
    SubjectError,
)
from operator_core.subject import ProbeAnswer
from operator_core.types import JsonObject, RiskLevel
from operator_tikv import preflight
from operator_tikv.actions.change import Change, action
from operator_tikv.actions.params import StoreId
from operator_tikv.pd.api import BALANCE_LEADER, PdApi
from operator_tikv.pd.parse import ids_of
from operator_tikv.view import View, leaders_by_store

if TYPE_CHECKING:
    from operator_tikv.hands import Hands

DRAIN_WAIT_SECONDS: Final = 300.0
RETURN_WAIT_SECONDS: Final = 60.0
"""How long leaders may take to begin to come back after a drain was undone."""

GRANT_LEADER: Final = "grant-leader-scheduler"
_LISTED: Final = 10


@dataclass(frozen=True)
class Leading:
    """How a store leads: how many regions, whether it is kept from it, and the others."""

    leader_count: int
    evicted: bool
    leaders_by_store: JsonObject


@dataclass(frozen=True)
class _LeadChange(Change[Leading]):
    store_id: StoreId

    async def read(self, api: PdApi) -> Leading:
        """Look at the stores and at the evictions."""
        evicted = await api.evicted_store_ids(await api.schedulers())
        stores, _ = await api.stores()
        counts = [store.status.leader_count for store in stores if store.id == self.store_id]
        if not counts:
            known = preflight.listed(store.id for store in stores)
            raise ActionRefusedError(f"PD knows no store {self.store_id}; it knows: {known}.")
        return Leading(counts[0], self.store_id in evicted, leaders_by_store(stores))

    def shown(self, now: Leading) -> JsonObject:
        """Return who leads how much."""
        return {
            "leader_count": now.leader_count,
            "evicted": now.evicted,
            "leaders_by_store": now.leaders_by_store,
        }

    def progress(self, before: Leading, now: Leading) -> str:
        """Return how many leaders are left or back."""
        return (
            f"store {self.store_id} leads {now.leader_count} regions; it led {before.leader_count}"
        )

    def undo(self, before: Leading, after: Leading) -> JsonObject | None:
        """The inverse takes the same store."""
        del before, after
        return {"store_id": self.store_id}


@action(
    "drain_store",
    risk=RiskLevel.MEDIUM,
    tags=("temporary", "movement"),
    wait_seconds=DRAIN_WAIT_SECONDS,
    idempotent=True,
    disruptive=True,
    inverse="undrain_store",
)
@dataclass(frozen=True)
class DrainStore(_LeadChange):
    """Move all leaders off a store and keep them off (evict-leader), and wait until it leads none.

    If it cannot be done the eviction is taken back.
    """

    def check(self, view: View, now: Leading) -> None:
        """Others must be able to lead, and nothing else may be going on."""
        del now
        preflight.check_drain(view, self.store_id)

    async def send(self, api: PdApi) -> None:
        """Begin to evict; harmless where it is done already."""
        await api.evict_leaders(self.store_id)

    def holds(self, now: Leading) -> bool:
        """Whether the store leads nothing and is kept from it."""
        return now.evicted and now.leader_count == 0

    def undo(self, before: Leading, after: Leading) -> JsonObject | None:
        """An eviction that was there before is not ours to end."""
        return None if before.evicted else super().undo(before, after)

    async def give_up(self, api: PdApi, before: Leading, why: str) -> NoReturn:
        """Take back an eviction that this call began: all or nothing."""
        try:
            regions = await api.regions_led_by(self.store_id)
            if not before.evicted:
                await api.stop_evicting(self.store_id)
        except SubjectError as error:
            raise OutcomeUnknownError(
                f"Store {self.store_id} still leads regions {why}, and its evict-leader "
                f"scheduler could not be taken back: {error}"
            ) from error
        stuck = ", ".join(str(region.id) for region in regions[:_LISTED]) or "none any more"
        raise ActionFailedError(
            f"Store {self.store_id} could not be drained {why}; it still leads "
            f"{len(regions)} regions ({stuck}). Their other replicas may be down or pending."
        )

    async def probe(self, api: PdApi) -> ProbeAnswer:
        """Drained only when no leader is left: the next step of a workflow counts on it."""
        now = await self.read(api)
        if not now.evicted:
            return ProbeAnswer.NOT_HAPPENED
        return ProbeAnswer.HAPPENED if now.leader_count == 0 else ProbeAnswer.UNKNOWN


@action(
    "undrain_store",
    risk=RiskLevel.LOW,
    tags=("movement",),
    wait_seconds=2 * RETURN_WAIT_SECONDS,
    idempotent=True,
    # Somebody may be working on the store, and only people know.
    requires_approval=True,
    inverse="drain_store",
)
@dataclass(frozen=True)
class UndrainStore(_LeadChange):
    """Let a drained store lead regions again, and wait for leaders to return."""

    async def send(self, api: PdApi) -> None:
        """End evicting; harmless where nobody does."""
        await api.stop_evicting(self.store_id)

    def holds(self, now: Leading) -> bool:
        """Whether nothing keeps the store from leading."""
        return not now.evicted

    async def afterwards(self, hands: "Hands", view: View, before: Leading) -> JsonObject:
        """Wait for leaders; where they do not come in time it is undrained all the same."""
        del before
        can_return = BALANCE_LEADER in view.schedulers and BALANCE_LEADER not in view.paused
        wanted = preflight.fair_share(view, self.store_id) / 2
        returned = can_return and await self._have_returned(hands, wanted)
        after = await _leaders_now(hands.api)
        count = after.get(str(self.store_id))
        return {
            "leaders_returned": returned,
            "after": {"leader_count": count, "evicted": False, "leaders_by_store": after},
        }

    async def _have_returned(self, hands: "Hands", wanted: float) -> bool:
        began = hands.clock.now()
        while True:
            count = (await _leaders_now(hands.api)).get(str(self.store_id), 0)
            if count >= wanted:
                return True
            if (hands.clock.now() - began).total_seconds() >= RETURN_WAIT_SECONDS:
                return False
            await hands.clock.sleep(hands.poll_seconds)


async def _leaders_now(api: PdApi) -> JsonObject:
    """Return the spread of leaders for the record; nothing where it cannot be read now."""
    try:
        stores, _ = await api.stores()
    except SubjectError:
        return {}
    return leaders_by_store(stores)


@dataclass(frozen=True)
class Granted:
    """The stores that are given all the leaders they can have."""

    store_ids: tuple[int, ...]


@dataclass(frozen=True)
class _GrantChange(Change[Granted]):
    store_id: StoreId

    async def read(self, api: PdApi) -> Granted:
        """Read the payload of the scheduler, which is absent while nobody is granted leaders."""
        config = await api.map_of(f"/scheduler-config/{GRANT_LEADER}/list")
        ranges = config.get("store-id-ranges")
        keys = ranges if isinstance(ranges, dict) else {}
        names = await api.schedulers()
        prefix = f"{GRANT_LEADER}-"
        old = [name.removeprefix(prefix) for name in names if name.startswith(prefix)]
        return Granted(tuple(sorted(set(ids_of((*keys, *old))))))

    def shown(self, now: Granted) -> JsonObject:
        """Return the stores."""
        return {"granted_store_ids": list(now.store_ids)}

    def undo(self, before: Granted, after: Granted) -> JsonObject | None:
        """The inverse takes the same store."""
        del before, after
        return {"store_id": self.store_id}


@action(
    "grant_leaders",
    risk=RiskLevel.MEDIUM,
    tags=("temporary", "movement"),
    idempotent=True,
    disruptive=True,
    inverse="stop_granting_leaders",
)
@dataclass(frozen=True)
class GrantLeaders(_GrantChange):
    """Give a store the leader of every region it has a voter of (grant-leader), until stopped."""

    def check(self, view: View, now: Granted) -> None:
        """The store must be fit to lead, and nothing else may be going on."""
        del now
        preflight.tikv_store_of(view, self.store_id)
        preflight.check_can_lead(view, self.store_id)
        preflight.check_calm(view, self.store_id)
        preflight.check_scheduling(view)

    async def send(self, api: PdApi) -> None:
        """Add the store to the scheduler."""
        body: JsonObject = {"name": GRANT_LEADER, "store_id": self.store_id}
        await api.client.send("POST", "/schedulers", body)

    def holds(self, now: Granted) -> bool:
        """Whether the store is in the scheduler."""
        return self.store_id in now.store_ids


@action(
    "stop_granting_leaders",
    risk=RiskLevel.LOW,
    tags=("movement",),
    idempotent=True,
    inverse="grant_leaders",
)
@dataclass(frozen=True)
class StopGrantingLeaders(_GrantChange):
    """Stop giving a store all leaders."""

    async def send(self, api: PdApi) -> None:
        """Take the store from the scheduler."""
        path = f"/schedulers/{GRANT_LEADER}-{self.store_id}"
        await api.client.send("DELETE", path, done_when=("not found", "null"))

    def holds(self, now: Granted) -> bool:
        """Whether the store is not in the scheduler."""
        return self.store_id not in now.store_ids
