"""Sources that cannot be read and rules that fail are problems of their own."""

from collections.abc import Callable, Iterable
from typing import cast

import pytest

from detect_world import (
    BLIND,
    FAILED,
    HEALTHY,
    NOTHING,
    START,
    Watch,
    keys,
    part,
    rule,
    stores_down,
)
from operator_core.monitor.detect import (
    INVARIANT_FAILED,
    OBSERVE_PART,
    SOURCE_DOUBTED,
    SOURCE_GRACE_SECONDS,
    SOURCE_UNREADABLE,
    failed_observation,
)
from operator_core.monitor.judge import DOUBT_GRACE_SECONDS, SOURCES
from operator_core.monitor.types import Observation, Part, Violation
from operator_core.types import Severity

# --- unreadable sources ---------------------------------------------------------------


def test_a_source_that_cannot_be_read_is_a_violation_after_its_grace() -> None:
    watch = Watch(rule())
    assert keys(watch.look(0, BLIND).pending) == ["source_unreadable:stores"]
    (violation,) = watch.look(SOURCE_GRACE_SECONDS, BLIND).present
    assert violation.key == f"{SOURCE_UNREADABLE}:stores"
    assert violation.severity is Severity.WARNING
    assert violation.message == "pd cannot be read whole: HTTP 503"
    assert violation.metrics["error"] == "HTTP 503"
    assert violation.metrics["source"] == "pd"
    assert watch.look(30, HEALTHY).cleared == {"source_unreadable:stores"}


def test_a_cluster_that_cannot_be_observed_is_critical() -> None:
    watch = Watch(rule())
    watch.look(0, FAILED)
    (violation,) = watch.look(15, FAILED).present
    assert violation.key == f"{SOURCE_UNREADABLE}:{OBSERVE_PART}"
    assert violation.severity is Severity.CRITICAL
    assert "no route to host" in violation.message


def test_any_observation_that_was_made_clears_the_failed_one() -> None:
    watch = Watch()
    watch.open = {"source_unreadable:observe", "source_unreadable:stores"}
    assert watch.look(0, BLIND).cleared == {"source_unreadable:observe"}


def test_a_failed_observation_says_nothing_of_single_sources() -> None:
    watch = Watch()
    watch.look(0, BLIND)
    watch.look(20, BLIND)
    assert watch.look(30, FAILED).cleared == NOTHING
    assert "source_unreadable:stores" in watch.sightings


def test_a_source_is_no_problem_of_its_own_while_a_broken_rule_tells_why() -> None:
    unread = part(complete=False, error="no leader").model_copy(update={"told_by": "store_down"})
    down = Observation(parts={"stores": part({"down": ["4"]}), "config": unread})
    up = Observation(parts={"stores": part({"down": []}), "config": unread})
    watch = Watch(rule())
    watch.open = {"source_unreadable:config"}
    first = watch.look(0, down)
    assert keys(first.present) == ["store_down:4"]
    assert first.cleared == NOTHING
    watch.open = {"store_down:4"}
    watch.look(10, up)
    assert keys(watch.look(20, up).present) == ["source_unreadable:config"]
    assert not down.sees(["config"])


def _doubtful(**more: object) -> Observation:
    doubted = part({"down": []}).model_copy(update={"agrees": False, **more})
    return Observation(parts={"stores": doubted, "pd": part()})


def test_sources_that_contradict_each_other_for_long_are_a_violation() -> None:
    watch = Watch(rule())
    assert keys(watch.look(0, _doubtful()).pending) == ["source_contradicted:sources"]
    assert watch.look(DOUBT_GRACE_SECONDS - 1, _doubtful()).present == ()
    (violation,) = watch.look(DOUBT_GRACE_SECONDS, _doubtful()).present
    assert violation.key == f"{SOURCE_DOUBTED}:{SOURCES}"
    assert violation.metrics["parts"] == ["stores"]
    assert "stores is contradicted" in violation.message
    blind = Observation(parts={"stores": part({"down": []}), "pd": part(complete=False)})
    assert f"{SOURCE_DOUBTED}:{SOURCES}" not in watch.look(70, blind).cleared
    assert watch.look(80, HEALTHY).cleared == {"source_contradicted:sources"}


def test_sources_that_differ_for_a_moment_are_quiet() -> None:
    watch = Watch(rule())
    for seconds in range(0, 600, 50):
        found = watch.look(seconds, _doubtful() if seconds % 100 == 0 else HEALTHY)
        assert found.present == ()


def test_doubt_of_which_a_broken_rule_tells_is_no_problem_of_its_own() -> None:
    told = part({"down": ["4"]}).model_copy(update={"agrees": False, "told_by": "store_down"})
    watch = Watch(rule())
    watch.look(0, Observation(parts={"stores": told}))
    assert keys(watch.look(100, Observation(parts={"stores": told})).present) == ["store_down:4"]


def test_a_source_that_a_whole_look_no_longer_has_clears() -> None:
    watch = Watch()
    watch.open = {"source_unreadable:member-3"}
    partial = Observation(parts={"members": part(), "member-1": part(complete=False)})
    assert watch.look(0, partial).cleared == NOTHING
    assert watch.look(1, Observation()).cleared == NOTHING
    assert watch.look(2, HEALTHY).cleared == {"source_unreadable:member-3"}


def test_a_failed_observation_can_be_made_of_any_text() -> None:
    for text, error in (("", "no reason given"), ("a\ud800\x00", "a?\ufffd")):
        observation = failed_observation("tikv", text, START)
        assert observation.parts[OBSERVE_PART].error == error
        assert not observation.complete
        assert observation.subject == "tikv"
        assert observation.observed_at == START


def test_a_source_may_have_any_name() -> None:
    watch = Watch()
    odd = {"a\ud800": Part(source="\ud800", observed_at=START, complete=False, error="\x00")}
    watch.look(0, Observation(parts=odd))
    (violation,) = watch.look(20, Observation(parts=odd)).present
    violation.model_dump_json().encode()
    assert watch.look(30, Observation(parts={"a\ud800": part()})).cleared == {violation.key}


# --- rules that fail ------------------------------------------------------------------


def raises(_: Observation) -> Iterable[Violation]:
    yield Violation(invariant="store_down", target="tikv-1", message="")
    raise KeyError("state_name")


@pytest.mark.parametrize(
    "check",
    [
        raises,
        lambda _: None,
        lambda _: ["store_down"],
        lambda _: [Violation(invariant="another", message="")],
        lambda _: 1 / 0,
    ],
)
def test_a_rule_that_fails_is_a_violation_and_is_not_judged(check: object) -> None:
    watch = Watch(rule(), rule(name="other", needs=(), check=lambda _: []))
    watch.look(0, stores_down("tikv-1"))
    watch.rules = (rule(cast("Callable[[Observation], list[Violation]]", check)), watch.rules[1])
    detection = watch.look(10, HEALTHY)
    assert keys(detection.present) == [f"{INVARIANT_FAILED}:store_down"]
    assert detection.cleared == NOTHING
    assert "store_down:tikv-1" in detection.sightings
    assert detection.present[0].metrics["error"]


def test_a_rule_that_works_again_clears_its_failure_when_it_was_judged() -> None:
    watch = Watch(rule(raises))
    watch.look(0, HEALTHY)
    watch.rules = (rule(),)
    assert watch.look(10, BLIND).cleared == NOTHING
    assert watch.look(20, HEALTHY).cleared == {"invariant_failed:store_down"}
