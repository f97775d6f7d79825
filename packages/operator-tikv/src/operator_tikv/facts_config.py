"""Pure functions from PD's switches, rules and safe points to the data of parts."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, Protocol

from operator_core.types import JsonObject
from operator_tikv.pd.parse import ids_of, shorten
from operator_tikv.pd.types import PdModel, StoreInfo
from operator_tikv.watched import (
    PlacementRule,
    RegionLabelRule,
    SafePoints,
    WatchedReplicate,
    WatchedSchedule,
)

UNLIMITED_PER_MINUTE: Final = 1e7
"""From here on a store's limit is none; PD itself writes 1e8 while a store is taken out."""

LIMITS: Final = (
    "leader_schedule_limit",
    "region_schedule_limit",
    "replica_schedule_limit",
    "hot_region_schedule_limit",
    "merge_schedule_limit",
)
"""Where 0 means never. Merging is commonly turned off, so it is only told of."""

_LISTED: Final = 20
_DIGEST_CHARS: Final = 16
_TSO_SHIFT: Final = 18
_GONE: Final = frozenset({"Offline", "Tombstone"})


def config_facts(schedule: WatchedSchedule, replicate: WatchedReplicate) -> JsonObject:
    """Return the data of the part `config`: PD's values under names with underscores.

    Besides: ``items`` (every plain value under PD's own name for it), ``zero_limits`` (names of
    limits that are 0), ``repair_switches_off`` (names of switches without which PD repairs less),
    ``store_limits`` (store id → ``add_peer``, ``remove_peer`` a minute),
    ``unlimited_remove_store_ids``.
    """
    dumped = schedule.model_dump(include=set(WatchedSchedule.model_fields))
    limits = schedule.store_limits
    return {
        **dumped,
        **replicate.model_dump(include=set(WatchedReplicate.model_fields)),
        "items": _items(schedule) | _items(replicate),
        "zero_limits": [name for name in LIMITS if dumped[name] == 0],
        "repair_switches_off": [
            name for name, value in dumped.items() if name.startswith("enable_") and value is False
        ],
        "unlimited_remove_store_ids": sorted(
            ids_of(
                key for key, limit in limits.items() if limit.remove_peer >= UNLIMITED_PER_MINUTE
            )
        ),
    }


def _items(config: WatchedSchedule | WatchedReplicate) -> JsonObject:
    dumped = config.model_dump(by_alias=True)
    return {
        name: shorten(value) if isinstance(value, str) else value
        for name, value in sorted(dumped.items())
        if isinstance(value, bool | int | float | str)
    }


def placement_facts(
    rules: Sequence[PlacementRule],
    labels: Sequence[RegionLabelRule],
    stores: Sequence[StoreInfo],
    location_labels: Sequence[str],
) -> JsonObject:
    """Return the data of the part `placement`.

    ``rule_count``; ``rules_digest`` and ``label_rules_digest``, which change with any rule;
    ``unsatisfiable``: rule → wanted and fitting stores, where a rule wants more
    replicas than there are stores or places for them; ``deny_rules``: ids of region-label rules
    with ``schedule=deny``, and ``lasting_deny_rules`` those that do not end by themselves;
    ``missing_labels``: store id → location labels it lacks.

    Args:
        rules: the placement rules; empty where they are off.
        labels: the region-label rules.
        stores: the stores.
        location_labels: PD's location labels.
    """
    staying = [store for store in stores if store.store.state_name not in _GONE]
    denying = [rule for rule in labels if rule.denies_scheduling]
    return {
        "rule_count": len(rules),
        "rules_digest": _digest(rules),
        "label_rules_digest": _digest(labels),
        "unsatisfiable": {
            shorten(rule.name): found
            for rule in rules
            if (found := shortage(rule, staying)) is not None
        },
        "deny_rules": [shorten(rule.id) for rule in denying][:_LISTED],
        "lasting_deny_rules": [shorten(rule.id) for rule in denying if not rule.ends_by_itself][
            :_LISTED
        ],
        "missing_labels": _missing_labels(staying, location_labels),
    }


def _digest(rules: Iterable[PdModel]) -> str:
    """Return what changes when a rule does, in whatever order PD lists them."""
    texts = sorted(json.dumps(one.model_dump(), sort_keys=True) for one in rules)
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:_DIGEST_CHARS]


