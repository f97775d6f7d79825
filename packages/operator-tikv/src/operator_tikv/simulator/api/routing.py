"""The table of routes and the layers in front of them, as in PD."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from operator_tikv.simulator.api import (
    cluster_config,
    config,
    hotspot,
    http,
    members,
    operators,
    region_checks,
    regions,
    rules,
    scheduler_config,
    schedulers,
    stores,
    unsafe,
)

if TYPE_CHECKING:
    from operator_tikv.simulator.api.http import Answer, Call, Handler
    from operator_tikv.simulator.world import World

PREFIX: Final = "/pd/api/v1"
LOCAL_PATHS: Final = frozenset({"/config", "/status", "/health", "/ping", "/version"})
RESIGN_PATH: Final = "/leader/resign"
READING: Final = frozenset({"GET", "HEAD"})
NO_LEADER: Final = "[PD:apiutil:ErrRedirectNoLeader]redirect finds no leader"


class Route:
    """One method and path with names in braces."""

    def __init__(self, method: str, template: str, handler: Handler) -> None:
        """Compile the template."""
        self.method = method
        self.template = template
        self.handler = handler
        named = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", template)
        self._pattern = re.compile(f"{named}/?")

    def match(self, path: str) -> dict[str, str] | None:
        """The named parts of a path that fits, else None."""
        found = self._pattern.fullmatch(path)
        return found.groupdict() if found else None


ROUTES: Final = [
    Route(method, template, handler)
    for module in (
        stores,
        region_checks,
        regions,
        operators,
        schedulers,
        scheduler_config,
        config,
        cluster_config,
        rules,
        unsafe,
        members,
        hotspot,
    )
    for method, template, handler in module.ROUTES
]


def _beginning(path: str) -> tuple[str, int]:
    """Return the first part of a path, and how many parts there are."""
    parts = path.strip("/").split("/")
    return parts[0], len(parts)


_BY_BEGINNING: Final[dict[tuple[str, int], list[Route]]] = {}
for _route in ROUTES:
    _BY_BEGINNING.setdefault(_beginning(_route.template), []).append(_route)


def answer(world: World, call: Call) -> Answer:
    """Answer one call under PD's prefix.

    Args:
        world: the simulation.
        call: the request; its path begins after `/pd/api/v1`.
    """
    near = _BY_BEGINNING.get(_beginning(call.path), ())
    matches = [(route, found) for route in near if (found := route.match(call.path)) is not None]
    if not matches:
        return http.text(HTTPStatus.NOT_FOUND, "404 page not found")
    for route, params in matches:
        if route.method == call.method:
            return _dispatch(world, route, call, params)
    return http.Answer(HTTPStatus.METHOD_NOT_ALLOWED, b"", http.TEXT_TYPE)


def _ends_a_hang(world: World, call: Call) -> bool:
    """A leader that hangs still hears that it is to resign."""
    return call.path == RESIGN_PATH and bool(world.pd.leader_name)


def _dispatch(world: World, route: Route, call: Call, params: dict[str, str]) -> Answer:
    local = call.path in LOCAL_PATHS and call.method in READING
    if not world.pd.has_leader and not local and not _ends_a_hang(world, call):
        return http.text(HTTPStatus.SERVICE_UNAVAILABLE, NO_LEADER)
    if call.method not in READING:
        body = call.body.decode(errors="replace")
        world.record("call", f"{call.method} {call.path} {call.query} {body}")
    bound = http.Call(call.method, call.path, call.query, call.body, params)
    try:
        return route.handler(world, bound)
    except http.BadInputError as error:
        return http.bad_input(str(error))
    except http.PdError as error:
        return http.indented(error.status, error.text)
