"""The invariants on literal observations."""

from dataclasses import replace

import pytest

from etcd_samples import (
    CORRUPT,
    IDS,
    MIB,
    NOSPACE,
    QUOTA,
    broken,
    failure,
    healthy_survey,
    look,
    member,
    observed,
    readings,
    status,
    survey_of,
    violations,
)
from operator_core.types import Severity
from operator_etcd.invariants import INVARIANTS
from operator_etcd.shapes import Alarm


def test_a_healthy_cluster_breaks_nothing() -> None:
    observation = look(healthy_survey())
    assert observation.complete
    assert broken(observation) == []


def test_every_invariant_is_described_and_named_once() -> None:
    names = [one.name for one in INVARIANTS]
    assert len(set(names)) == len(names) == 9
    assert all(one.description and one.needs for one in INVARIANTS)


def test_a_member_that_does_not_answer_is_down_and_leaves_no_spare() -> None:
    seen = survey_of(status("11"), status("22"), failures={"33": failure("33")})
    observation = look(seen)
    assert observation.complete, "a silent member is a fact, not a hole"
    assert broken(observation) == ["member_down:member-33", "quorum_at_risk:cluster"]
    down, risk = violations(observation)
    assert "n3" in down.message
    assert down.metrics["failure"] == "refused"
    assert risk.severity is Severity.CRITICAL
    assert "one more loss and writes stop" in risk.message


def test_one_of_five_down_is_no_risk_for_the_quorum() -> None:
    up = [status(one) for one in ("11", "22", "33", "44")]
    seen = survey_of(*up, failures={"55": failure("55")})
    assert broken(look(seen)) == ["member_down:member-55"]


def test_a_silent_learner_takes_no_quorum_away() -> None:
    up = [status(one) for one in IDS]
    seen = survey_of(*up, failures={"44": failure("44")}, learners=("44",))
    assert broken(look(seen)) == ["member_down:member-44"]


def test_without_a_leader_writes_fail() -> None:
    lost = {one: failure(one) for one in ("22", "33")}
    seen = survey_of(status("11", leader="0"), failures=lost)
    assert broken(look(seen)) == [
        "no_leader:cluster",
        "member_down:member-22",
        "member_down:member-33",
        "quorum_at_risk:cluster",
    ]
    assert "the quorum is lost" in violations(look(seen))[-1].message


def test_a_member_cut_off_from_the_others_is_no_healthy_voter() -> None:
    seen = survey_of(status("11"), status("22"), status("33", leader="0"))
    assert broken(look(seen)) == ["quorum_at_risk:cluster"]


@pytest.mark.parametrize("size", [1, 2])
def test_small_clusters_are_not_always_at_risk(size: int) -> None:
    assert broken(look(survey_of(*(status(one) for one in IDS[:size])))) == []


def test_nospace_of_several_members_is_one_problem_of_the_cluster() -> None:
    other = Alarm(member_id="33", alarm="NOSPACE")
    full = survey_of(*(status(one, size=QUOTA + MIB) for one in IDS))
    observation = look(full, NOSPACE, other)
    assert broken(observation) == ["alarm_nospace:cluster"], "near quota is not said twice"
    (found,) = violations(observation)
    assert found.metrics["members"] == ["11", "33"]
    assert "n1, n3" in found.message
    assert "106% of its quota" in found.message


def test_a_corrupt_member_is_named() -> None:
    assert broken(look(healthy_survey(), CORRUPT)) == ["alarm_corrupt:member-22"]


@pytest.mark.parametrize(
    ("share", "expected"), [(0.79, []), (0.8, ["database_near_quota:cluster"])]
)
def test_near_quota_begins_at_four_fifths(share: float, expected: list[str]) -> None:
    seen = survey_of(status("11"), status("22", size=int(QUOTA * share) + 1), status("33"))
    assert broken(look(seen)) == expected


@pytest.mark.parametrize(
    ("size", "in_use", "expected"),
    [
        (31 * MIB, MIB, []),
        (32 * MIB, 16 * MIB, []),
        (32 * MIB, 15 * MIB, ["fragmentation:cluster"]),
    ],
)
def test_fragmentation_counts_only_in_large_files(
    size: int, in_use: int, expected: list[str]
) -> None:
    seen = survey_of(status("11"), status("22", size=size, in_use=in_use), status("33"))
    assert broken(observed(readings(seen, quota=1000 * MIB))) == expected


def test_different_minor_versions_are_told_and_patches_are_not() -> None:
    patch = survey_of(status("11"), status("22", version="3.5.9"), status("33"))
    minor = survey_of(status("11"), status("22", version="3.4.23"), status("33"))
    assert broken(look(patch)) == []
    assert broken(look(minor)) == ["version_skew:cluster"]


def test_what_could_not_be_read_is_not_judged() -> None:
    full = survey_of(*(status(one, size=QUOTA) for one in IDS))
    blind = observed(replace(readings(full), metrics={}, metrics_error="no metrics"))
    assert not blind.complete
    assert broken(blind) == []
    unknown = observed(readings(replace(full, members={}, members_error="nobody knows")))
    assert broken(unknown) == []


def test_a_name_that_looks_like_markup_stays_text() -> None:
    seen = survey_of(status("11"), status("22"), failures={"33": failure("33")})
    named = replace(seen, members=dict(seen.members) | {"33": member("33", name="[red]x[/red]")})
    assert "[red]x[/red]" in violations(look(named))[0].message
