"""Actions on the cluster's data and leadership."""

from operator_core.clock import monotonic_seconds
from operator_core.errors import (
    ActionFailedError,
    ActionRefusedError,
    OutcomeUnknownError,
    SubjectError,
)
from operator_core.types import JsonObject
from operator_etcd import preflight
from operator_etcd.effects import Hands, before_effect
from operator_etcd.shapes import Alarm, MemberStatus
from operator_etcd.survey import Survey, survey

NO_MEMBER = "0"
_QUIET_LOOKS = 5


async def move_leader(hands: Hands, target_member_id: str) -> JsonObject:
    """Hand the leadership to a voter and wait until the members follow it."""
    seen = await hands.survey()
    target = preflight.member_of(seen, target_member_id)
    preflight.must_be_voter(target)
    before = seen.leader_id
    if before == target.id:
        return {"changed": False, "leader_before": before, "leader_after": before}
    preflight.reachable(seen, target)
    await hands.client.move_leader(preflight.leader_endpoint(seen), target.id)
    after = await hands.until(lambda: survey(hands.client), lambda it: it.leader_id == target.id)
    return {"changed": True, "leader_before": before, "leader_after": after.leader_id}


async def compact(hands: Hands, revision: int | None, keep_revisions: int) -> JsonObject:
    """Drop the history before a revision and wait until the members have freed its pages."""
    seen = await hands.survey()
    endpoint = preflight.leader_endpoint(seen)
    current = max(one.header.revision for one in seen.statuses.values())
    wanted = revision if revision is not None else current - keep_revisions
    if wanted > current:
        raise ActionRefusedError(f"Revision {wanted} is in the future: the present is {current}.")
    result: JsonObject = {"revision": wanted, "current_revision": current}
    if wanted < 1:
        return result | {"changed": False}
    changed = await hands.client.compact(endpoint, wanted)
    quiet = await _until_quiet(hands, seen)
    return result | {
        "changed": changed,
        "db_in_use_bytes_before": _in_use(seen),
        "db_in_use_bytes_after": _in_use(quiet),
    }


def _in_use(seen: Survey) -> JsonObject:
    return {key: one.db_in_use_bytes for key, one in seen.statuses.items()}


async def _until_quiet(hands: Hands, seen: Survey) -> Survey:
    """Wait until the use of space has stopped falling on all members.

    etcd answers when the member that was asked is done; the others drop the history on their
    own, and a defragmentation before that gives nothing back.
    """
    end = monotonic_seconds() + hands.settle_seconds
    last, quiet = seen, 0
    while quiet < _QUIET_LOOKS and monotonic_seconds() < end:
        await hands.clock.sleep(hands.poll_seconds)
        try:
            now = await survey(hands.client)
        except SubjectError:
            continue  # the history is gone in any case; this only waits for the pages
        before = _in_use(last)
        falls = any(size < before.get(key, 0) for key, size in _in_use(now).items())
        last, quiet = now, 0 if falls else quiet + 1
    return last


async def defragment(hands: Hands, member_id: str) -> JsonObject:
    """Rewrite one member's database and wait until it serves again."""
    if hands.rewriting.locked():
        raise ActionFailedError("Another member is being defragmented: one at a time.")
    async with hands.rewriting:
        seen = await hands.survey()
        member = preflight.member_of(seen, member_id)
        endpoint = preflight.reachable(seen, member)
        preflight.must_keep_quorum(seen, member, "Defragmenting")
        await _must_be_the_only_one(hands, seen)
        await hands.client.defragment(endpoint)
        after = await hands.until(
            lambda: hands.client.status(endpoint), lambda status: status.leader_id is not None
        )
    return _sizes(seen.statuses[member_id], after)


async def _must_be_the_only_one(hands: Hands, seen: Survey) -> None:
    """Refuse while a member is rewritten on somebody else's order, where etcd tells it."""
    with before_effect():
        for member_id, endpoint in seen.endpoints.items():
            if (await hands.client.metrics(endpoint)).get("defrag_inflight", 0) > 0:
                label = seen.members[member_id].label
                raise ActionFailedError(f"{label} is being defragmented: one at a time.")


def _sizes(before: MemberStatus, after: MemberStatus) -> JsonObject:
    return {
        "changed": after.db_size_bytes != before.db_size_bytes,
        "db_size_bytes_before": before.db_size_bytes,
        "db_size_bytes_after": after.db_size_bytes,
        "db_in_use_bytes_after": after.db_in_use_bytes,
    }


async def disarm_alarm(hands: Hands, member_id: str, alarm: str) -> JsonObject:
    """Disarm one member's alarm and read the alarms again: etcd's 200 proves nothing."""
    if member_id == NO_MEMBER:
        raise ActionRefusedError("Member id 0 disarms nothing: name the member of the alarm.")
    if alarm != "NOSPACE":
        raise ActionRefusedError(f"Alarm {alarm} is for a person to settle.")
    seen = await hands.survey()
    endpoint = preflight.leader_endpoint(seen)
    with before_effect():
        before = await hands.client.alarms(endpoint)
    wanted = Alarm(member_id=member_id, alarm=alarm)
    if wanted not in before:
        preflight.member_of(seen, member_id)
        return {"changed": False, "alarms_after": _listed(before)}
    if member_id in seen.endpoints:
        with before_effect():
            metrics = await hands.client.metrics(seen.endpoints[member_id])
        member = preflight.member_of(seen, member_id)
        preflight.must_have_room(seen, member, metrics.get("quota_backend_bytes", 0.0))
    await hands.client.disarm(endpoint, member_id, alarm)
    return await _disarmed(hands, endpoint, wanted, before)


async def _disarmed(hands: Hands, endpoint: str, wanted: Alarm, before: list[Alarm]) -> JsonObject:
    try:
        after = await hands.client.alarms(endpoint)
    except SubjectError as error:
        raise OutcomeUnknownError(f"Disarmed, but not seen since: {error}") from error
    if wanted in after:
        raise ActionFailedError(
            f"Alarm {wanted.alarm} of member {wanted.member_id} is still raised after the "
            "disarming: a write has raised it again, or space is still short."
        )
    return {
        "changed": True,
        "alarms_before": _listed(before),
        "alarms_after": _listed(after),
    }


def _listed(alarms: list[Alarm]) -> list[str]:
    return sorted(f"{one.alarm} {one.member_id}" for one in alarms)
