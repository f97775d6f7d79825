"""Literal etcd clusters for the pure tests: three members, healthy unless told otherwise."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from operator_core.call_failures import CallFailure, FailureKind, NoAnswerError, NotSentError
from operator_core.monitor.types import Observation, Violation
from operator_core.process_supervisor import ProcessStatus
from operator_etcd.invariants import INVARIANTS
from operator_etcd.parts import Readings, assemble
from operator_etcd.shapes import Alarm, Member, MemberStatus
from operator_etcd.survey import Survey

MIB = 1024 * 1024
QUOTA = 16 * MIB
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
IDS = ("11", "22", "33")
NOSPACE = Alarm(member_id="11", alarm="NOSPACE")
CORRUPT = Alarm(member_id="22", alarm="CORRUPT")


def url(member_id: str) -> str:
    return f"http://etcd-{member_id}:2379"


def member(member_id: str, *, name: str | None = None, learner: bool = False) -> Member:
    return Member(
        id=member_id,
        name=f"n{member_id[0]}" if name is None else name,
        peer_urls=[f"http://etcd-{member_id}:2380"],
        client_urls=[url(member_id)],
        is_learner=learner,
    )


def status(
    member_id: str,
    *,
    leader: str = "11",
    size: int = MIB,
    in_use: int | None = None,
    version: str = "3.5.1",
    revision: int = 100,
    raft_index: int = 10_000,
) -> MemberStatus:
    return MemberStatus.model_validate(
        {
            "header": {"cluster_id": "7", "member_id": member_id, "revision": str(revision)},
            "version": version,
            "dbSize": str(size),
            "dbSizeInUse": str(size if in_use is None else in_use),
            "leader": leader,
            "raftTerm": "2",
            "raftIndex": str(raft_index),
        }
    )


def failure(member_id: str, kind: FailureKind = FailureKind.REFUSED) -> CallFailure:
    sent = kind is FailureKind.TIMEOUT
    return (NoAnswerError if sent else NotSentError)(url(member_id), kind, f"it is {kind}")


def survey_of(
    *statuses: MemberStatus,
    failures: Mapping[str, CallFailure] | None = None,
    learners: tuple[str, ...] = (),
) -> Survey:
    answered = {one.header.member_id: one for one in statuses}
    silent = dict(failures or {})
    ids = sorted([*answered, *silent])
    return Survey(
        members={one: member(one, learner=one in learners) for one in ids},
        endpoints={one: url(one) for one in answered},
        statuses=answered,
        failures=silent,
    )


def healthy_survey() -> Survey:
    return survey_of(*(status(one) for one in IDS))


def metrics(*, quota: float = QUOTA, compacted: float = -1) -> dict[str, float]:
    return {"quota_backend_bytes": quota, "compact_revision": compacted, "defrag_inflight": 0}


def readings(seen: Survey, *alarms: Alarm, keys: int | None = 90, quota: float = QUOTA) -> Readings:
    each = {one: metrics(quota=quota) for one in seen.statuses}
    return Readings(survey=seen, alarms=alarms, metrics=each, keys=keys)


def supervised(read: Readings, states: Mapping[str, str]) -> Readings:
    return replace(read, processes={key: ProcessStatus(state=one) for key, one in states.items()})


def observed(read: Readings) -> Observation:
    return assemble(read, "test", NOW, "etcd")


def look(seen: Survey, *alarms: Alarm, keys: int | None = 90) -> Observation:
    return observed(readings(seen, *alarms, keys=keys))


def violations(observation: Observation) -> list[Violation]:
    rules = [one for one in INVARIANTS if observation.sees(one.needs)]
    return [found for one in rules for found in one.check(observation)]


def broken(observation: Observation) -> list[str]:
    return [one.key for one in violations(observation)]
