"""`/config/*` of the cluster as a whole, `/service-middleware`, `/gc`, `/admin/log`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from operator_tikv.simulator import gc
from operator_tikv.simulator.admin import FOREVER, GC_WORKER
from operator_tikv.simulator.api import http

if TYPE_CHECKING:
    from operator_tikv.simulator.api.http import Answer, Call, Handler
    from operator_tikv.simulator.world import World

UPDATED: Final = "The config is updated."
_LEVELS: Final = frozenset({"debug", "info", "warn", "error", "fatal"})


def show_version(world: World, _call: Call) -> Answer:
    """The version of the cluster."""
    return http.ok(world.admin.cluster_version)


def set_version(world: World, call: Call) -> Answer:
    """Set the version of the cluster."""
    version = http.body_object(call).get("cluster-version")
    if not isinstance(version, str):
        raise http.BadInputError("not set cluster-version")
    world.admin.cluster_version = version
    return http.ok("The cluster version is updated.")


def show_mode(world: World, _call: Call) -> Answer:
    """The mode of replication."""
    return http.ok(world.admin.replication_mode)


def set_mode(world: World, call: Call) -> Answer:
    """Set parts of the mode of replication."""
    world.admin.replication_mode.update(http.body_object(call))
    return http.ok("The replication mode config is updated.")


def show_label_property(world: World, _call: Call) -> Answer:
    """The labels with properties."""
    return http.ok(world.admin.label_property)


def set_label_property(world: World, call: Call) -> Answer:
    """Give a label a property, or take it."""
    body = http.body_object(call)
    labels = world.admin.label_property.setdefault(str(body.get("type")), [])
    label: dict[str, object] = {"key": body.get("label-key"), "value": body.get("label-value")}
    wanted = body.get("action")
    if wanted not in {"set", "delete"}:
        raise http.PdError(500, f"unknown action {wanted}")
    if wanted == "set" and label not in labels:
        labels.append(label)
    elif wanted == "delete" and label in labels:
        labels.remove(label)
    return http.ok(UPDATED)


def show_middleware(world: World, _call: Call) -> Answer:
    """The audit and the rate limits."""
    return http.ok(world.admin.middleware)


def set_middleware(world: World, call: Call) -> Answer:
    """Set items of it, named with their section."""
    for item, value in http.body_object(call).items():
        section, _, name = item.partition(".")
        found = world.admin.middleware.get(section)
        if not isinstance(found, dict) or name not in found:
            return http.text(400, f"config item {item} not found")
        found[name] = value
    return http.text(200, UPDATED)


def show_safe_points(world: World, _call: Call) -> Answer:
    """How far garbage collection may go, and who holds it back."""
    collector = max(gc.safe_point(world), gc.tso(world, world.now_seconds - gc.LIFE_SECONDS))
    services = {GC_WORKER: (collector, FOREVER), **world.admin.safe_points}
    return http.ok(
        {
            "service_gc_safe_points": [
                {"service_id": name, "expired_at": expired_at, "safe_point": safe_point}
                for name, (safe_point, expired_at) in services.items()
            ],
            "gc_safe_point": gc.safe_point(world),
        }
    )


def delete_safe_point(world: World, call: Call) -> Answer:
    """Forget a service's safe point; one that is not there is as good as forgotten."""
    world.admin.safe_points.pop(call.params["service_id"], None)
    return http.ok("Delete service GC safepoint successfully.")


def set_log_level(world: World, call: Call) -> Answer:
    """Set how much PD logs."""
    level = http.body_json(call)
    if level not in _LEVELS:
        raise http.PdError(400, f"unknown log level: {level}")
    world.admin.log_level = str(level)
    return http.ok("The log level is updated.")


ROUTES: Final[list[tuple[str, str, Handler]]] = [
    ("GET", "/config/cluster-version", show_version),
    ("POST", "/config/cluster-version", set_version),
    ("GET", "/config/replication-mode", show_mode),
    ("POST", "/config/replication-mode", set_mode),
    ("GET", "/config/label-property", show_label_property),
    ("POST", "/config/label-property", set_label_property),
    ("GET", "/service-middleware/config", show_middleware),
    ("POST", "/service-middleware/config", set_middleware),
    ("GET", "/gc/safepoint", show_safe_points),
    ("DELETE", "/gc/safepoint/{service_id}", delete_safe_point),
    ("POST", "/admin/log", set_log_level),
]
