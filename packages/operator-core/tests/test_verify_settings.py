"""A setting that was put right as it was rehearsed is proven in a third of the soak, no more."""

import pytest

from operator_core.actions.rehearsal import Rehearsal, came_true
from operator_core.clock import utc_now
from operator_core.monitor.config import Patience
from operator_core.monitor.types import Observation, Part
from operator_core.monitor.verify import MIN_LOOKS
from operator_core.twin import BlastRadius, Change

NOTHING = BlastRadius(0.0, 0.0, 0.0, 0.0)
TO_TEN = (Change("pool/level", 0.0, 10.0),)


def seen(level: float) -> Observation:
    part = Part(source="eyes", observed_at=utc_now(), data={"level": level})
    return Observation(parts={"pool": part})


@pytest.mark.parametrize(
    ("rehearsal", "level", "is_true"),
    [
        (Rehearsal(blast=NOTHING), 0.0, True),
        (Rehearsal(blast=NOTHING, changes=TO_TEN), 10.0, True),
        (Rehearsal(blast=NOTHING, changes=TO_TEN), 8.0, True),
        (Rehearsal(blast=NOTHING, changes=TO_TEN), 7.0, False),
        (Rehearsal(blast=NOTHING, worse=("fewer copies",)), 0.0, False),
        (Rehearsal(), 0.0, False),
    ],
)
def test_what_was_rehearsed_came_true_or_did_not(
    rehearsal: Rehearsal, level: float, is_true: bool
) -> None:
    assert came_true(rehearsal, seen(level)) is is_true


@pytest.mark.parametrize(("seconds", "soak"), [(30, 30), (0, 0), (90, 60)])
def test_a_soak_is_no_longer_than_a_relapse_takes_to_show(seconds: float, soak: float) -> None:
    usual = Patience(soak_seconds=60)
    shorter = usual.where_relapse_shows_in(seconds)
    assert shorter == Patience(soak_seconds=soak)
    assert shorter.where_foreseen().soak_seconds == pytest.approx(soak / 3)


def test_only_the_soak_is_shortened() -> None:
    usual = Patience(soak_seconds=60)
    shorter = usual.where_foreseen()
    assert shorter.soak_seconds == 20
    assert (shorter.verify_seconds, shorter.blind_seconds, shorter.gap_seconds) == (
        usual.verify_seconds,
        usual.blind_seconds,
        usual.gap_seconds,
    )
    assert MIN_LOOKS == 3
