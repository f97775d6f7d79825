"""A monitor in small, for the tests of detection."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

from operator_core.monitor.detect import Detection, detect, failed_observation
from operator_core.monitor.types import Invariant, Observation, Part, Sighting, Violation
from operator_core.types import JsonObject

START = datetime(2025, 1, 1, tzinfo=UTC)
NOTHING: frozenset[str] = frozenset()


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def part(
    data: JsonObject | None = None, *, complete: bool = True, error: str | None = None
) -> Part:
    return Part(source="pd", observed_at=START, complete=complete, error=error, data=data or {})


def stores_down(*names: str) -> Observation:
    """Return a whole look that shows these stores down."""
    return Observation(parts={"stores": part({"down": list(names)})})


BLIND = Observation(parts={"stores": part(complete=False, error="HTTP 503")})
FAILED = failed_observation("tikv", "no route to host", START)
HEALTHY = stores_down()


def check_stores(observation: Observation) -> Iterable[Violation]:
    for name in observation.data("stores").get("down", []):
        yield Violation(invariant="store_down", target=name, message=f"{name} is down")


def rule(
    check: Callable[[Observation], Iterable[Violation]] = check_stores,
    *,
    name: str = "store_down",
    needs: tuple[str, ...] = ("stores",),
    grace: float = 0,
    clear: float = 0,
) -> Invariant:
    return Invariant(name, "", check, needs, grace_seconds=grace, clear_seconds=clear)


class Watch:
    """A monitor in small: detects again and again, and keeps open tickets as the real one does."""

    def __init__(self, *rules: Invariant) -> None:
        self.rules = rules
        self.sightings: dict[str, Sighting] = {}
        self.open: set[str] = set()

    def look(self, seconds: float, observation: Observation) -> Detection:
        detection = detect(
            self.rules, observation, self.sightings, at(seconds), open_keys=frozenset(self.open)
        )
        self.sightings = detection.sightings
        self.open |= {violation.key for violation in detection.present}
        self.open -= detection.cleared
        return detection

    def forget(self) -> None:
        """Lose the memory, as a monitor without its ledger would."""
        self.sightings = {}


def keys(violations: Iterable[Violation]) -> list[str]:
    return [violation.key for violation in violations]
