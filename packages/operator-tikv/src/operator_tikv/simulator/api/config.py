"""`/config`: the switches are texts, as in PD."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from operator_tikv.simulator import schedulers
from operator_tikv.simulator.api import http
from operator_tikv.simulator.api.stores import limits_info
from operator_tikv.simulator.config import ConfigError

if TYPE_CHECKING:
    from operator_tikv.simulator.api.http import Answer, Call, Handler
    from operator_tikv.simulator.world import World

VERSION: Final = "8.5.7"
UPDATED: Final = "The config is updated."


def show_all(world: World, _call: Call) -> Answer:
    """The whole configuration of this PD server."""
    leader = world.pd.leader_name or world.pd.members[0].name
    return http.ok(
        {
            "client-urls": world.client_url,
            "name": leader,
            "data-dir": "/pd/data",
            "lease": 5,
            "schedule": _schedule(world),
            "replication": _replication(world),
            "pd-server": _PD_SERVER,
            "cluster-version": VERSION,
            "replication-mode": {"replication-mode": "majority"},
        }
    )


def show_schedule(world: World, _call: Call) -> Answer:
    """The part about scheduling."""
    return http.ok(_schedule(world))


def show_replicate(world: World, _call: Call) -> Answer:
    """The part about replicas."""
    return http.ok(_replication(world))


def show_pd_server(_world: World, _call: Call) -> Answer:
    """The part about PD itself."""
    return http.ok(_PD_SERVER)


def show_version(_world: World, _call: Call) -> Answer:
    """The version of the cluster."""
    return http.ok(VERSION)


def show_mode(_world: World, _call: Call) -> Answer:
    """The mode of replication."""
    return http.ok({"replication-mode": "majority"})


def replication_status(_world: World, _call: Call) -> Answer:
    """The state of the mode of replication."""
    return http.ok({"mode": "majority"})


def update(world: World, call: Call) -> Answer:
    """Change items, with or without their section."""
    items = http.body_object(call)
    try:
        for item, value in items.items():
            world.pd.config.update(item, value)
    except ConfigError as error:
        raise http.PdError(400, str(error)) from error
    schedulers.wake(world)
    return http.ok("The ttl config is updated." if call.has("ttlSecond") else UPDATED)


def default_rules(world: World, _call: Call) -> Answer:
    """The one placement rule of a cluster that has no others."""
    return http.ok([_default_rule(world)])


def _default_rule(world: World) -> dict[str, object]:
    return {
        "group_id": "pd",
        "id": "default",
        "start_key": "",
        "end_key": "",
        "role": "voter",
        "is_witness": False,
        "count": world.pd.config.max_replicas,
    }


def _schedule(world: World) -> dict[str, object]:
    shown = _texts(world.pd.config.schedule)
    shown["store-limit"] = limits_info(world)
    shown["schedulers-v2"] = [
        {"type": schedulers.TYPES[name], "args": None, "disable": False, "args-payload": ""}
        for name in world.pd.schedulers
    ]
    return shown


def _replication(world: World) -> dict[str, object]:
    return _texts(world.pd.config.replication)


def _texts(section: dict[str, bool | int | float | str]) -> dict[str, object]:
    return {
        item: str(value).lower() if isinstance(value, bool) else value
        for item, value in section.items()
    }


_PD_SERVER: Final[dict[str, object]] = {
    "use-region-storage": "true",
    "max-gap-reset-ts": "24h0m0s",
    "key-type": "table",
    "runtime-services": "",
    "metric-storage": "",
    "dashboard-address": "auto",
    "flow-round-by-digit": 3,
    "min-resolved-ts-persistence-interval": "1s",
}

ROUTES: Final[list[tuple[str, str, Handler]]] = [
    ("GET", "/config", show_all),
    ("POST", "/config", update),
    ("GET", "/config/schedule", show_schedule),
    ("POST", "/config/schedule", update),
    ("GET", "/config/replicate", show_replicate),
    ("POST", "/config/replicate", update),
    ("GET", "/config/pd-server", show_pd_server),
    ("GET", "/config/cluster-version", show_version),
    ("GET", "/config/replication-mode", show_mode),
    ("GET", "/config/rules", default_rules),
    ("GET", "/replication_mode/status", replication_status),
]
