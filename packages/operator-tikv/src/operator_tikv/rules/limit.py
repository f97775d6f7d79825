"""A rule about one number of a store or PD member that must not be passed."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from operator_core.monitor.types import Invariant, Observation, Violation
from operator_core.types import JsonObject, Severity
from operator_tikv.metrics.sight import CLIENT_METRICS, PD_METRICS, STORE_METRICS
from operator_tikv.metrics.signals import CLIENT_SIGNALS, PD_SIGNALS, TIKV_SIGNALS
from operator_tikv.rules.words import Given, evicted_of, found, rule

_TWO_LOOKS: Final = frozenset(
    (part, signal.name)
    for part, signals in (
        (STORE_METRICS, TIKV_SIGNALS),
        (PD_METRICS, PD_SIGNALS),
        (CLIENT_METRICS, CLIENT_SIGNALS),
    )
    for signal in signals
    if signal.needs_two_looks
)
_PREFIX: Final = {STORE_METRICS: "store", PD_METRICS: "pd", CLIENT_METRICS: "client"}


@dataclass(frozen=True)
class Limit:
    """A number that must not be passed.

    Attributes:
        rule: the rule's name.
        signal: the reading.
        limit: the threshold's name, with its unit.
        value: the threshold.
        words: what it means; ``{value}`` stands for the reading.
        grace_seconds: how long it must be passed.
        part: where the reading stands.
        severity: how bad it is.
        per: the reading that it is divided by, such as a quota.
        planned: how much of it is expected of a store that is being drained or taken out.
        excused: where its part tells the processes of which all of it is expected.
        is_undisturbed: whether it means something only while no store is drained: one that is
            restarted on purpose hears nothing meanwhile. While one is silent it is a warning: the
            ticket of that store calls a person.
        is_idle: whether it means something only while PD works on nothing.
        size: how the reading becomes the number that is compared.
    """

    rule: str
    signal: str
    limit: str
    value: float
    words: str
    grace_seconds: float = 60.0
    part: str = STORE_METRICS
    severity: Severity = Severity.WARNING
    per: str = ""
    planned: float = 0.0
    excused: str = ""
    is_undisturbed: bool = False
    is_idle: bool = False
    size: Callable[[float], float] = float

    def as_rule(self) -> Invariant:
        """Return the invariant."""

        def judge(observation: Observation, given: Given) -> Iterator[Violation]:
            yield from self._broken(observation, given[self.limit])

        def unseen(observation: Observation) -> list[str]:
            return self._unseen(observation.data(self.part))

        needs = [self.part, *(["stores", "schedulers"] if self.planned else [])]
        needs += ["operators"] if self.is_idle else []
        needs += ["schedulers"] if self.is_undisturbed else []
        words = self.words.replace("{value}", "more than what is right")
        return rule(
            judge,
            self.rule,
            needs,
            self.grace_seconds,
            description=f"{words[0].upper()}{words[1:]}.",
            unseen=unseen,
            **{self.limit: self.value},
        )

    def target(self, key: str) -> str:
        """Return the target of a process."""
        return f"{_PREFIX[self.part]}-{key}"

    def _broken(self, observation: Observation, most: float) -> Iterator[Violation]:
        if self.is_idle and observation.data("operators")["count"]:
            return
        if self.is_undisturbed and _drained(observation):
            return
        data = observation.data(self.part)
        leaving = _leaving(observation) if self.planned else set()
        severity = self._severity(observation)
        excused = data.get(self.excused, ())
        for key, (label, value) in self._values(data).items():
            borne = max(most, self.planned) if key in leaving else most
            if self.size(value) > borne and key not in excused:
                where = f" ({label})" if label else ""
                message = f"{self._who(key)}: {self.words.format(value=_number(value))}{where}."
                metrics = {self.signal: value, "label": label, self.limit: most}
                yield found(self.rule, self.target(key), message, severity, metrics)

    def _severity(self, observation: Observation) -> Severity:
        silent = observation.data("cluster").get("silent_store_count", 0)
        return Severity.WARNING if self.is_undisturbed and silent else self.severity

    def _values(self, data: JsonObject) -> dict[str, tuple[str, float]]:
        readings = data.get("readings", {})
        quotas = readings.get(self.per, {})
        values: dict[str, tuple[str, float]] = {}
        for key, reading in readings.get(self.signal, {}).items():
            label, value = _worst(reading)
            if self.per:
                quota = quotas.get(key)
                if not quota:
                    continue  # without a quota it has none of it used
                value /= quota
            values[key] = (label, value)
        return values

    def _unseen(self, data: JsonObject) -> list[str]:
        unseen = list(data.get("unseen", ()))
        if (self.part, self.signal) in _TWO_LOOKS:
            unseen += data.get("unrated", ())
        return [self.target(key) for key in unseen]

    def _who(self, key: str) -> str:
        return {"store": "Store", "pd": "PD member", "client": "Client"}[
            _PREFIX[self.part]
        ] + f" {key}"


def _worst(reading: float | dict[str, float]) -> tuple[str, float]:
    if isinstance(reading, dict):
        return max(reading.items(), key=lambda one: (one[1], one[0]), default=("", 0.0))
    return "", reading


def _leaving(observation: Observation) -> set[str]:
    """Return the stores that are, or were a moment ago, drained or taken out on purpose."""
    offline = {
        store_id
        for store_id, store in observation.data("stores").items()
        if store["state_name"] != "Up"
    }
    return offline | _drained(observation)


def _drained(observation: Observation) -> set[str]:
    lately = observation.data("schedulers").get("evicted_lately_store_ids", ())
    return evicted_of(observation) | {str(key) for key in lately}


def _number(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 1e6 else f"{value:,.0f}"  # noqa: PLR2004 - readable
