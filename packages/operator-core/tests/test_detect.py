"""Detection: what was not seen is neither broken nor healed; grace and hysteresis."""

from collections.abc import Callable, Iterable

import pytest

from detect_world import (
    BLIND,
    FAILED,
    HEALTHY,
    NOTHING,
    START,
    Watch,
    at,
    keys,
    part,
    rule,
    stores_down,
)
from operator_core.monitor.detect import Detection, detect
from operator_core.monitor.types import Observation, Sighting, Violation
from operator_core.types import Severity

# --- grace ----------------------------------------------------------------------------


def test_without_grace_a_violation_is_present_at_once() -> None:
    detection = Watch(rule()).look(0, stores_down("tikv-1"))
    assert keys(detection.present) == ["store_down:tikv-1"]
    assert detection.pending == ()


def test_a_violation_is_present_once_its_grace_has_passed() -> None:
    watch = Watch(rule(grace=30))
    for seconds in (0, 10, 29.999):
        detection = watch.look(seconds, stores_down("tikv-1"))
        assert keys(detection.pending) == ["store_down:tikv-1"]
        assert detection.present == ()
    assert keys(watch.look(30, stores_down("tikv-1")).present) == ["store_down:tikv-1"]


def test_what_disappears_in_its_grace_is_forgotten_at_once() -> None:
    watch = Watch(rule(grace=30, clear=60))
    watch.look(0, stores_down("tikv-1"))
    gone = watch.look(20, HEALTHY)
    assert gone == Detection({}, (), (), NOTHING)
    assert keys(watch.look(40, stores_down("tikv-1")).pending) == ["store_down:tikv-1"]


def test_each_key_has_a_grace_of_its_own() -> None:
    watch = Watch(rule(grace=30))
    watch.look(0, stores_down("tikv-1"))
    detection = watch.look(30, stores_down("tikv-1", "tikv-10"))
    assert keys(detection.present) == ["store_down:tikv-1"]
    assert keys(detection.pending) == ["store_down:tikv-10"]


def test_the_memory_keeps_the_first_and_the_last_sight_and_the_newest_readings() -> None:
    watch = Watch(rule(grace=30))
    watch.look(0, stores_down("tikv-1"))
    sighting = watch.look(50, stores_down("tikv-1")).sightings["store_down:tikv-1"]
    assert (sighting.first_seen_at, sighting.last_seen_at) == (at(0), at(50))


# --- hysteresis -----------------------------------------------------------------------


def test_without_clear_time_one_good_look_clears() -> None:
    watch = Watch(rule())
    watch.look(0, stores_down("tikv-1"))
    assert watch.look(1, HEALTHY).cleared == {"store_down:tikv-1"}
    assert watch.look(2, HEALTHY) == Detection({}, (), (), frozenset({"store_down:tikv-1"}))
    assert watch.look(3, HEALTHY) == Detection({}, (), (), NOTHING)


def test_a_violation_clears_once_it_was_gone_for_its_clear_time() -> None:
    watch = Watch(rule(clear=60))
    watch.look(0, stores_down("tikv-1"))
    for seconds in (10, 40, 69.999):
        detection = watch.look(seconds, HEALTHY)
        assert detection.cleared == NOTHING
        assert detection.sightings["store_down:tikv-1"].clear_since == at(10)
    assert watch.look(70, HEALTHY).cleared == {"store_down:tikv-1"}
    assert watch.look(80, HEALTHY).sightings == {}
    assert watch.look(90, HEALTHY) == Detection({}, (), (), NOTHING)


def test_what_is_gone_stays_gone_in_every_look_while_its_ticket_waits() -> None:
    watch = Watch(rule(grace=30, clear=60))
    watch.look(0, stores_down("tikv-1"))
    watch.look(30, stores_down("tikv-1"))
    watch.look(40, HEALTHY)
    for seconds in (100, 101, 110, 170):
        assert watch.look(seconds, HEALTHY).cleared == {"store_down:tikv-1"}
        watch.open.add("store_down:tikv-1")  # it waits for the proof of a remedy
    watch.look(180, stores_down("tikv-1"))
    assert watch.look(190, HEALTHY).cleared == NOTHING


def test_what_comes_back_once_its_ticket_is_resolved_has_its_grace_again() -> None:
    watch = Watch(rule(grace=30, clear=60))
    watch.look(0, stores_down("tikv-1"))
    watch.look(30, stores_down("tikv-1"))
    watch.look(40, HEALTHY)
    assert watch.look(100, HEALTHY).cleared == {"store_down:tikv-1"}
    assert keys(watch.look(110, stores_down("tikv-1")).pending) == ["store_down:tikv-1"]
    assert keys(watch.look(140, stores_down("tikv-1")).present) == ["store_down:tikv-1"]


