"""The effects: each looks, checks, acts once, waits for the effect and reports it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from operator_core.call_failures import BusyError
from operator_core.clock import Clock, monotonic_seconds
from operator_core.errors import (
    ActionFailedError,
    ActionRefusedError,
    OutcomeUnknownError,
    SubjectError,
)
from operator_core.process_supervisor import NoSupervisor, ProcessSupervisor
from operator_core.types import JsonObject
from operator_patroni.client import PatroniClient
from operator_patroni.model import Model
from operator_patroni.observation import model_of_survey
from operator_patroni.obstacles import obstacles
from operator_patroni.survey import Survey, survey


class Look(NamedTuple):
    """What an action sees: the cluster, and where its members are reached."""

    model: Model
    survey: Survey


@dataclass(frozen=True)
class Hands:
    """What an action works with.

    Attributes:
        client: the calls to Patroni.
        clock: what waiting uses.
        settle_seconds: how long to wait for an effect to be seen.
        poll_seconds: how long to wait between two looks.
        supervisor: the port to the members' processes.
    """

    client: PatroniClient
    clock: Clock
    settle_seconds: float = 60.0
    poll_seconds: float = 0.5
    supervisor: ProcessSupervisor = field(default_factory=NoSupervisor)

    async def look(self) -> Look:
        """Look at the cluster.

        Raises:
            SubjectError: it cannot be seen whole, or its members say different things.
        """
        seen = await survey(self.client)
        if seen.view is None or seen.config is None:
            raise ActionFailedError(str(seen.view_error or seen.config_error))
        if not seen.views_agree:
            raise ActionFailedError("the members name different leaders")
        return Look(model_of_survey(seen), seen)

    async def checked(self, action_name: str, given: JsonObject) -> Look:
        """Look before an action, and refuse it where it must not be done.

        Raises:
            ActionFailedError: not now, so nothing was done.
            ActionRefusedError: never.
        """
        try:
            seen = await self.look()
        except SubjectError as error:
            raise ActionFailedError(f"Nothing was done: {error}") from error
        found = obstacles(seen.model, action_name, given)
        if found:
            kind = ActionRefusedError if any(one.for_good for one in found) else ActionFailedError
            raise kind("Nothing was done: " + "; ".join(one.words for one in found) + ".")
        return seen

    async def until(self, reached: Callable[[Look], bool], seconds: float | None = None) -> Look:
        """Look until an effect that was sent is seen; a failed look is not an answer.

        Raises:
            OutcomeUnknownError: it was not seen in time.
        """
        limit = self.settle_seconds if seconds is None else seconds
        end, last = monotonic_seconds() + limit, "it is not to be seen"
        while True:
            try:
                seen = await self.look()
                if reached(seen):
                    return seen
            except SubjectError as error:
                last = str(error)
            if monotonic_seconds() >= end:
                raise OutcomeUnknownError(
                    f"Sent, but after {limit:.0f} s the effect was not seen: {last}"
                )
            await self.clock.sleep(self.poll_seconds)


async def switchover(hands: Hands, candidate: str) -> JsonObject:
    """Let the leader hand over, and wait until the other one serves."""
    seen = await hands.checked("switchover", {"candidate": candidate})
    leader = seen.model.leader
    if leader is None or leader.name == candidate:
        return {"changed": False, "leader": candidate}
    await hands.client.switchover(_first_of(seen, leader.name), leader.name, candidate)
    await hands.until(lambda now: _leads(now, candidate))
    return {
        "changed": True,
        "leader_before": leader.name,
        "leader_after": candidate,
        "undo": {"candidate": leader.name},
    }


async def failover(hands: Hands, candidate: str) -> JsonObject:
    """Let a member take over, and wait until it serves."""
    seen = await hands.checked("failover", {"candidate": candidate})
    if seen.model.leader is not None:
        return {"changed": False, "leader": candidate}
    lag = seen.model.members[candidate].lag_bytes
    await hands.client.failover(_first_of(seen, candidate), candidate)
    await hands.until(lambda now: _leads(now, candidate))
    return {"changed": True, "leader_after": candidate, "lag_bytes_before": lag}


async def restart_member(
    hands: Hands, member_name: str, *, only_if_down: bool, only_if_pending: bool
) -> JsonObject:
    """Restart a member's PostgreSQL, and wait until it runs."""
    given = {
        "member_name": member_name,
        "only_if_down": only_if_down,
        "only_if_pending": only_if_pending,
    }
    seen = await hands.checked("restart_member", given)
    member = seen.model.members[member_name]
    if (only_if_down and member.runs) or (only_if_pending and not member.pending_restart):
        return {"changed": False, "state": member.state}
    endpoint = seen.survey.endpoints[member_name]
    try:
        told = await hands.client.restart(endpoint, only_if_pending=only_if_pending)
    except BusyError as busy:
        if not only_if_down:
            raise
        return await _brought_back(hands, member_name, busy)
    after = await hands.until(lambda now: now.model.members[member_name].runs)
    state = after.model.members[member_name].state
    return {"changed": True, "state_before": member.state, "state_after": state, "patroni": told}


