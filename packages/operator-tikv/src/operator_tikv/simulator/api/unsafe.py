"""`/admin/unsafe/*`: giving up stores that are lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from operator_tikv.simulator import unsafe
from operator_tikv.simulator.api import http

if TYPE_CHECKING:
    from operator_tikv.simulator.api.http import Answer, Call, Handler
    from operator_tikv.simulator.world import World

DEFAULT_TIMEOUT_SECONDS: Final = 300.0


def begin(world: World, call: Call) -> Answer:
    """Begin an unsafe recovery."""
    body = http.body_object(call)
    given = body.get("stores")
    ids = [http.whole_number(item) for item in given] if isinstance(given, list) else [None]
    if None in ids and not body.get("auto-detect"):
        raise http.PdError(400, "Store ids are invalid")
    timeout = http.number(body.get("timeout")) or DEFAULT_TIMEOUT_SECONDS
    try:
        unsafe.begin(world, tuple(store_id for store_id in ids if store_id is not None), timeout)
    except unsafe.UnsafeRefusedError as refused:
        raise http.PdError(500, str(refused)) from refused
    return http.ok("Request has been accepted.")


def show(world: World, _call: Call) -> Answer:
    """The stages so far."""
    return http.ok(unsafe.stages(world))


ROUTES: Final[list[tuple[str, str, Handler]]] = [
    ("POST", "/admin/unsafe/remove-failed-stores", begin),
    ("GET", "/admin/unsafe/remove-failed-stores/show", show),
]
