"""The parts of an observation, put together from what was read; pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from operator_core.monitor.types import Observation, Part
from operator_core.process_supervisor import ProcessStatus
from operator_core.types import JsonObject
from operator_etcd import facts
from operator_etcd.shapes import Alarm, Health, as_json
from operator_etcd.survey import Survey


@dataclass(frozen=True)
class Readings:
    """What one look read; each ``*_error`` says why something of it is missing.

    Attributes:
        survey: members, and who of them answers.
        alarms: the alarms that are raised.
        health: by member id, for the members that answer.
        metrics: by member id, for the members that answer.
        processes: by member id; None where nothing supervises.
        keys: how many keys there are; None where nobody could say it.
        keys_at_compaction: how many there were at the last compaction; None where it is not known.
    """

    survey: Survey
    alarms: tuple[Alarm, ...] = ()
    health: Mapping[str, Health] = field(default_factory=dict)
    health_error: str | None = None
    metrics: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    metrics_error: str | None = None
    processes: Mapping[str, ProcessStatus] | None = None
    processes_error: str | None = None
    keys: int | None = None
    keys_error: str | None = None
    keys_at_compaction: int | None = None


def assemble(read: Readings, source: str, moment: datetime, subject: str) -> Observation:
    """Return the observation of one look.

    Args:
        read: what was read.
        source: the endpoints it was read from.
        moment: when.
        subject: the name of the cluster.
    """
    seen = read.survey
    keyspace = facts.keyspace_facts(seen, read.metrics, read.keys, read.keys_at_compaction)
    cluster = facts.cluster_facts(seen, read.alarms, read.metrics, keyspace)
    days = facts.certificate_days(seen, moment)
    if days:
        cluster["certificate_days"] = min(days.values())
    doubtful = frozenset[str]() if facts.agrees(seen) else _OF_A_MAJORITY
    why = None if len(seen.healthy_voters) >= seen.quorum_size else QUORUM_AT_RISK
    said: dict[str, tuple[JsonObject, str | None]] = {
        "members": (_members(seen), seen.members_error),
        "status": (_status(seen, days), None),
        "alarms": ({"alarms": [as_json(one) for one in read.alarms]}, None),
        "health": ({key: as_json(one) for key, one in read.health.items()}, read.health_error),
        "metrics": ({key: dict(one) for key, one in read.metrics.items()}, read.metrics_error),
        "processes": (_processes(read), read.processes_error),
        "keyspace": (keyspace, read.keys_error),
        "cluster": (cluster, seen.members_error),
    }
    parts = {
        name: Part(
            source=source,
            observed_at=moment,
            complete=error is None,
            error=error,
            agrees=name not in doubtful,
            told_by=why if name in doubtful and error is None else None,
            data=data,
        )
        for name, (data, error) in said.items()
    }
    return Observation(subject=subject, observed_at=moment, parts=parts)


QUORUM_AT_RISK = "quorum_at_risk"
"""The rule that tells that fewer voters answer than a quorum."""

_OF_A_MAJORITY = frozenset({"members", "cluster", "keyspace"})
"""What only holds where a majority says it."""


def _members(seen: Survey) -> JsonObject:
    return {
        "members": {key: as_json(one) for key, one in seen.members.items()},
        "member_count": len(seen.members),
        "voter_count": len(seen.voters),
    }


def _status(seen: Survey, certificate_days: Mapping[str, int]) -> JsonObject:
    """A member that gives no answer is a fact, not a hole in the observation."""
    answered = {key: facts.status_facts(seen, key) for key in seen.statuses}
    for key, days in certificate_days.items():
        answered[key]["certificate_days"] = days
    silent = {
        key: {"reachable": False, "failure": str(why.kind), "reason": str(why)}
        for key, why in seen.failures.items()
    }
    return answered | silent


def _processes(read: Readings) -> JsonObject:
    states = {key: as_json(one) for key, one in (read.processes or {}).items()}
    return {"available": read.processes is not None, "members": states}
