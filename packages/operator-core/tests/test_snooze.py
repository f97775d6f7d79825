"""What a snooze keeps quiet, and when it stops doing so."""

from datetime import UTC, datetime, timedelta

import pytest

from operator_core.monitor.detect import detect
from operator_core.monitor.types import Invariant, Observation, Part, Snooze, Violation

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
BROKEN = ("store-1", "store-2")


def check(observation: Observation) -> list[Violation]:
    return [
        Violation(invariant="full", target=target, message=f"{target} is full")
        for target in observation.data("stores")["full"]
    ]


RULES = [Invariant("full", "no store is full", check, needs=("stores",), grace_seconds=60)]


def seen(*targets: str) -> Observation:
    part = Part(source="memory", observed_at=NOW, data={"full": list(targets)})
    return Observation(parts={"stores": part})


def snooze(**fields: object) -> Snooze:
    given = {"until": NOW + timedelta(hours=1), "reason": "known", "created_by": "ann", **fields}
    return Snooze.model_validate(given)


@pytest.mark.parametrize(
    ("fields", "quiet"),
    [
        ({"rule": "full"}, {"store-1", "store-2"}),
        ({"target": "store-1"}, {"store-1"}),
        ({"rule": "full", "target": "store-2"}, {"store-2"}),
        ({"rule": "slow"}, set()),
        ({"rule": "full", "until": NOW + timedelta(seconds=100)}, set()),
        ({"rule": "full", "ended_at": NOW}, set()),
    ],
)
def test_a_snoozed_problem_opens_no_ticket(fields: dict[str, object], quiet: set[str]) -> None:
    first = detect(RULES, seen(*BROKEN), {}, NOW)
    later = NOW + timedelta(seconds=120)
    found = detect(RULES, seen(*BROKEN), first.sightings, later, snoozes=[snooze(**fields)])
    assert {one.target for one in found.snoozed} == quiet
    assert {one.target for one in found.present} == set(BROKEN) - quiet
    assert set(found.sightings) == {f"full:{target}" for target in BROKEN}


def test_the_ticket_opens_at_once_when_the_snooze_is_over() -> None:
    snoozes = [snooze(rule="full")]
    memory = detect(RULES, seen("store-1"), {}, NOW, snoozes=snoozes).sightings
    end = NOW + timedelta(hours=1)
    just_before = detect(
        RULES, seen("store-1"), memory, end - timedelta(microseconds=1), snoozes=snoozes
    )
    assert not just_before.present
    assert detect(RULES, seen("store-1"), just_before.sightings, end, snoozes=snoozes).present


def test_an_open_ticket_goes_on_telling_the_truth_and_resolves() -> None:
    open_keys, snoozes = frozenset({"full:store-1"}), [snooze(target="store-1")]
    found = detect(RULES, seen("store-1"), {}, NOW, open_keys=open_keys, snoozes=snoozes)
    assert [one.key for one in found.present] == ["full:store-1"]
    assert [one.key for one in found.snoozed] == ["full:store-1"]
    gone = detect(RULES, seen(), found.sightings, NOW, open_keys=open_keys, snoozes=snoozes)
    assert gone.cleared == open_keys


def test_a_snooze_of_one_cluster_is_not_about_another() -> None:
    assert snooze(rule="full", subject="prod").covers("full", "x", "prod")
    assert not snooze(rule="full", subject="prod").covers("full", "x", "staging")
    assert snooze(rule="full").covers("full", "x", "staging")
