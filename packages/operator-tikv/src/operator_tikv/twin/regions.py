"""What actions on single regions do to the model of a cluster.

The model does not know where each region is, only how many replicas each store has and which
regions are in trouble; what it cannot tell from that is left to a person and to the preflight.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from operator_core.types import JsonObject
from operator_tikv.twin import safety
from operator_tikv.twin.effect import HEARTBEAT_SECONDS, Effect, Rehearse, replica_seconds
from operator_tikv.twin.model import Model


def transfer_leader(model: Model, given: JsonObject) -> Effect:
    """One region is led by another store."""
    to = model.stores.get(int(given["to_store_id"]))
    faults = [*safety.no_pd(model), *_no_home(model, int(given["to_store_id"]))]
    if to is not None and (to.is_slow or to.id in model.evicted):
        faults.append(f"store {to.id} should not lead now")
    after = model.with_stores(replace(to, leaders=to.leaders + 1)) if to else model
    return Effect(after, HEARTBEAT_SECONDS, tuple(faults), moved_leaders=1.0)


def transfer_peer(model: Model, given: JsonObject) -> Effect:
    """One replica goes from a store to another."""
    source = model.stores.get(int(given["from_store_id"]))
    faults = [*_no_room(model, int(given["to_store_id"]), given)]
    if source is None:
        faults.append(f"PD knows no store {given['from_store_id']}")
    after = _with_replica(model, int(given["to_store_id"]), 1)
    after = _with_replica(after, int(given["from_store_id"]), -1)
    return _moved(model, after, faults)


def add_peer(model: Model, given: JsonObject) -> Effect:
    """A region gets one replica more."""
    after = _with_replica(model, int(given["store_id"]), 1)
    return _moved(model, after, [*_no_room(model, int(given["store_id"]), given)])


def remove_peer(model: Model, given: JsonObject) -> Effect | None:
    """A region has one replica less: safe only where that one is broken, as far as we can see."""
    store = model.stores.get(int(given["store_id"]))
    if store is None:
        return _moved(model, model, [f"PD knows no store {given['store_id']}"])
    if store.is_healthy and (model.affordable >= 1 or not model.needs_repair):
        return None  # whether it is one too many cannot be told
    faults = [*safety.no_pd(model), *_trouble_beside(model, store.id, int(given["region_id"]))]
    if store.is_healthy:
        faults.append(
            f"the replica on store {store.id} is healthy, and another failure takes the quorum"
        )
    return _moved(model, _with_replica(model, store.id, -1), faults, lost_failures=1.0)


def split(model: Model, given: JsonObject) -> Effect:
    """A region becomes two: the same data on the same stores."""
    return _reshaped(model, [int(given["region_id"])])


def merge(model: Model, given: JsonObject) -> Effect:
    """Two regions become one: the same data, on the stores of the second."""
    source, target = int(given["source_region_id"]), int(given["target_region_id"])
    same = ["a region cannot be merged with itself"] if source == target else []
    return _reshaped(model, [source, target], same)


def _reshaped(model: Model, region_ids: list[int], faults: list[str] | None = None) -> Effect:
    found = [*safety.no_pd(model), *(faults or [])]
    if model.unled_regions:
        found.append(f"{model.unled_regions} regions have lost their quorum, maybe this one")
    for region_id in region_ids:
        found += _trouble_beside(model, 0, region_id)
    return Effect(model, HEARTBEAT_SECONDS, tuple(found), moved_regions=float(len(region_ids)))


def transfer_region(model: Model, given: JsonObject) -> Effect:
    """All replicas of a region get their stores."""
    store_ids = [int(key) for key in given["to_store_ids"]]
    faults = [*safety.no_pd(model), *_trouble_beside(model, 0, int(given["region_id"]))]
    for store_id in store_ids:
        faults += _no_home(model, store_id)
    voters = len(set(store_ids)) - list(given.get("peer_roles") or ()).count("learner")
    if voters < model.replicas:
        faults.append(f"it would have {voters} voters and should have {model.replicas}")
    faults += _too_close(model, store_ids)
    # Where its replicas are now is not known: every one of them may be another.
    moved = float(len(store_ids))
    seconds = replica_seconds(model, moved, model.healthy)
    return Effect(model, seconds, tuple(faults), moved, moved_leaders=1.0)


def _too_close(model: Model, store_ids: Sequence[int]) -> Iterator[str]:
    """Yield why replicas would share a place that may fail as a whole, where others are free."""
    key = str(model.config.get("location_labels", "")).split(",")[0].strip()
    if not key:
        return
    places = [model.stores[one].labels.get(key, "") for one in store_ids if one in model.stores]
    free = (one.labels.get(key, "") for one in model.healthy)
    most = max((places.count(one) for one in places), default=0)
    if most > safety.most_in_one_place(free, len(places)):
        yield f"{most} of its replicas would be in one {key}, and other places are free"


def cancel_operator(model: Model, given: JsonObject) -> Effect:
    """PD leaves a region as it is now."""
    faults = [*safety.no_pd(model)]
    if any(int(given["region_id"]) in one.region_ids for one in model.troubles.values()):
        faults.append(f"region {given['region_id']} is in trouble, and PD may be repairing it")
    return Effect(model, 1.0, tuple(faults), moved_regions=1.0)


def scatter(model: Model, given: JsonObject) -> Effect:
    """The replicas of a region are spread anew."""
    faults = [
        *safety.no_pd(model),
        *safety.not_alone(model, 0),
        *_trouble_beside(model, 0, int(given["region_id"])),
    ]
    return _moved(model, model, faults)


def _moved(model: Model, after: Model, faults: list[str], lost_failures: float = 0.0) -> Effect:
    seconds = replica_seconds(model, 1.0, model.healthy)
    return Effect(after, seconds, tuple(faults), 1.0, 1.0, lost_failures)


def _with_replica(model: Model, store_id: int, more: int) -> Model:
    store = model.stores.get(store_id)
    return (
        model
        if store is None
        else model.with_stores(replace(store, regions=max(0.0, store.regions + more)))
    )


def _no_home(model: Model, store_id: int) -> Iterator[str]:
    store = model.stores.get(store_id)
    if store is None:
        yield f"PD knows no store {store_id}"
    elif not store.is_healthy:
        yield f"store {store_id} is not healthy"


def _no_room(model: Model, store_id: int, given: JsonObject) -> Iterator[str]:
    yield from safety.no_pd(model)
    yield from _no_home(model, store_id)
    source = int(given.get("from_store_id") or 0)
    yield from _trouble_beside(model, source, int(given["region_id"]))
    store = model.stores.get(store_id)
    if store is not None and store.capacity_bytes and store.free_bytes is not None:
        share = store.free_bytes / store.capacity_bytes
        if share < model.least_free_share:
            yield f"store {store_id} has {share:.1%} of its disk left"


def _trouble_beside(model: Model, store_id: int, region_id: int) -> Iterator[str]:
    """Yield why a region's other replicas are not all well, as far as the lists tell."""
    for kind, trouble in model.troubles.items():
        is_listed = region_id in trouble.region_ids
        may_be = trouble.count > len(trouble.region_ids)
        if (is_listed or may_be) and not (trouble.store_ids and trouble.store_ids <= {store_id}):
            words = kind.replace("_", " ")
            yield f"region {region_id} {'has' if is_listed else 'may have'} a {words} elsewhere"


REGION_EFFECTS: Final[Mapping[str, Rehearse]] = {
    "transfer_leader": transfer_leader,
    "transfer_peer": transfer_peer,
    "add_peer": add_peer,
    "add_learner": add_peer,
    "remove_peer": remove_peer,
    "transfer_region": transfer_region,
    "split_region": split,
    "merge_regions": merge,
    "scatter_region": scatter,
    "cancel_operator": cancel_operator,
}