async def _brought_back(hands: Hands, member_name: str, busy: BusyError) -> JsonObject:
    """Wait for what Patroni does with a member that is down; its pages do not tell of a rewind.

    Raises:
        BusyError: the member is still down after it; nothing was done here.
    """
    try:
        after = await hands.until(lambda now: now.model.members[member_name].runs)
    except OutcomeUnknownError:
        raise busy from None
    state = after.model.members[member_name].state
    return {"changed": False, "state": state, "patroni": busy.reason}


async def restart_patroni(hands: Hands, member_name: str) -> JsonObject:
    """End a Patroni that hangs, start it again, and wait until it answers."""
    seen = await hands.checked("restart_patroni", {"member_name": member_name})
    if member_name in seen.survey.endpoints:
        return {"changed": False, "reason": f"the Patroni of {member_name} answers"}
    if member_name not in seen.survey.failures:
        raise ActionRefusedError(f"Nothing was done: the cluster has no member {member_name}.")
    before = await hands.supervisor.status(member_name)
    after = await hands.supervisor.restart(member_name)
    await hands.until(lambda now: member_name in now.survey.endpoints)
    return {
        "changed": True,
        "state_before": before.state,
        "pid_before": before.pid,
        "pid_after": after.pid,
    }


async def reinitialize_member(hands: Hands, member_name: str) -> JsonObject:
    """Begin to copy a replica's data anew, and wait a while for it.

    A copy may take hours: then it goes on by itself, and the monitor sees its end.
    """
    seen = await hands.checked("reinitialize_member", {"member_name": member_name})
    before = seen.model.members[member_name].state
    told = await hands.client.reinitialize(seen.survey.endpoints[member_name])
    was_well = _follows(seen, member_name)
    await hands.until(lambda now: _has_begun(now, member_name, was_well=was_well))
    try:
        after = await hands.until(lambda now: _follows(now, member_name))
    except OutcomeUnknownError:
        after = await hands.until(lambda now: _state(now, member_name) == _COPYING)
    state = _state(after, member_name)
    return {"changed": True, "state_before": before, "state_after": state, "patroni": told}


def _follows(seen: Look, name: str) -> bool:
    member = seen.model.members[name]
    return member.runs and bool(member.streams)


def _has_begun(seen: Look, name: str, *, was_well: bool) -> bool:
    """Return whether a replica is being made; one that was not well may be made already."""
    return _state(seen, name) == _COPYING or _follows(seen, name) is not was_well


_COPYING = "creating replica"


async def reload_member(hands: Hands, member_name: str) -> JsonObject:
    """Let a member read its configuration again."""
    seen = await hands.checked("reload_member", {"member_name": member_name})
    told = await hands.client.reload(seen.survey.endpoints[member_name])
    return {"changed": True, "patroni": told}


async def set_pause(hands: Hands, *, paused: bool) -> JsonObject:
    """Begin or end the maintenance mode."""
    seen = await hands.checked("pause_cluster" if paused else "resume_cluster", {})
    if seen.model.paused == paused:
        return {"changed": False, "paused": paused}
    change: JsonObject = {"pause": True if paused else None}
    await hands.client.patch_config(_first_of(seen), change)
    await hands.until(lambda now: now.model.paused == paused)
    return {"changed": True, "paused": paused}


async def set_config(hands: Hands, key: str, value: int) -> JsonObject:
    """Change one number of the dynamic configuration."""
    seen = await hands.checked("set_config", {"key": key, "value": value})
    before = getattr(seen.model.config, key)
    if before == value:
        return {"changed": False, "key": key, "value": value}
    await hands.client.patch_config(_first_of(seen), {key: value})
    await hands.until(lambda now: getattr(now.model.config, key) == value)
    undo = {"key": key, "value": before}
    return {"changed": True, "key": key, "before": before, "after": value, "undo": undo}


def _first_of(seen: Look, *names: str) -> str:
    """Return whom to ask: the first of the named that answers, or else who reaches the DCS."""
    known = seen.survey.endpoints
    return next(known[name] for name in [*names, *seen.survey.views] if name in known)


def _leads(seen: Look, name: str) -> bool:
    leader = seen.model.leader
    return leader is not None and leader.name == name and seen.model.has_primary


def _state(seen: Look, name: str) -> str:
    return seen.model.members[name].state