def test_what_comes_back_in_its_clear_time_never_counted_as_gone() -> None:
    watch = Watch(rule(grace=30, clear=60))
    watch.look(0, stores_down("tikv-1"))
    watch.look(30, stores_down("tikv-1"))
    watch.look(40, HEALTHY)
    back = watch.look(90, stores_down("tikv-1"))
    assert keys(back.present) == ["store_down:tikv-1"]
    assert back.sightings["store_down:tikv-1"].clear_since is None
    assert watch.look(101, HEALTHY).cleared == NOTHING
    assert watch.look(161, HEALTHY).cleared == {"store_down:tikv-1"}


def test_after_it_cleared_the_grace_begins_anew() -> None:
    watch = Watch(rule(grace=30))
    watch.look(0, stores_down("tikv-1"))
    watch.look(30, stores_down("tikv-1"))
    watch.look(40, HEALTHY)
    assert keys(watch.look(50, stores_down("tikv-1")).pending) == ["store_down:tikv-1"]


def test_one_target_clears_while_another_stays() -> None:
    watch = Watch(rule())
    watch.look(0, stores_down("tikv-1", "tikv-10"))
    detection = watch.look(10, stores_down("tikv-10"))
    assert detection.cleared == {"store_down:tikv-1"}
    assert keys(detection.present) == ["store_down:tikv-10"]


# --- what was not seen ----------------------------------------------------------------


@pytest.mark.parametrize("unseen", [BLIND, FAILED, Observation(), Observation(parts={"x": part()})])
def test_a_rule_whose_parts_were_not_read_opens_and_clears_nothing(unseen: Observation) -> None:
    watch = Watch(rule(grace=30, clear=0))
    watch.look(0, stores_down("tikv-1"))
    before = watch.sightings["store_down:tikv-1"]
    detection = watch.look(1000, unseen)
    assert detection.sightings["store_down:tikv-1"] == before
    assert "store_down:tikv-1" not in keys(detection.present + detection.pending)
    assert detection.cleared == NOTHING


def test_pitfall_62_a_failed_observation_resolves_no_ticket() -> None:
    watch = Watch(rule(), rule(name="other", needs=(), check=lambda _: []))
    watch.look(0, stores_down("tikv-1"))
    watch.open |= {"other:x"}
    for seconds in range(1, 1000, 100):
        assert watch.look(seconds, FAILED).cleared == NOTHING
    assert {"store_down:tikv-1", "other:x"} <= watch.open


def test_no_rule_is_asked_about_a_failed_observation() -> None:
    def no_leader(_: Observation) -> Iterable[Violation]:
        yield Violation(invariant="no_leader", message="nobody leads an empty cluster")

    detection = Watch(rule(no_leader, name="no_leader", needs=())).look(0, FAILED)
    assert keys(detection.present + detection.pending) == ["source_unreadable:observe"]


def test_a_rule_without_needs_opens_by_a_partial_look_and_clears_only_by_a_whole_one() -> None:
    watch = Watch(rule(needs=()))
    partial = Observation(parts={"stores": part({"down": ["tikv-1"]}), "x": part(complete=False)})
    assert "store_down:tikv-1" in keys(watch.look(0, partial).present)
    half = Observation(parts={"stores": part({"down": []}), "x": part(complete=False)})
    assert watch.look(2, half).cleared == NOTHING
    assert watch.look(3, Observation()).cleared == NOTHING
    assert watch.look(4, HEALTHY).cleared == {"store_down:tikv-1"}


# --- open tickets without a memory ----------------------------------------------------


def test_an_open_ticket_without_a_sighting_clears_after_the_clear_time() -> None:
    watch = Watch(rule(grace=30, clear=60))
    watch.open = {"store_down:tikv-1"}
    assert watch.look(0, HEALTHY).sightings["store_down:tikv-1"].clear_since == at(0)
    assert watch.look(59, HEALTHY).cleared == NOTHING
    assert watch.look(60, HEALTHY).cleared == {"store_down:tikv-1"}


def test_an_open_ticket_whose_violation_lasts_is_refreshed_without_a_second_grace() -> None:
    watch = Watch(rule(grace=30))
    watch.open = {"store_down:tikv-1"}
    assert keys(watch.look(0, stores_down("tikv-1")).present) == ["store_down:tikv-1"]


def test_an_open_ticket_is_left_alone_while_its_rule_is_not_judged() -> None:
    watch = Watch(rule())
    watch.open = {"store_down:tikv-1"}
    for seconds, unseen in enumerate((BLIND, FAILED, Observation())):
        assert watch.look(seconds, unseen).cleared == NOTHING


