"""A witness says of itself what the subject behind it says."""

from collections.abc import Collection
from typing import TYPE_CHECKING, cast

from operator_core.monitor.types import Observation
from operator_core.subject import has_twin, sees_effects
from operator_core.testing.fakes import FakeSubject
from operator_core.twin import Twin
from operator_lab.witness import Witness

if TYPE_CHECKING:
    from operator_core.lab import LabCluster
    from operator_lab.clock import VirtualClock


class Seeing(FakeSubject):
    """A subject that sees temporary effects, and has a twin."""

    def temporary_effects(self, _: Observation) -> Collection[str] | None:
        """Return one."""
        return {"evict/1"}

    def twin(self, _: Observation) -> Twin | None:
        """Return none this time."""
        return None


def watched(subject: FakeSubject) -> Witness:
    return Witness(subject, cast("LabCluster", None), cast("VirtualClock", None))


def test_a_witness_sees_effects_where_its_subject_does() -> None:
    assert sees_effects(watched(Seeing()))
    assert not sees_effects(watched(FakeSubject()))


def test_a_witness_has_a_twin_where_its_subject_has_one() -> None:
    assert has_twin(watched(Seeing()))
    assert not has_twin(watched(FakeSubject()))
