"""Every action of the TiKV subject by its name."""

from collections.abc import Mapping
from typing import Final

from operator_core.actions.types import ActionDefinition
from operator_tikv.actions import (
    cluster_config,
    config,
    drain,
    limits,
    members,
    pausing,
    placement,
    ranges,
    recovery,
    regions,
    rule_groups,
    scheduler_config,
    schedulers,
    settings,
    stores,
)
from operator_tikv.actions.change import AnyChange

_CHANGES: Final[tuple[type[AnyChange], ...]] = (
    regions.TransferLeader,
    regions.TransferPeer,
    regions.TransferRegion,
    regions.AddPeer,
    regions.AddLearner,
    regions.RemovePeer,
    ranges.SplitRegion,
    ranges.MergeRegions,
    ranges.ScatterRegion,
    ranges.CancelOperator,
    drain.DrainStore,
    drain.UndrainStore,
    drain.GrantLeaders,
    drain.StopGrantingLeaders,
    stores.DeleteStore,
    stores.CancelDeleteStore,
    stores.RemoveTombstones,
    limits.SetStoreLimit,
    limits.SetAllStoreLimits,
    limits.SetStoreLimitScene,
    settings.SetStoreWeight,
    settings.SetStoreLabels,
    settings.DeleteStoreLabel,
    schedulers.AddScheduler,
    schedulers.AddTestScheduler,
    schedulers.AddScatterRange,
    schedulers.AddBalanceRange,
    schedulers.AddGrantHotRegion,
    schedulers.RemoveScheduler,
    pausing.PauseScheduler,
    pausing.ResumeScheduler,
    pausing.PauseChecker,
    pausing.ResumeChecker,
    scheduler_config.ConfigureScheduler,
    scheduler_config.SetShuffleRegionRoles,
    scheduler_config.SetGrantHotRegionStores,
    config.SetScheduleConfig,
    config.SetReplicationConfig,
    config.SetPdServerConfig,
    config.SetServiceMiddlewareConfig,
    cluster_config.SetClusterVersion,
    cluster_config.SetReplicationMode,
    cluster_config.SetLabelProperty,
    cluster_config.DeleteLabelProperty,
    placement.SetPlacementRules,
    placement.ReplacePlacementRules,
    placement.DeletePlacementRule,
    placement.EnablePlacementRules,
    placement.DisablePlacementRules,
    rule_groups.SetRuleGroup,
    rule_groups.DeleteRuleGroup,
    rule_groups.SetRuleBundle,
    rule_groups.DeleteRuleBundle,
    rule_groups.ReplaceRuleBundles,
    rule_groups.SetRegionLabelRule,
    rule_groups.DeleteRegionLabelRule,
    members.ResignPdLeader,
    members.TransferPdLeader,
    members.SetPdLeaderPriority,
    members.DeletePdMember,
    recovery.UnsafeRemoveFailedStores,
    recovery.DeleteGcSafepoint,
    recovery.SetPdLogLevel,
)

CHANGES: Final[Mapping[str, type[AnyChange]]] = {
    change.definition.name: change for change in _CHANGES
}

DEFINITIONS: Final[tuple[ActionDefinition, ...]] = tuple(
    change.definition for change in CHANGES.values()
)
