"""What the actions on one region share: PD's operators, which are queued and may be given up."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Final

from operator_core.errors import ActionRefusedError, SubjectError
from operator_core.subject import ProbeAnswer
from operator_core.types import JsonObject
from operator_tikv.actions.change import Change
from operator_tikv.actions.params import RegionId
from operator_tikv.pd.api import PdApi
from operator_tikv.pd.operators import OperatorStatus
from operator_tikv.pd.types import RegionInfo
from operator_tikv.view import View

if TYPE_CHECKING:
    from operator_tikv.hands import Hands

LEADER_WAIT_SECONDS: Final = 75.0
"""PD gives up a leader transfer after 60 s; the rest is for hearing of it."""

PEER_WAIT_SECONDS: Final = 1200.0
"""The sum of PD's own limits of the steps of a big region."""

QUICK_WAIT_SECONDS: Final = 120.0
"""For steps without a snapshot."""

WATCH_SECONDS: Final = 120.0
LOOK_SECONDS: Final = 15.0
_FINISHED: Final = ") finished"

ENDED: Final = frozenset({OperatorStatus.TIMEOUT, OperatorStatus.CANCEL, OperatorStatus.REPLACE})


@dataclass(frozen=True)
class RegionSeen:
    """A region and what became of the last operator on it.

    Attributes:
        region: the region; an empty one where PD does not know it any more.
        status: what became of the operator, read before the region: it may end, with its
            effect, between the two looks.
        name: the name of the operator.
        ended: prints of operators of ours that ended, where another one came after them.
    """

    region: RegionInfo
    status: OperatorStatus
    name: str = ""
    ended: frozenset[str] = frozenset()

    def has_whole_peer(self, store_id: int) -> bool:
        """Whether there is a replica on a store with all its data."""
        peer = self.region.peer_on(store_id)
        return peer is not None and store_id not in self.region.unhealthy_store_ids


async def see_region(api: PdApi, region_id: int) -> RegionSeen:
    """Look at a region and its operator.

    Raises:
        ActionRefusedError: PD does not know the region.
    """
    status, name = await api.last_operator(region_id)
    region = await api.region(region_id)
    if region is None:
        raise ActionRefusedError(f"PD knows no region {region_id}. It may have been merged.")
    return RegionSeen(region, status, name)


def by_operator(status: OperatorStatus) -> ProbeAnswer:
    """Say what the last operator's end means where only that can tell."""
    if status is OperatorStatus.SUCCESS:
        return ProbeAnswer.HAPPENED
    return ProbeAnswer.NOT_HAPPENED if status in ENDED else ProbeAnswer.UNKNOWN


@dataclass(frozen=True)
class RegionChange(Change[RegionSeen]):
    """A change to one region that PD makes by an operator."""

    region_id: RegionId

    operator: ClassVar[str]
    """The name that PD gives to the operator."""

    def is_done(self, before: RegionSeen, now: RegionSeen) -> bool:
        """Whether the effect is there, or was: PD may have moved on since its operator ended."""
        succeeded = now.status is OperatorStatus.SUCCESS and now.name == self.operator
        is_known_before = before.name == self.operator
        ours = () if is_known_before else now.ended - before.ended
        return succeeded or self.holds(now) or any(_FINISHED in text for text in ours)

    async def read(self, api: PdApi) -> RegionSeen:
        """Look at the region and its operator; where another one came last, at those before."""
        seen = await see_region(api, self.region_id)
        if seen.name in {"", self.operator}:
            return seen
        ended = await api.ended_operators(self.region_id, self.operator)
        return replace(seen, ended=frozenset(ended))

    async def afterwards(self, hands: "Hands", view: View, before: RegionSeen) -> JsonObject:
        """Watch for a while whether PD's own rules leave the replicas where they are now."""
        del view, before
        if not self.watch_seconds:
            return {}
        began = hands.clock.now()
        while (hands.clock.now() - began).total_seconds() < self.watch_seconds:
            await hands.clock.sleep(max(hands.poll_seconds, LOOK_SECONDS))
            if not await self._still_holds(hands.api):
                return {"stayed": False}
        return {"stayed": True}

    async def _still_holds(self, api: PdApi) -> bool:
        try:
            return self.holds(await self.read(api))
        except SubjectError:
            return True  # nothing is known to have changed

    def ended(self, now: RegionSeen) -> str:
        """Return how the operator ended without its effect."""
        if now.status not in ENDED:
            return ""
        return f"its operator on region {self.region_id} is at {now.status.value}."

    def shown(self, now: RegionSeen) -> JsonObject:
        """Return where the replicas and the leader are."""
        return {
            "leader_store_id": now.region.leader_store_id,
            "peer_store_ids": sorted(peer.store_id for peer in now.region.peers),
        }

    def progress(self, before: RegionSeen, now: RegionSeen) -> str:
        """Return where the replicas are."""
        del before
        where = ", ".join(
            f"{peer.store_id} ({'behind' if not now.has_whole_peer(peer.store_id) else 'whole'}"
            f"{'' if peer.is_voter else ', no voter'})"
            for peer in now.region.peers
        )
        return (
            f"region {self.region_id}: operator {now.status.value}, led by store "
            f"{now.region.leader_store_id}, replicas on {where}"
        )

    async def probe(self, api: PdApi) -> ProbeAnswer:
        """Say whether the effect is there; while PD works on it nobody knows yet."""
        now = await self.read(api)
        if self.holds(now):
            return ProbeAnswer.HAPPENED
        is_open = now.status in {OperatorStatus.RUNNING, OperatorStatus.OTHER}
        return ProbeAnswer.UNKNOWN if is_open else ProbeAnswer.NOT_HAPPENED
