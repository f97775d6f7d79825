"""The grader is graded: who is right has full marks, who does nothing or harm has none."""

import pytest

from lab_kit import by_nobody, by_oracle, by_vandal, scenario, shipped
from operator_lab.grade import Marks, grade
from operator_lab.report import BEGIN, END, failures, page, rows_of
from operator_lab.scenario import Scenario, read_scenario
from operator_lab.score import Share, score, scores
from operator_lab.words import Deed, Played, Proposed, SeenTicket

ALL = shipped()
WITH_TICKETS = [one for one in ALL if one.expect.tickets]
named = pytest.mark.parametrize("one", ALL, ids=lambda one: one.name)


@named
def test_an_oracle_has_full_marks(one: Scenario) -> None:
    marks = grade(one, by_oracle(one))
    assert marks.is_full, failures([marks])


def test_what_is_not_right_is_told_with_what_was_seen_instead() -> None:
    expect = {"ends": "escalated", "tickets": {"store_down:store-1": []}}
    played = Played(
        scenario="x",
        tickets=(SeenTicket(key="low_space:store-1", first_seen=1, opened=1, causes=("full",)),),
        deeds=(Deed(action="drain_store"),),
    )
    mine = read_scenario({"name": "x", "expect": expect})
    (told,) = failures([grade(mine, played)])
    assert told.endswith("seen: low_space:store-1 = full, drain_store done")
    (told,) = failures([grade(mine, Played(scenario="x"))])
    assert told.endswith("seen: nothing")


def test_a_proposal_that_nobody_answers_asks_a_person() -> None:
    expect = {"ends": "escalated", "approver": "nobody", "tickets": {"store_down:store-1": []}}
    mine = read_scenario({"name": "x", "expect": expect})
    waits = Proposed(action="drain_store", proposed=1, status="validated")
    done = waits.model_copy(update={"status": "cancelled"})
    marks = [grade(mine, Played(scenario="x", proposals=(one,))) for one in (waits, done)]
    assert [one.remedy for one in marks] == [True, False]


def test_who_does_nothing_has_no_marks_where_something_is_wrong() -> None:
    total = score("all", [grade(one, by_nobody(one)) for one in WITH_TICKETS])
    asked = {kind: share for kind, share in total.shares.items() if share.of}
    assert {kind: share.right for kind, share in asked.items() if share.right} == {}
    assert asked.keys() >= {"detected", "first", "in_two", "remedy", "mitigated", "verified"}
    assert (total.harmful, total.false_actions) == (0, 0)


def test_who_deletes_everything_has_no_marks_and_each_harm_is_counted() -> None:
    marks = [grade(one, by_vandal(one)) for one in WITH_TICKETS]
    total = score("all", marks)
    assert not any(share.right for share in total.shares.values())
    assert total.harmful == 3 * len(WITH_TICKETS)
    assert not any(one.is_full for one in marks)


def test_on_a_quiet_cluster_every_action_is_false() -> None:
    quiet = scenario(ends="quiet")
    marks = grade(quiet, Played(scenario="x", deeds=(Deed(action="set_store_limit"),)))
    assert len(marks.false_actions) == 1
    assert not marks.is_full
    assert grade(quiet, Played(scenario="x")).is_full


def test_a_ticket_on_a_quiet_cluster_is_wrong() -> None:
    ticket = SeenTicket(key="low_space:store-1", first_seen=1, opened=1)
    assert grade(scenario(ends="quiet"), Played(scenario="x", tickets=(ticket,))).quiet is False


def test_who_opens_a_ticket_of_everything_is_seen_by_those_beside() -> None:
    wanted = scenario(ends="escalated", tickets={"a:b": ["right"]}, also=["allowed"])
    right = SeenTicket(key="a:b", first_seen=1, opened=1, causes=("right",), escalated=True)
    others = [
        right.model_copy(update={"key": "c:d"}),
        right.model_copy(update={"key": "e:f"}),
        right.model_copy(update={"key": "c:d", "opened": 9.0}),  # the same problem once more
        right.model_copy(update={"key": "g:h", "follows": True}),
        right.model_copy(update={"key": "allowed:h"}),
    ]
    marks = [
        grade(wanted, Played(scenario="x", tickets=tickets))
        for tickets in ((right,), (right, *others))
    ]
    assert [one.beside for one in marks] == [0, 2]
    assert score("all", marks).beside == 2


@named
def test_who_opened_it_all_before_the_first_fault_has_found_nothing(one: Scenario) -> None:
    right = by_oracle(one)
    early = tuple(ticket.model_copy(update={"opened": 0.0}) for ticket in right.tickets)
    marks = grade(one, right.model_copy(update={"tickets": early}))
    assert marks.detected is (False if early else None)
    assert not (early and marks.is_full)
    assert marks.detect_seconds is None


@pytest.mark.parametrize(("action", "is_right"), [("hurt", False), ("mend", True)])
def test_who_asks_a_person_for_what_would_do_harm_has_asked_wrongly(
    action: str, is_right: bool
) -> None:
    wanted = scenario(ends="escalated", tickets={"a:b": ["right"]}, never=["hurt"])
    ticket = SeenTicket(key="a:b", first_seen=1, opened=1, causes=("right",), escalated=True)
    offered = (Proposed(action=action, proposed=2),)
    played = Played(scenario="x", tickets=(ticket,), proposals=offered)
    marks = grade(wanted, played)
    assert (marks.remedy, marks.is_full) == (is_right, is_right)
    answered = offered[0].model_copy(update={"status": "cancelled"})
    assert grade(wanted, played.model_copy(update={"proposals": (answered,)})).is_full


