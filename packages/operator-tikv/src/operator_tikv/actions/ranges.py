"""Split, merge and scatter regions, and cancel what PD is doing to one."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final

from operator_core.actions.types import ParamDef
from operator_core.errors import ActionFailedError, ActionRefusedError
from operator_core.subject import ProbeAnswer
from operator_core.types import JsonObject, RiskLevel
from operator_tikv import preflight, preflight_regions
from operator_tikv.actions.change import Change, action
from operator_tikv.actions.operators import (
    ENDED,
    PEER_WAIT_SECONDS,
    QUICK_WAIT_SECONDS,
    RegionChange,
    RegionSeen,
    by_operator,
    see_region,
)
from operator_tikv.actions.params import RegionId, Texts
from operator_tikv.pd.api import PdApi
from operator_tikv.pd.operators import OperatorStatus, OperatorText
from operator_tikv.pd.types import RegionInfo
from operator_tikv.view import View

if TYPE_CHECKING:
    from operator_tikv.hands import Hands

LARGEST_MERGED_MIB: Final = 256
"""A region that is larger is split again at once."""


@action("split_region", risk=RiskLevel.MEDIUM, tags=("movement",), wait_seconds=QUICK_WAIT_SECONDS)
@dataclass(frozen=True)
class SplitRegion(RegionChange):
    """Split a region, at its middle or at given keys, and wait until PD knows the parts."""

    policy: Annotated[
        str,
        ParamDef(
            type="str",
            description="scan reads the region for its middle, approximate does not, usekey "
            "takes keys",
            enum=["scan", "approximate", "usekey"],
        ),
    ] = "approximate"
    keys: Annotated[Texts, ParamDef(type="list", description="Keys to split at, in hex")] = ()

    operator = "admin-split-region"

    def check(self, view: View, now: RegionSeen) -> None:
        """The keys must lie inside, and the region must have a leader."""
        if (self.policy == "usekey") != bool(self.keys):
            raise ActionRefusedError("keys go with the policy usekey, and only with it.")
        outside = [key for key in self.keys if not _is_inside(now.region, key)]
        if outside:
            raise ActionRefusedError(f"Not inside region {self.region_id}: {', '.join(outside)}.")
        _check_served(view, now.region)
        preflight_regions.check_whole(now.region)
        preflight_regions.check_idle(now.region, now.status)

    async def send(self, api: PdApi) -> None:
        """Queue the operator."""
        fields: JsonObject = {"region_id": self.region_id, "policy": self.policy}
        if self.keys:
            fields["keys"] = list(self.keys)
        await api.add_operator("split-region", **fields)

    def holds(self, now: RegionSeen) -> bool:
        """A region can always be split once more."""
        del now
        return False

    def is_done(self, before: RegionSeen, now: RegionSeen) -> bool:
        """Whether the region was split since."""
        return now.region.epoch.version > before.region.epoch.version

    def shown(self, now: RegionSeen) -> JsonObject:
        """Return the range and how often it was split."""
        region = now.region
        return {
            "start_key": region.start_key,
            "end_key": region.end_key,
            "version": region.epoch.version,
        }

    async def probe(self, api: PdApi) -> ProbeAnswer:
        """Only the operator tells: what the region was before is not known here."""
        return by_operator((await self.read(api)).status)


def _check_served(view: View, region: RegionInfo) -> None:
    """Check that a majority of the voters is heard: PD's picture of others is an old one."""
    heard = {voter.store_id for voter in region.voters} & set(view.healthy)
    if 2 * len(heard) <= len(region.voters):
        raise ActionFailedError(
            f"Region {region.id} has lost its quorum: {len(heard)} of {len(region.voters)} voters "
            "are on healthy stores. Bring the others back first."
        )


def _is_inside(region: RegionInfo, key_hex: str) -> bool:
    key = key_hex.upper()
    is_hex = bool(key) and len(key) % 2 == 0 and set(key) <= set("0123456789ABCDEF")
    return is_hex and region.start_key < key and (not region.end_key or key < region.end_key)


@action("scatter_region", risk=RiskLevel.MEDIUM, tags=("movement",), wait_seconds=PEER_WAIT_SECONDS)
@dataclass(frozen=True)
class ScatterRegion(RegionChange):
    """Let PD choose other stores for a region's replicas, and wait until they are there."""

    operator = "admin-scatter-region"

    def check(self, view: View, now: RegionSeen) -> None:
        """The region must be whole, and PD must be allowed to move."""
        _check_served(view, now.region)
        preflight_regions.check_whole(now.region)
        preflight_regions.check_idle(now.region, now.status)
        preflight.check_scheduling(view)

    async def send(self, api: PdApi) -> None:
        """Queue the operator."""
        await api.add_operator("scatter-region", region_id=self.region_id)

    def holds(self, now: RegionSeen) -> bool:
        """A region can always be scattered once more."""
        del now
        return False

    def is_done(self, before: RegionSeen, now: RegionSeen) -> bool:
        """Whether PD is through with it; where nothing was to be moved it made no operator."""
        del before
        return now.status in {OperatorStatus.SUCCESS, OperatorStatus.NONE}

    async def afterwards(self, hands: "Hands", view: View, before: RegionSeen) -> JsonObject:
        """Say whether PD moved anything: its 200 is the same where all stood well."""
        del view
        return {"moved": self.shown(await self.read(hands.api)) != self.shown(before)}

    async def probe(self, api: PdApi) -> ProbeAnswer:
        """Only the operator tells."""
        return by_operator((await self.read(api)).status)


