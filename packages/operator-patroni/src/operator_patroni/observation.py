"""The parts of an observation, put together from one look; pure but for `observe`."""

from collections.abc import Mapping
from datetime import datetime

from pydantic import JsonValue

from operator_core.clock import Clock
from operator_core.errors import OperatorError
from operator_core.monitor.types import Observation, Part
from operator_core.process_supervisor import ProcessSupervisor
from operator_core.types import JsonObject
from operator_patroni.client import PatroniClient
from operator_patroni.model import Model, model_from
from operator_patroni.shapes import Listed, Node, Wal
from operator_patroni.survey import Survey, survey


async def observe(
    client: PatroniClient,
    clock: Clock,
    subject: str,
    supervisor: ProcessSupervisor | None = None,
) -> Observation:
    """Look at the cluster once.

    Raises:
        SubjectUnreachableError: no member answers.
    """
    seen = await survey(client)
    processes = await _processes(supervisor, [*seen.endpoints, *seen.failures])
    return assemble(seen, ", ".join(client.endpoints), clock.now(), subject, processes)


Processes = tuple[JsonObject, str | None]
"""What a supervisor says of the members' processes, and why it said no more."""
NO_PROCESSES: Processes = ({"available": False, "members": {}}, None)


async def _processes(supervisor: ProcessSupervisor | None, names: list[str]) -> Processes:
    if supervisor is None or not supervisor.available:
        return NO_PROCESSES
    states: JsonObject = {}
    try:
        for name in names:
            states[name] = (await supervisor.status(name)).model_dump(mode="json")
    except OperatorError as error:
        return {"available": True, "members": states}, str(error)
    return {"available": True, "members": states}, None


def assemble(
    seen: Survey,
    source: str,
    moment: datetime,
    subject: str,
    processes: Processes = NO_PROCESSES,
) -> Observation:
    """Return the observation of one look.

    Args:
        seen: what was read.
        source: the endpoints it was read from.
        moment: when.
        subject: the name of the cluster.
        processes: what a supervisor says of the members' processes.
    """
    nodes, members = _nodes(seen), _members(seen)
    config = seen.config.model_dump(mode="json") if seen.config else {}
    cluster = model_of_survey(seen).facts()
    unread = seen.view_error or seen.config_error
    said: dict[str, tuple[JsonObject, str | None]] = {
        "nodes": (nodes, None),
        "dcs": (_dcs(seen), None),
        "members": (members, seen.view_error),
        "config": (config, seen.config_error),
        "history": (_history(seen), seen.history_error),
        "cluster": (cluster, unread),
        "processes": processes,
    }
    doubtful = _doubtful(seen, nodes)
    parts = {
        name: Part(
            source=source,
            observed_at=moment,
            complete=error is None,
            error=error,
            agrees=name not in doubtful,
            told_by=_told_by(seen, nodes, error, is_doubtful=name in doubtful),
            data=data,
        )
        for name, (data, error) in said.items()
    }
    return Observation(subject=subject, observed_at=moment, parts=parts)


def _told_by(
    seen: Survey, nodes: JsonObject, error: str | None, *, is_doubtful: bool
) -> str | None:
    """Return the rule that tells why something is missing or not to be trusted."""
    if error is not None and error in {seen.view_error, seen.config_error, seen.history_error}:
        return None if seen.views else "dcs_unreachable"
    two = len(nodes["primaries"]) > 1
    return "two_primaries" if is_doubtful and two else None


_TOLD_BY_THE_DCS = frozenset({"members", "cluster", "config"})


def _doubtful(seen: Survey, nodes: JsonObject) -> frozenset[str]:
    """Return what must not be acted on: members name different leaders, or two take writes."""
    is_sure = seen.views_agree and len(nodes["primaries"]) < 2  # noqa: PLR2004 - there is one
    return frozenset() if is_sure else _TOLD_BY_THE_DCS


def _nodes(seen: Survey) -> JsonObject:
    """Return what each member says of itself; one that gives no answer is a fact, not a hole."""
    answered = {name: _node(one) for name, one in seen.nodes.items()}
    silent = {
        name: {"reachable": False, "failure": str(why.kind), "reason": str(why)}
        for name, why in seen.failures.items()
    }
    return {
        "members": answered | silent,
        "primaries": sorted(name for name, one in seen.nodes.items() if one.is_primary),
        "silent": sorted(silent),
    }


def _node(one: Node) -> JsonObject:
    streaming = [link.application_name for link in one.replication if link.state == "streaming"]
    return {
        "reachable": True,
        "state": one.state,
        "role": one.role,
        "timeline": one.timeline,
        "replication_state": one.replication_state,
        "serves_replicas": sorted(streaming),
        "wal": _wal(one.wal),
        "replay_paused": one.wal.paused,
        "pending_restart": one.pending_restart,
        "watchdog_failed": one.watchdog_failed,
        "cluster_unlocked": one.cluster_unlocked,
        "system_id": one.system_id,
        "server_version": one.server_version,
        "patroni_version": one.identity.version,
    }


def _wal(wal: Wal) -> JsonObject:
    places = {
        "location": wal.location,
        "received": wal.received_location,
        "replayed": wal.replayed_location,
    }
    return {key: one for key, one in places.items() if one is not None}


def _dcs(seen: Survey) -> JsonObject:
    return {
        "reachable": bool(seen.views),
        "seen_by": sorted(seen.views),
        "unseen_by": sorted(seen.view_failures),
        "failsafe_active": any(one.failsafe_active for one in seen.nodes.values()),
    }


def _members(seen: Survey) -> JsonObject:
    view = seen.view
    listed = view.members if view else []
    coming = view.scheduled_switchover if view else None
    return {
        "members": {one.name: _member(one) for one in listed},
        "member_count": len(listed),
        "scope": view.scope if view else "",
        "paused": view.pause if view else None,
        "scheduled_switchover": coming.model_dump(mode="json") if coming else None,
    }


def _member(one: Listed) -> JsonObject:
    return one.model_dump(mode="json", exclude={"name"})


def _history(seen: Survey) -> JsonObject:
    last = seen.history[-1] if seen.history else ()
    return {
        "changes": len(seen.history),
        "last_timeline": _at(last, 0),
        "last_reason": _at(last, 2),
        "last_at": _at(last, 3),
        "last_leader": _at(last, 4),
    }


def _at(entry: tuple[JsonValue, ...], place: int) -> JsonValue:
    """Return a field of an entry; older versions write shorter ones."""
    return entry[place] if place < len(entry) else None


def model_of_survey(seen: Survey) -> Model:
    """Return the model of a cluster from a look that was not put into parts yet."""
    config = seen.config.model_dump(mode="json") if seen.config else {}
    return model_from(_members(seen), _nodes(seen), config)


def members_of(seen: Observation) -> Mapping[str, JsonObject]:
    """Return the members that the DCS lists, by name."""
    members: Mapping[str, JsonObject] = seen.data("members").get("members", {})
    return members


def nodes_of(seen: Observation) -> Mapping[str, JsonObject]:
    """Return what each member says of itself, by name."""
    nodes: Mapping[str, JsonObject] = seen.data("nodes").get("members", {})
    return nodes
