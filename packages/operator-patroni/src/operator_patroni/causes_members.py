"""Causes of members that are gone, stopped, behind, or on a history of their own."""

from operator_core.agent.diagnosis import Assessment, Claim
from operator_core.agent.odd_failures import OddFailure, odd_failures
from operator_core.monitor.types import Observation, Violation
from operator_core.subject import Hypothesis
from operator_patroni import causes_replicas as replicas
from operator_patroni import remedies
from operator_patroni.causes_replicas import for_a_person, member_of
from operator_patroni.claims import (
    contains,
    differs,
    equals,
    is_not_so,
    is_so,
    node_path,
    process_path,
)
from operator_patroni.model import STARTING

_DOWN = frozenset({"member_down"})
_STOPPED = frozenset({"postgres_down"})
_NOT_FED = frozenset({"replica_not_streaming", "timeline_diverged"})
_BEHIND = frozenset({"replica_lag"})

_FAILED = "start failed"
_THERE = frozenset({"frozen", "running"})
_FENCE = "If it led before, its PostgreSQL may still take writes: keep clients away from it first"


def _failure(name: str, statement: str, kind: str, weight: float = 1.0) -> Claim:
    return equals(statement, node_path(name, "failure"), kind, weight)


def _silent(name: str) -> Claim:
    return is_not_so(f"The Patroni of {name} does not answer", node_path(name, "reachable"))


def _still_fed(name: str, seen: Observation, weight: float) -> list[Claim]:
    """Return the claim that the leader feeds a member, where there is a leader to ask."""
    leader = seen.data("cluster").get("leader")
    path = node_path(str(leader), "serves_replicas")
    if leader is None or leader == name:
        return []
    return [contains(f"{leader} feeds the PostgreSQL of {name}", path, name, weight)]


# --- the Patroni of a member does not answer ------------------------------------------


def _process(name: str, statement: str, state: str, weight: float = 1.0) -> Claim:
    return equals(statement, process_path(name), state, weight)


def _silent_member(
    seen: Observation, name: str, cause: str, claims: tuple[list[Claim], list[Claim]], *risks: str
) -> Assessment:
    """Return an assessment of a Patroni that does not answer: a supervisor may start it."""
    supports, against = claims
    actions = remedies.start_patroni(seen, name)
    return Assessment(
        cause=cause,
        supports=supports,
        contradicts=against,
        components=[name],
        actions=actions,
        risks=list(risks),
        escalate=not actions,
    )


def _ended(seen: Observation, name: str, weight: float = 2.0) -> list[Claim]:
    """Return the claim that the process has ended, where a supervisor knows it."""
    known = remedies.process_state(seen, name) is not None
    return [_process(name, "Its process does not run", "stopped", weight)] if known else []


def _against_an_end(name: str) -> list[Claim]:
    return [
        _failure(name, "Its address accepts connections", "timeout"),
        _process(name, "Its process runs", "running"),
        _process(name, "Its process is frozen, not ended", "frozen"),
    ]


def _patroni_stopped(violation: Violation, seen: Observation) -> Assessment:
    name = member_of(violation)
    supports = [
        _silent(name),
        _failure(name, "Nobody listens at its address", "refused", 2.0),
        *_ended(seen, name),
        *_still_fed(name, seen, 3.0),
    ]
    return _silent_member(
        seen,
        name,
        f"The Patroni of {name} has ended and its PostgreSQL runs on without it",
        (supports, _against_an_end(name)),
        f"Start Patroni on the machine of {name}; it takes its PostgreSQL over as it runs",
    )


def _member_stopped(violation: Violation, seen: Observation) -> Assessment:
    name = member_of(violation)
    supports = [
        _silent(name),
        _failure(name, "Nobody listens at its address", "refused", 2.0),
        *_ended(seen, name),
    ]
    return _silent_member(
        seen,
        name,
        f"The machine or the service of {name} is down: neither Patroni nor PostgreSQL is there",
        (supports, [*_against_an_end(name), *_still_fed(name, seen, 1.0)]),
        f"Start the service of {name}; Patroni brings its PostgreSQL back by itself",
    )


