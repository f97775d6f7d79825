"""Causes of a replica that is not fed, is behind, or has a history of its own."""

from operator_core.agent.diagnosis import Assessment, Claim, Predicate
from operator_core.monitor.types import Observation, Violation
from operator_patroni import remedies
from operator_patroni.claims import (
    at_least,
    below,
    claim,
    differs,
    equals,
    is_not_so,
    is_so,
    member_path,
    node_path,
)


def member_of(violation: Violation) -> str:
    """Return the member that a violation is about."""
    return str(violation.metrics["member"])


def for_a_person(
    name: str, cause: str, supports: list[Claim], against: list[Claim], *risks: str
) -> Assessment:
    """Return an assessment of what no call to Patroni can mend."""
    return Assessment(
        cause=cause,
        supports=supports,
        contradicts=against,
        components=[name],
        risks=list(risks),
        escalate=True,
    )


def left_on_old_timeline(violation: Violation, seen: Observation) -> Assessment:
    """A replica stayed on an old history."""
    name = member_of(violation)
    leads = seen.data("cluster")["leader_timeline"] or 0
    why = f"{name} cannot follow the leader's history from its own"
    actions = remedies.copy_anew(seen, name, why)
    return Assessment(
        cause=f"{name} stayed on an old history after a change of leadership and cannot go on",
        supports=[
            below(f"{name} is on an older timeline", member_path(name, "timeline"), leads, 3.0),
            _not_streaming(name),
        ],
        contradicts=[
            at_least("Its timeline is the leader's", member_path(name, "timeline"), leads)
        ],
        components=[name],
        actions=actions,
        risks=[f"{name} may have writes that the leader never got: they would be lost"],
        escalate=not actions,
    )


def _not_streaming(name: str) -> Claim:
    return differs("It does not stream", member_path(name, "state"), "streaming")


def ahead_of_leader(violation: Violation, seen: Observation) -> Assessment:
    """A replica is on a history that the leader does not know."""
    name = member_of(violation)
    leads = seen.data("cluster")["leader_timeline"] or 0
    path = member_path(name, "timeline")
    return for_a_person(
        name,
        f"{name} has a history that the leader does not know: two led, or an old one came back",
        [claim(f"{name} is on a newer timeline", path, Predicate.GT, leads, 3.0)],
        [claim("Its timeline is not newer", path, Predicate.LE, leads)],
        "A person decides whose data are right; throw nothing away before",
    )


def feed_broken(violation: Violation, seen: Observation) -> Assessment:
    """A replica cannot fetch from the leader."""
    name = member_of(violation)
    leads = seen.data("cluster")["leader_timeline"] or 0
    return for_a_person(
        name,
        f"{name} runs on the leader's history and cannot fetch from it (a slot, a rule of access, "
        "log that the leader has dropped, or its own disk is full)",
        [_not_streaming(name), equals("Same timeline", member_path(name, "timeline"), leads)],
        [below("Its timeline is older", member_path(name, "timeline"), leads)],
        f"The log of {name} names the reason: make room where its disk is full; where the leader "
        "dropped the log, reinitialize it",
    )


def replay_paused(violation: Violation, seen: Observation) -> Assessment:
    """Somebody paused the replay."""
    del seen
    name = member_of(violation)
    return for_a_person(
        name,
        f"Somebody paused the replay on {name}",
        [is_so("It says that its replay is paused", node_path(name, "replay_paused"), weight=3.0)],
        [is_not_so("Its replay goes on", node_path(name, "replay_paused"))],
        f"SELECT pg_wal_replay_resume() on {name}, once whoever paused it agrees",
    )


def slow_replay(violation: Violation, seen: Observation) -> Assessment:
    """A replica is slow to apply the log."""
    del seen
    name = member_of(violation)
    received, lag = member_path(name, "receive_lag_bytes"), int(violation.metrics["lag_bytes"])
    return for_a_person(
        name,
        f"{name} gets the log and is slow to replay it (its disk, or queries that hold it up)",
        [below("It has received nearly all", received, max(1, lag // 2), 2.0)],
        [
            at_least("It has not received it", received, max(1, lag // 2)),
            is_so("Its replay is paused", node_path(name, "replay_paused")),
        ],
    )


def slow_feed(violation: Violation, seen: Observation) -> Assessment:
    """The log comes too slowly."""
    del seen
    name = member_of(violation)
    lag = int(violation.metrics["lag_bytes"])
    return for_a_person(
        name,
        f"The log reaches {name} too slowly (its network, or more writes than it can take)",
        [at_least(f"It is {lag} bytes behind", member_path(name, "lag_bytes"), lag, 2.0)],
        [is_so("Its replay is paused", node_path(name, "replay_paused"))],
    )
