"""Why a placement rule cannot be met: too few stores, or labels that leave too few places."""

from typing import Final

from operator_core.agent.diagnosis import Assessment, Claim, Predicate
from operator_core.monitor.types import Observation, Violation
from operator_core.subject import Hypothesis
from operator_tikv.causes.words import claim

PLACEMENT: Final = "placement_unsatisfiable"


def _counted(violation: Violation) -> tuple[Claim, Claim]:
    """Return that there are fewer stores than the rule wants replicas, and that there are not."""
    name, wanted = violation.target, int(violation.metrics["wanted"])
    path = f"placement/unsatisfiable/{name.replace('~', '~0').replace('/', '~1')}/store_count"
    few = claim(f"There are fewer stores than {wanted}", path, Predicate.LT, wanted, 3.0)
    return few, claim(f"There are {wanted} stores or more", path, Predicate.GE, wanted, 3.0)


def rule_wants_more_stores(violation: Violation) -> Assessment:
    """Weigh that a rule wants more replicas than there are stores, whatever their labels."""
    few, enough = _counted(violation)
    wanted, count = violation.metrics["wanted"], violation.metrics.get("store_count", "fewer")
    return Assessment(
        cause=(
            f"The rule {violation.target} wants {wanted} replicas, and there are {count} stores "
            "for them. Add stores, or let it want fewer; no label helps."
        ),
        supports=[few],
        contradicts=[enough],
        components=[violation.target],
        escalate=True,
    )


def labels_cannot_be_met(violation: Violation, observation: Observation) -> Assessment | None:
    """A rule, the location labels or the isolation level ask for more places than the labels give.

    Correct the labels of the stores, or the rule; one thing at a time, with limits lowered first,
    because much may move.
    """
    del observation
    few, enough = _counted(violation)
    return Assessment(
        cause=" ".join((labels_cannot_be_met.__doc__ or "").split()),
        supports=[enough],
        contradicts=[few],
        components=[violation.target],
        escalate=True,
    )


PLACEMENT_CAUSES: Final = (
    Hypothesis("labels_cannot_be_met", frozenset({PLACEMENT}), labels_cannot_be_met),
)
