"""When a TiKV cluster is safe: rules with how far each is from holding, and checks of a moment."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from operator_core.twin import Breach
from operator_tikv.facts_config import LIMITS, UNLIMITED_PER_MINUTE
from operator_tikv.preflight import LEAST_LEADER_TAKERS, listed
from operator_tikv.preflight_items import MAY_BE_ZERO
from operator_tikv.twin.model import Model

_MIB: Final = 1 << 20


def breaches(model: Model) -> dict[str, Breach]:
    """Return how far each rule is from holding."""
    return {name: rule(model) for name, rule in _RULES.items()}


def _places(model: Model) -> Breach:
    here, wanted = len(model.healthy), model.replicas
    words = f"each region needs {wanted} healthy stores and there are {here}"
    return Breach(max(0, wanted - here), words)


def _takers(model: Model) -> Breach:
    here = len(model.takers)
    words = f"only {here} healthy stores may lead; {LEAST_LEADER_TAKERS} are the least"
    return Breach(max(0, LEAST_LEADER_TAKERS - here), words)


def _space(model: Model) -> Breach:
    short: dict[int, float] = {}
    for store in model.healthy:
        if store.capacity_bytes and store.free_bytes is not None:
            lack = model.least_free_share * store.capacity_bytes - store.free_bytes
            short |= {store.id: lack} if lack > 0 else {}
    lacking = sum(short.values())
    words = (
        f"stores {listed(short)} would have less than {model.least_free_share:.0%} of their disks "
        f"left, {lacking / _MIB:.0f} MiB too little"
    )
    return Breach(lacking, words)


def _quorum(model: Model) -> Breach:
    spare = model.affordable
    words = "regions lose their quorum with one more failure" if spare == 0 else "quorums are lost"
    return Breach(max(0, 1 - spare), words)


def _served(model: Model) -> Breach:
    return Breach(
        model.unled_regions, f"{model.unled_regions} regions are read and written nowhere"
    )


def _pd(model: Model) -> Breach:
    members, healthy = len(model.pd_members), sum(well for _, well in model.pd_members.values())
    spare = healthy - (members // 2 + 1)
    words = f"{healthy} of {members} PD members are healthy, and {max(0, spare)} more may fail"
    return Breach(max(0, 1 - spare), words)


def _repair(model: Model) -> Breach:
    off = [name.replace("_", "-") for name in model.config["repair_switches_off"]]
    off += ["halt-scheduling"] if model.config["halt_scheduling"] else []
    off += [
        f"{name.replace('_', '-')} 0"
        for name in LIMITS
        if name != MAY_BE_ZERO and model.config[name] == 0
    ]
    return Breach(len(off), f"PD moves or repairs less ({', '.join(off)})")


def _paused(model: Model) -> Breach:
    paused = sorted({"replica", "rule"} & model.paused_checkers) if model.needs_repair else []
    return Breach(len(paused), f"checkers are paused while replicas are to be made: {paused}")


def _balance(model: Model) -> Breach:
    missing = sorted(model.missing_schedulers)
    return Breach(len(missing), f"PD does not run {', '.join(missing)}")


def _labels(model: Model) -> Breach:
    wanted = [one.strip() for one in str(model.config.get("location_labels", "")).split(",")]
    lacking = [
        store.id
        for store in model.stores.values()
        if not store.is_tiflash and any(key and not store.labels.get(key) for key in wanted)
    ]
    return Breach(len(lacking), f"stores {listed(lacking)} lack labels that keep replicas apart")


def _places_apart(model: Model) -> Breach:
    """Return whether a whole place, such as a zone, may fail where labels keep replicas apart."""
    key = str(model.config.get("location_labels", "")).split(",")[0].strip()
    if not key or not model.healthy:
        return Breach(0.0, "")
    most = most_in_one_place((one.labels.get(key, "") for one in model.healthy), model.replicas)
    words = f"a {key} holds {most} of {model.replicas} replicas and must not fail"
    return Breach(max(0, most - (model.replicas - 1) // 2), words)


def most_in_one_place(places: Iterable[str], replicas: int) -> int:
    """Return how many replicas of a region share a place where they are spread as they can be.

    Args:
        places: the place of each store that can take one.
        replicas: how many a region has.
    """
    room = Counter(places)
    held: Counter[str] = Counter()
    for _ in range(min(replicas, room.total())):
        held[min((one for one in room if held[one] < room[one]), key=held.__getitem__)] += 1
    return max(held.values(), default=0)


def _removal(model: Model) -> Breach:
    limits: Mapping[str, Mapping[str, float]] = model.config.get("store_limits", {})
    unlimited = [
        store.id
        for store in model.stores.values()
        if store.state_name == "Up"
        and limits.get(str(store.id), {}).get("remove_peer", 0.0) >= UNLIMITED_PER_MINUTE
    ]
    return Breach(len(unlimited), f"stores {listed(unlimited)} may lose replicas without limit")


_RULES: Final[Mapping[str, Callable[[Model], Breach]]] = {
    "replicas have places": _places,
    "leaders have places": _takers,
    "disks have room": _space,
    "a store may fail": _quorum,
    "regions are served": _served,
    "a PD member may fail": _pd,
    "PD repairs": _repair,
    "nothing to repair waits": _paused,
    "PD balances": _balance,
    "replicas are kept apart": _labels,
    "a place may fail": _places_apart,
    "removal is limited": _removal,
}


# --- checks of the moment -------------------------------------------------------------------


def not_alone(model: Model, store_id: int) -> Iterator[str]:
    """Yield why a store must not be touched beside what goes on with others."""
    others = [
        ("the leaders of store {} are being evicted already", model.evicted),
        ("PD does not hear store {}", model.silent),
        ("store {} is on its way out already", model.leaving),
        ("store {} is slow, and PD may be moving its leaders away", model.slow),
    ]
    for words, ids in others:
        found = set(ids) - {store_id}
        if found:
            yield f"{words.format(listed(found))}; one store at a time"


def not_calm(model: Model, store_id: int) -> Iterator[str]:
    """Yield why a store is not the only one that anything is going on with."""
    yield from not_alone(model, store_id)
    missing = model.troubles["miss_peer"].count - model.operators
    if missing > 0 and store_id not in model.silent:
        yield f"{missing} regions have too few replicas; PD must repair them first"
    for kind in ("down_peer", "pending_peer"):
        trouble = model.troubles[kind]
        if trouble.count > model.operators and not trouble.store_ids <= {store_id}:
            elsewhere = listed(trouble.store_ids - {store_id})
            words = kind.replace("_", " ")
            yield f"{trouble.count} regions have a {words} elsewhere (store {elsewhere})"


def no_pd(model: Model) -> Iterator[str]:
    """Yield why PD cannot be asked to change anything."""
    healthy = sum(well for _, well in model.pd_members.values())
    if model.pd_leader is None or 2 * healthy <= len(model.pd_members):
        yield f"PD has no majority: {healthy} of {len(model.pd_members)} members are healthy"


def no_moves(model: Model, limit: str) -> Iterator[str]:
    """Yield why PD moves nothing of a kind, such as `leader_schedule_limit`."""
    if model.config["halt_scheduling"]:
        yield "halt-scheduling is on, so PD moves nothing"
    elif model.config[limit] == 0:
        yield f"{limit.replace('_', '-')} is 0, so PD never does it"


def no_repair(model: Model) -> Iterator[str]:
    """Yield why PD makes no replicas."""
    yield from no_moves(model, "replica_schedule_limit")
    paused = sorted({"replica", "rule"} & model.paused_checkers)
    if paused:
        yield f"PD repairs nothing: its checker {', '.join(paused)} is paused"
