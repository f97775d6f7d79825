"""The checks before an effect, on literal surveys."""

from dataclasses import replace

import pytest

from etcd_samples import IDS, MIB, failure, healthy_survey, member, status, survey_of
from operator_core.errors import ActionFailedError, ActionRefusedError
from operator_etcd import preflight


def test_a_member_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(ActionRefusedError, match=r"no member 99.*n1 11"):
        preflight.member_of(healthy_survey(), "99")
    with pytest.raises(ActionRefusedError, match="nobody"):
        preflight.member_named(healthy_survey(), "nobody")
    assert preflight.member_named(healthy_survey(), "n2").id == "22"


def test_an_unread_membership_may_be_read_later() -> None:
    blind = replace(healthy_survey(), members={}, members_error="down")
    with pytest.raises(ActionFailedError):
        preflight.member_of(blind, "11")
    with pytest.raises(ActionFailedError):
        preflight.member_named(blind, "n1")


def test_two_members_of_one_name_are_ambiguous() -> None:
    twins = replace(healthy_survey(), members={one: member(one, name="x") for one in IDS})
    with pytest.raises(ActionRefusedError):
        preflight.member_named(twins, "x")


def test_nobody_pauses_when_the_others_are_no_quorum() -> None:
    seen = survey_of(status("11"), status("22"), failures={"33": failure("33")})
    with pytest.raises(ActionFailedError, match="would leave 1 healthy voters"):
        preflight.must_keep_quorum(seen, member("11"), "Defragmenting")
    preflight.must_keep_quorum(seen, member("33"), "Restarting")
    preflight.must_keep_quorum(healthy_survey(), member("11"), "Defragmenting")


def test_the_only_member_may_pause() -> None:
    preflight.must_keep_quorum(survey_of(status("11")), member("11"), "Defragmenting")


def test_removal_keeps_a_quorum_of_those_that_stay() -> None:
    degraded = survey_of(status("11"), status("22"), failures={"33": failure("33")})
    preflight.must_survive_removal(degraded, member("33"))
    with pytest.raises(ActionRefusedError, match="1 healthy voters of 2"):
        preflight.must_survive_removal(degraded, member("11"))
    with pytest.raises(ActionRefusedError):
        preflight.must_survive_removal(survey_of(status("11")), member("11"))
    learner = survey_of(status("11"), status("22"), learners=("22",))
    preflight.must_survive_removal(learner, member("22", learner=True))


def test_disarming_needs_room() -> None:
    with pytest.raises(ActionFailedError, match="Compact and defragment first"):
        preflight.must_have_room(healthy_survey(), member("11"), 1.04 * MIB)
    preflight.must_have_room(healthy_survey(), member("11"), 2.0 * MIB)
    preflight.must_have_room(healthy_survey(), member("11"), 0.0)


def test_learners_do_not_lead_and_silent_members_cannot_be_asked() -> None:
    with pytest.raises(ActionRefusedError):
        preflight.must_be_voter(member("11", learner=True))
    silent = survey_of(status("11", leader="22"), failures={"22": failure("22")})
    with pytest.raises(ActionFailedError, match="cannot be reached"):
        preflight.reachable(silent, member("22"))
    with pytest.raises(ActionFailedError, match="no leader that answers"):
        preflight.leader_endpoint(silent)
