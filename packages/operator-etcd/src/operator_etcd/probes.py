"""Did an effect that was sent happen? Answered by looking; changes nothing."""

from collections.abc import Awaitable, Callable

from operator_core.errors import SubjectError
from operator_core.local_processes import ProcessState
from operator_core.subject import ActionCall, ProbeAnswer
from operator_core.types import JsonObject
from operator_etcd.effects import Hands
from operator_etcd.survey import survey

_FULL_SHARE = 0.95
"""A database as full as this has nothing left to give back."""

Probe = Callable[[Hands, JsonObject], Awaitable[bool | None]]


async def probe(hands: Hands, call: ActionCall) -> ProbeAnswer:
    """Say whether the effect of a call is there; unknown where etcd cannot be asked."""
    look = _PROBES.get(call.action_name)
    try:
        happened = await look(hands, call.parameters) if look else None
    except SubjectError:
        happened = None
    if happened is None:
        return ProbeAnswer.UNKNOWN
    return ProbeAnswer.HAPPENED if happened else ProbeAnswer.NOT_HAPPENED


async def _move_leader(hands: Hands, parameters: JsonObject) -> bool | None:
    leader = (await survey(hands.client)).leader_id
    return None if leader is None else leader == parameters["target_member_id"]


async def _compact(hands: Hands, parameters: JsonObject) -> bool | None:
    revision = parameters.get("revision")
    endpoint = (await survey(hands.client)).leader_endpoint
    if endpoint is None or not isinstance(revision, int) or revision < 2:  # noqa: PLR2004 - nothing lies before 1
        return None
    return await hands.client.is_compacted(endpoint, revision)


async def _defragment(hands: Hands, parameters: JsonObject) -> bool | None:
    status = (await survey(hands.client)).statuses.get(parameters["member_id"])
    if status is None:
        return None
    # A file with free pages may have been rewritten before they became free.
    return True if status.db_in_use_bytes >= _FULL_SHARE * status.db_size_bytes else None


async def _disarm_alarm(hands: Hands, parameters: JsonObject) -> bool | None:
    endpoint = (await survey(hands.client)).leader_endpoint
    if endpoint is None:
        return None
    wanted = (parameters["member_id"], parameters.get("alarm", "NOSPACE"))
    raised = await hands.client.alarms(endpoint)
    return wanted not in [(one.member_id, one.alarm) for one in raised]


async def _add_learner(hands: Hands, parameters: JsonObject) -> bool | None:
    seen = await survey(hands.client)
    if seen.leader_endpoint is None or not seen.members:
        return None
    return any(parameters["peer_url"] in one.peer_urls for one in seen.members.values())


async def _promote_member(hands: Hands, parameters: JsonObject) -> bool | None:
    seen = await survey(hands.client)
    if seen.leader_endpoint is None or not seen.members:
        return None
    return parameters["member_id"] in seen.voters


async def _remove_member(hands: Hands, parameters: JsonObject) -> bool | None:
    seen = await survey(hands.client)
    if seen.leader_endpoint is None or not seen.members:
        return None
    return parameters["member_id"] not in seen.members


async def _restart_member(hands: Hands, parameters: JsonObject) -> bool | None:
    status = await hands.supervisor.status(parameters["member_name"])
    if status.state == ProcessState.STOPPED:
        return False
    seen = await survey(hands.client)
    member = seen.named(parameters["member_name"])
    # A process that runs may be the old one or the new one: only "it serves" can be told.
    serves = member is not None and member.id in seen.healthy_voters
    return True if serves and parameters.get("only_if_down") else None


_PROBES: dict[str, Probe] = {
    "move_leader": _move_leader,
    "compact": _compact,
    "defragment": _defragment,
    "disarm_alarm": _disarm_alarm,
    "add_learner": _add_learner,
    "promote_member": _promote_member,
    "remove_member": _remove_member,
    "restart_member": _restart_member,
}
