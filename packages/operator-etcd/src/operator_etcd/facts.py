"""Facts that follow from what was read; pure, so that a claim on them can be checked again."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from operator_core.types import JsonObject
from operator_etcd.shapes import Alarm, MemberStatus
from operator_etcd.survey import Survey

Metrics = Mapping[str, Mapping[str, float]]

NEAR_QUOTA_SHARE = 0.8


def status_facts(seen: Survey, member_id: str) -> JsonObject:
    """Return one answering member's status as the observation keeps it."""
    status = seen.statuses[member_id]
    return {
        "reachable": True,
        "endpoint": seen.endpoints[member_id],
        "version": status.version,
        "db_size_bytes": status.db_size_bytes,
        "db_in_use_bytes": status.db_in_use_bytes,
        "in_use_share": _share(status.db_in_use_bytes, status.db_size_bytes),
        "leader_id": status.leader_id,
        "is_leader": status.leader_id == member_id,
        "raft_term": status.raft_term,
        "raft_index": status.raft_index,
        "errors": status.errors,
        "latency_seconds": status.latency_seconds,
    }


def certificate_days(seen: Survey, moment: datetime) -> dict[str, int]:
    """Return for how many days a member's certificate is still good, where it has shown one.

    Args:
        seen: the members that answer.
        moment: when they were asked.
    """
    ends = {key: status.certificate_end for key, status in seen.statuses.items()}
    return {key: (end - moment).days for key, end in ends.items() if end is not None}


def newest(seen: Survey) -> str:
    """Return the id of the answering member that has seen the most."""
    return max(seen.statuses, key=lambda key: seen.statuses[key].header.revision)


def agrees(seen: Survey) -> bool:
    """Return whether a majority of the voters was heard, with one leader in the newest term."""
    terms = [one.raft_term for one in seen.statuses.values() if one.leader_id]
    newest_term = max(terms, default=0)
    named = {
        one.leader_id
        for one in seen.statuses.values()
        if one.leader_id and one.raft_term == newest_term
    }
    return len(seen.healthy_voters) >= seen.quorum_size and len(named) <= 1


def keyspace_facts(
    seen: Survey, metrics: Metrics, keys: int | None, keys_at_compaction: int | None = None
) -> JsonObject:
    """Return how many revisions are kept and how many of them nobody needs.

    A revision is superseded when its key was written again. A compaction leaves the last revision
    of each key, and each write since then adds one. Where it is not known how many it left, the
    superseded ones are at least the history since then less the keys.
    """
    member_id, compacted = newest(seen), compact_revision(seen, metrics)
    current = int(metrics.get(member_id, {}).get("current_revision", 0))
    revision = max(seen.statuses[member_id].header.revision, current)
    history = max(revision - max(compacted, 1), 0)
    facts: JsonObject = {
        "revision": revision,
        "compact_revision": compacted,
        "history_revisions": history,
    }
    if keys is not None:
        kept = max(history + (keys_at_compaction or 0), keys)
        facts |= {
            "keys": keys,
            "kept_revisions": kept,
            "superseded_revisions": kept - keys,
            "superseded_share": _share(kept - keys, kept),
        }
    return facts


def compact_revision(seen: Survey, metrics: Metrics) -> int:
    """Return the revision before which the member that has seen the most keeps no history."""
    return max(int(metrics.get(newest(seen), {}).get("compact_revision", 0)), 0)


def is_filling(seen: Survey, metrics: Metrics) -> bool:
    """Return whether a database nears its quota."""
    return bool(
        _space(seen.statuses, metrics, None).get("max_quota_share", 0.0) >= NEAR_QUOTA_SHARE
    )


def cluster_facts(
    seen: Survey, alarms: Sequence[Alarm], metrics: Metrics, keyspace: JsonObject
) -> JsonObject:
    """Return what holds for the cluster as a whole."""
    healthy = seen.healthy_voters
    return {
        "leader_id": seen.leader_id,
        "has_leader": seen.leader_id is not None,
        "member_count": len(seen.members),
        "voter_count": len(seen.voters),
        "reachable_count": len(seen.statuses),
        "unreachable": sorted(seen.failures),
        "quorum_size": seen.quorum_size,
        "healthy_voters": len(healthy),
        "spare": len(healthy) - seen.quorum_size,
        "revision": keyspace.get("revision", 0),
        "versions": sorted({one.version for one in seen.statuses.values()}),
        "minor_versions": sorted({_minor(one.version) for one in seen.statuses.values()}),
        "nospace_members": sorted(one.member_id for one in alarms if one.alarm == "NOSPACE"),
        "corrupt_members": sorted(one.member_id for one in alarms if one.alarm == "CORRUPT"),
    } | _space(seen.statuses, metrics, keyspace.get("superseded_share"))


def _space(
    statuses: Mapping[str, MemberStatus], metrics: Metrics, superseded_share: float | None
) -> JsonObject:
    """Return the shares of the space: of the fullest member, and of the most fragmented.

    What would be in use without superseded history takes all revisions for equally large.
    """
    full, used = [], []
    for key, status in statuses.items():
        quota = metrics.get(key, {}).get("quota_backend_bytes", 0.0)
        if quota > 0:
            full.append(_share(status.db_size_bytes, quota))
            used.append(_share(status.db_in_use_bytes, quota))
    sizes = [(one.db_in_use_bytes, one.db_size_bytes) for one in statuses.values()]
    facts: JsonObject = {
        "max_db_size_bytes": max((size for _, size in sizes), default=0),
        "min_in_use_share": min((_share(part, size) for part, size in sizes), default=1.0),
    }
    if full:
        facts |= {"max_quota_share": max(full), "max_in_use_quota_share": max(used)}
    if full and superseded_share is not None:
        facts["max_live_quota_share"] = round(max(used) * (1 - superseded_share), 4)
    return facts


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def _share(part: float, whole: float) -> float:
    return round(part / whole, 4) if whole > 0 else 0.0