def test_keys_of_unknown_rules_are_left_alone() -> None:
    watch = Watch(rule())
    watch.open = {"manual:a", "store_down", "store_down2:tikv-1", ""}
    stranger = Sighting(Violation(invariant="gone", target="x", message=""), START, START)
    watch.sightings = {"gone:x": stranger}
    detection = watch.look(1000, HEALTHY)
    assert detection.cleared == NOTHING
    assert detection.sightings == {"gone:x": stranger}


def test_a_key_belongs_to_the_rule_with_the_longest_fitting_name() -> None:
    def nothing(_: Observation) -> list[Violation]:
        return []

    rules = [rule(nothing, name="disk"), rule(nothing, name="disk:low", needs=("other",))]
    watch = Watch(*rules)
    watch.open = {"disk:low:tikv-1", "disk:tikv-1"}
    assert watch.look(0, HEALTHY).cleared == {"disk:tikv-1"}


@pytest.mark.parametrize(("last_seen", "cleared"), [(29.999, False), (30, True)])
def test_without_open_tickets_the_memory_alone_says_what_passed_its_grace(
    last_seen: float, cleared: bool
) -> None:
    rules = [rule(grace=30)]
    first = detect(rules, stores_down("tikv-1"), {}, at(0))
    second = detect(rules, stores_down("tikv-1"), first.sightings, at(last_seen))
    gone = detect(rules, HEALTHY, second.sightings, at(40))
    assert gone.sightings == {}
    assert gone.cleared == ({"store_down:tikv-1"} if cleared else NOTHING)


def test_a_ticket_opened_during_the_grace_clears_and_is_not_just_forgotten() -> None:
    watch = Watch(rule(grace=30))
    watch.look(0, stores_down("tikv-1"))
    watch.open = {"store_down:tikv-1"}
    assert watch.look(10, HEALTHY).cleared == {"store_down:tikv-1"}


def test_what_was_learned_from_an_open_ticket_is_kept_in_memory() -> None:
    rules = [rule(grace=30, clear=60)]
    seeded = detect(rules, HEALTHY, {}, at(0), open_keys=frozenset({"store_down:tikv-1"}))
    assert detect(rules, HEALTHY, seeded.sightings, at(60)).cleared == {"store_down:tikv-1"}


# --- many of one key ------------------------------------------------------------------


def by_severity(*severities: Severity) -> Callable[[Observation], Iterable[Violation]]:
    found = [
        Violation(invariant="store_down", target="a", message=str(number), severity=severity)
        for number, severity in enumerate(severities)
    ]
    return lambda _: found


def test_the_worst_of_several_violations_of_one_key_wins() -> None:
    check = by_severity(Severity.INFO, Severity.CRITICAL, Severity.WARNING, Severity.CRITICAL)
    (violation,) = Watch(rule(check)).look(0, HEALTHY).present
    assert (violation.severity, violation.message) == (Severity.CRITICAL, "1")


def test_rules_that_share_a_name_are_judged_as_one() -> None:
    watch = Watch(rule(), rule(lambda _: [], clear=60))
    assert keys(watch.look(0, stores_down("tikv-1")).present) == ["store_down:tikv-1"]
    assert keys(watch.look(10, stores_down("tikv-1")).present) == ["store_down:tikv-1"]
    assert watch.look(20, HEALTHY).cleared == NOTHING
    watch.rules = (watch.rules[0], rule(needs=("other",)))
    assert watch.look(1000, HEALTHY).cleared == NOTHING


def test_the_order_is_that_of_the_rules_and_their_violations() -> None:
    second = rule(lambda _: [Violation(invariant="a", message="")], name="a", needs=())
    observation = Observation(
        parts={"stores": part({"down": ["z", "b", "m"]}), "pd": part(complete=False)}
    )
    watch = Watch(rule(), second)
    watch.look(0, observation)
    assert keys(watch.look(20, observation).present) == [
        "source_unreadable:pd",
        "store_down:z",
        "store_down:b",
        "store_down:m",
        "a:",
    ]


def test_texts_and_readings_that_cannot_be_stored_are_made_readable() -> None:
    def odd(_: Observation) -> Iterable[Violation]:
        yield Violation(
            invariant="store_down",
            target="a\ud800",
            message="\x00" * 5000,
            metrics={"p99": float("nan"), "s": {1}},
        )

    watch = Watch(rule(odd))
    (violation,) = watch.look(0, HEALTHY).present
    assert violation.metrics == {"p99": "nan", "s": [1]}
    assert violation.target == "a?"
    assert len(violation.message) == 2000
    violation.model_dump_json().encode()
    watch.rules = (rule(),)
    assert watch.look(1, HEALTHY).cleared == {"store_down:a?"}
