"""Literal clusters for the pure tests: three members, healthy unless told otherwise."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from operator_core.call_failures import CallFailure, FailureKind, NoAnswerError, NotSentError
from operator_patroni.invariants import INVARIANTS
from operator_patroni.observation import assemble
from operator_patroni.shapes import Config, Listed, Node, View
from operator_patroni.survey import Survey

if TYPE_CHECKING:
    from operator_core.monitor.types import Observation, Violation

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
MIB = 1024 * 1024
SYSTEM = "7712507024021464400"
_SENT = {FailureKind.TIMEOUT, FailureKind.RESET}


def url(name: str) -> str:
    return f"http://{name}:8008"


@dataclass(frozen=True)
class Seat:
    """A member as the DCS lists it and as it speaks itself; a failure: it says nothing."""

    name: str
    role: str = "replica"
    state: str = "streaming"
    timeline: int | None = 1
    lag: int | str | None = 0
    tags: dict[str, Any] = field(default_factory=dict)
    pending_restart: bool = False
    failure: FailureKind | None = None
    own_role: str | None = None
    more: dict[str, Any] = field(default_factory=dict)
    more_listed: dict[str, Any] = field(default_factory=dict)

    def listed(self) -> dict[str, Any]:
        answer = {
            "name": self.name,
            "role": self.role,
            "state": self.state,
            "api_url": f"{url(self.name)}/patroni",
            "host": self.name,
            "port": 5432,
            "timeline": self.timeline,
            "lag": None if self.role == "leader" else self.lag,
            "tags": self.tags or None,
            "pending_restart": self.pending_restart or None,
        }
        return {key: one for key, one in (answer | self.more_listed).items() if one is not None}

    def node(self) -> dict[str, Any]:
        leads = self.role in {"leader", "standby_leader"}
        state = "running" if self.state == "streaming" else self.state
        own = "primary" if self.role == "leader" and state == "running" else "replica"
        answer = {
            "state": state,
            "role": self.own_role or own,
            "timeline": self.timeline,
            "replication_state": "streaming" if self.state == "streaming" else None,
            "xlog": {"location": 100} if leads else {"received_location": 100, "paused": False},
            "database_system_identifier": SYSTEM,
            "patroni": {"version": "4.1.5", "scope": "shop", "name": self.name},
        }
        return {key: one for key, one in (answer | self.more).items() if one is not None}


def leader(name: str = "pg1", *, state: str = "running", timeline: int = 1) -> Seat:
    return Seat(name, role="leader", state=state, timeline=timeline)


LEADER = leader()
SECOND = Seat("pg2")
THIRD = Seat("pg3")


def failure(name: str, kind: FailureKind) -> CallFailure:
    return (NoAnswerError if kind in _SENT else NotSentError)(url(name), kind, f"it is {kind}")


def survey_of(
    *seats: Seat,
    paused: bool = False,
    blind: tuple[str, ...] = (),
    config: dict[str, Any] | None = None,
    history: tuple[tuple[Any, ...], ...] = (),
) -> Survey:
    """Return a look at members; ``blind`` are those that cannot ask the DCS."""
    speaking = [one for one in seats if one.failure is None]
    serve = [one.name for one in speaking if one.state == "streaming"]
    nodes = {one.name: Node.model_validate(_serving(one, serve)) for one in speaking}
    view = View(
        members=[Listed.model_validate(one.listed()) for one in seats], scope="shop", pause=paused
    )
    views = {one.name: view for one in speaking if one.name not in blind}
    return Survey(
        endpoints={one.name: url(one.name) for one in speaking},
        nodes=nodes,
        failures={one.name: failure(one.name, one.failure) for one in seats if one.failure},
        views=views,
        view_failures={name: failure(name, FailureKind.RESET) for name in blind},
        config=Config.model_validate(config or {}) if views else None,
        config_error=None if views else "nobody can tell it",
        history=history,
    )


def _serving(one: Seat, streaming: list[str]) -> dict[str, Any]:
    """Return what a member says of itself; a leader that runs names those that it feeds."""
    if one.role != "leader" or one.state != "running":
        return one.node()
    links = [{"application_name": name, "state": "streaming"} for name in streaming]
    return {"replication": links} | one.node()


def observed(seen: Survey, processes: dict[str, str] | None = None) -> Observation:
    """Return a look; ``processes`` are the states that a supervisor tells, by member."""
    states = {name: {"state": state} for name, state in (processes or {}).items()}
    told = ({"available": bool(states), "members": states}, None)
    return assemble(seen, "test", NOW, "patroni", told)


def look(
    *seats: Seat,
    paused: bool = False,
    blind: tuple[str, ...] = (),
    config: dict[str, Any] | None = None,
    processes: dict[str, str] | None = None,
) -> Observation:
    return observed(survey_of(*seats, paused=paused, blind=blind, config=config), processes)


def violations(observation: Observation) -> list[Violation]:
    rules = [one for one in INVARIANTS if observation.sees(one.needs)]
    return [found for one in rules for found in one.check(observation)]


def broken(observation: Observation) -> list[str]:
    return [one.key for one in violations(observation)]
