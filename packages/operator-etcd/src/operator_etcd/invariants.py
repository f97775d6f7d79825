"""What holds on a healthy etcd cluster: pure functions of one observation."""

from collections.abc import Iterator, Mapping

from operator_core.monitor.types import Check, Invariant, Observation, Violation
from operator_core.types import JsonObject, Severity
from operator_etcd.facts import NEAR_QUOTA_SHARE

FRAGMENTED_SHARE = 0.5
FRAGMENTED_MIN_BYTES = 32 * 1024 * 1024
"""Below this size a rewrite of the database gives back nothing worth a pause of its member."""

_LEAST_DAYS = {"least_days": 14.0}
"""Time for a person to renew them by day."""

_MIB = 1024 * 1024


def target_of(member_id: str) -> str:
    """Return the target of a violation at one member."""
    return f"member-{member_id}"


def _cluster(seen: Observation) -> JsonObject:
    return seen.data("cluster")


def _name(seen: Observation, member_id: str) -> str:
    member = seen.data("members").get("members", {}).get(member_id, {})
    return str(member.get("name") or member_id)


def no_leader(seen: Observation) -> Iterator[Violation]:
    """No member follows a leader: nothing can be written, and no consistent read is served."""
    facts = _cluster(seen)
    if not facts["has_leader"]:
        healthy, quorum = facts["healthy_voters"], facts["quorum_size"]
        yield Violation(
            invariant="no_leader",
            target="cluster",
            message=f"The cluster has no leader: {healthy} of {facts['voter_count']} voters "
            f"answer, a quorum needs {quorum}. Writes fail.",
            severity=Severity.CRITICAL,
            metrics={key: facts[key] for key in ("healthy_voters", "quorum_size", "voter_count")},
        )


def member_down(seen: Observation) -> Iterator[Violation]:
    """A member of the cluster does not answer."""
    for member_id, status in seen.data("status").items():
        if not status["reachable"]:
            name = _name(seen, member_id)
            yield Violation(
                invariant="member_down",
                target=target_of(member_id),
                message=f"Member {name} does not answer: {status['reason']}",
                severity=Severity.WARNING,
                metrics={"member_id": member_id, "name": name, "failure": status["failure"]},
            )


def quorum_at_risk(seen: Observation) -> Iterator[Violation]:
    """Voters are missing, and with one more loss (or already now) writes stop."""
    facts = _cluster(seen)
    missing = facts["voter_count"] - facts["healthy_voters"]
    if missing > 0 and facts["spare"] <= 0:
        ending = "one more loss and writes stop" if facts["spare"] == 0 else "the quorum is lost"
        yield Violation(
            invariant="quorum_at_risk",
            target="cluster",
            message=f"{facts['healthy_voters']} of {facts['voter_count']} voters are healthy and "
            f"a quorum needs {facts['quorum_size']}: {ending}.",
            severity=Severity.CRITICAL,
            metrics={
                "missing_voters": missing,
                "spare": facts["spare"],
                "unreachable": facts["unreachable"],
            },
        )


def alarm_nospace(seen: Observation) -> Iterator[Violation]:
    """A member raised NOSPACE: the whole cluster refuses writes. One problem, one ticket."""
    raised = _raised(seen, "NOSPACE")
    if raised:
        names = ", ".join(_name(seen, one) for one in raised)
        share = _cluster(seen).get("max_quota_share")
        yield Violation(
            invariant="alarm_nospace",
            target="cluster",
            message=f"Alarm NOSPACE, raised by {names}: the cluster refuses writes"
            + (f"; the fullest database is at {share:.0%} of its quota." if share else "."),
            severity=Severity.CRITICAL,
            metrics={
                "members": raised,
                "max_quota_share": share,
                "max_db_size_bytes": _cluster(seen).get("max_db_size_bytes"),
            },
        )


def alarm_corrupt(seen: Observation) -> Iterator[Violation]:
    """A member's data differ from the others'."""
    for member_id in _raised(seen, "CORRUPT"):
        yield Violation(
            invariant="alarm_corrupt",
            target=target_of(member_id),
            message=f"Alarm CORRUPT at member {_name(seen, member_id)}: its data differ from the "
            "other members'. Do not write until a person has decided which data are right.",
            severity=Severity.CRITICAL,
            metrics={"member_id": member_id, "name": _name(seen, member_id)},
        )


def database_near_quota(seen: Observation) -> Iterator[Violation]:
    """A database is near its quota; when it is full, the cluster refuses writes."""
    share = _cluster(seen).get("max_quota_share", 0.0)
    if share >= NEAR_QUOTA_SHARE and not _raised(seen, "NOSPACE"):
        yield Violation(
            invariant="database_near_quota",
            target="cluster",
            message=f"The fullest database is at {share:.0%} of its quota; at 100 % the cluster "
            "refuses writes.",
            severity=Severity.WARNING,
            metrics={
                "max_quota_share": share,
                "max_db_size_bytes": _cluster(seen)["max_db_size_bytes"],
            },
        )


