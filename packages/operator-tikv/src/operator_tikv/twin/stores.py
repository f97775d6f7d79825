"""What actions on stores do to the model of a cluster."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Final

from operator_core.types import JsonObject
from operator_tikv.preflight import listed
from operator_tikv.twin import safety
from operator_tikv.twin.effect import (
    HEARTBEAT_SECONDS,
    Effect,
    Rehearse,
    leader_seconds,
    replica_seconds,
    spread_leaders,
    spread_replicas,
    unchanged,
    unknown_store,
)
from operator_tikv.twin.model import KvStore, Model


def drain(model: Model, given: JsonObject) -> Effect:
    """The leaders of a store go to the others, and none comes back."""
    store = model.stores.get(int(given["store_id"]))
    if store is None:
        return unknown_store(model, int(given["store_id"]))
    if store.is_tiflash:
        return unchanged(model, f"store {store.id} is TiFlash and leads no regions")
    faults = (
        *safety.no_pd(model),
        *safety.not_calm(model, store.id),
        *safety.no_moves(model, "leader_schedule_limit"),
    )
    evicting = replace(model, evicted=model.evicted | {store.id})
    after = spread_leaders(evicting, store.leaders, besides=store.id)
    after = after.with_stores(replace(store, leaders=0))
    seconds = leader_seconds(model, store.leaders)
    return Effect(after, seconds, faults, moved_leaders=store.leaders)


def undrain(model: Model, given: JsonObject) -> Effect:
    """A store may lead again, and gets its part from the others."""
    store = model.stores.get(int(given["store_id"]))
    if store is None:
        return unknown_store(model, int(given["store_id"]))
    back = replace(model, evicted=model.evicted - {store.id})
    if not store.is_healthy or store.id not in model.evicted:
        return Effect(back, HEARTBEAT_SECONDS)
    fair = model.leaders / max(1, len(back.takers))
    share = min(1.0, fair / model.leaders) if model.leaders else 0.0
    givers = [replace(one, leaders=one.leaders * (1 - share)) for one in model.takers]
    after = back.with_stores(*givers, replace(store, leaders=store.leaders + fair))
    return Effect(after, leader_seconds(model, fair), moved_leaders=fair)


def grant_leaders(model: Model, given: JsonObject) -> Effect:
    """A store leads every region that it has a replica of."""
    store = model.stores.get(int(given["store_id"]))
    if store is None:
        return unknown_store(model, int(given["store_id"]))
    faults = [*safety.no_pd(model), *safety.not_calm(model, store.id)]
    if not store.is_healthy or store.is_slow or store.id in model.evicted:
        faults.append(f"store {store.id} is not well enough to lead all of its regions")
    gained = max(0.0, store.regions - store.leaders)
    others = [one for one in model.healthy if one.id != store.id]
    led = sum(one.leaders for one in others)
    share = min(1.0, gained / led) if led else 0.0
    givers = [replace(one, leaders=one.leaders * (1 - share)) for one in others]
    after = model.with_stores(*givers, replace(store, leaders=store.leaders + share * led))
    return Effect(after, leader_seconds(model, gained), tuple(faults), moved_leaders=gained)


def delete(model: Model, given: JsonObject) -> Effect:
    """The replicas and leaders of a store go to the others, and it is gone."""
    store = model.stores.get(int(given["store_id"]))
    if store is None:
        return unknown_store(model, int(given["store_id"]))
    faults = [
        *safety.no_pd(model),
        *safety.not_calm(model, store.id),
        *safety.no_repair(model),
    ]
    if store.state_name == "Disconnected":
        faults.append(f"store {store.id} is silent for a short time only and may come back")
    staying = [one for one in model.healthy if one.id != store.id]
    if not store.is_tiflash and len(staying) < model.replicas:
        faults.append(
            f"only {len(staying)} healthy stores would remain for {model.replicas} replicas of "
            "each region: they have nowhere to go"
        )
    if store.is_tiflash and store.regions and not _other_tiflash(model, store.id):
        faults.append(
            f"no other TiFlash is Up: the replicas of store {store.id} have nowhere to go"
        )
    after = model if store.is_tiflash else spread_replicas(model, store)
    after = spread_leaders(after, store.leaders, besides=store.id)
    gone = replace(after.with_stores(without=store.id), evicted=model.evicted - {store.id})
    return Effect(
        gone,
        replica_seconds(model, store.regions, staying),
        tuple(faults),
        moved_regions=store.regions,
        moved_leaders=store.leaders,
        lost_failures=1.0,
    )


def _other_tiflash(model: Model, store_id: int) -> bool:
    others = (one for one in model.stores.values() if one.is_tiflash and one.id != store_id)
    return any(one.state_name == "Up" for one in others)


def cancel_delete(model: Model, given: JsonObject) -> Effect:
    """A store that is on its way out stays."""
    store = model.stores.get(int(given["store_id"]))
    if store is None:
        return unknown_store(model, int(given["store_id"]))
    if store.state_name != "Offline":
        return unchanged(model, f"store {store.id} is {store.state_name}, not on its way out")
    limits = {**model.config.get("store_limits", {})}
    limit = float(given.get("remove_peer_limit") or 15.0)
    limits[str(store.id)] = {**limits.get(str(store.id), {}), "remove_peer": limit}
    healthy = not store.is_silent and not store.is_tiflash
    stays = replace(store, state_name="Up", is_healthy=healthy)
    return Effect(model.with_stores(stays).with_config(store_limits=limits), HEARTBEAT_SECONDS)


def set_limit(model: Model, given: JsonObject) -> Effect:
    """Replicas come to a store and leave it faster, or slower."""
    store_id = int(given["store_id"])
    if store_id not in model.stores:
        return unknown_store(model, store_id)
    return Effect(_limited(model, given, [store_id]), 1.0)


def set_all_limits(model: Model, given: JsonObject) -> Effect | None:
    """The same for all stores; those of some labels only are not told apart here."""
    return None if given.get("labels") else Effect(_limited(model, given, list(model.stores)), 1.0)


def _limited(model: Model, given: JsonObject, store_ids: list[int]) -> Model:
    direction = str(given.get("direction") or "both").replace("-", "_")
    names = ("add_peer", "remove_peer") if direction == "both" else (direction,)
    limits = {**model.config.get("store_limits", {})}
    for key in map(str, store_ids):
        limits[key] = {**limits.get(key, {}), **dict.fromkeys(names, float(given["rate"]))}
    return model.with_config(store_limits=limits)


def set_weight(model: Model, given: JsonObject) -> Effect:
    """A store leads more regions and holds more replicas, or fewer."""
    store = model.stores.get(int(given["store_id"]))
    if store is None:
        return unknown_store(model, int(given["store_id"]))
    weight = float(given["leader_weight"])
    shrunk, leaving = _weighed_replicas(model, store, float(given["region_weight"]))
    weighed = shrunk.with_stores(replace(shrunk.stores[store.id], leader_weight=weight))
    whole = sum(one.leader_weight for one in weighed.healthy)
    target = model.leaders * weight / whole if whole and store.is_healthy else store.leaders
    moved = abs(target - store.leaders)
    after = spread_leaders(weighed, store.leaders - target, besides=store.id)
    after = after.with_stores(replace(after.stores[store.id], leaders=target))
    seconds = leader_seconds(model, moved)
    return Effect(after, seconds, moved_regions=leaving, moved_leaders=moved)


def _weighed_replicas(model: Model, store: KvStore, weight: float) -> tuple[Model, float]:
    """Return it with the replicas that a smaller weight drives to other stores, and how many."""
    share = 1.0 - weight / store.region_weight if store.region_weight else 0.0
    heavier = replace(store, region_weight=weight)
    if share <= 0 or not store.is_healthy:
        return model.with_stores(heavier), max(0.0, -share) * store.regions
    part = replace(
        store,
        regions=share * store.regions,
        capacity_bytes=share * (store.capacity_bytes or 0.0),
        free_bytes=share * (store.free_bytes or 0.0),
    )
    left = replace(heavier, regions=(1 - share) * store.regions)
    return spread_replicas(model, part).with_stores(left), part.regions


def set_labels(model: Model, given: JsonObject) -> Effect | None:
    """A store has other labels; PD moves replicas apart by them, how many is not known."""
    store = model.stores.get(int(given["store_id"]))
    if store is None:
        return unknown_store(model, int(given["store_id"]))
    kept = {} if given.get("replace") else store.labels
    return _labelled(model, store, {**kept, **given["labels"]})


def delete_label(model: Model, given: JsonObject) -> Effect:
    """A store has one label less."""
    store = model.stores.get(int(given["store_id"]))
    if store is None:
        return unknown_store(model, int(given["store_id"]))
    labels = {key: value for key, value in store.labels.items() if key != given["key"]}
    return _labelled(model, store, labels)


def _labelled(model: Model, store: KvStore, labels: Mapping[str, str]) -> Effect:
    other = {key for key, _ in store.labels.items() ^ labels.items()}
    after = model.with_stores(replace(store, labels=labels))
    return Effect(after, 1.0, tuple(_of_kind(store, other)), moved_regions=store.regions)


def _of_kind(store: KvStore, keys: Collection[str]) -> Iterator[str]:
    """Yield why labels must stay as they are: they say what a store is, or who may use it."""
    if "engine" in keys:
        yield "the label engine says what a store is; it is not changed"
    exclusive = sorted(key for key in keys if key.startswith("$"))
    if exclusive and store.regions:
        yield (
            f"the label {', '.join(exclusive)} keeps a store to itself: PD would take all replicas "
            f"from store {store.id}, or bring others to it"
        )


def unsafe_recovery(model: Model, given: JsonObject) -> Effect:
    """Stores are given up with what only they had; regions are served again, with gaps."""
    named = {int(key) for key in given["store_ids"]}
    faults = [*safety.no_pd(model)]
    alive = {key for key in named if key in model.stores and model.stores[key].state_name != "Down"}
    if alive or not named <= set(model.stores):
        odd = listed(alive or named - set(model.stores))
        faults.append(f"store {odd} is not Down: try everything to bring it back first")
    if model.silent - named:
        faults.append(f"silent stores are left out: {listed(model.silent - named)}")
    if len(named) < model.replicas // 2 + 1:
        faults.append(f"{len(named)} of {model.replicas} replicas are no majority: PD repairs that")
    if not any(one.id not in named for one in model.healthy):
        faults.append("no healthy store would be left, and all data be lost")
    if not model.unled_regions:
        faults.append("no region has lost its quorum, so there is nothing to recover")
    stores = {key: one for key, one in model.stores.items() if key not in named}
    after = replace(model, stores=stores, unled_regions=0)
    regions = sum(model.stores[key].regions for key in named if key in model.stores)
    return Effect(
        after, 300.0, tuple(faults), regions, moved_leaders=model.leaders, lost_failures=1.0
    )


STORE_EFFECTS: Final[Mapping[str, Rehearse]] = {
    "drain_store": drain,
    "undrain_store": undrain,
    "grant_leaders": grant_leaders,
    "delete_store": delete,
    "cancel_delete_store": cancel_delete,
    "remove_tombstones": lambda model, _: Effect(model, 1.0),
    "set_store_limit": set_limit,
    "set_all_store_limits": set_all_limits,
    "set_store_weight": set_weight,
    "set_store_labels": set_labels,
    "delete_store_label": delete_label,
    "unsafe_remove_failed_stores": unsafe_recovery,
}
