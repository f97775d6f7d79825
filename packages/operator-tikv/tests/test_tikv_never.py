"""What must never be done is stopped by the guard that the catalogue names, and by nothing else.

Each of the 38 failures is brought to its height. With its guards the forbidden request is not sent;
with the guards taken away it is: so the refusal is the guard's, and these tests can fail.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from operator_core.actions.policy.decide import decide
from operator_core.actions.policy.effect import Effect
from operator_core.actions.policy.loading import load, shipped_policy
from operator_core.actions.policy.request import BlastRadius, PolicyRequest, tags_of
from operator_core.actions.registry import ActionRegistry
from operator_core.actions.validation import validate_action_params
from operator_core.agent.diagnosis import ActionRecommendation, Diagnosis
from operator_core.agent.recommend import checked
from operator_core.errors import OperatorError, SubjectUnreachableError, UnknownActionError
from operator_core.subject import ActionCall
from operator_tikv import preflight
from operator_tikv.actions.table import CHANGES
from operator_tikv.causes.failures import Failure, Guard, Never, known_failures
from operator_tikv.pd.errors import is_no_leader
from operator_tikv.simulator.scenario import build
from tikv_scenarios import files, read
from tikv_support import NOW, Meddler, simulated_subject

if TYPE_CHECKING:
    from operator_core.types import JsonObject
    from operator_tikv.subject import TikvSubject

TOLD = {told.expect.number: told.scenario for told in map(read, files())}
WITHOUT_PD = {28, 30}
"""PD itself answers nobody there, guards or none."""

LIMIT = pytest.mark.timeout(240)
"""The heights lie up to an hour of virtual time away."""


def guarded_by(guard: Guard) -> list[tuple[Failure, Never]]:
    return [
        (failure, never)
        for failure in known_failures()
        for never in failure.never
        if never.refused_by is guard
    ]


def named(guard: Guard) -> list[object]:
    return [
        pytest.param(failure, never, id=f"{failure.number}-{never.action}-{number}")
        for number, (failure, never) in enumerate(guarded_by(guard))
    ]


def take_guards_away(monkeypatch: pytest.MonkeyPatch, action: str) -> None:
    def nothing(*_: Any) -> None:  # noqa: ANN401 - whatever a guard is given
        """Check nothing."""

    change = CHANGES[action]
    monkeypatch.setattr(change, "check", nothing)
    monkeypatch.setattr(change, "check_arguments", nothing)
    monkeypatch.setattr(preflight, "check_pd", nothing)


async def ask(subject: TikvSubject, never: Never, *, checked: bool) -> OperatorError | None:
    """Ask for it as an approved proposal would be carried out; return what stopped it."""
    definition = ActionRegistry(subject).require(never.action)
    try:
        if checked:
            validate_action_params(definition, never.parameters)
        await subject.perform(ActionCall(never.action, never.parameters, "test:never"))
    except OperatorError as error:
        return error
    return None


def effects(way: Meddler) -> list[str]:
    return [one for one in way.sent if not one.startswith("GET")]


def is_unread(error: OperatorError | None) -> bool:
    """Whether PD answered nothing, so that it could not even be asked."""
    return isinstance(error, SubjectUnreachableError) or is_no_leader(error)


@LIMIT
@pytest.mark.parametrize(
    "failure",
    [
        one
        for one in known_failures()
        if any(never.refused_by is Guard.PREFLIGHT for never in one.never)
    ],
    ids=lambda one: str(one.number),
)
async def test_only_its_guard_keeps_the_forbidden_request_from_pd(
    failure: Failure, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = build(TOLD[failure.number])
    cluster.advance(failure.height)
    way = Meddler(cluster)
    way.refuse_effects = httpx.Response(500, json="taken down by the test")
    subject = simulated_subject(cluster, way)
    for never in (one for one in failure.never if one.refused_by is Guard.PREFLIGHT):
        way.sent.clear()
        assert await ask(subject, never, checked=True) is not None
        assert effects(way) == []
        with monkeypatch.context() as patch:
            take_guards_away(patch, never.action)
            error = await ask(subject, never, checked=False)
        got_through = effects(way) != [] or error is None
        assert got_through is not (failure.number in WITHOUT_PD and is_unread(error)), never
    await subject.close()


WITHOUT_PEOPLE = """
version = 1
[[rule]]
name = "all"
effect = "auto"
reason = "the guard is taken away"
"""


@pytest.mark.parametrize(("failure", "never"), named(Guard.PERSON))
def test_only_the_policy_keeps_what_a_person_decides(failure: Failure, never: Never) -> None:
    definition = CHANGES[never.action].definition
    request = PolicyRequest(
        never.action,
        NOW,
        tags=tags_of(definition),
        risk=definition.risk_level,
        blast=BlastRadius(),
    )
    assert decide(load(shipped_policy()), request).effect is Effect.APPROVE, failure.number
    assert decide(load(WITHOUT_PEOPLE), request).effect is Effect.AUTO


POSSIBLE: dict[str, JsonObject] = {
    "transfer_leader": {"region_id": 9, "to_store_id": 2},
    "merge_regions": {"source_region_id": 9, "target_region_id": 10},
    "set_cluster_version": {"version": "8.5.7"},
}


@pytest.mark.parametrize(("failure", "never"), named(Guard.CATALOGUE))
def test_only_the_catalogue_keeps_what_no_cause_proposes(failure: Failure, never: Never) -> None:
    registry = ActionRegistry(simulated_subject(build(TOLD[failure.number])))
    planted = ActionRecommendation(
        action_name=never.action, parameters=POSSIBLE[never.action], reason="planted by the test"
    )
    validate_action_params(registry.require(never.action), planted.parameters)
    said = Diagnosis(cause="planted", confidence=1.0, actions=[planted])
    kept = checked(said, registry.require).diagnosis.actions
    assert [one.action_name for one in kept] == [never.action]


@pytest.mark.parametrize(("failure", "never"), named(Guard.ABSENT))
async def test_what_does_not_exist_cannot_be_asked_for(failure: Failure, never: Never) -> None:
    subject = simulated_subject(build(TOLD[failure.number]))
    with pytest.raises(UnknownActionError):
        await subject.perform(ActionCall(never.action, never.parameters, "test:never"))
    await subject.close()


def test_each_of_the_38_has_a_guard_that_is_shown() -> None:
    shown = {failure.number for guard in Guard for failure, _ in guarded_by(guard)}
    assert shown == set(range(1, 39))
