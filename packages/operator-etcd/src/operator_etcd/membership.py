"""Actions on who belongs to the cluster, and on the members' processes."""

from operator_core.call_failures import BusyError
from operator_core.clock import monotonic_seconds
from operator_core.errors import ActionRefusedError
from operator_core.types import JsonObject
from operator_etcd import preflight
from operator_etcd.effects import Hands
from operator_etcd.survey import Survey, survey


async def add_learner(hands: Hands, peer_url: str) -> JsonObject:
    """Add a member without a vote, once: its peer address says whether it is there."""
    seen = await hands.survey()
    endpoint = preflight.leader_endpoint(seen)
    present = [one for one in seen.members.values() if peer_url in one.peer_urls]
    if present and not present[0].is_learner:
        raise ActionRefusedError(f"{peer_url} belongs to {present[0].label}, which has a vote.")
    if present:
        return {"changed": False, "member_id": present[0].id}
    added = await hands.client.add_learner(endpoint, peer_url)
    pairs = [(one.name, url) for one in seen.members.values() for url in one.peer_urls]
    return {
        "changed": True,
        "member_id": added.member.id,
        "member_count_before": len(seen.members),
        "initial_cluster": ",".join(f"{name}={url}" for name, url in pairs if name),
    }


async def promote_member(hands: Hands, member_id: str) -> JsonObject:
    """Give a learner its vote, waiting a while for it to catch up."""
    seen = await hands.survey()
    member = preflight.member_of(seen, member_id)
    if not member.is_learner:
        return {"changed": False, "voter_count": len(seen.voters)}
    preflight.reachable(seen, member)
    await _promote_when_in_sync(hands, preflight.leader_endpoint(seen), member_id)
    after = await hands.until(lambda: survey(hands.client), lambda now: member_id in now.voters)
    return {
        "changed": True,
        "voter_count_before": len(seen.voters),
        "voter_count": len(after.voters),
    }


async def _promote_when_in_sync(hands: Hands, endpoint: str, member_id: str) -> None:
    end = monotonic_seconds() + hands.settle_seconds
    while True:
        try:
            await hands.client.promote(endpoint, member_id)
        except BusyError:
            if monotonic_seconds() >= end:
                raise
            await hands.clock.sleep(hands.poll_seconds)
        else:
            return


async def remove_member(hands: Hands, member_id: str) -> JsonObject:
    """Take a member out of the cluster for good."""
    seen = await hands.survey()
    member = preflight.member_of(seen, member_id)
    preflight.must_survive_removal(seen, member)
    await hands.client.remove(_other_endpoint(seen, member_id), member_id)
    after = await hands.until(
        lambda: survey(hands.client), lambda now: bool(now.members) and member_id not in now.members
    )
    return {
        "changed": True,
        "removed": member.name,
        "member_count_before": len(seen.members),
        "member_count": len(after.members),
        "voter_count": len(after.voters),
    }


def _other_endpoint(seen: Survey, member_id: str) -> str:
    """Return whom to ask: not the one that goes, for it may be gone before it answers."""
    leader = preflight.leader_endpoint(seen)
    if seen.leader_id != member_id:
        return leader
    others = [seen.endpoints[one] for one in seen.healthy_voters if one != member_id]
    return others[0] if others else leader


async def restart_member(hands: Hands, member_name: str, *, only_if_down: bool) -> JsonObject:
    """Restart a member's process and wait until it follows a leader again."""
    seen = await hands.survey()
    member = preflight.member_named(seen, member_name)
    if only_if_down and _serves(seen, member.id):
        return {"changed": False, "reason": f"{member_name} serves"}
    preflight.must_keep_quorum(seen, member, "Restarting")
    before = await hands.supervisor.status(member_name)
    after = await hands.supervisor.restart(member_name)
    await hands.until(lambda: survey(hands.client), lambda now: _serves(now, member.id))
    return {
        "changed": True,
        "state_before": before.state,
        "pid_before": before.pid,
        "pid_after": after.pid,
    }


def _serves(seen: Survey, member_id: str) -> bool:
    """Return whether a member answers and follows a leader.

    Where others are missing too, there can be no leader yet: answering is all it can do.
    """
    status = seen.statuses.get(member_id)
    lonely = len(seen.healthy_voters) < seen.quorum_size
    return status is not None and (lonely or status.leader_id is not None)
