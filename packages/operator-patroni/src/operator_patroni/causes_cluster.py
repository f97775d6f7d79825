"""Causes of what is wrong with the cluster as a whole: no primary, two, no standby, no DCS."""

from operator_core.agent.diagnosis import Assessment, Claim, Predicate
from operator_core.monitor.types import Observation, Violation
from operator_core.subject import Hypothesis
from operator_patroni import remedies
from operator_patroni.claims import (
    below,
    claim,
    differs,
    equals,
    is_not_so,
    is_so,
    member_path,
    node_path,
)

_NO_PRIMARY = frozenset({"no_primary"})
_NO_CANDIDATE = frozenset({"no_failover_candidate"})
_NO_STANDBY = frozenset({"sync_standby_missing"})
_DCS = frozenset({"dcs_unreachable"})


def _person(
    cause: str, supports: list[Claim], against: list[Claim] | None = None, *risks: str
) -> Assessment:
    """Return an assessment of what a person must decide."""
    return Assessment(
        cause=cause,
        supports=supports,
        contradicts=against or [],
        risks=list(risks),
        escalate=True,
    )


def _nobody_leads() -> Claim:
    return claim("Nobody holds the leader key", "cluster/leader", Predicate.EQ, None)


def _has_candidates(weight: float = 1.0) -> Claim:
    return differs("Somebody could take over", "cluster/candidates", [], weight)


def _no_candidates(weight: float = 1.0) -> Claim:
    return equals("Nobody could take over", "cluster/candidates", [], weight)


# --- no primary -----------------------------------------------------------------------


def _paused_without_leader(violation: Violation, seen: Observation) -> Assessment:
    del violation
    why = "The cluster has lost its leader in a pause, in which nobody takes over by itself"
    actions = remedies.resume(seen, why)
    return Assessment(
        cause=why,
        supports=[
            is_so("The cluster is paused", "members/paused", weight=3.0),
            _has_candidates(),
        ],
        contradicts=[is_not_so("The cluster is not paused", "members/paused")],
        actions=actions,
        risks=["If the old leader only stands still for maintenance, starting it loses nothing"],
        escalate=not actions,
    )


def _election_stuck(violation: Violation, seen: Observation) -> Assessment:
    del violation
    actions = remedies.take_over(seen)
    return Assessment(
        cause="The leader is gone, somebody could take over, and nobody has done it",
        supports=[
            _nobody_leads(),
            _has_candidates(2.0),
            is_not_so("The cluster is not paused", "members/paused"),
        ],
        contradicts=[
            _no_candidates(),
            is_so("The cluster is paused", "members/paused"),
            claim("Somebody holds the leader key", "cluster/leader", Predicate.NE, None),
        ],
        actions=actions,
        escalate=not actions,
    )


def _nobody_fit(violation: Violation, seen: Observation) -> Assessment:
    del violation
    reasons = "; ".join(f"{name}: {why}" for name, why in seen.data("cluster")["unfit"].items())
    return _person(
        f"Nobody leads and nobody is fit to ({reasons or 'there is no other member'})",
        [_nobody_leads(), _no_candidates(3.0)],
        [_has_candidates()],
        "Bring the old leader back if that is possible: any other loses what only it had",
    )


def _leader_does_not_serve(violation: Violation, seen: Observation) -> Assessment:
    del violation
    leader = seen.data("cluster")["leader"]
    return _person(
        f"{leader} holds the leader key and its PostgreSQL does not take writes",
        [
            claim(f"{leader} holds the leader key", "cluster/leader", Predicate.NE, None, 2.0),
            is_not_so("No member takes writes", "cluster/has_primary", weight=2.0),
        ],
        [_nobody_leads()],
        "While Patroni tries to start it, others wait for primary_start_timeout",
    )


# --- two primaries, nobody to take over -----------------------------------------------


