"""What the offline diagnoser makes of the catalogue on literal observations."""

from dataclasses import replace
from itertools import product

import pytest

from etcd_samples import (
    CORRUPT,
    IDS,
    MIB,
    NOSPACE,
    NOW,
    QUOTA,
    failure,
    look,
    member,
    observed,
    readings,
    status,
    supervised,
    survey_of,
    violations,
)
from operator_core.agent.diagnosis import UNKNOWN_CAUSE, Diagnosis
from operator_core.agent.grouping import Member, roots
from operator_core.agent.rules import diagnose
from operator_core.call_failures import FailureKind
from operator_core.monitor.types import Observation, Ticket
from operator_etcd.hypotheses import HYPOTHESES
from operator_etcd.invariants import INVARIANTS
from operator_etcd.shapes import Alarm
from operator_etcd.survey import Survey


def answer(observation: Observation, invariant: str) -> Diagnosis:
    (violation, *_) = [one for one in violations(observation) if one.invariant == invariant]
    return diagnose(violation, observation, HYPOTHESES, now=NOW)


def full(*, in_use: int = QUOTA, size: int = QUOTA + MIB) -> Survey:
    return survey_of(*(status(one, size=size, in_use=in_use, leader="22") for one in IDS))


def test_every_invariant_has_a_cause_that_explains_it() -> None:
    explained = {name for one in HYPOTHESES for name in one.explains}
    assert explained == {one.name for one in INVARIANTS}


def test_a_history_of_overwritten_keys_is_reclaimed_in_one_workflow() -> None:
    found = answer(look(full(), NOSPACE, keys=6), "alarm_nospace")
    assert found.hypothesis == "history_not_compacted"
    assert found.confidence > 0.9
    assert not found.escalate
    assert {one.hypothesis for one in found.alternatives} == {
        "space_not_returned",
        "free_pages_and_history",
        "alarm_left_over",
        "too_much_live_data",
    }
    assert all(one.rejected_because for one in found.alternatives)
    (workflow,) = found.workflows
    steps = [(one.action_name, one.parameters.get("member_id")) for one in workflow.actions]
    assert steps == [
        ("compact", None),
        ("defragment", "11"),
        ("defragment", "33"),
        ("defragment", "22"),
        ("disarm_alarm", "11"),
        ("disarm_alarm", "22"),
        ("disarm_alarm", "33"),
    ], "followers first, the leader last, then every member's own alarm"
    assert workflow.actions[0].parameters == {"revision": 91}, "a tenth of the history stays"


def test_live_data_that_fill_the_quota_are_for_a_person() -> None:
    found = answer(look(full(), NOSPACE, keys=99), "alarm_nospace")
    assert found.hypothesis == "too_much_live_data"
    assert found.escalate
    assert not found.workflows
    assert not found.actions


def test_free_pages_are_given_back_without_compaction() -> None:
    found = answer(look(full(in_use=MIB), NOSPACE, keys=90), "alarm_nospace")
    assert found.hypothesis == "space_not_returned"
    assert [one.action_name for one in found.workflows[0].actions] == [
        *["defragment"] * 3,
        *["disarm_alarm"] * 3,
    ]


def test_some_history_and_some_free_pages_are_given_back_together() -> None:
    seen = look(full(in_use=9 * MIB), NOSPACE, keys=55)
    found = answer(seen, "alarm_nospace")
    assert found.hypothesis == "free_pages_and_history"
    assert "superseded history" in found.cause
    assert found.workflows[0].actions[0].action_name == "compact"
    assert not found.escalate


def test_free_pages_beside_hardly_any_history_are_given_back_without_compaction() -> None:
    found = answer(look(full(in_use=9 * MIB), NOSPACE, keys=95), "alarm_nospace")
    assert found.hypothesis == "free_pages_and_history"
    assert "history" not in found.cause
    assert found.workflows[0].actions[0].action_name == "defragment"


