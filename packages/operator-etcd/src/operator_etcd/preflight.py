"""The checks before an effect: pure functions of a survey that raise or return what to use.

A check that may pass later raises `ActionFailedError`, one that never will
`ActionRefusedError`: in both cases nothing was sent.
"""

from operator_core.errors import ActionFailedError, ActionRefusedError
from operator_etcd.shapes import Member
from operator_etcd.survey import Survey

_ROOM_SHARE = 0.95
"""A write that would pass the quota raises the alarm, so it is raised a little below it."""


def member_of(seen: Survey, member_id: str) -> Member:
    """Return a member by its id.

    Raises:
        ActionRefusedError: there is no such member.
        ActionFailedError: the membership could not be read.
    """
    if seen.members_error:
        raise ActionFailedError(f"The membership cannot be read: {seen.members_error}")
    if member_id not in seen.members:
        raise ActionRefusedError(f"The cluster has no member {member_id}. It has {_listing(seen)}.")
    return seen.members[member_id]


def member_named(seen: Survey, name: str) -> Member:
    """Return a member by its name.

    Raises:
        ActionRefusedError: no member, or more than one, has the name.
        ActionFailedError: the membership could not be read.
    """
    if seen.members_error:
        raise ActionFailedError(f"The membership cannot be read: {seen.members_error}")
    found = seen.named(name)
    if found is None:
        raise ActionRefusedError(f"No single member is named {name!r}. It has {_listing(seen)}.")
    return found


def _listing(seen: Survey) -> str:
    return ", ".join(f"{one.name or '(no name)'} {one.id}" for one in seen.members.values())


def reachable(seen: Survey, member: Member) -> str:
    """Return the address where a member is reached.

    Raises:
        ActionFailedError: it does not answer.
    """
    endpoint = seen.endpoints.get(member.id)
    if endpoint is None:
        why = seen.failures.get(member.id, "it did not answer")
        raise ActionFailedError(f"{member.label} cannot be reached: {why}")
    return endpoint


def leader_endpoint(seen: Survey) -> str:
    """Return the address of the leader.

    Raises:
        ActionFailedError: there is no leader, or it does not answer.
    """
    endpoint = seen.leader_endpoint
    if endpoint is None:
        raise ActionFailedError(
            "The cluster has no leader that answers, so it can change nothing now."
        )
    return endpoint


def must_be_voter(member: Member) -> None:
    """Refuse a learner.

    Raises:
        ActionRefusedError: the member has no vote.
    """
    if member.is_learner:
        raise ActionRefusedError(f"{member.label} is a learner and cannot lead.")


def must_keep_quorum(seen: Survey, member: Member, what: str) -> None:
    """Refuse to take a member away for a while where the others are no quorum.

    A cluster of one voter has nobody who could stand in: there a person who approves the
    action accepts the pause.

    Raises:
        ActionFailedError: the healthy voters beside it are no quorum.
    """
    serves = member.id in seen.healthy_voters
    if serves and len(seen.voters) > 1 and not seen.quorum_without(member.id):
        raise ActionFailedError(
            f"{what} {member.label} would leave {len(seen.healthy_voters) - 1} healthy voters, "
            f"and a quorum needs {seen.quorum_size}. Bring the missing members back first."
        )


def must_survive_removal(seen: Survey, member: Member) -> None:
    """Refuse to remove a voter where those that stay could not decide anything.

    Raises:
        ActionRefusedError: the healthy voters that stay are no quorum of the new membership.
    """
    if member.is_learner:
        return
    staying = [one for one in seen.voters if one != member.id]
    healthy = [one for one in seen.healthy_voters if one != member.id]
    quorum = len(staying) // 2 + 1
    if not staying or len(healthy) < quorum:
        raise ActionRefusedError(
            f"Removing {member.label} would leave {len(healthy)} healthy voters of "
            f"{len(staying)}, and a quorum of those needs {quorum}."
        )


def must_have_room(seen: Survey, member: Member, quota_bytes: float) -> None:
    """Refuse to disarm NOSPACE where the database is still full: it would be raised again.

    Raises:
        ActionFailedError: the database is not clearly below its quota.
    """
    status = seen.statuses.get(member.id)
    if status and quota_bytes > 0 and status.db_size_bytes >= _ROOM_SHARE * quota_bytes:
        raise ActionFailedError(
            f"The database of {member.label} still takes {status.db_size_bytes} bytes of its "
            f"quota of {quota_bytes:.0f}. Compact and defragment first."
        )
