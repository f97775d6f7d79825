"""The twin: an action by its name, applied to the model, told in numbers."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from operator_core.actions.types import ActionRequest
from operator_core.monitor.types import Observation
from operator_core.twin import BlastRadius, Change, Prediction, compare, names_of
from operator_tikv.twin.effect import Effect, Rehearse
from operator_tikv.twin.model import Model, model_of
from operator_tikv.twin.placement import PLACEMENT_EFFECTS
from operator_tikv.twin.regions import REGION_EFFECTS
from operator_tikv.twin.safety import breaches, no_pd
from operator_tikv.twin.schedulers import SCHEDULER_EFFECTS
from operator_tikv.twin.settings import SETTING_EFFECTS
from operator_tikv.twin.stores import STORE_EFFECTS
from operator_tikv.twin.switches import SWITCH_EFFECTS

EFFECTS: Final[Mapping[str, Rehearse]] = {
    **STORE_EFFECTS,
    **REGION_EFFECTS,
    **SCHEDULER_EFFECTS,
    **SWITCH_EFFECTS,
    **PLACEMENT_EFFECTS,
    **SETTING_EFFECTS,
}

_ASKED_OF_ONE: Final = frozenset({"set_pd_log_level"})
"""What one member of PD does by itself, whatever the others say."""


@dataclass(frozen=True)
class TikvTwin:
    """A model of one TiKV cluster that answers what an action would do to it."""

    model: Model

    def apply(self, call: ActionRequest) -> Prediction | None:
        """Return what would come of an action; None: this twin has no model of it."""
        effect_of = EFFECTS.get(call.action_name)
        effect = effect_of(self.model, call.parameters) if effect_of else None
        if effect is None:
            return None
        better, worse = compare(breaches(self.model), breaches(effect.after))
        mute = () if call.action_name in _ASKED_OF_ONE else tuple(no_pd(self.model))
        return Prediction(
            seconds=round(effect.seconds, 1),
            blast=_blast(self.model, effect),
            then=TikvTwin(effect.after),
            changes=tuple(_changes(self.model, effect.after)),
            better=better,
            breached=names_of(worse),
            mended=names_of(better),
            worse=tuple(dict.fromkeys((*mute, *effect.faults, *worse))),
        )


def twin_of(seen: Observation) -> TikvTwin | None:
    """Return the twin of a cluster; None: too little of it was seen."""
    model = model_of(seen)
    return None if model is None else TikvTwin(model)


def _blast(model: Model, effect: Effect) -> BlastRadius:
    if effect.moved_regions is None:
        return BlastRadius()
    replicas = sum(one.regions for one in model.stores.values() if not one.is_tiflash)
    leaders = _share(effect.moved_leaders, model.leaders)
    spare = max(0, model.affordable)
    # With no failure to spare whatever moves data or leaders puts all of it at risk.
    moves = bool(effect.moved_leaders or effect.moved_regions)
    at_risk = 1.0 if spare == 0 and moves else _share(effect.lost_failures, spare + 1)
    return BlastRadius(
        data_share=_share(effect.moved_regions, replicas),
        leader_share=leaders,
        client_share=leaders,
        quorum_share=at_risk,
    )


def _share(part: float, whole: float) -> float:
    return round(min(1.0, part / whole), 4) if whole else float(part > 0)


def _changes(before: Model, after: Model) -> Iterator[Change]:
    """Yield the numbers of the observation that become others."""
    for key in sorted({*before.stores, *after.stores}):
        old, new = before.stores.get(key), after.stores.get(key)
        for name, attribute in (("leader_count", "leaders"), ("region_count", "regions")):
            was: float | None = getattr(old, attribute, None)
            will: float | None = getattr(new, attribute, None)
            if was != will:
                yield Change(f"stores/{key}/{name}", was, None if will is None else round(will))
    yield from _counts(before, after)


def _counts(before: Model, after: Model) -> Iterator[Change]:
    counted = (
        ("cluster/healthy_store_count", len(before.healthy), len(after.healthy)),
        ("cluster/leader_taker_count", _takers(before), _takers(after)),
        ("leaders/without_leader_count", before.unled_regions, after.unled_regions),
        ("config/max_replicas", before.replicas, after.replicas),
        ("pd/member_count", len(before.pd_members), len(after.pd_members)),
    )
    yield from (Change(path, was, will) for path, was, will in counted if was != will)


def _takers(model: Model) -> int:
    return sum(one.id not in model.evicted for one in model.healthy)
