"""Leaders and replicas of single regions."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from operator_core.actions.types import ParamDef
from operator_core.errors import ActionRefusedError
from operator_core.subject import ProbeAnswer
from operator_core.types import JsonObject, RiskLevel
from operator_tikv import preflight, preflight_regions
from operator_tikv.actions.change import action
from operator_tikv.actions.operators import (
    LEADER_WAIT_SECONDS,
    PEER_WAIT_SECONDS,
    QUICK_WAIT_SECONDS,
    WATCH_SECONDS,
    RegionChange,
    RegionSeen,
    by_operator,
)
from operator_tikv.actions.params import FromStoreId, StoreId, StoreIds, Texts, ToStoreId
from operator_tikv.pd.api import PdApi
from operator_tikv.view import View

if TYPE_CHECKING:
    from pydantic import JsonValue

_ROLES = frozenset({"leader", "voter", "follower", "learner"})


@action(
    "transfer_leader",
    risk=RiskLevel.LOW,
    tags=("movement",),
    wait_seconds=LEADER_WAIT_SECONDS,
    requires_approval=False,
    restored_by="transfer_leader",
)
@dataclass(frozen=True)
class TransferLeader(RegionChange):
    """Let another replica of a region become its leader, and wait until it is."""

    to_store_id: ToStoreId

    operator = "admin-transfer-leader"

    def check(self, view: View, now: RegionSeen) -> None:
        """The target must be able to lead."""
        preflight_regions.check_leader_transfer(view, now.region, self.to_store_id, now.status)

    async def send(self, api: PdApi) -> None:
        """Queue the operator."""
        await api.add_operator(
            "transfer-leader", region_id=self.region_id, to_store_id=self.to_store_id
        )

    def holds(self, now: RegionSeen) -> bool:
        """Whether the target leads."""
        return now.region.leader_store_id == self.to_store_id

    def undo(self, before: RegionSeen, after: RegionSeen) -> JsonObject | None:
        """Back to the former leader, if there was one."""
        del after
        former = before.region.leader_store_id
        return {"region_id": self.region_id, "to_store_id": former} if former else None


@action(
    "transfer_peer",
    risk=RiskLevel.MEDIUM,
    tags=("movement",),
    wait_seconds=PEER_WAIT_SECONDS,
    watch_seconds=WATCH_SECONDS,
    restored_by="transfer_peer",
)
@dataclass(frozen=True)
class TransferPeer(RegionChange):
    """Move one replica of a region to another store, and wait until the data is there."""

    from_store_id: FromStoreId
    to_store_id: ToStoreId

    operator = "admin-move-peer"

    def check(self, view: View, now: RegionSeen) -> None:
        """The target must have room, and the other replicas must be well."""
        preflight_regions.check_peer_transfer(
            view, now.region, self.from_store_id, self.to_store_id, now.status
        )

    async def send(self, api: PdApi) -> None:
        """Queue the operator."""
        await api.add_operator(
            "transfer-peer",
            region_id=self.region_id,
            from_store_id=self.from_store_id,
            to_store_id=self.to_store_id,
        )

    def holds(self, now: RegionSeen) -> bool:
        """Whether a whole voter is on the target and nothing on the source."""
        peer = now.region.peer_on(self.to_store_id)
        arrived = peer is not None and peer.is_voter and now.has_whole_peer(self.to_store_id)
        return arrived and now.region.peer_on(self.from_store_id) is None

    def undo(self, before: RegionSeen, after: RegionSeen) -> JsonObject | None:
        """Back the same way."""
        del before, after
        return {
            "region_id": self.region_id,
            "from_store_id": self.to_store_id,
            "to_store_id": self.from_store_id,
        }


@action(
    "transfer_region",
    risk=RiskLevel.MEDIUM,
    tags=("movement",),
    wait_seconds=2 * PEER_WAIT_SECONDS,
    restored_by="transfer_region",
)
@dataclass(frozen=True)
class TransferRegion(RegionChange):
    """Give all replicas of a region their stores and roles, and wait until they are there."""

    to_store_ids: StoreIds
    peer_roles: Annotated[
        Texts,
        ParamDef(
            type="list", description="For each store: leader, voter, follower or learner; or none"
        ),
    ] = ()

    operator = "admin-move-region"

    def check(self, view: View, now: RegionSeen) -> None:
        """Every new store must be able to take its replica, and none too many may be given up."""
        self._check_words(view)
        preflight_regions.check_whole(now.region)
        preflight_regions.check_idle(now.region, now.status)
        for store_id in self.to_store_ids:
            if now.region.peer_on(store_id) is None:
                preflight.check_can_take(view, store_id, now.region)
        leader = dict(zip(self.peer_roles, self.to_store_ids, strict=False)).get("leader")
        if leader is not None:
            preflight.check_can_lead(view, leader)

    def _check_words(self, view: View) -> None:
        stores, roles = self.to_store_ids, self.peer_roles
        if not stores or len(set(stores)) != len(stores):
            raise ActionRefusedError("to_store_ids must name each store once.")
        if roles and (len(roles) != len(stores) or set(roles) - _ROLES):
            raise ActionRefusedError(
                f"peer_roles must name one of {', '.join(sorted(_ROLES))} for each store."
            )
        for store_id in stores:
            preflight.store_of(view, store_id)
        voters = len(stores) - list(roles).count("learner")
        if voters < view.replicate.max_replicas:
            raise ActionRefusedError(
                f"Region {self.region_id} would have {voters} voters; it should have "
                f"{view.replicate.max_replicas}."
            )

    async def send(self, api: PdApi) -> None:
        """Queue the operator; with placement rules PD wants roles."""
        roles = self.peer_roles or ("voter",) * len(self.to_store_ids)
        await api.add_operator(
            "transfer-region",
            region_id=self.region_id,
            to_store_ids=list(self.to_store_ids),
            peer_roles=list(roles),
        )

    def holds(self, now: RegionSeen) -> bool:
        """Whether the replicas are where and what they should be, with all their data."""
        if {peer.store_id for peer in now.region.peers} != set(self.to_store_ids):
            return False
        roles = self.peer_roles or ("voter",) * len(self.to_store_ids)
        pairs = zip(self.to_store_ids, roles, strict=True)
        return all(_has_role(now, store_id, role) for store_id, role in pairs)

    def undo(self, before: RegionSeen, after: RegionSeen) -> JsonObject | None:
        """Back to the former stores."""
        del after
        stores: list[JsonValue] = [peer.store_id for peer in before.region.peers]
        roles: list[JsonValue] = [_role(before, peer.store_id) for peer in before.region.peers]
        return {"region_id": self.region_id, "to_store_ids": stores, "peer_roles": roles}

    async def probe(self, api: PdApi) -> ProbeAnswer:
        """Leaders move on by themselves: where only the leader is another, the operator tells."""
        now = await self.read(api)
        if self.holds(now):
            return ProbeAnswer.HAPPENED
        whole = all(now.has_whole_peer(store_id) for store_id in self.to_store_ids)
        if whole and {peer.store_id for peer in now.region.peers} == set(self.to_store_ids):
            return by_operator(now.status)
        return await super().probe(api)


def _role(seen: RegionSeen, store_id: int) -> str:
    peer = seen.region.peer_on(store_id)
    if peer is not None and not peer.is_voter:
        return "learner"
    return "leader" if seen.region.leader_store_id == store_id else "follower"


def _has_role(seen: RegionSeen, store_id: int, role: str) -> bool:
    if not seen.has_whole_peer(store_id):
        return False
    found = _role(seen, store_id)
    return found == role or (role == "voter" and found != "learner")


@dataclass(frozen=True)
class _PeerChange(RegionChange):
    store_id: StoreId

    def _arguments(self) -> JsonObject:
        return {"region_id": self.region_id, "store_id": self.store_id}

    def undo(self, before: RegionSeen, after: RegionSeen) -> JsonObject | None:
        """The inverse takes the same arguments."""
        del before, after
        return self._arguments()


@dataclass(frozen=True)
class _NewPeer(_PeerChange):
    def check(self, view: View, now: RegionSeen) -> None:
        """The store must be able to take it."""
        preflight_regions.check_new_peer(view, now.region, self.store_id, now.status)


@action(
    "add_peer",
    risk=RiskLevel.MEDIUM,
    tags=("movement",),
    wait_seconds=PEER_WAIT_SECONDS,
    watch_seconds=WATCH_SECONDS,
    inverse="remove_peer",
)
@dataclass(frozen=True)
class AddPeer(_NewPeer):
    """Give a region one more voter on a store, and wait until the data is there."""

    operator = "admin-add-peer"

    async def send(self, api: PdApi) -> None:
        """Queue the operator."""
        await api.add_operator("add-peer", **self._arguments())

    def holds(self, now: RegionSeen) -> bool:
        """Whether a whole voter is there."""
        peer = now.region.peer_on(self.store_id)
        return peer is not None and peer.is_voter and now.has_whole_peer(self.store_id)


@action(
    "add_learner",
    risk=RiskLevel.MEDIUM,
    tags=("movement",),
    wait_seconds=PEER_WAIT_SECONDS,
    inverse="remove_peer",
)
@dataclass(frozen=True)
class AddLearner(_NewPeer):
    """Give a region a replica without a vote on a store, and wait until the data is there."""

    operator = "admin-add-learner"

    async def send(self, api: PdApi) -> None:
        """Queue the operator."""
        await api.add_operator("add-learner", **self._arguments())

    def holds(self, now: RegionSeen) -> bool:
        """Whether a whole replica is there, whatever its role: the rules may promote it."""
        return now.has_whole_peer(self.store_id)


@action(
    "remove_peer",
    risk=RiskLevel.HIGH,
    tags=("movement", "data-loss"),
    wait_seconds=QUICK_WAIT_SECONDS,
    restored_by="add_peer",
)
@dataclass(frozen=True)
class RemovePeer(_PeerChange):
    """Take a region's replica off a store: one too many, or one that is down or lags behind."""

    operator = "admin-remove-peer"

    def check(self, view: View, now: RegionSeen) -> None:
        """A healthy replica below the full count is never given away."""
        preflight_regions.check_peer_removal(view, now.region, self.store_id, now.status)

    async def send(self, api: PdApi) -> None:
        """Queue the operator."""
        await api.add_operator("remove-peer", **self._arguments())

    def holds(self, now: RegionSeen) -> bool:
        """Whether nothing is on the store."""
        return now.region.peer_on(self.store_id) is None