@pytest.mark.parametrize("raised", [(NOSPACE,), ()], ids=["alarm", "near"])
def test_whatever_fills_a_database_has_a_cause(raised: tuple[Alarm, ...]) -> None:
    invariant = "alarm_nospace" if raised else "database_near_quota"
    for size, in_use, keys in product(range(13, 20, 2), range(1, 20, 2), range(0, 100, 11)):
        seen = full(size=size * MIB, in_use=min(size, in_use) * MIB)
        found = answer(look(seen, *raised, keys=keys), invariant)
        assert found.hypothesis != UNKNOWN_CAUSE, (size, in_use, keys)


def test_an_alarm_that_was_left_over_is_only_disarmed() -> None:
    found = answer(look(full(size=MIB, in_use=MIB), NOSPACE), "alarm_nospace")
    assert found.hypothesis == "alarm_left_over"
    assert {one.action_name for one in found.workflows[0].actions} == {"disarm_alarm"}


def test_no_member_pauses_while_another_is_missing() -> None:
    two = [status(one, size=QUOTA + MIB) for one in ("11", "22")]
    seen = survey_of(*two, failures={"33": failure("33")})
    found = answer(look(seen, NOSPACE, keys=6), "alarm_nospace")
    assert found.hypothesis == "history_not_compacted"
    assert found.escalate
    assert not found.workflows


def test_near_quota_is_reclaimed_without_disarming_anything() -> None:
    found = answer(look(full(size=QUOTA - MIB, in_use=QUOTA - MIB), keys=6), "database_near_quota")
    assert [one.action_name for one in found.workflows[0].actions] == [
        "compact",
        *["defragment"] * 3,
    ]


def test_fragmentation_is_defragmented() -> None:
    read = readings(full(size=100 * MIB, in_use=MIB), quota=1000 * MIB)
    found = answer(observed(read), "fragmentation")
    assert found.hypothesis == "space_not_returned"
    assert [one.action_name for one in found.workflows[0].actions] == ["defragment"] * 3


@pytest.mark.parametrize(
    ("kind", "state", "expected", "acts"),
    [
        (FailureKind.REFUSED, "stopped", "process_stopped", True),
        (FailureKind.REFUSED, None, "process_stopped", False),
        (FailureKind.REFUSED, "running", "not_listening", False),
        (FailureKind.TIMEOUT, "frozen", "member_frozen", True),
        (FailureKind.TIMEOUT, None, "member_frozen", False),
        (FailureKind.TIMEOUT, "running", "member_overloaded", False),
        (FailureKind.UNREACHABLE, None, "network_cut", False),
        (FailureKind.UNREACHABLE, "running", "network_cut", False),
        (FailureKind.GARBAGE, None, "another_answers", False),
        (FailureKind.TLS, "running", "tls_failed", False),
        (FailureKind.TLS, "stopped", "process_stopped", True),
    ],
)
def test_why_a_member_is_down(
    kind: FailureKind, state: str | None, expected: str, *, acts: bool
) -> None:
    seen = survey_of(status("11"), status("22"), failures={"33": failure("33", kind)})
    read = readings(seen)
    observation = observed(supervised(read, {"33": state}) if state else read)
    found = answer(observation, "member_down")
    assert found.hypothesis == expected
    assert found.escalate is not acts
    assert [one.parameters for one in found.actions] == (
        [{"member_name": "n3", "only_if_down": True}] if acts else []
    )


@pytest.mark.parametrize("kind", FailureKind)
def test_however_calls_to_a_member_fail_there_is_a_cause(kind: FailureKind) -> None:
    seen = survey_of(status("11"), status("22"), failures={"33": failure("33", kind)})
    found = answer(observed(readings(seen)), "member_down")
    assert found.hypothesis != UNKNOWN_CAUSE
    assert found.components == ["n3"]
    assert "{" not in found.cause


def test_a_member_that_was_never_started_is_told() -> None:
    seen = survey_of(status("11"), status("22"), status("44"), failures={"33": failure("33")})
    nameless = replace(seen, members=dict(seen.members) | {"33": member("33", name="")})
    assert answer(look(nameless), "member_down").hypothesis == "never_started"


