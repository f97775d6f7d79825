"""PD's servers, their health and versions, and the cluster as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from operator_tikv.simulator import failover
from operator_tikv.simulator.api import http
from operator_tikv.simulator.units import rfc3339_nano

if TYPE_CHECKING:
    from collections.abc import Callable

    from operator_tikv.simulator.api.http import Answer, Call, Handler
    from operator_tikv.simulator.world import Member, World

PD_VERSION: Final = "v8.5.7"
GIT_HASH: Final = "6dce4a680000000000000000000000000000000a"
BUILD_TIME: Final = "2026-06-17 02:11:40"


def member_info(world: World, member: Member) -> dict[str, object]:
    """One PD server as the lists print it."""
    info: dict[str, object] = {
        "name": member.name,
        "member_id": member.member_id,
        "peer_urls": [f"http://{member.name}.pd-peer:2380"],
        "client_urls": [world.client_url_of(member.name)],
    }
    priority = world.pd.leader_priority.get(member.name, 0)
    if priority:
        info["leader_priority"] = priority
    return info | {
        "deploy_path": "/pd/bin",
        "binary_version": PD_VERSION,
        "git_hash": GIT_HASH,
    }


def list_members(world: World, _call: Call) -> Answer:
    """All PD servers and the two leaders, which are the same server here."""
    leader = member_info(world, _leader(world))
    return http.ok(
        {
            "header": {"cluster_id": world.cluster_id},
            "members": [member_info(world, member) for member in world.pd.members],
            "leader": leader,
            "etcd_leader": leader,
        }
    )


def show_leader(world: World, _call: Call) -> Answer:
    """The leading PD server."""
    return http.ok(member_info(world, _leader(world)))


def _leader(world: World) -> Member:
    return next(m for m in world.pd.members if m.name == world.pd.leader_name)


def resign(world: World, _call: Call) -> Answer:
    """Ask the leader to give up its place; another one follows within seconds."""
    if len(failover.healthy_members(world)) < 2:  # noqa: PLR2004 alone there is nobody to follow
        raise http.PdError(500, "no valid pd to transfer etcd leader")
    failover.drop_leader(world)
    return http.ok("The resign command is submitted.")


def transfer(world: World, call: Call) -> Answer:
    """Ask to make one server leader. It is asynchronous: verify it."""
    name = call.params["name"]
    if name not in {member.name for member in failover.healthy_members(world)}:
        raise http.PdError(500, f"[PD:member:ErrNoMember]no etcd member {name}")
    if name != world.pd.leader_name:
        failover.hand_over(world, name)
    return http.ok("The transfer command is submitted.")


def set_member(world: World, call: Call) -> Answer:
    """Set the priority of a server in elections."""
    name = call.params["name"]
    if name not in {member.name for member in world.pd.members}:
        raise http.PdError(404, f"not found, pd: {name}")
    priority = http.whole_number(http.body_object(call).get("leader-priority"))
    if priority is None:
        raise http.PdError(400, "bad format leader priority")
    world.pd.leader_priority[name] = priority
    return http.ok("success")


def delete_by_name(world: World, call: Call) -> Answer:
    """Take a server out of PD."""
    return _delete(world, lambda member: member.name == call.params["name"], call.params["name"])


def delete_by_id(world: World, call: Call) -> Answer:
    """Take a server out of PD."""
    member_id = http.path_id(call)
    return _delete(world, lambda member: member.member_id == member_id, str(member_id))


def _delete(world: World, is_meant: Callable[[Member], bool], called: str) -> Answer:
    found = [member for member in world.pd.members if is_meant(member)]
    if not found:
        raise http.PdError(404, f"not found, pd: {called}")
    world.pd.members = tuple(m for m in world.pd.members if not is_meant(m))
    world.pd.leader_priority.pop(found[0].name, None)
    world.record("pd", f"member {found[0].name} removed")
    if found[0].name == world.pd.leader_name:
        failover.drop_leader(world)
    return http.ok(f"removed, pd: {found[0].name}")


def health(world: World, _call: Call) -> Answer:
    """Whether each PD server answers."""
    healthy = {member.name for member in failover.healthy_members(world)}
    return http.ok(
        [
            {
                "name": member.name,
                "member_id": member.member_id,
                "client_urls": [world.client_url_of(member.name)],
                "health": member.name in healthy,
            }
            for member in world.pd.members
        ]
    )


def ping(_world: World, _call: Call) -> Answer:
    """Nothing, successfully."""
    return http.Answer(200, b"", http.TEXT_TYPE)


def status(world: World, _call: Call) -> Answer:
    """What this server is."""
    return http.ok(
        {
            "build_ts": BUILD_TIME,
            "version": PD_VERSION,
            "git_hash": GIT_HASH,
            "start_timestamp": int(world.unix_seconds(0.0)),
            "loaded_raft_cluster": world.pd.has_leader,
        }
    )


def version(_world: World, _call: Call) -> Answer:
    """The version of this server."""
    return http.ok(
        {"version": PD_VERSION, "build_time": BUILD_TIME, "hash": GIT_HASH, "branch": "HEAD"}
    )


def cluster(world: World, _call: Call) -> Answer:
    """The cluster's id."""
    return http.ok({"id": world.cluster_id, "max_peer_count": world.pd.config.max_replicas})


def cluster_status(world: World, _call: Call) -> Answer:
    """When the cluster was bootstrapped."""
    return http.ok(
        {
            "raft_bootstrap_time": rfc3339_nano(int(world.unix_seconds(0.0)) - 86_400),
            "is_initialized": True,
            "replication_status": "",
        }
    )


ROUTES: Final[list[tuple[str, str, Handler]]] = [
    ("GET", "/members", list_members),
    ("POST", "/members/name/{name}", set_member),
    ("DELETE", "/members/name/{name}", delete_by_name),
    ("DELETE", "/members/id/{id}", delete_by_id),
    ("GET", "/leader", show_leader),
    ("POST", "/leader/resign", resign),
    ("POST", "/leader/transfer/{name}", transfer),
    ("GET", "/health", health),
    ("GET", "/ping", ping),
    ("GET", "/status", status),
    ("GET", "/version", version),
    ("GET", "/cluster", cluster),
    ("GET", "/cluster/status", cluster_status),
]