def _patroni_hangs(violation: Violation, seen: Observation) -> Assessment:
    name = member_of(violation)
    if violation.metrics["failure"] == "unreachable":
        # The queue of a server that hangs is full after some looks: then it takes no connection.
        why = [_failure(name, "It takes no more connections", "unreachable")]
        why += [*_still_fed(name, seen, 2.0), *_is_there(name, seen)]
    else:
        why = [_failure(name, "It accepts connections and answers nothing", "timeout", 3.0)]
    refused = _failure(name, "Nobody listens at its address", "refused")
    against = [refused, *_ended(seen, name, 3.0)]  # a busy machine connects too late, too
    return _silent_member(
        seen,
        name,
        f"The Patroni of {name} hangs: it is there and answers nothing",
        ([_silent(name), *why], against),
        _FENCE,
    )


def _is_there(name: str, seen: Observation) -> list[Claim]:
    """Return the claim that the process is there, where a supervisor sees it."""
    state = remedies.process_state(seen, name)
    return [_process(name, "Its process is there", state, 3.0)] if state in _THERE else []


def _not_listening(violation: Violation, seen: Observation) -> Assessment | None:
    name = member_of(violation)
    there = _is_there(name, seen)
    if not there:
        return None
    return for_a_person(
        name,
        f"The Patroni of {name} is there and does not listen: it is still starting, or listens at "
        "another address",
        [_silent(name), _failure(name, "Nobody listens at its address", "refused", 2.0), *there],
        [_failure(name, "Its address accepts connections", "timeout")],
        "See its log: how far its start has come, and which address its REST API has",
    )


def _network_cut(violation: Violation, seen: Observation) -> Assessment:
    name = member_of(violation)
    return for_a_person(
        name,
        f"The network does not reach {name}",
        [_silent(name), _failure(name, "No connection came about in time", "unreachable", 3.0)],
        [
            _failure(name, "Its machine refuses the connection, so it is reached", "refused"),
            _failure(name, "It accepts connections, so it is reached", "timeout"),
            *_still_fed(name, seen, 1.0),
            *_is_there(name, seen),
            *_ended(seen, name, 3.0),
        ],
        _FENCE,
    )


def _odd_failure(odd: OddFailure, violation: Violation, seen: Observation) -> Assessment:
    name = member_of(violation)
    return for_a_person(
        name,
        odd.cause.format(f"the Patroni of {name}"),
        [_silent(name), _failure(name, odd.evidence, odd.kind, 3.0)],
        [_process(name, "Its process is frozen", "frozen"), *_ended(seen, name)],
        odd.advice,
        _FENCE,
    )


# --- PostgreSQL does not run ----------------------------------------------------------


def _state(name: str, statement: str, state: str, weight: float = 1.0) -> Claim:
    return equals(statement, node_path(name, "state"), state, weight)


def _paused(*, weight: float = 1.0) -> Claim:
    return is_so(
        "The cluster is paused, so Patroni starts nothing", "members/paused", weight=weight
    )


def _not_paused() -> Claim:
    return is_not_so("The cluster is not paused", "members/paused")


def _stopped_in_pause(violation: Violation, seen: Observation) -> Assessment:
    name = member_of(violation)
    actions = remedies.start(seen, name)
    return Assessment(
        cause=f"The PostgreSQL of {name} ended in a pause, in which Patroni does not start it",
        supports=[
            _paused(weight=3.0),
            differs("Its start was not refused", node_path(name, "state"), _FAILED),
        ],
        contradicts=[
            _not_paused(),
            _state(name, "Its start fails", _FAILED),
            _state(name, "Nobody says that it ended", "unknown"),
        ],
        components=[name],
        actions=actions,
        risks=["Where a person stopped it for maintenance, leave it"],
        escalate=not actions,
    )


def _fails_to_start(violation: Violation, seen: Observation) -> Claim:
    """Return the claim that a start fails; between two tries it is starting again."""
    name = member_of(violation)
    state = str(seen.data("nodes")["members"].get(name, {}).get("state"))
    if violation.metrics.get("state") == _FAILED and state in STARTING:
        return _state(name, "It failed to start and Patroni tries again", state, 3.0)
    return _state(name, "Patroni tries to start it and fails", _FAILED, 3.0)


def _replica_data_damaged(violation: Violation, seen: Observation) -> Assessment:
    name = member_of(violation)
    why = f"The PostgreSQL of {name} does not start with the data that it has"
    actions = remedies.copy_anew(seen, name, why)
    return Assessment(
        cause=f"The PostgreSQL of the replica {name} cannot start: its data are unusable",
        supports=[
            _fails_to_start(violation, seen),
            differs(f"{name} is a replica", "cluster/leader", name),
        ],
        contradicts=[equals(f"{name} leads", "cluster/leader", name)],
        components=[name],
        actions=actions,
        risks=[f"The log of {name} says whether a setting keeps it down instead; then mend that"],
        escalate=not actions,
    )


