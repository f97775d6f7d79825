"""Causes of members that are gone, of a missing leader, of differing data and versions."""

from operator_core.agent.diagnosis import ActionRecommendation, Assessment, Claim, Predicate
from operator_core.agent.odd_failures import OddFailure, odd_failures
from operator_core.monitor.types import Observation, Violation
from operator_core.subject import Hypothesis
from operator_etcd import remedies
from operator_etcd.claims import at_least, below, claim, equals, number

_DOWN = frozenset({"member_down"})
_THERE = ("running", "frozen")


def _id(violation: Violation) -> str:
    return str(violation.metrics["member_id"])


def _failure(violation: Violation, statement: str, kind: str, weight: float = 1.0) -> Claim:
    return equals(statement, f"status/{_id(violation)}/failure", kind, weight)


def _process(violation: Violation, statement: str, state: str, weight: float = 1.0) -> Claim:
    return equals(statement, f"processes/members/{_id(violation)}/state", state, weight)


def _silent(violation: Violation, seen: Observation) -> Claim:
    name = remedies.label(seen, _id(violation))
    return equals(f"{name} does not answer", f"status/{_id(violation)}/reachable", value=False)


def _supervised(violation: Violation, seen: Observation) -> bool:
    return remedies.process_state(seen, _id(violation)) is not None


def _restart(violation: Violation, seen: Observation) -> list[ActionRecommendation]:
    return [remedies.restart(seen, _id(violation))] if _supervised(violation, seen) else []


def _process_stopped(violation: Violation, seen: Observation) -> Assessment:
    supports = [
        _silent(violation, seen),
        _failure(violation, "Nobody listens at its address", "refused", 2.0),
    ]
    if _supervised(violation, seen):
        supports.append(_process(violation, "Its process does not run", "stopped", 3.0))
    actions = _restart(violation, seen)
    return Assessment(
        cause=f"The process of {remedies.label(seen, _id(violation))} has ended",
        supports=supports,
        contradicts=[
            _failure(violation, "Its address accepts connections", "timeout"),
            _process(violation, "Its process runs", "running"),
            _process(violation, "Its process is frozen, not ended", "frozen"),
        ],
        components=[remedies.label(seen, _id(violation))],
        actions=actions,
        escalate=not actions,
    )


def _member_frozen(violation: Violation, seen: Observation) -> Assessment:
    supports = [
        _silent(violation, seen),
        _failure(violation, "It accepts connections and answers nothing", "timeout", 2.0),
    ]
    if _supervised(violation, seen):
        supports.append(_process(violation, "Its process is frozen", "frozen", 3.0))
    actions = _restart(violation, seen)
    return Assessment(
        cause=f"{remedies.label(seen, _id(violation))} hangs: it is there and does nothing",
        supports=supports,
        contradicts=[
            _failure(violation, "Nobody listens at its address", "refused"),
            _process(violation, "Its process does not run", "stopped"),
            _process(violation, "Its process runs", "running"),
        ],
        components=[remedies.label(seen, _id(violation))],
        actions=actions,
        escalate=not actions,
    )


def _member_overloaded(violation: Violation, seen: Observation) -> Assessment:
    return Assessment(
        cause=f"{remedies.label(seen, _id(violation))} runs but is too slow to answer "
        "(disk, memory or load of its machine)",
        supports=[
            _silent(violation, seen),
            _failure(violation, "It accepts connections and answers nothing", "timeout", 2.0),
            _process(violation, "Its process runs", "running", 2.0),
        ],
        contradicts=[
            _failure(violation, "Nobody listens at its address", "refused"),
            _process(violation, "Its process is frozen", "frozen"),
        ],
        components=[remedies.label(seen, _id(violation))],
        escalate=True,
    )


