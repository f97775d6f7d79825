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
            "log": {"level": world.admin.log_level, "format": "text"},
            "pd-server": world.admin.pd_server,
            "cluster-version": world.admin.cluster_version,
            "replication-mode": world.admin.replication_mode,
        }
    )


def show_schedule(world: World, _call: Call) -> Answer:
    """The part about scheduling."""
    return http.ok(_schedule(world))


def show_replicate(world: World, _call: Call) -> Answer:
    """The part about replicas."""
    return http.ok(_replication(world))


def show_pd_server(world: World, _call: Call) -> Answer:
    """The part about PD itself."""
    return http.ok(world.admin.pd_server)


def replication_status(_world: World, _call: Call) -> Answer:
    """The state of the mode of replication."""
    return http.ok({"mode": "majority"})


def update(world: World, call: Call) -> Answer:
    """Change items, with or without their section."""
    items = http.body_object(call)
    try:
        for item, value in items.items():
            _update(world, item, value)
    except ConfigError as error:
        raise http.PdError(400, str(error)) from error
    schedulers.wake(world)
    return http.ok("The ttl config is updated." if call.has("ttlSecond") else UPDATED)


def _update(world: World, item: str, value: object) -> None:
    own, name = world.admin.pd_server, item.removeprefix("pd-server.")
    if name in own:
        own[name] = value
        return
    world.pd.config.update(item, value)


def _schedule(world: World) -> dict[str, object]:
    shown = _texts(world.pd.config.schedule)
    shown["store-limit"] = limits_info(world)
    shown["schedulers-v2"] = [
        {"type": _type_of(name), "args": None, "disable": False, "args-payload": ""}
        for name in world.pd.schedulers
    ]
    return shown


def _type_of(name: str) -> str:
    return schedulers.TYPES.get(name, name.removesuffix("-scheduler"))


def _replication(world: World) -> dict[str, object]:
    return _texts(world.pd.config.replication)


def _texts(section: dict[str, bool | int | float | str]) -> dict[str, object]:
    return {
        item: str(value).lower() if isinstance(value, bool) else value
        for item, value in section.items()
    }


ROUTES: Final[list[tuple[str, str, Handler]]] = [
    ("GET", "/config", show_all),
    ("POST", "/config", update),
    ("GET", "/config/schedule", show_schedule),
    ("POST", "/config/schedule", update),
    ("GET", "/config/replicate", show_replicate),
    ("POST", "/config/replicate", update),
    ("GET", "/config/pd-server", show_pd_server),
    ("GET", "/replication_mode/status", replication_status),
]
