"""Rules about the network between the stores, which PD does not see."""

from collections.abc import Collection, Iterator, Sequence
from typing import Final

from operator_core.monitor.types import Invariant, Observation, Violation
from operator_core.types import Severity
from operator_tikv.rules.words import (
    Given,
    about_store,
    evicted_of,
    restarted_of,
    rule,
    store_target,
    stores_of,
)

Failing = dict[str, dict[str, float]]
"""How many messages a second fail to reach a store, by who sends them."""

_NOW: Final = "unreachable_now_per_second"
_LATELY: Final = "unreachable_per_second"


def check_partial_partition(observation: Observation, given: Given) -> Iterator[Violation]:
    """A store that PD hears and that other stores cannot reach, or that reaches none of them."""
    told: dict[str, str] = {}
    failing = _unreachable(observation, _LATELY)
    for store_id, store in stores_of(observation):
        words = _cut_off(store_id, failing, given["most_failures_per_second"])
        told |= {store_id: words} if words and store["is_healthy"] else {}
    for store_id, words in told.items():
        yield _cut(observation, store_id, words)
    least = given["least_pair_failures_per_second"]
    for store_id, others in _cut_apart(observation, least, told.keys()).items():
        words = f"it and store {', '.join(others)} cannot reach each other"
        yield _cut(observation, store_id, words, others)


def _cut(
    observation: Observation, store_id: str, words: str, others: Sequence[str] = ()
) -> Violation:
    store = observation.data("stores")[store_id]
    message = f"is Up for PD, but {words}: look at the network between the stores; restart nothing."
    found = about_store("partial_partition", store_id, store, message, Severity.CRITICAL)
    more = {"cut_from_store_ids": [int(one) for one in others]} if others else {}
    return found.model_copy(update={"metrics": {**found.metrics, **more}})


def _cut_off(store_id: str, failing: Failing, most: float) -> str:
    """Return what shows that a store is cut off from the others, empty where nothing does."""
    to_it = sum(failing.get(store_id, {}).values())
    alone = [by[store_id] for by in failing.values() if by.keys() == {store_id}]
    if to_it > most:
        return f"other stores cannot send it {to_it:.0f} messages a second"
    if len(alone) > 1 and sum(alone) > most:
        return f"it cannot send {sum(alone):.0f} messages a second to {len(alone)} others"
    return ""


def _cut_apart(
    observation: Observation, least: float, told: Collection[str]
) -> dict[str, list[str]]:
    """Return the stores that single others cannot reach nor be reached by, with those.

    Between two stores pass too few messages for their sum to stand out. That both directions fail
    within one minute is the sign: who was restarted fails nobody, and who is overloaded sends.
    """
    failing = _unreachable(observation, _NOW)
    restarting = evicted_of(observation) | restarted_of(observation)
    links = {
        frozenset({one, other})
        for one, by in failing.items()
        for other, rate in by.items()
        if min(rate, failing.get(other, {}).get(one, 0.0)) >= least
    }
    links = {link for link in links if not link & {*restarting, *told}}
    found: dict[str, list[str]] = {}
    while links:
        # Of several cuts the store that has most of them: a pair is told at one of the two.
        ends = sorted({one for link in links for one in link}, key=int)
        worst = max(ends, key=lambda one: sum(one in link for link in links))
        theirs = {one for link in links if worst in link for one in link}
        found[worst] = sorted(theirs - {worst}, key=int)
        links = {link for link in links if worst not in link}
    return found


def _unreachable(observation: Observation, signal: str) -> Failing:
    """Return what fails between healthy stores.

    A sender that PD does not hear counts for nothing: it is cut off itself.
    """
    readings = observation.data("store_metrics").get("readings", {})
    healthy = {store_id for store_id, one in stores_of(observation) if one["is_healthy"]}
    failing: Failing = {}
    for sender, by_target in readings.get(signal, {}).items():
        for store_id, rate in by_target.items():
            if {store_id, sender} <= healthy and rate > 0:
                failing.setdefault(store_id, {})[sender] = rate
    return failing


def all_unseen(observation: Observation) -> list[str]:
    """Return the stores of which too little was seen to judge who reaches whom."""
    metrics = observation.data("store_metrics")
    if metrics.get("unrated") or not metrics.get("readings"):
        return [store_target(store_id) for store_id, _ in stores_of(observation)]
    return []


CUT_RULES: Final[tuple[Invariant, ...]] = (
    rule(
        check_partial_partition,
        "partial_partition",
        ["stores", "store_metrics"],
        60,
        unseen=all_unseen,
        most_failures_per_second=10.0,
        least_pair_failures_per_second=1.0,
    ),
)
