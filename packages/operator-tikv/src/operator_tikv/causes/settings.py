"""Why PD does not do what it should: what somebody set and forgot.

One forgotten switch is put back. Of several at once nobody can tell which belong together (an
import pauses three schedulers, and so does somebody who repairs something): a person decides.
"""

from typing import Final

from operator_core.agent.diagnosis import Assessment, Claim, Predicate
from operator_core.monitor.types import Observation, Violation
from operator_core.subject import Hypothesis
from operator_tikv.causes.words import (
    SETTLE_SECONDS,
    claim,
    note,
    step,
    store_case,
    wait,
    workflow,
)

DEFAULT_LIMIT_PER_MINUTE: Final = 15.0
"""PD's own limit of a store, where the former one is not known."""


def _listed(path: str, name: str, words: str) -> Claim:
    return claim(words, path, Predicate.CONTAINS, name, 3.0)


def scheduler_left_paused(violation: Violation, observation: Observation) -> Assessment | None:
    """A scheduler was paused, and nobody resumed it."""
    name, paused = violation.target, observation.data("schedulers").get("paused", [])
    if len(paused) > 1:
        return None
    return Assessment(
        cause=f"{name} was paused, by hand or by an import that ended badly, and not resumed.",
        supports=[_listed("schedulers/paused", name, f"{name} is paused")],
        components=["pd-schedulers"],
        workflows=[
            workflow(
                "resume_forgotten_scheduler",
                f"Resumes {name}, once a person has seen that no import or backup runs.",
                step("resume_scheduler", f"Nothing balances while {name} is paused.", name=name),
                wait(SETTLE_SECONDS, "Let it begin."),
                note(f"{name} runs again."),
            )
        ],
        risks=["An import or a backup may need the pause: see whether one runs."],
    )


def several_left_paused(violation: Violation, observation: Observation) -> Assessment | None:
    """Several schedulers are paused together, as an import or a restore does it."""
    paused = observation.data("schedulers").get("paused", [])
    if len(paused) < 2:  # noqa: PLR2004 - one has a cause of its own
        return None
    return Assessment(
        cause=(
            f"{len(paused)} schedulers are paused together ({', '.join(paused)}), as an import or "
            "a restore does it. See whether it still runs; if not, resume all of them."
        ),
        supports=[
            _listed("schedulers/paused", str(name), f"{name} is paused") for name in sorted(paused)
        ],
        components=["pd-schedulers"],
        risks=["Resuming one of them under a running import slows both."],
        escalate=violation.invariant == "scheduler_paused",
    )


def checker_left_paused(violation: Violation, observation: Observation) -> Assessment | None:
    """A checker of PD was paused, and nobody resumed it."""
    name, paused = violation.target, observation.data("schedulers").get("paused_checkers", [])
    actions = [step("resume_checker", f"PD repairs less while {name} is paused.", name=name)]
    is_only = len(paused) == 1
    return Assessment(
        cause=f"PD's {name} checker was paused and nobody resumed it.",
        supports=[_listed("schedulers/paused_checkers", name, f"The {name} checker is paused")],
        components=["pd-schedulers"],
        actions=actions if is_only else [],
        escalate=not is_only,
    )


def scheduler_removed(violation: Violation, observation: Observation) -> Assessment | None:
    """A scheduler was removed; who removed it must say why."""
    del observation
    name = violation.target
    return Assessment(
        cause=f"{name} was removed. Ask who did it and why; then add it again.",
        supports=[_listed("schedulers/missing", name, f"PD runs no {name}")],
        components=["pd-schedulers"],
        escalate=True,
    )


def removal_limit_left_open(violation: Violation, observation: Observation) -> Assessment | None:
    """A delete was cancelled, and the limit that PD had lifted for it stayed lifted."""
    case = store_case(violation, observation)
    if case is None:
        return None
    store_id = int(case.store_id)
    several = len(observation.data("config").get("unlimited_remove_store_ids", [])) > 1
    lower = step(
        "set_store_limit",
        "PD forgot the former limit; this is its default.",
        f"Store {store_id} loses at most {DEFAULT_LIMIT_PER_MINUTE:.0f} replicas a minute.",
        ("The former limit may have been another one.",),
        store_id=store_id,
        rate=DEFAULT_LIMIT_PER_MINUTE,
        direction="remove-peer",
    )
    return Assessment(
        cause=f"A delete of {case.name} was cancelled, and its limit of removals stayed lifted.",
        supports=[
            claim(
                f"Store {store_id} may lose replicas without limit",
                "config/unlimited_remove_store_ids",
                Predicate.CONTAINS,
                store_id,
                3.0,
            ),
            case.says("The store stays", "state_name", Predicate.EQ, "Up"),
        ],
        components=[f"store-{store_id}"],
        actions=[] if several else [lower],
        escalate=several,
    )


def leader_weight_set(violation: Violation, observation: Observation) -> Assessment | None:
    """Leaders follow the weights of the stores, and one of them was set."""
    stores = observation.data("stores")
    ends = (str(violation.metrics.get(f"{end}_store_id", "")) for end in ("fewest", "most"))
    weights = {one: stores[one]["leader_weight"] for one in ends if one in stores}
    store_id = max(weights, key=lambda one: abs(weights[one] - 1.0), default="")
    if not store_id or weights[store_id] == 1.0:
        return None
    weight = weights[store_id]
    path = f"stores/{store_id}/leader_weight"
    return Assessment(
        cause=(
            f"Store {store_id} has the leader weight {weight:g}, and PD gives leaders by the "
            "weights. If nobody wants that any more, set it back; move no leader by hand."
        ),
        supports=[claim(f"Its weight is {weight:g}, not 1", path, Predicate.NE, 1.0, 3.0)],
        components=[f"store-{store_id}"],
        escalate=True,
    )


SETTING_CAUSES: Final = (
    Hypothesis("scheduler_left_paused", frozenset({"scheduler_paused"}), scheduler_left_paused),
    Hypothesis("several_left_paused", frozenset({"scheduler_paused"}), several_left_paused),
    Hypothesis("checker_left_paused", frozenset({"checker_paused"}), checker_left_paused),
    Hypothesis("leader_weight_set", frozenset({"leader_imbalance"}), leader_weight_set),
    Hypothesis("scheduler_removed", frozenset({"scheduler_missing"}), scheduler_removed),
    Hypothesis(
        "removal_limit_left_open", frozenset({"store_limit_unlimited"}), removal_limit_left_open
    ),
)
