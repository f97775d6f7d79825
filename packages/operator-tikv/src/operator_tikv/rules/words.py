"""How rules are written down."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from operator_core.monitor.types import Check, Invariant, Observation, Violation
from operator_core.types import JsonObject, Severity

Given = Mapping[str, float]
"""The thresholds of a rule, by name."""

Judge = Callable[[Observation, Given], Iterable[Violation]]
"""Finds the violations by an observation and the rule's thresholds."""

CLUSTER = "cluster"


def rule(
    judge: Judge,
    name: str,
    needs: Sequence[str],
    grace_seconds: float,
    clear_seconds: float = 20.0,
    *,
    description: str = "",
    unseen: Callable[[Observation], Iterable[str]] | None = None,
    **thresholds: float,
) -> Invariant:
    """Return the invariant of a judge.

    Args:
        judge: what finds the violations; the first line of its text describes the rule.
        name: the name that tickets carry.
        needs: parts without which it cannot be judged.
        grace_seconds: how long it must be broken before a ticket opens.
        clear_seconds: how long it must hold before the ticket resolves.
        description: instead of the judge's own text.
        unseen: names the targets that an observation says nothing about.
        thresholds: the numbers it goes by, each named with its unit.
    """

    def build(given: Given) -> Check:
        return lambda observation: judge(observation, given)

    return Invariant(
        name=name,
        description=description or (judge.__doc__ or name).split("\n")[0],
        check=build(thresholds),
        needs=tuple(needs),
        grace_seconds=grace_seconds,
        clear_seconds=clear_seconds,
        thresholds=thresholds,
        build=build,
        unseen=unseen,
    )


def of_setting(invariant: Invariant) -> Invariant:
    """Return a rule that reads what somebody set, and nothing that is measured."""
    return replace(invariant, is_setting=True)


def store_target(store_id: str | int) -> str:
    """Return the name of a store as a violation's target."""
    return f"store-{store_id}"


def store_id_of(target: str) -> str:
    """Return the id of the store that a target names, empty where it names none."""
    return target.removeprefix("store-") if target.startswith("store-") else ""


def stores_of(observation: Observation) -> Iterator[tuple[str, JsonObject]]:
    """Yield each store with its id."""
    yield from observation.data("stores").items()


def evicted_of(observation: Observation) -> set[str]:
    """Return the ids of the stores whose leaders are being evicted."""
    return {str(key) for key in observation.data("schedulers").get("evict_leader_store_ids", ())}


def restarted_of(observation: Observation) -> set[str]:
    """Return the ids of the stores whose process began anew in the last five minutes.

    Only metrics tell; without them it is nobody.
    """
    restarts = observation.data("store_metrics").get("readings", {}).get("restarts", {})
    return {store_id for store_id, count in restarts.items() if count > 0}


def about_store(
    name: str, store_id: str, store: JsonObject, message: str, severity: Severity
) -> Violation:
    """Return a violation at a store, with what matters of the store."""
    kept = (
        "state_name",
        "leader_count",
        "region_count",
        "available_share",
        "slow_score",
        "last_heartbeat_age_seconds",
    )
    return Violation(
        invariant=name,
        target=store_target(store_id),
        message=f"Store {store_id} ({store['address']}) {message}",
        severity=severity,
        metrics={"store_id": int(store_id), **{key: store[key] for key in kept}},
    )


def found(
    name: str,
    target: str,
    message: str,
    severity: Severity = Severity.WARNING,
    metrics: JsonObject | None = None,
) -> Violation:
    """Return a violation."""
    return Violation(
        invariant=name, target=target, message=message, severity=severity, metrics=metrics or {}
    )