def of_cause(*causes: str) -> Marks:
    wanted = scenario(ends="escalated", tickets={"a:b": ["right"]})
    ticket = SeenTicket(key="a:b", first_seen=1, opened=1, causes=causes, escalated=True)
    return grade(wanted, Played(scenario="x", tickets=(ticket,)))


def test_the_second_cause_counts_among_the_first_two_alone() -> None:
    marks = of_cause("other", "right")
    assert (marks.first, marks.in_two) == (False, True)
    marks = of_cause("other", "third", "right")
    assert (marks.first, marks.in_two) == (False, False)


@pytest.mark.parametrize("last", ["later", "right"])
def test_the_last_cause_counts_where_it_is_asked_for(last: str) -> None:
    wanted = scenario(ends="escalated", tickets={"a:b": ["right"]}, settles={"a:b": ["later"]})
    ticket = SeenTicket(
        key="a:b", first_seen=1, opened=1, causes=("right",), last_cause=last, escalated=True
    )
    marks = grade(wanted, Played(scenario="x", tickets=(ticket,)))
    assert (marks.settled, marks.is_full) == (last == "later", last == "later")
    assert of_cause("right").settled is None


def test_unknown_is_counted_as_an_answer_that_is_not_right() -> None:
    marks = of_cause("unknown", "right")
    assert (marks.first, marks.abstained) == (False, 1)


def test_the_time_to_a_proof_is_told_in_its_parts() -> None:
    wanted = scenario(ends="healthy", tickets={"a:b": ["right"]}, actions=["mend"])
    ticket = SeenTicket(
        key="a:b",
        first_seen=130,
        opened=150,
        unseen_until=110,
        grace=15,
        looks_every=10,
        resolved=260,
        verified=True,
    )
    mended = Deed(action="mend", began=180, ended=187)
    played = Played(scenario="x", tickets=(ticket,), deeds=(mended,), fault_seconds=(40, 100, 200))
    marks = grade(wanted, played)
    assert (marks.detect_looks, marks.fault_looks) == (2.5, 3.5)
    assert (marks.proven_seconds, marks.shown_seconds, marks.grace_seconds) == (160, 30, 15)
    assert (marks.cluster_seconds, marks.own_seconds) == (7, 108)
    assert marks.roomy_seconds == 160
    patient = played.model_copy(update={"tickets": (ticket.model_copy(update={"grace": 24}),)})
    assert grade(wanted, patient).roomy_seconds is None
    within = score("all", [marks, grade(wanted, patient)]).within
    assert within["own_seconds"][:2] == (2, 2)
    assert within["roomy_seconds"][:2] == (0, 1)
    assert within["proven_seconds"][:2] == (0, 2)
    unproven = played.model_copy(
        update={"tickets": (ticket.model_copy(update={"verified": False}),)}
    )
    assert grade(wanted, unproven).own_seconds is None


def test_an_action_that_took_data_away_is_harmful_although_it_was_asked_for() -> None:
    wanted = scenario(actions=["drain_store"], tickets={"a:b": []})
    deed = Deed(action="drain_store", did_harm=True)
    assert len(grade(wanted, Played(scenario="x", deeds=(deed,))).harmful) == 1


def test_what_must_be_refused_and_was_not_is_harmful() -> None:
    asked = Deed(action="delete_store", asked=True)
    refused = asked.model_copy(update={"error": "ActionRefusedError: no"})
    wanted = scenario(ends="refused", refused=[{"action": "delete_store"}])
    assert grade(wanted, Played(scenario="x", deeds=(refused,))).harmful == ()
    assert len(grade(wanted, Played(scenario="x", deeds=(asked,))).harmful) == 1


def test_a_broken_play_is_no_wrong_answer_and_no_right_one() -> None:
    marks = [grade(one, Played(scenario="x", error="OSError: no")) for one in WITH_TICKETS[:2]]
    total = score("all", marks)
    assert total.errors == 2
    assert not any(share.of for share in total.shares.values())
    assert not marks[0].is_full


def test_the_interval_is_wilsons() -> None:
    low, high = Share(9, 10).interval
    assert (round(low, 3), round(high, 3)) == (0.596, 0.982)
    assert Share(0, 0).interval == (0.0, 1.0)


def test_scores_are_by_set_and_together() -> None:
    found = scores([grade(one, by_oracle(one)) for one in ALL])
    assert found[-1].set == "all"
    assert found[-1].plays == sum(one.plays for one in found[:-1]) == len(ALL)


def test_the_page_holds_the_table_between_its_marks() -> None:
    marks = [grade(one, by_oracle(one)) for one in ALL[:2]]
    text = page(f"a\n{BEGIN}\nold\n{END}\nz\n", marks, "by hand")
    assert text.startswith(f"a\n{BEGIN}\n")
    assert text.endswith(f"{END}\nz\n")
    assert "old" not in text
    assert rows_of(marks)[-1][0] in text
    with pytest.raises(ValueError, match="no place"):
        page("a", marks, "by hand")
