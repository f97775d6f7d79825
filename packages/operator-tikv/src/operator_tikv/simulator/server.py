"""The rim: turns HTTP requests into calls and answers into responses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from operator_tikv.simulator import front
from operator_tikv.simulator.api.http import Answer, Call
from operator_tikv.simulator.units import http_date

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from starlette.requests import Request

    from operator_tikv.simulator.cluster import SimulatedCluster
    from operator_tikv.simulator.journal import Journal

METHODS: Final = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
READING: Final = frozenset({"GET", "HEAD"})


def create_app(
    cluster: SimulatedCluster,
    tick: Callable[[], None] | None = None,
    journal: Journal | None = None,
) -> Starlette:
    """Make the ASGI application of a cluster.

    Args:
        cluster: the cluster; one event loop owns it, so requests never overlap in it.
        tick: called before each request, to bring the virtual clock up to date.
        journal: where to note each request that may change something.
    """
    ports = {address.rpartition(":")[2]: name for name, address in _addresses(cluster)}

    async def handle(request: Request) -> Response:
        server = request.scope.get("server") or ("", "")
        call = await _call(request, ports.get(str(server[1]), ""))
        if tick is not None:
            tick()
        if journal is not None and call.method not in READING:
            journal.append(cluster.now_seconds, call)
        return _response(cluster, front.answer(cluster, call))

    return Starlette(routes=[Route("/{path:path}", handle, methods=METHODS)])


def _addresses(cluster: SimulatedCluster) -> Iterable[tuple[str, str]]:
    return cluster.world.node_addresses.items()


async def _call(request: Request, node: str) -> Call:
    body = await request.body()
    query = tuple(parse_qsl(request.url.query, keep_blank_values=True))
    return Call(request.method, _raw_path(request), query, body, node=node)


def _response(cluster: SimulatedCluster, found: Answer) -> Response:
    """The `Date` header shows virtual time: that is the clock of this PD."""
    world = cluster.world
    date = http_date(world.unix_seconds(cluster.now_seconds) + world.pd.clock_error_seconds)
    headers = {"Content-Type": found.content_type, "Date": date, **dict(found.headers)}
    return Response(found.body, status_code=found.status, headers=headers)


def _raw_path(request: Request) -> str:
    raw: object = request.scope.get("raw_path")
    if isinstance(raw, bytes):
        return raw.partition(b"?")[0].decode("latin-1")
    return request.url.path