@dataclass(frozen=True)
class RegionPair:
    """Two regions; the first is gone once it is merged into the second."""

    source: RegionInfo | None
    target: RegionSeen


@action("merge_regions", risk=RiskLevel.MEDIUM, tags=("movement",), wait_seconds=PEER_WAIT_SECONDS)
@dataclass(frozen=True)
class MergeRegions(Change[RegionPair]):
    """Merge a region into its neighbour, and wait until PD knows only the whole."""

    source_region_id: RegionId
    target_region_id: RegionId

    async def read(self, api: PdApi) -> RegionPair:
        """Look at both."""
        source = await api.region(self.source_region_id)
        return RegionPair(source, await see_region(api, self.target_region_id))

    def check(self, view: View, now: RegionPair) -> None:
        """Both must be whole, neighbours, and not too large together."""
        source, target = now.source, now.target.region
        if source is None or source.id == target.id:
            raise ActionRefusedError("A region is merged into another one.")
        touching = {(source.end_key, target.start_key), (target.end_key, source.start_key)}
        if not any(end == start and end for end, start in touching):
            raise ActionRefusedError(f"Regions {source.id} and {target.id} are no neighbours.")
        together = source.approximate_size + target.approximate_size
        if together > LARGEST_MERGED_MIB:
            raise ActionRefusedError(
                f"Regions {source.id} and {target.id} have {together} MiB together; above "
                f"{LARGEST_MERGED_MIB} MiB they would be split again."
            )
        for region in (source, target):
            _check_served(view, region)
            preflight_regions.check_whole(region)
        preflight_regions.check_idle(target, now.target.status)

    async def send(self, api: PdApi) -> None:
        """Queue both operators."""
        await api.add_operator(
            "merge-region",
            source_region_id=self.source_region_id,
            target_region_id=self.target_region_id,
        )

    def holds(self, now: RegionPair) -> bool:
        """Nothing is to be done for a region that is gone; the preflight names it."""
        del now
        return False

    def is_done(self, before: RegionPair, now: RegionPair) -> bool:
        """Whether the source is gone and the target has its keys."""
        widened = now.target.region.epoch.version > before.target.region.epoch.version
        return now.source is None and widened

    def ended(self, now: RegionPair) -> str:
        """Return how the operator ended without its effect."""
        is_over = now.target.status in ENDED and now.source is not None
        return f"its operator is at {now.target.status.value}." if is_over else ""

    def shown(self, now: RegionPair) -> JsonObject:
        """Return the ranges."""
        source, target = now.source, now.target.region
        return {
            "source": [source.start_key, source.end_key] if source else None,
            "target": [target.start_key, target.end_key],
        }

    def progress(self, before: RegionPair, now: RegionPair) -> str:
        """Return how far PD is."""
        del before
        return (
            f"merging region {self.source_region_id} into {self.target_region_id}: operator "
            f"{now.target.status.value}"
        )

    async def probe(self, api: PdApi) -> ProbeAnswer:
        """Merged when the source is gone."""
        now = await self.read(api)
        if now.source is None:
            return ProbeAnswer.HAPPENED
        is_over = now.target.status in ENDED
        return ProbeAnswer.NOT_HAPPENED if is_over else ProbeAnswer.UNKNOWN


@dataclass(frozen=True)
class Running:
    """The operator that runs on a region, if any."""

    operator: OperatorText | None


@action(
    "cancel_operator",
    risk=RiskLevel.LOW,
    tags=("movement",),
    idempotent=True,
)
@dataclass(frozen=True)
class CancelOperator(Change[Running]):
    """Cancel what PD is doing to a region, if it is what was named."""

    region_id: RegionId
    operator_name: Annotated[
        str,
        ParamDef(
            type="str",
            description="Name of the operator as PD lists it, such as admin-move-peer: another "
            "one may be somebody else's",
            pattern=r"^[a-z][a-z0-9-]{0,99}$",
        ),
    ]

    async def read(self, api: PdApi) -> Running:
        """Find the operator of the region."""
        running = await api.operators()
        return Running(next((one for one in running if one.region_id == self.region_id), None))

    def check(self, view: View, now: Running) -> None:
        """It must be the one that was named."""
        del view
        found = now.operator.name if now.operator else ""
        if found != self.operator_name:
            raise ActionFailedError(
                f"PD runs {found!r} on region {self.region_id}, not {self.operator_name!r}."
            )

    async def send(self, api: PdApi) -> None:
        """Cancel it; one that has ended meanwhile is no error."""
        path = f"/operators/{self.region_id}"
        await api.client.send("DELETE", path, done_when=("operator not found",))

    def holds(self, now: Running) -> bool:
        """Whether nothing runs there."""
        return now.operator is None

    def is_done(self, before: Running, now: Running) -> bool:
        """Whether the one that was named runs no more; PD may begin another at once."""
        del before
        return now.operator is None or now.operator.name != self.operator_name

    def shown(self, now: Running) -> JsonObject:
        """Return the operator's print."""
        return {"operator": now.operator.text if now.operator else None}

    async def probe(self, api: PdApi) -> ProbeAnswer:
        """Cancelled when it runs no more."""
        now = await self.read(api)
        return ProbeAnswer.HAPPENED if self.is_done(now, now) else ProbeAnswer.NOT_HAPPENED
