"""A twin small enough to reason about: a barrel that must not run dry."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from operator_core.clock import utc_now
from operator_core.monitor.types import Observation, Part
from operator_core.twin import BlastRadius, Breach, Change, Prediction, compare, names_of

if TYPE_CHECKING:
    from operator_core.actions.types import ActionRequest


@dataclass(frozen=True)
class Barrel:
    """A twin of a barrel: `fill` adds, `tap` takes; below five litres it is dry."""

    litres: float = 10.0
    taps: str = "tap"
    by: str = "litres"

    def apply(self, call: ActionRequest) -> Prediction | None:
        amount = float(call.parameters.get(self.by, 0))
        after = {"fill": self.litres + amount, self.taps: self.litres - amount}
        if call.action_name not in after:
            return None
        left = after[call.action_name]
        better, worse = compare(_breach(self.litres), _breach(left))
        share = amount / 10
        return Prediction(
            seconds=amount,
            blast=BlastRadius(share, share, share, share),
            then=replace(self, litres=left),
            changes=(Change("barrel/litres", self.litres, left),),
            better=better,
            worse=worse,
            breached=names_of(worse),
            mended=names_of(better),
        )


def _breach(litres: float) -> dict[str, Breach]:
    return {"it is not dry": Breach(max(0.0, 5.0 - litres), f"{litres:.0f} l are left")}


def look_at(litres: float) -> Observation:
    """Return what a look at such a barrel shows."""
    part = Part(source="test", observed_at=utc_now(), data={"litres": litres})
    return Observation(parts={"barrel": part})