class Place(Protocol):
    """A store as far as placement rules look at it."""

    @property
    def id(self) -> int:
        """Its id."""

    @property
    def labels(self) -> Mapping[str, str]:
        """Its labels."""

    @property
    def is_tiflash(self) -> bool:
        """Whether it is TiFlash."""


def shortage(rule: PlacementRule, stores: Iterable[Place]) -> JsonObject | None:
    """Return what a rule lacks on some stores; None where it is met.

    ``wanted`` replicas, ``places`` for them by the isolation level, ``fitting_store_ids`` by the
    labels, and ``store_count``: how many stores there are of the engine that it is for.
    """
    of_engine = [store for store in stores if _is_of_engine(rule, store)]
    fitting = [store for store in of_engine if _fits(rule, store)]
    places = {store.labels.get(rule.isolation_level) for store in fitting}
    room = len(places) if rule.isolation_level else len(fitting)
    if room >= rule.count:
        return None
    return {
        "wanted": rule.count,
        "places": room,
        "isolation_level": shorten(rule.isolation_level),
        "store_count": len(of_engine),
        "fitting_store_ids": [store.id for store in fitting][:_LISTED],
    }


def _is_of_engine(rule: PlacementRule, store: Place) -> bool:
    # PD leaves stores of another engine out unless a rule names the engine.
    named = [one for one in rule.label_constraints if one.key == "engine"]
    return all(one.admits(store.labels) for one in named) if named else not store.is_tiflash


def _fits(rule: PlacementRule, store: Place) -> bool:
    return all(one.admits(store.labels) for one in rule.label_constraints)


def _missing_labels(stores: Iterable[StoreInfo], wanted: Sequence[str]) -> JsonObject:
    lacking = {
        str(store.id): [key for key in wanted if not store.labels.get(key)]
        for store in stores
        if not store.is_tiflash
    }
    return {key: missing for key, missing in lacking.items() if missing}


def gc_facts(points: SafePoints, now: datetime | None) -> JsonObject:
    """Return the data of the part `gc`.

    ``safe_point_age_seconds`` (None where garbage was never collected), ``services``: id →
    ``safe_point`` (as text),
    ``age_seconds`` and ``expires_in_seconds``; ``oldest_service``: the one that holds the
    safe point back most.

    Args:
        points: PD's safe points.
        now: PD's time.
    """
    services = {
        shorten(one.service_id): {
            "safe_point": str(one.safe_point),
            "age_seconds": _age_seconds(one.safe_point, now),
            "expires_in_seconds": _seconds_until(one.expired_at, now),
        }
        for one in points.services
    }
    held = {name: one["age_seconds"] for name, one in services.items() if one["age_seconds"]}
    return {
        "safe_point_age_seconds": _age_seconds(points.gc_safe_point, now),
        "services": services,
        "oldest_service": max(held, key=lambda name: held[name] or 0.0, default=None),
    }


def _age_seconds(timestamp: int, now: datetime | None) -> float | None:
    """Return how old a timestamp of PD (milliseconds and a counter) is."""
    if timestamp <= 0 or now is None:
        return None
    return round(max(0.0, now.timestamp() - (timestamp >> _TSO_SHIFT) / 1000), 3)


def _seconds_until(moment: int, now: datetime | None) -> float | None:
    """Return when a moment in Unix seconds comes; None for never."""
    latest = datetime.max.replace(tzinfo=UTC).timestamp()
    if now is None or moment >= latest:
        return None
    return round(moment - now.timestamp(), 3)


def version_facts(stores: Iterable[StoreInfo]) -> JsonObject:
    """Return which stores run which version, TiFlash left out: version → store ids."""
    found: dict[str, list[int]] = {}
    for store in stores:
        if not store.is_tiflash and store.store.version and store.store.state_name not in _GONE:
            found.setdefault(shorten(store.store.version.lstrip("v")), []).append(store.id)
    return {version: sorted(ids)[:_LISTED] for version, ids in sorted(found.items())}


def shared_addresses(stores: Iterable[StoreInfo]) -> JsonObject:
    """Return addresses that more than one store has: address → store ids."""
    found: dict[str, list[int]] = {}
    for store in stores:
        if store.store.address and store.store.state_name != "Tombstone":
            found.setdefault(shorten(store.store.address), []).append(store.id)
    return {address: sorted(ids) for address, ids in found.items() if len(ids) > 1}
