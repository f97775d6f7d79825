"""What actions on single regions do to the model of a cluster.

The model does not know where each region is, only how many replicas each store has and which
regions are in trouble; what it cannot tell from that is left to a person and to the preflight.
"""

from collections.abc import Iterator, Mapping
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
    if store.is_healthy and model.affordable >= 1:
        return None  # whether it is one too many cannot be told
    faults = [*safety.no_pd(model), *_trouble_beside(model, store.id, int(given["region_id"]))]
    if store.is_healthy:
        faults.append(
            f"the replica on store {store.id} is healthy, and another failure takes the quorum"
        )
    return _moved(model, _with_replica(model, store.id, -1), faults, lost_failures=1.0)


def shape(model: Model, given: JsonObject) -> Effect:
    """A region is split, or two are merged: the same data on the same stores."""
    del given
    return Effect(model, HEARTBEAT_SECONDS, tuple(safety.no_pd(model)), moved_regions=1.0)


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
    "split_region": shape,
    "merge_regions": shape,
    "scatter_region": scatter,
}