def _split(violation: Violation, seen: Observation) -> Assessment:
    del seen
    first, second = violation.metrics["primaries"][:2]
    return _person(
        f"{first} and {second} both take writes: one of them does not know that it lost the lead",
        [
            claim(f"{first} takes writes", "nodes/primaries", Predicate.CONTAINS, first, 2.0),
            claim(f"{second} takes writes", "nodes/primaries", Predicate.CONTAINS, second, 2.0),
        ],
        [],
        "Keep clients away from the one that has no leader key, then save what only it has",
        "Nothing is done by itself: every call could end the one whose data are right",
    )


def _candidates_kept_away(violation: Violation, seen: Observation) -> Assessment | None:
    del violation
    kept = [one.name for one in remedies.model(seen).replicas if one.nofailover]
    if not kept:
        return None
    return _person(
        f"The settings of {', '.join(kept)} forbid it to lead (nofailover)",
        [
            _no_candidates(),
            differs("A tag forbids it", member_path(kept[0], "tags"), {}, 3.0),
        ],
        [_has_candidates()],
        "The tag stands in the member's own file: take it out there and reload",
    )


def _candidates_behind(violation: Violation, seen: Observation) -> Assessment | None:
    del violation
    model = remedies.model(seen)
    most = model.config.maximum_lag_on_failover
    late = [one for one in model.replicas if (one.lag_bytes or 0) > most]
    if not late:
        return None
    path = member_path(late[0].name, "lag_bytes")
    return _person(
        f"{', '.join(one.name for one in late)} is further behind than a failover allows",
        [
            _no_candidates(),
            claim(f"More than {most} bytes behind", path, Predicate.GT, most, 3.0),
        ],
        [_has_candidates()],
        "See why it is behind; a larger maximum_lag_on_failover only loses more",
    )


def _replicas_gone(violation: Violation, seen: Observation) -> Assessment:
    del violation
    unfit = seen.data("cluster")["unfit"]
    return _person(
        "The replicas that could take over are not there"
        + (f": {', '.join(sorted(unfit))}" if unfit else ""),
        [
            _no_candidates(2.0),
            below("Only the leader runs, or hardly more", "cluster/spare", 1, 1.0),
        ],
        [_has_candidates()],
        "Bring a replica back before anything is done to the leader",
    )


# --- around it ------------------------------------------------------------------------


def _standbys_gone(violation: Violation, seen: Observation) -> Assessment:
    del violation, seen
    return _person(
        "No replica is fed, so none can be the synchronous standby",
        [
            equals("Nobody streams", "cluster/streaming", [], 3.0),
            equals("There is no synchronous standby", "cluster/sync_standbys", []),
        ],
        [differs("Somebody streams", "cluster/streaming", [])],
        "Turning synchronous mode off lets writes go on with one copy: a person decides that",
    )


def _standbys_unwilling(violation: Violation, seen: Observation) -> Assessment:
    del violation, seen
    return _person(
        "Replicas are fed and none of them may be the synchronous standby (the tag nosync)",
        [
            differs("Somebody streams", "cluster/streaming", [], 2.0),
            equals("There is no synchronous standby", "cluster/sync_standbys", []),
        ],
        [equals("Nobody streams", "cluster/streaming", [])],
    )


def _pause_forgotten(violation: Violation, seen: Observation) -> Assessment:
    del violation
    why = "The cluster is paused for long and a member takes writes: the pause may be forgotten"
    actions = remedies.resume(seen, why)
    return Assessment(
        cause=why,
        supports=[
            is_so("The cluster is paused", "members/paused", weight=2.0),
            is_so("A member takes writes", "cluster/has_primary"),
        ],
        contradicts=[is_not_so("The cluster is not paused", "members/paused")],
        actions=actions,
        risks=["Ask whoever paused it: nothing on the cluster says who that was"],
        escalate=not actions,
    )


def _setting_changed(violation: Violation, seen: Observation) -> Assessment:
    workflows = remedies.apply_settings(seen)
    names = [str(one) for one in violation.metrics["members"]]
    return Assessment(
        cause="A setting that needs a restart was changed and nobody restarted",
        supports=[differs("Members wait for a restart", "cluster/pending_restart", [], 2.0)],
        components=names,
        workflows=workflows,
        escalate=not workflows,
    )


