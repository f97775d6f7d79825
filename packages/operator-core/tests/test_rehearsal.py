"""Rehearsals: pure rules."""

from __future__ import annotations

import pytest

from barrels import Barrel, look_at
from operator_core.actions.rehearsal import (
    Measured,
    Rehearsal,
    calibration,
    measure,
    rehearse,
    require_safe,
)
from operator_core.actions.types import ActionRequest
from operator_core.errors import UnsafeError
from operator_core.twin import BlastRadius, Change

BLAST = BlastRadius(0.1, 0.2, 0.3, 0.4)


def call(name: str, litres: float = 0.0) -> ActionRequest:
    return ActionRequest(action_name=name, parameters={"litres": litres})


def test_steps_are_rehearsed_one_after_the_other() -> None:
    first, second = rehearse(Barrel(), [call("tap", 3), call("tap", 2)])
    assert first.changes == (Change("barrel/litres", 10, 7),)
    assert second.changes == (Change("barrel/litres", 7, 5),)
    assert (first.seconds, second.seconds) == (3, 2)
    assert first.blast == second.blast == BlastRadius(0.3, 0.3, 0.3, 0.3)
    assert first.worse == ()


def test_a_bad_step_condemns_all_even_if_a_later_one_mends_it() -> None:
    steps = rehearse(Barrel(), [call("tap", 6), call("fill", 6)])
    assert {one.worse for one in steps} == {("step 1 (tap): it is not dry: 4 l are left",)}
    with pytest.raises(UnsafeError, match="4 l are left"):
        require_safe(steps[1])


def test_what_has_no_model_makes_all_of_it_unknown() -> None:
    steps = rehearse(Barrel(), [call("tap", 1), call("paint"), call("tap", 9)])
    assert [one.blast for one in steps] == [None, None, None]
    assert [one.seconds for one in steps] == [1, None, None]
    assert steps[0].tier == "unknown"
    require_safe(steps[0])


def test_a_wrong_in_a_known_step_counts_beside_an_unknown_one() -> None:
    steps = rehearse(Barrel(), [call("tap", 9), call("paint")])
    assert steps[1].worse == ("step 1 (tap): it is not dry: 1 l are left",)


def test_what_was_broken_before_may_stay_so_and_may_mend() -> None:
    assert rehearse(Barrel(2), [call("fill", 1)])[0].worse == ()
    assert rehearse(Barrel(2), [call("fill", 1)])[0].better == ("it is not dry: 3 l are left",)
    assert rehearse(Barrel(2), [call("fill", 8)])[0].better == ("it is not dry: holds again",)


@pytest.mark.parametrize(
    ("blast", "tier"),
    [
        (None, "unknown"),
        (BlastRadius(), "unknown"),
        (BlastRadius(0, 0, 0, 0), "small"),
        (BlastRadius(0.1, 0, 0, None), "small"),
        (BlastRadius(0, 0.3, 0, 0), "medium"),
        (BlastRadius(0, 0, 0, 1.0), "large"),
    ],
)
def test_the_largest_share_is_the_tier(blast: BlastRadius | None, tier: str) -> None:
    assert Rehearsal(blast=blast).tier == tier


def test_json_and_back() -> None:
    whole = Rehearsal(2.0, (Change("a/b", 1, None),), ("x",), ("y",), BLAST)
    assert Rehearsal.of_json(whole.to_json()) == whole
    assert Rehearsal.of_json(Rehearsal().to_json()) == Rehearsal()
    came = Measured(1.0, (None, 2.0), 0.5)
    assert Measured.of_json(came.to_json()) == came


@pytest.mark.parametrize(("actual", "error"), [(4.0, 0.0), (7.0, 0.5), (10.0, 1.0), (-2.0, 1.0)])
def test_an_error_is_measured_by_the_change_that_was_predicted(actual: float, error: float) -> None:
    said = Rehearsal(2.0, (Change("barrel/litres", 10, 4),))
    assert measure(said, look_at(actual), 3.0).number_error == error


def test_what_goes_as_predicted_is_no_error() -> None:
    gone = Rehearsal(2.0, (Change("barrel/oil", 10, None),))
    assert measure(gone, look_at(1), 3.0).number_error == 0.0
    assert (
        measure(Rehearsal(2.0, (Change("barrel/oil", 1, 2),)), look_at(1), 3.0).number_error == 1.0
    )
    assert measure(Rehearsal(2.0), look_at(1), 3.0).number_error is None


def test_calibration_tells_each_action_apart() -> None:
    said = Rehearsal(seconds=2.0)
    results = [
        ("tap", said, Measured(2.0, (), 0.0)),
        ("tap", said, Measured(6.0, (), 0.5)),
        ("fill", said, Measured(1.0)),
    ]
    fill, tap = calibration(results)
    assert (fill.action, fill.times, fill.number_error, fill.time_ratio) == ("fill", 1, None, 0.5)
    assert (tap.action, tap.times, tap.number_error, tap.time_ratio) == ("tap", 2, 0.25, 2.0)


def test_who_takes_back_a_repair_does_no_harm_of_its_own() -> None:
    fill = ActionRequest(action_name="fill", parameters={"litres": 4})
    back = ActionRequest(action_name="tap", parameters={"litres": 4})
    more = ActionRequest(action_name="tap", parameters={"litres": 9})
    (mended,) = rehearse(Barrel(3.0), [fill], [back])
    assert mended.worse == ()
    assert mended.undo == ("tap: it is not dry: 3 l are left",)
    (harm,) = rehearse(Barrel(8.0), [fill], [more])
    assert harm.worse == ("undoing it (tap): it is not dry: 3 l are left",)