def _leader_cannot_start(violation: Violation, seen: Observation) -> Assessment:
    del seen
    name = member_of(violation)
    return for_a_person(
        name,
        f"The PostgreSQL of the leader {name} cannot start",
        [
            _state(name, "Patroni tries to start it and fails", _FAILED, 2.0),
            equals(f"{name} holds the leader key", "cluster/leader", name, 2.0),
        ],
        [differs(f"{name} does not lead", "cluster/leader", name)],
        "Its data are those of the cluster: nothing may be thrown away",
    )


def _crashed(violation: Violation, seen: Observation) -> Assessment | None:
    name = member_of(violation)
    if violation.metrics.get("state") == _FAILED:
        return None
    actions = remedies.start(seen, name)
    return Assessment(
        cause=f"The PostgreSQL of {name} has ended and Patroni has not brought it back",
        supports=[
            differs(f"{name} does not run", node_path(name, "state"), "running"),
            _not_paused(),
        ],
        contradicts=[
            _paused(),
            _state(name, "Patroni tries and fails", _FAILED),
            _state(name, "Nobody says that it ended", "unknown"),
        ],
        components=[name],
        actions=actions,
        risks=[f"Why it ended stands in the log of {name}"],
        escalate=not actions,
    )


def _postgres_silent(violation: Violation, seen: Observation) -> Assessment:
    del seen
    name = member_of(violation)
    return for_a_person(
        name,
        f"The PostgreSQL of {name} is there and does not answer its own Patroni (no connection "
        "is left, its disk hangs, or it has ended this moment)",
        [_state(name, "Patroni asks it and gets no answer", "unknown", 3.0)],
        [differs("Patroni knows its state", node_path(name, "state"), "unknown")],
        f"See the log of {name}, and what holds its connections, before it is restarted",
    )


_LESS_SPARE = frozenset({"no_failover_candidate", "sync_standby_missing"})
"""What a member that cannot take over brings, where it is the one that is missed."""
_GONE = _LESS_SPARE | {"postgres_down", "replica_not_streaming", "no_primary"}

MEMBERS = (
    Hypothesis("patroni_stopped", _DOWN, _patroni_stopped, prior=0.7, brings=_GONE),
    Hypothesis("member_stopped", _DOWN, _member_stopped, prior=0.8, brings=_GONE),
    Hypothesis("patroni_hangs", _DOWN, _patroni_hangs, prior=0.7, brings=_GONE),
    Hypothesis("not_listening", _DOWN, _not_listening, prior=0.5, brings=_GONE),
    Hypothesis("network_cut", _DOWN, _network_cut, prior=0.6, brings=_GONE),
    *odd_failures(_DOWN, _odd_failure, _GONE),
    Hypothesis("stopped_in_pause", _STOPPED, _stopped_in_pause, prior=0.8, brings=_GONE),
    Hypothesis("replica_data_damaged", _STOPPED, _replica_data_damaged, 0.8, brings=_LESS_SPARE),
    Hypothesis("leader_cannot_start", _STOPPED, _leader_cannot_start, 0.8, brings=_GONE),
    Hypothesis("crashed", _STOPPED, _crashed, prior=0.6, brings=_GONE),
    Hypothesis("postgres_silent", _STOPPED, _postgres_silent, prior=0.7, brings=_GONE),
    Hypothesis(
        "left_on_old_timeline",
        _NOT_FED,
        replicas.left_on_old_timeline,
        0.8,
        brings=_LESS_SPARE,
    ),
    Hypothesis(
        "ahead_of_leader", _NOT_FED, replicas.ahead_of_leader, prior=0.8, brings=_LESS_SPARE
    ),
    Hypothesis("feed_broken", _NOT_FED, replicas.feed_broken, prior=0.5, brings=_LESS_SPARE),
    Hypothesis("replay_paused", _BEHIND, replicas.replay_paused, prior=0.8, brings=_LESS_SPARE),
    Hypothesis("slow_replay", _BEHIND, replicas.slow_replay, prior=0.6, brings=_LESS_SPARE),
    Hypothesis("slow_feed", _BEHIND, replicas.slow_feed, prior=0.5, brings=_LESS_SPARE),
)