def fragmentation(seen: Observation) -> Iterator[Violation]:
    """Most of the database's file is free pages that only a defragmentation gives back."""
    if _raised(seen, "NOSPACE"):
        return
    loose = {
        member_id: status["in_use_share"]
        for member_id, status in seen.data("status").items()
        if status["reachable"]
        and status["db_size_bytes"] >= FRAGMENTED_MIN_BYTES
        and status["in_use_share"] < FRAGMENTED_SHARE
    }
    if loose:
        names = ", ".join(f"{_name(seen, key)} ({share:.0%})" for key, share in loose.items())
        yield Violation(
            invariant="fragmentation",
            target="cluster",
            message=f"Less than half of the database is in use on {names}; the file takes up "
            f"to {_cluster(seen)['max_db_size_bytes'] // _MIB} MiB.",
            severity=Severity.INFO,
            metrics={"in_use_share": loose},
        )


def version_skew(seen: Observation) -> Iterator[Violation]:
    """Members run different minor versions: fine during an upgrade, and only then."""
    minors = _cluster(seen)["minor_versions"]
    if len(minors) > 1:
        yield Violation(
            invariant="version_skew",
            target="cluster",
            message=f"Members run different minor versions: {', '.join(minors)}. "
            "Finish the upgrade; the cluster works as the oldest of them.",
            severity=Severity.INFO,
            metrics={"versions": _cluster(seen)["versions"]},
        )


def certificate_ends(thresholds: Mapping[str, float]) -> Check:
    """Return the check that no member shows a certificate that ends soon.

    They are made together as a rule, so they end together: one problem, one ticket.
    """
    least = thresholds["least_days"]

    def check(seen: Observation) -> Iterator[Violation]:
        shown = {
            key: status["certificate_days"]
            for key, status in seen.data("status").items()
            if status.get("certificate_days", least) < least
        }
        if shown:
            told = ", ".join(f"{_name(seen, key)} ({days} days)" for key, days in shown.items())
            yield Violation(
                invariant="certificate_ends",
                target="cluster",
                message=f"Certificates of members end soon: {told}. After that no client that "
                "checks them, and no other member, connects.",
                severity=Severity.WARNING,
                metrics={"certificate_days": shown},
            )

    return check


def _raised(seen: Observation, alarm: str) -> list[str]:
    alarms = seen.data("alarms").get("alarms", [])
    return sorted({one["member_id"] for one in alarms if one["alarm"] == alarm})


INVARIANTS = (
    Invariant(
        name="no_leader",
        description="The cluster has a leader",
        check=no_leader,
        needs=("status", "cluster"),
        grace_seconds=5.0,
        clear_seconds=10.0,
    ),
    Invariant(
        name="member_down",
        description="Every member answers",
        check=member_down,
        needs=("members", "status"),
        grace_seconds=10.0,
        clear_seconds=10.0,
        # A member is asked itself. One that cannot run ends while it starts, within seconds.
        relapse_seconds=30.0,
    ),
    Invariant(
        name="quorum_at_risk",
        description="The cluster can lose a voter and still write",
        check=quorum_at_risk,
        needs=("members", "status", "cluster"),
        grace_seconds=10.0,
        clear_seconds=10.0,
    ),
    Invariant(
        name="alarm_nospace",
        description="No member is out of space, so writes are accepted",
        check=alarm_nospace,
        needs=("alarms",),
        # The alarm stays until it is disarmed, so it neither flaps nor clears by itself. Where
        # there still is no space the next write raises it again.
        clear_seconds=2.0,
        relapse_seconds=30.0,
    ),
    Invariant(
        name="alarm_corrupt",
        description="All members have the same data",
        check=alarm_corrupt,
        needs=("alarms",),
        clear_seconds=60.0,
    ),
    Invariant(
        name="database_near_quota",
        description="Every database has room below its quota",
        check=database_near_quota,
        needs=("status", "alarms", "metrics", "cluster"),
        grace_seconds=60.0,
        clear_seconds=30.0,
    ),
    Invariant(
        name="fragmentation",
        description="The databases use most of the space they take",
        check=fragmentation,
        needs=("status", "alarms", "cluster"),
        grace_seconds=300.0,
        clear_seconds=30.0,
    ),
    Invariant(
        name="version_skew",
        description="All members run the same minor version",
        check=version_skew,
        needs=("status", "cluster"),
        grace_seconds=600.0,
        clear_seconds=60.0,
    ),
    Invariant(
        name="certificate_ends",
        description="The members' certificates are good for a while",
        check=certificate_ends(_LEAST_DAYS),
        needs=("members", "status"),
        grace_seconds=60.0,
        clear_seconds=30.0,
        thresholds=_LEAST_DAYS,
        build=certificate_ends,
    ),
)
