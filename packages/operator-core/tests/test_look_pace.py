"""How soon the next look comes: sooner only where it would decide something."""

import pytest

from detect_world import HEALTHY, Watch, at, rule, stores_down
from operator_core.monitor.tickets import Look


@pytest.mark.parametrize(
    ("due_seconds", "awaits_proof", "pause_seconds"),
    [
        (None, False, 30),
        (25.0, False, 25),
        (400.0, False, 30),
        (2.0, False, 10),
        (-5.0, False, 10),
        (None, True, 10),
        (25.0, True, 10),
    ],
)
def test_the_next_look_comes_when_it_decides_something_but_never_crowds(
    due_seconds: float | None, *, awaits_proof: bool, pause_seconds: float
) -> None:
    look = Look(1, complete=True, due_seconds=due_seconds, awaits_proof=awaits_proof)
    assert look.pause_seconds(30) == pause_seconds


def test_the_first_grace_that_runs_out_is_told() -> None:
    watch = Watch(rule(grace=60))
    assert watch.look(0, HEALTHY).due_at is None
    assert watch.look(10, stores_down("a")).due_at == at(70)
    assert watch.look(40, stores_down("a", "b")).due_at == at(70)
    assert watch.look(70, stores_down("a", "b")).due_at == at(100)
    assert watch.look(80, stores_down("a")).due_at is None