def _not_listening(violation: Violation, seen: Observation) -> Assessment | None:
    state = remedies.process_state(seen, _id(violation))
    if state not in _THERE:
        return None
    return Assessment(
        cause=f"{remedies.label(seen, _id(violation))} is there and does not listen: it is still "
        "starting, or listens at another address",
        supports=[
            _silent(violation, seen),
            _failure(violation, "Nobody listens at its address", "refused", 2.0),
            _process(violation, f"Its process is {state}", state, 2.0),
        ],
        contradicts=[_failure(violation, "Its address accepts connections", "timeout")],
        components=[remedies.label(seen, _id(violation))],
        risks=["See its log: how far its start has come, and which address it serves"],
        escalate=True,
    )


def _network_cut(violation: Violation, seen: Observation) -> Assessment:
    return Assessment(
        cause=f"The network does not reach {remedies.label(seen, _id(violation))}",
        supports=[
            _silent(violation, seen),
            _failure(violation, "No connection came about in time", "unreachable", 2.0),
        ],
        contradicts=[
            _failure(violation, "Its machine refuses the connection, so it is reached", "refused"),
            _failure(violation, "It accepts connections, so it is reached", "timeout"),
            _process(violation, "Its process does not run", "stopped"),
        ],
        components=[remedies.label(seen, _id(violation))],
        escalate=True,
    )


def _odd_failure(odd: OddFailure, violation: Violation, seen: Observation) -> Assessment:
    name = remedies.label(seen, _id(violation))
    return Assessment(
        cause=odd.cause.format(name),
        supports=[_silent(violation, seen), _failure(violation, odd.evidence, odd.kind, 3.0)],
        contradicts=[
            _process(violation, "Its process does not run", "stopped"),
            _process(violation, "Its process is frozen", "frozen"),
        ],
        components=[name],
        risks=[odd.advice],
        escalate=True,
    )


def _never_started(violation: Violation, seen: Observation) -> Assessment:
    path = f"members/members/{_id(violation)}/name"
    return Assessment(
        cause="The member was added to the cluster and never started",
        supports=[_silent(violation, seen), equals("It has told no name yet", path, "", 3.0)],
        contradicts=[claim("It has told its name", path, Predicate.NE, "")],
        components=[remedies.label(seen, _id(violation))],
        risks=["It counts for the quorum if it has a vote: start it, or remove it"],
        escalate=True,
    )


def _quorum_lost(violation: Violation, seen: Observation) -> Assessment:
    del violation
    healthy, quorum = (number(seen, "cluster", key) for key in ("healthy_voters", "quorum_size"))
    workflows = remedies.restore_quorum(seen)
    return Assessment(
        cause="Too many voters are gone to elect a leader",
        supports=[
            below(f"{healthy} voters answer, a quorum needs {quorum}", "cluster/spare", 0, 3.0),
            equals("No member follows a leader", "cluster/has_leader", value=False),
        ],
        contradicts=[at_least("Enough voters answer for a quorum", "cluster/spare", 0)],
        components=_gone(seen),
        workflows=workflows,
        escalate=not workflows,
    )


def _voters_cannot_agree(violation: Violation, seen: Observation) -> Assessment:
    del violation, seen
    return Assessment(
        cause="Enough voters answer, but they elect no leader: they may not hear each other",
        supports=[
            at_least("Enough voters answer for a quorum", "cluster/spare", 0, 2.0),
            equals("No member follows a leader", "cluster/has_leader", value=False),
        ],
        contradicts=[below("Too few voters answer for a quorum", "cluster/spare", 0)],
        escalate=True,
    )


def _voters_lost(violation: Violation, seen: Observation) -> Assessment:
    del violation
    workflows = remedies.restore_quorum(seen)
    return Assessment(
        cause="Voters are gone: " + ", ".join(_gone(seen)),
        supports=[
            below("No voter can be spared", "cluster/spare", 1, 2.0),
            claim("Members do not answer", "cluster/unreachable/0", Predicate.EXISTS, weight=2.0),
        ],
        contradicts=[equals("All members answer", "cluster/unreachable", [])],
        components=_gone(seen),
        workflows=workflows,
        escalate=not workflows,
    )


