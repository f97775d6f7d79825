"""Causes of a database that is full, nearly full, or mostly free pages."""

from operator_core.agent.diagnosis import Assessment, Claim
from operator_core.monitor.types import Observation, Violation
from operator_core.subject import Hypothesis
from operator_etcd import remedies
from operator_etcd.claims import at_least, below, number, percent
from operator_etcd.facts import NEAR_QUOTA_SHARE

_FULL = frozenset({"alarm_nospace", "database_near_quota"})
_QUOTA = "cluster/max_quota_share"
_IN_USE = "cluster/min_in_use_share"
_LIVE_QUOTA_KEY = "max_live_quota_share"
_LIVE_QUOTA = f"cluster/{_LIVE_QUOTA_KEY}"
_LIVE_SHARE = 0.6
"""Live data that take so much of the quota fill it; less leaves room that can be had back."""
_SUPERSEDED = "keyspace/superseded_share"
_HARDLY_ANY = 0.2
"""A history that is superseded by no more than this is not worth a compaction."""

_BLOCKED = "A member is missing: no other may pause until it is back, so a person must decide"


def _near_quota(seen: Observation) -> Claim:
    share = percent(seen, "cluster", "max_quota_share")
    return at_least(f"The fullest database is at {share} of its quota", _QUOTA, NEAR_QUOTA_SHARE)


def _history_not_compacted(violation: Violation, seen: Observation) -> Assessment:
    del violation
    old = number(seen, "keyspace", "superseded_revisions")
    kept = number(seen, "keyspace", "kept_revisions")
    used = percent(seen, "cluster", "min_in_use_share")
    workflows = remedies.reclaim_space(seen)
    return Assessment(
        cause="The history of overwritten keys was not compacted and fills the databases",
        supports=[
            at_least(f"{old} of {kept} kept revisions are superseded", _SUPERSEDED, 0.5, 3.0),
            at_least(f"At least {used} of each database is in use", _IN_USE, 0.5),
            _near_quota(seen),
        ],
        contradicts=[below("Hardly any kept revision is superseded", _SUPERSEDED, _HARDLY_ANY)],
        components=_members(seen),
        workflows=workflows,
        risks=["Without automatic compaction by the server or its clients it fills up again"]
        + ([] if workflows else [_BLOCKED]),
        escalate=not workflows,
    )


def _space_not_returned(violation: Violation, seen: Observation) -> Assessment:
    used = percent(seen, "cluster", "min_in_use_share")
    workflows = remedies.return_free_pages(seen)
    supports = [below(f"Only {used} of a database is in use", _IN_USE, 0.5, 3.0)]
    if violation.invariant in _FULL:
        supports.append(_near_quota(seen))
    return Assessment(
        cause="The databases are mostly free pages, which only a defragmentation gives back",
        supports=supports,
        contradicts=[at_least("Nearly all of each database is in use", _IN_USE, 0.8)],
        components=_members(seen),
        workflows=workflows,
        risks=[] if workflows else [_BLOCKED],
        escalate=not workflows,
    )


def _free_pages_and_history(violation: Violation, seen: Observation) -> Assessment:
    del violation
    used, live = (percent(seen, "cluster", one) for one in ("min_in_use_share", _LIVE_QUOTA_KEY))
    old = seen.data("keyspace").get("superseded_share", 0.0) >= _HARDLY_ANY
    workflows = (remedies.reclaim_space if old else remedies.return_free_pages)(seen)
    return Assessment(
        cause=f"Free pages {'and superseded history ' if old else ''}take the room of data",
        supports=[
            below(f"Live data take about {live} of the quota", _LIVE_QUOTA, _LIVE_SHARE, 3.0),
            _near_quota(seen),
        ],
        contradicts=[
            at_least("Most kept revisions are superseded", _SUPERSEDED, 0.5),
            below(f"Only {used} of a database is in use", _IN_USE, 0.5),
            below("There is room in each database", _QUOTA, NEAR_QUOTA_SHARE),
        ],
        components=_members(seen),
        workflows=workflows,
        risks=[] if workflows else [_BLOCKED],
        escalate=not workflows,
    )


def _alarm_left_over(violation: Violation, seen: Observation) -> Assessment:
    del violation
    share = percent(seen, "cluster", "max_quota_share")
    return Assessment(
        cause="There is room again, but nobody disarmed the alarm",
        supports=[
            below(f"The fullest database is at {share} of its quota", _QUOTA, NEAR_QUOTA_SHARE, 3.0)
        ],
        contradicts=[at_least("A database is still full", _QUOTA, 0.9)],
        components=_members(seen),
        workflows=remedies.allow_writes(seen),
    )


def _too_much_live_data(violation: Violation, seen: Observation) -> Assessment:
    del violation
    share = percent(seen, "cluster", _LIVE_QUOTA_KEY)
    keys = number(seen, "keyspace", "keys")
    return Assessment(
        cause="The present data need more space than the quota allows",
        supports=[
            below(f"Most of the history is the last value of one of {keys} keys", _SUPERSEDED, 0.5),
            at_least(f"Live data take about {share} of the quota", _LIVE_QUOTA, _LIVE_SHARE),
        ],
        contradicts=[
            at_least("Most kept revisions are superseded", _SUPERSEDED, 0.5),
            below("Most of a database is free pages", _IN_USE, 0.5),
        ],
        components=_members(seen),
        risks=["Raising the quota or deleting keys is for a person who knows the data"],
        escalate=True,
    )


def _members(seen: Observation) -> list[str]:
    return sorted(remedies.label(seen, one) for one in seen.data("status"))


SPACE = (
    Hypothesis(
        "history_not_compacted",
        _FULL,
        _history_not_compacted,
        prior=0.9,
        brings=frozenset({"fragmentation"}),
    ),
    Hypothesis("space_not_returned", _FULL | {"fragmentation"}, _space_not_returned, prior=0.8),
    Hypothesis("free_pages_and_history", _FULL, _free_pages_and_history, prior=0.7),
    Hypothesis("alarm_left_over", frozenset({"alarm_nospace"}), _alarm_left_over, prior=0.7),
    Hypothesis("too_much_live_data", _FULL, _too_much_live_data, prior=0.6),
)
