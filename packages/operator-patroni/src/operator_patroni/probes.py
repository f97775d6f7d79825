"""Did an effect that was sent happen? Answered by looking; changes nothing."""

from collections.abc import Callable

from operator_core.errors import SubjectError
from operator_core.subject import ActionCall, ProbeAnswer
from operator_core.types import JsonObject
from operator_patroni.actions import Hands
from operator_patroni.model import IN_WORK, Model

Probe = Callable[[Model, JsonObject], bool | None]


async def probe(hands: Hands, call: ActionCall) -> ProbeAnswer:
    """Say whether the effect of a call is there; unknown where Patroni cannot be asked."""
    look = _PROBES.get(call.action_name)
    try:
        happened = look((await hands.look()).model, call.parameters) if look else None
    except SubjectError:
        happened = None
    if happened is None:
        return ProbeAnswer.UNKNOWN
    return ProbeAnswer.HAPPENED if happened else ProbeAnswer.NOT_HAPPENED


def _took_over(model: Model, given: JsonObject) -> bool | None:
    # While nobody serves, somebody is on the way.
    if model.leader is None or not model.has_primary:
        return None
    return bool(model.leader.name == given["candidate"])


def _restarted(model: Model, given: JsonObject) -> bool | None:
    member = model.members.get(given["member_name"])
    if member is None or not member.reachable or member.state in IN_WORK:
        return None
    if given.get("only_if_pending"):
        return not member.pending_restart
    # One that runs may be the old one or the new one: only "it runs" can be told.
    return member.runs if given.get("only_if_down") else None


def _answers(model: Model, given: JsonObject) -> bool | None:
    member = model.members.get(given["member_name"])
    # One that does not answer yet may be starting.
    return True if member is not None and member.reachable else None


def _reinitialized(model: Model, given: JsonObject) -> bool | None:
    member = model.members.get(given["member_name"])
    if member is None or not member.reachable:
        return None
    if member.state == "creating replica":
        return True
    # One that runs may never have been emptied; one that fails to start surely was not.
    return False if member.state in {"start failed", "crashed"} else None


def _paused(model: Model, given: JsonObject) -> bool | None:
    del given
    return model.paused


def _resumed(model: Model, given: JsonObject) -> bool | None:
    del given
    return not model.paused


def _configured(model: Model, given: JsonObject) -> bool | None:
    return bool(getattr(model.config, given["key"], None) == given["value"])


_PROBES: dict[str, Probe] = {
    "switchover": _took_over,
    "failover": _took_over,
    "restart_member": _restarted,
    "restart_patroni": _answers,
    "reinitialize_member": _reinitialized,
    "pause_cluster": _paused,
    "resume_cluster": _resumed,
    "set_config": _configured,
}