def _voters_left_behind(violation: Violation, seen: Observation) -> Assessment:
    del violation, seen
    return Assessment(
        cause="Members answer but follow no leader: they may be cut off from the others",
        supports=[
            below("No voter can be spared", "cluster/spare", 1, 2.0),
            equals("All members answer", "cluster/unreachable", [], 2.0),
        ],
        escalate=True,
    )


def _gone(seen: Observation) -> list[str]:
    return sorted(remedies.label(seen, one) for one in seen.data("cluster")["unreachable"])


def _data_differ(violation: Violation, seen: Observation) -> Assessment:
    name = remedies.label(seen, _id(violation))
    return Assessment(
        cause=f"The data of {name} differ from the other members' (a bug, or a damaged disk)",
        supports=[
            claim(
                f"The alarm CORRUPT of {name} is raised",
                "cluster/corrupt_members",
                Predicate.CONTAINS,
                _id(violation),
            )
        ],
        components=[name],
        risks=[
            "A person decides whose data are right; the wrong member is removed and added empty",
            "Back up the data folders of all members before anything else",
        ],
        escalate=True,
    )


def _rolling_upgrade(violation: Violation, seen: Observation) -> Assessment:
    del violation
    versions = ", ".join(seen.data("cluster")["versions"])
    return Assessment(
        cause="An upgrade from one minor version to the next is under way, or was left half done",
        supports=[
            claim(
                f"Members run {versions}", "cluster/minor_versions/1", Predicate.EXISTS, weight=2.0
            )
        ],
        risks=["Finish or roll back the upgrade; Operator does not change versions"],
        escalate=True,
    )


def _certificate_not_renewed(violation: Violation, seen: Observation) -> Assessment:
    days = dict(violation.metrics["certificate_days"])
    least = number(seen, "cluster", "certificate_days")
    return Assessment(
        cause="The certificates of members were not renewed",
        supports=[
            below(
                f"The first of them ends in {least} days",
                "cluster/certificate_days",
                min(days.values()) + 1,
                2.0,
            )
        ],
        components=sorted(remedies.label(seen, one) for one in days),
        risks=["See why they were not renewed; etcd reads them anew for each connection"],
        escalate=True,
    )


_LESS_SPARE = frozenset({"quorum_at_risk"})
"""What a silent member brings, where it is the one that is missed."""

MEMBERS = (
    Hypothesis("process_stopped", _DOWN, _process_stopped, prior=0.8, brings=_LESS_SPARE),
    Hypothesis("member_frozen", _DOWN, _member_frozen, prior=0.7, brings=_LESS_SPARE),
    Hypothesis("member_overloaded", _DOWN, _member_overloaded, prior=0.5),
    Hypothesis("not_listening", _DOWN, _not_listening, prior=0.5, brings=_LESS_SPARE),
    Hypothesis("network_cut", _DOWN, _network_cut, prior=0.6, brings=_LESS_SPARE),
    Hypothesis("never_started", _DOWN, _never_started, prior=0.9, brings=_LESS_SPARE),
    *odd_failures(_DOWN, _odd_failure, _LESS_SPARE),
    Hypothesis(
        "quorum_lost",
        frozenset({"no_leader"}),
        _quorum_lost,
        prior=0.9,
        brings=_DOWN | _LESS_SPARE,
    ),
    Hypothesis("voters_cannot_agree", frozenset({"no_leader"}), _voters_cannot_agree, prior=0.6),
    Hypothesis("voters_lost", frozenset({"quorum_at_risk"}), _voters_lost, prior=0.9),
    Hypothesis("voters_left_behind", frozenset({"quorum_at_risk"}), _voters_left_behind, prior=0.5),
    Hypothesis("data_differ", frozenset({"alarm_corrupt"}), _data_differ, prior=0.9),
    Hypothesis(
        "certificate_not_renewed",
        frozenset({"certificate_ends"}),
        _certificate_not_renewed,
        prior=0.9,
    ),
    Hypothesis("rolling_upgrade", frozenset({"version_skew"}), _rolling_upgrade, prior=0.8),
)
