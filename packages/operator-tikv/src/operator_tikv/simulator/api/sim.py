"""`/sim/*`: the controls of the simulation, which no PD has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from operator_tikv.simulator import invariants, nodes, raft
from operator_tikv.simulator.api import http
from operator_tikv.simulator.faults import by_hand, timeline
from operator_tikv.simulator.faults.call import make_call
from operator_tikv.simulator.faults.words import FaultError
from operator_tikv.simulator.heartbeats import SLOW_DISK_SECONDS, state_name
from operator_tikv.simulator.logs import DEFAULT_LIMIT
from operator_tikv.simulator.planning import read_planned

if TYPE_CHECKING:
    from operator_tikv.simulator.api.http import Answer, Call
    from operator_tikv.simulator.cluster import SimulatedCluster
    from operator_tikv.simulator.model import Store
    from operator_tikv.simulator.world import World

PREFIX: Final = "/sim"
MAX_ADVANCE_SECONDS: Final = 30 * 86_400.0
HISTORY_DEFAULT: Final = 100


def answer(cluster: SimulatedCluster, call: Call) -> Answer:
    """Answer one call under `/sim`.

    Args:
        cluster: the cluster; its time may move.
        call: the request; its path begins after `/sim`.
    """
    key = (call.method, call.path)
    try:
        if key in _TEXTS:
            return http.Answer(200, _TEXTS[key](cluster, call).encode(), http.TEXT_TYPE)
        if key in _ROUTES:
            return http.ok(_ROUTES[key](cluster, call))
    except nodes.NodeError as error:
        return http.indented(503, str(error))
    except (http.BadInputError, FaultError) as error:
        return http.indented(400, str(error))
    return http.indented(404, f"no {call.method} {PREFIX}{call.path}")


def state(cluster: SimulatedCluster, _call: Call) -> dict[str, object]:
    """The clock, the digest, and the truth that PD may not know."""
    world = cluster.world
    return {
        "virtual_seconds": world.now_seconds,
        "unix_seconds": world.unix_seconds(world.now_seconds),
        "seed": world.seed,
        "digest": cluster.digest,
        "history_count": world.history.count,
        "pd_leader": world.pd.leader_name,
        "regions": len(world.raft),
        "regions_without_leader": sum(not raft.is_led(world, region) for region in world.raft),
        "operators_running": len(world.pd.operators),
        "load_factor": world.load.factor,
        "broken_invariants": invariants.broken(world),
        "stores": [_store(world, store) for store in world.stores.values()],
    }


def _store(world: World, store: Store) -> dict[str, object]:
    process = store.process
    return {
        "id": store.store_id,
        "state_name": state_name(world, store),
        "running": process.running,
        "frozen": process.frozen,
        "pd_reachable": process.pd_reachable,
        "peers_reachable": not any(store.store_id in pair for pair in world.cuts),
        "slow_disk": store.ailments.disk_seconds >= SLOW_DISK_SECONDS,
        "leaders": world.raft.leader_count(store.store_id),
        "peers": world.raft.region_count(store.store_id),
    }


def apply_fault(cluster: SimulatedCluster, call: Call) -> dict[str, object]:
    """Apply a fault: by hand with a `name`, or of the fault language with a `fault`."""
    body = http.body_object(call)
    if "fault" in body:
        planned = read_planned(body)
        if planned.at_seconds or planned.until_seconds is not None:
            return {"planned": timeline.plan(cluster.world, planned)}
        number = timeline.begin(cluster.world, planned.name, planned.fault).number
        return {"number": number, "virtual_seconds": cluster.now_seconds}
    name = body.pop("name", None)
    if not isinstance(name, str):
        raise FaultError("name must be the text of a fault")
    done = by_hand.apply(cluster.world, make_call(name, body))
    return {"done": done, "virtual_seconds": cluster.now_seconds}


def end_fault(cluster: SimulatedCluster, call: Call) -> dict[str, object]:
    """End an active fault by its number."""
    number = http.whole_number(http.body_object(call).get("number"))
    if number is None:
        raise FaultError("number must be the whole number of an active fault")
    timeline.end(cluster.world, number)
    return {"ended": number, "virtual_seconds": cluster.now_seconds}


def list_active(cluster: SimulatedCluster, _call: Call) -> list[dict[str, object]]:
    """The faults that act now."""
    return [
        {
            "number": active.number,
            "fault": active.name,
            "since_seconds": active.since_seconds,
            **active.fault.model_dump(by_alias=True, mode="json"),
        }
        for active in cluster.world.active.values()
    ]


def list_kinds(_cluster: SimulatedCluster, _call: Call) -> dict[str, object]:
    """The fault language: each fault with what it does and its parameters as JSON Schema."""
    return {name: kind.model_json_schema() for name, kind in sorted(timeline.KINDS.items())}


def list_nodes(cluster: SimulatedCluster, _call: Call) -> dict[str, str]:
    """The names of all processes, with the address of `/metrics` where they have a port."""
    addresses = cluster.world.node_addresses
    return {name: addresses.get(name, "") for name in nodes.names(cluster.world)}


def logs(cluster: SimulatedCluster, call: Call) -> str:
    """The last log lines of a node."""
    raw = call.value("limit")
    limit = int(raw) if raw.isascii() and raw.isdigit() else DEFAULT_LIMIT
    return cluster.log_text(_node(cluster, call), limit)


def metrics(cluster: SimulatedCluster, call: Call) -> str:
    """What a node's `/metrics` says."""
    return cluster.metrics_text(_node(cluster, call))


def _node(cluster: SimulatedCluster, call: Call) -> str:
    node = call.value("node")
    if node not in nodes.names(cluster.world):
        raise FaultError(f"no node {node!r}; see {PREFIX}/nodes")
    return node


def list_faults(_cluster: SimulatedCluster, _call: Call) -> list[str]:
    """The names of all faults and of what undoes them."""
    return sorted(by_hand.FAULTS)


def advance(cluster: SimulatedCluster, call: Call) -> dict[str, object]:
    """Let virtual time pass at once."""
    seconds = http.number(http.body_object(call).get("seconds"))
    if seconds is None or not 0 <= seconds <= MAX_ADVANCE_SECONDS:
        raise FaultError(f"seconds must be a number from 0 to {MAX_ADVANCE_SECONDS:.0f}")
    cluster.advance(seconds)
    return {"virtual_seconds": cluster.now_seconds}


def history(cluster: SimulatedCluster, call: Call) -> list[dict[str, object]]:
    """The last lines of the history."""
    raw = call.value("limit") or str(HISTORY_DEFAULT)
    limit = int(raw) if raw.isascii() and raw.isdigit() else HISTORY_DEFAULT
    entries = list(cluster.world.history.entries)[-limit:] if limit else []
    return [entry._asdict() for entry in entries]


_ROUTES: Final = {
    ("GET", "/state"): state,
    ("GET", "/faults"): list_faults,
    ("GET", "/history"): history,
    ("GET", "/kinds"): list_kinds,
    ("GET", "/active"): list_active,
    ("GET", "/nodes"): list_nodes,
    ("POST", "/fault"): apply_fault,
    ("POST", "/end"): end_fault,
    ("POST", "/advance"): advance,
}
_TEXTS: Final = {("GET", "/logs"): logs, ("GET", "/metrics"): metrics}