def _dcs_lost(violation: Violation, seen: Observation) -> Assessment:
    del violation, seen
    return _person(
        "The DCS (etcd, Consul, ZooKeeper) is down or cut off from every member",
        [is_not_so("No member can ask the DCS", "dcs/reachable", weight=3.0)],
        [is_so("A member can ask the DCS", "dcs/reachable")],
        "Nothing is done to PostgreSQL: it comes back by itself once the DCS does",
    )


def _members_cut_from_dcs(violation: Violation, seen: Observation) -> Assessment:
    del violation
    cut = seen.data("dcs")["unseen_by"]
    return Assessment(
        cause=f"{', '.join(cut)} cannot reach the DCS and others can",
        supports=[
            is_so("A member can ask the DCS", "dcs/reachable", weight=2.0),
            differs("Some members cannot", "dcs/unseen_by", []),
        ],
        contradicts=[is_not_so("No member can ask the DCS", "dcs/reachable")],
        components=list(cut),
        risks=["If the leader is among them it gives up within the ttl, and another takes over"],
        escalate=True,
    )


def _tag_kept(violation: Violation, seen: Observation) -> Assessment:
    del seen
    name = str(violation.metrics["member"])
    return _person(
        f"A tag of {name} keeps it from duty: on purpose, or left after maintenance",
        [differs("It has tags", member_path(name, "tags"), {})],
        [],
        "Tags stand in the member's own file; snooze this rule where it is meant so",
    )


def _watchdog_broken(violation: Violation, seen: Observation) -> Assessment:
    del seen
    name = str(violation.metrics["member"])
    path = node_path(name, "watchdog_failed")
    return _person(
        f"The watchdog device of {name} is missing or may not be opened",
        [is_so("It says that its watchdog fails", path, weight=2.0)],
    )


_LEFT_BEHIND = frozenset({"timeline_diverged", "replica_not_streaming"})
_BROUGHT = frozenset({"no_primary", "no_failover_candidate", "sync_standby_missing"})

CLUSTER = (
    Hypothesis(
        "paused_without_leader",
        _NO_PRIMARY,
        _paused_without_leader,
        prior=0.8,
        brings=frozenset({"postgres_down"}),  # nobody starts it, nor rewinds what led before
        is_cluster_wide=True,
    ),
    Hypothesis("election_stuck", _NO_PRIMARY, _election_stuck, prior=0.6),
    Hypothesis("nobody_fit", _NO_PRIMARY, _nobody_fit, prior=0.7),
    Hypothesis("leader_does_not_serve", _NO_PRIMARY, _leader_does_not_serve, prior=0.6),
    Hypothesis(
        "split",
        frozenset({"two_primaries"}),
        _split,
        0.9,
        brings=frozenset({"timeline_diverged", "replica_not_streaming"}),
    ),
    Hypothesis("candidates_kept_away", _NO_CANDIDATE, _candidates_kept_away, prior=0.8),
    Hypothesis("candidates_behind", _NO_CANDIDATE, _candidates_behind, prior=0.8),
    Hypothesis("replicas_gone", _NO_CANDIDATE, _replicas_gone, prior=0.6),
    Hypothesis("standbys_gone", _NO_STANDBY, _standbys_gone, prior=0.8),
    Hypothesis("standbys_unwilling", _NO_STANDBY, _standbys_unwilling, prior=0.6),
    Hypothesis("pause_forgotten", frozenset({"paused_long"}), _pause_forgotten, prior=0.8),
    Hypothesis("setting_changed", frozenset({"pending_restart"}), _setting_changed, prior=0.9),
    Hypothesis("dcs_lost", _DCS, _dcs_lost, prior=0.9, brings=_BROUGHT, is_cluster_wide=True),
    Hypothesis("members_cut_from_dcs", _DCS, _members_cut_from_dcs, prior=0.8, brings=_BROUGHT),
    Hypothesis("tag_kept", frozenset({"tag_left"}), _tag_kept, prior=0.8),
    Hypothesis("watchdog_broken", frozenset({"watchdog_failed"}), _watchdog_broken, prior=0.9),
)
