"""Why an action must not be done on a cluster as it is: one table for the checks and the twin."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple

from operator_core.types import JsonObject
from operator_patroni.model import IN_WORK, STARTING, Member, Model, unfit

SLOWEST_TTL_SECONDS: Final = 20
"""Patroni raises a ttl below this one to it without a word."""


class Obstacle(NamedTuple):
    """One reason.

    Attributes:
        words: it, for people.
        for_good: whether no later moment makes it another.
    """

    words: str
    for_good: bool = False


Obstacles = Iterator[Obstacle]


def obstacles(model: Model, action_name: str, given: JsonObject) -> list[Obstacle]:
    """Return why an action must not be done now; nothing where it may.

    Args:
        model: the cluster as it is.
        action_name: one of the actions of this subject.
        given: its arguments.
    """
    return list(_TABLE[action_name](model, given))


def _unknown(model: Model, name: str) -> Obstacle:
    known = ", ".join(sorted(model.members)) or "none"
    return Obstacle(f"the cluster has no member {name}; it has {known}", for_good=True)


def _switchover(model: Model, given: JsonObject) -> Obstacles:
    candidate = model.members.get(given["candidate"])
    if candidate is None:
        yield _unknown(model, given["candidate"])
    elif not model.has_primary:
        yield Obstacle("no leader serves that could hand over: that is a failover")
    elif not candidate.leads:
        yield from _must_be_fit(model, candidate)


def _failover(model: Model, given: JsonObject) -> Obstacles:
    candidate = model.members.get(given["candidate"])
    leader = model.leader
    if candidate is None:
        yield _unknown(model, given["candidate"])
    elif leader is not None and leader.name != candidate.name:
        yield Obstacle(f"{leader.name} leads: that is a switchover")
    elif leader is None:
        yield from _must_be_fit(model, candidate)


def _must_be_fit(model: Model, candidate: Member) -> Obstacles:
    for why in unfit(model, candidate):
        yield Obstacle(f"{candidate.name} must not take over: {why}")


def _restart(model: Model, given: JsonObject) -> Obstacles:
    member = model.members.get(given["member_name"])
    if member is None:
        yield _unknown(model, given["member_name"])
    elif not _leaves_alone(member, given):
        yield from _must_be_still(member)
        if member.leads and member.runs and len(model.members) > 1 and model.spare < 1:
            yield Obstacle(f"{member.name} leads, and nobody could take over if it stays down")
        yield from _must_not_wait(model, member, "restarting")


def _leaves_alone(member: Member, given: JsonObject) -> bool:
    """Return whether a restart finds nothing to do."""
    return bool(
        (given.get("only_if_down") and member.runs)
        or (given.get("only_if_pending") and not member.pending_restart)
    )


def _must_be_still(member: Member) -> Obstacles:
    if not member.reachable:
        yield Obstacle(f"the Patroni of {member.name} does not answer")
    elif member.state in IN_WORK:
        yield Obstacle(f"{member.name} is at work already: {member.state}")


def _must_not_be_made(member: Member) -> Obstacles:
    """Yield why a replica must not be emptied: it is being filled, or it cannot be told to.

    One that fails to start is tried again and again, so "starting" is no reason.
    """
    if not member.reachable:
        yield Obstacle(f"the Patroni of {member.name} does not answer")
    elif member.state in IN_WORK - STARTING:
        yield Obstacle(f"{member.name} is at work already: {member.state}")


def _must_not_wait(model: Model, member: Member, what: str) -> Obstacles:
    """Yield why the last synchronous standby must stay where writes wait for it."""
    strict = model.config.is_synchronous and model.config.synchronous_mode_strict
    if strict and model.sync_standbys == [member.name]:
        yield Obstacle(f"{what} {member.name} stops all writes: they wait for it alone")


def _reinitialize(model: Model, given: JsonObject) -> Obstacles:
    member = model.members.get(given["member_name"])
    if member is None:
        yield _unknown(model, given["member_name"])
        return
    if member.leads:
        yield Obstacle(f"{member.name} leads: its data are those of the cluster")
    if not model.has_primary:
        yield Obstacle("no member takes writes, so there is nothing sure to copy from")
    if len(model.primaries) > 1:
        yield Obstacle("two members take writes: nobody knows whose data are right")
    yield from _must_not_be_made(member)
    yield from _must_not_be_missed(model, member)


def _must_not_be_missed(model: Model, member: Member) -> Obstacles:
    if [one.name for one in model.candidates] == [member.name]:
        yield Obstacle(f"{member.name} is the only one that could take over")
    yield from _must_not_wait(model, member, "emptying")
    leader = model.leader
    if leader and (member.timeline or 0) > (leader.timeline or member.timeline or 0):
        yield Obstacle(
            f"{member.name} is on timeline {member.timeline}, ahead of the leader's "
            f"{leader.timeline}: its data may be the right ones"
        )


def _restart_patroni(model: Model, given: JsonObject) -> Obstacles:
    """Yield nothing: a Patroni that answers is left alone, and one that does not serves nobody."""
    del model, given
    yield from ()


def _reload(model: Model, given: JsonObject) -> Obstacles:
    member = model.members.get(given["member_name"])
    if member is None:
        yield _unknown(model, given["member_name"])
    elif not member.reachable:
        yield Obstacle(f"the Patroni of {member.name} does not answer")


def _pause(model: Model, given: JsonObject) -> Obstacles:
    del given
    if not model.has_primary and not model.paused:
        yield Obstacle("no member takes writes, and a pause keeps any from taking over")
    if len(model.primaries) > 1:
        yield Obstacle("two members take writes, and a pause keeps both of them")


def _resume(model: Model, given: JsonObject) -> Obstacles:
    del given
    if len(model.primaries) > 1:
        yield Obstacle(
            "two members take writes: Patroni would end one of them, perhaps the wrong one"
        )


def _set_config(model: Model, given: JsonObject) -> Obstacles:
    key, value = str(given["key"]), int(given["value"])
    least = SMALLEST.get(key)
    if least is None:
        known = ", ".join(SMALLEST)
        yield Obstacle(f"{key} is not among the settings to be changed: {known}", for_good=True)
        return
    if value < least:
        yield Obstacle(f"{key} is at least {least}", for_good=True)
    after = model.config.model_copy(update={key: value})
    if after.ttl < after.loop_wait + 2 * after.retry_timeout:
        yield Obstacle(
            f"ttl ({after.ttl}) must be at least loop_wait ({after.loop_wait}) + twice "
            f"retry_timeout ({after.retry_timeout}), or the leader is given up while it is well",
            for_good=True,
        )
    if key == "synchronous_node_count" and value > len(model.replicas):
        yield Obstacle(f"there are only {len(model.replicas)} replicas to wait for")
    yield from _must_lose_no_more(model, key, value)


def _must_lose_no_more(model: Model, key: str, value: int) -> Obstacles:
    """Yield who could take over only because more may be lost."""
    before = model.config.maximum_lag_on_failover
    if key == "maximum_lag_on_failover":
        for one in model.replicas:
            if before < (one.lag_bytes or 0) <= value:
                yield Obstacle(f"{one.name} could take over, and {one.lag_bytes} bytes were lost")


SMALLEST: Final[Mapping[str, int]] = {
    "ttl": SLOWEST_TTL_SECONDS,
    "loop_wait": 1,
    "retry_timeout": 3,
    "maximum_lag_on_failover": 0,
    "primary_start_timeout": 0,
    "synchronous_node_count": 1,
}
"""The settings that may be changed, each with its smallest value."""

_TABLE: Final[Mapping[str, Callable[[Model, JsonObject], Obstacles]]] = {
    "switchover": _switchover,
    "failover": _failover,
    "restart_member": _restart,
    "restart_patroni": _restart_patroni,
    "reinitialize_member": _reinitialize,
    "reload_member": _reload,
    "pause_cluster": _pause,
    "resume_cluster": _resume,
    "set_config": _set_config,
}