def test_a_lost_quorum_is_restored_by_restarting_what_is_gone() -> None:
    lost = {one: failure(one) for one in ("33", "22")}
    read = readings(survey_of(status("11", leader="0"), failures=lost))
    observation = observed(supervised(read, {"11": "running", "22": "stopped", "33": "frozen"}))
    for invariant, expected in [("no_leader", "quorum_lost"), ("quorum_at_risk", "voters_lost")]:
        found = answer(observation, invariant)
        assert found.hypothesis == expected
        (workflow,) = found.workflows
        assert [one.parameters["member_name"] for one in workflow.actions] == ["n2", "n3"]


def test_without_a_supervisor_a_lost_quorum_is_for_a_person() -> None:
    lost = {one: failure(one) for one in ("33", "22")}
    found = answer(look(survey_of(status("11", leader="0"), failures=lost)), "no_leader")
    assert found.hypothesis == "quorum_lost"
    assert found.escalate
    assert not found.workflows


def test_voters_that_answer_without_a_leader_are_for_a_person() -> None:
    found = answer(look(survey_of(*(status(one, leader="0") for one in IDS))), "no_leader")
    assert (found.hypothesis, found.escalate) == ("voters_cannot_agree", True)
    cut = survey_of(status("11"), status("22"), status("33", leader="0"))
    found = answer(look(cut), "quorum_at_risk")
    assert (found.hypothesis, found.escalate) == ("voters_left_behind", True)


def test_corruption_is_never_acted_on() -> None:
    found = answer(look(survey_of(*(status(one) for one in IDS)), CORRUPT), "alarm_corrupt")
    assert found.hypothesis == "data_differ"
    assert found.escalate
    assert not found.actions
    assert not found.workflows


def test_version_skew_is_told_as_an_upgrade() -> None:
    seen = survey_of(status("11"), status("22", version="3.4.23"), status("33"))
    assert answer(look(seen), "version_skew").hypothesis == "rolling_upgrade"


def test_unread_parts_break_no_hypothesis() -> None:
    bare = replace(readings(full(), NOSPACE, keys=None), metrics={}, metrics_error="none")
    found = answer(observed(bare), "alarm_nospace")
    assert found.hypothesis == "unknown"
    assert all("could not be judged" not in one.rejected_because for one in found.alternatives)


def test_a_cause_brings_rules_that_exist_and_not_its_own_problem() -> None:
    rules = {rule.name for rule in INVARIANTS}
    bringing = [one for one in HYPOTHESES if one.brings]
    assert len(bringing) > 3
    for cause in bringing:
        assert cause.brings <= rules
        assert not cause.brings & cause.explains
        assert not cause.is_cluster_wide, "a member that is down says nothing of the others"


def followers_of(root: str, observation: Observation) -> set[str]:
    """Return the problems of an observation that follow one of its rules' ticket."""
    found = [
        Member(
            Ticket(
                id=number,
                violation_key=one.key,
                invariant_name=one.invariant,
                target=one.target,
                message=one.message,
                severity=one.severity,
            ),
            diagnose(one, observation, HYPOTHESES, now=NOW),
        )
        for number, one in enumerate(violations(observation), 1)
    ]
    keys = {one.ticket_id: one.ticket for one in found}
    links = roots(found, {one.name: one for one in HYPOTHESES})
    assert {keys[one].invariant_name for one in links.values()} == {root}
    return {keys[one].violation_key.partition(":")[0] for one in links}


def test_a_lost_quorum_leads_what_it_is_made_of() -> None:
    lost = {one: failure(one) for one in ("33", "22")}
    read = readings(survey_of(status("11", leader="0"), failures=lost))
    observation = observed(supervised(read, {"11": "running", "22": "stopped", "33": "frozen"}))
    assert followers_of("no_leader", observation) == {"member_down", "quorum_at_risk"}


def test_one_member_that_is_missed_leads_what_the_quorum_misses() -> None:
    read = readings(survey_of(status("11"), status("22"), failures={"33": failure("33")}))
    observation = observed(supervised(read, {"33": "stopped"}))
    assert followers_of("member_down", observation) == {"quorum_at_risk"}
