"""The whole server as one pure function of a call, without a web framework."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from operator_tikv.simulator import nodes
from operator_tikv.simulator.api import http, routing, sim
from operator_tikv.simulator.api.http import Answer, Call
from operator_tikv.simulator.exposition import CONTENT_TYPE

if TYPE_CHECKING:
    from operator_tikv.simulator.cluster import SimulatedCluster

ROOT_PATHS: Final = {"/pd/health": "/health", "/pd/ping": "/ping"}
READY_PATH: Final = "/pd/api/v2/ready"


def answer(cluster: SimulatedCluster, call: Call) -> Answer:
    """Answer one request whose path is still whole.

    Args:
        cluster: the cluster that is asked.
        call: the request.
    """
    if call.node.startswith("store-"):
        return _store_page(cluster, call)
    if call.path.startswith(f"{sim.PREFIX}/"):
        return sim.answer(cluster, _moved(call, call.path.removeprefix(sim.PREFIX)))
    return _pd_page(cluster, call)


def _pd_page(cluster: SimulatedCluster, call: Call) -> Answer:
    if call.path in ROOT_PATHS:
        return routing.answer(cluster.world, _moved(call, ROOT_PATHS[call.path]))
    if call.path.startswith(f"{routing.PREFIX}/"):
        rest = call.path.removeprefix(routing.PREFIX)
        return routing.answer(cluster.world, _moved(call, rest))
    if call.path == READY_PATH:
        return _ready(cluster)
    if call.path == "/metrics":
        return _metrics(cluster, call)
    return http.text(404, "404 page not found")


def _store_page(cluster: SimulatedCluster, call: Call) -> Answer:
    """The status port of a store; a process that does not answer is 503 here."""
    try:
        store = nodes.answering_store(cluster.world, call.node)
    except nodes.NodeError as error:
        return http.text(503, str(error))
    if call.path == "/metrics":
        return _metrics(cluster, call)
    if call.path == "/status":
        return http.indented(200, {"version": store.version, "store_id": store.store_id})
    return http.text(404, "404 page not found")


def _moved(call: Call, path: str) -> Call:
    return replace(call, path=path)


def _metrics(cluster: SimulatedCluster, call: Call) -> Answer:
    """The metrics of the node whose port was asked, else of the PD server that leads."""
    try:
        body = cluster.metrics_text(call.node or nodes.spokesman(cluster.world))
    except nodes.NodeError as error:
        return http.text(503, str(error))
    return Answer(200, body.encode(), CONTENT_TYPE)


def _ready(cluster: SimulatedCluster) -> Answer:
    loaded = cluster.world.pd.has_leader
    return http.indented(200 if loaded else 500, {"region_loaded": loaded})
