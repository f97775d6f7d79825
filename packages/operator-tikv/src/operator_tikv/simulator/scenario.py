"""Scenarios: a cluster, its load and its timed faults, as TOML or JSON says them.

[cluster]
seed = 7
stores = 4

[load]
factor = 2.0

[[faults]]
at = "10m"
fault = "partition"
stores = [1]
from = "pd"
until = "30m"
"""

from __future__ import annotations

import copy
import json
import tomllib
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from operator_core.lab import complaint, near
from operator_tikv.simulator.bootstrap import ClusterSpec
from operator_tikv.simulator.cluster import SimulatedCluster
from operator_tikv.simulator.config import ConfigError
from operator_tikv.simulator.faults.words import (
    FaultError,
    PlannedFault,
    Rate,
    Seconds,
)
from operator_tikv.simulator.planning import read_planned

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from operator_tikv.simulator.faults.words import Fault
    from operator_tikv.simulator.world import World

_STRICT: Final = ConfigDict(frozen=True, extra="forbid")
_BY_FAULT: Final = ("evict-leader-scheduler", "grant-leader-scheduler")
"""Schedulers that a fault or a person may add later."""
_EPOCH_UNIX_SECONDS: Final = 1_750_000_000.0


class ScenarioError(FaultError):
    """A scenario that cannot be read or built; the text says where and why."""


class ClusterPart(BaseModel):
    """What the cluster is at the start; `config` holds items of PD's configuration."""

    model_config = _STRICT

    seed: int = 7
    stores: int = Field(4, ge=1, le=10_000)
    regions: int = Field(60, ge=1, le=2_000_000)
    replicas: int = Field(3, ge=1, le=9)
    tiflash_stores: int = Field(0, ge=0, le=100)
    capacity_gib: int = Field(200, ge=1, le=1_000_000)
    pd_members: int = Field(3, ge=1, le=9)
    epoch_unix_seconds: float = Field(_EPOCH_UNIX_SECONDS, ge=0)
    config: dict[str, bool | int | float | str] = Field(default_factory=dict)
    labels: dict[str, dict[str, str]] = Field(default_factory=dict)


class LoadPart(BaseModel):
    """What the clients do, in the whole cluster."""

    model_config = _STRICT

    write_mib_per_second: Rate = 11.4
    read_mib_per_second: Rate = 38.1
    factor: Rate = 1.0


class Scenario(BaseModel):
    """A cluster, its load, and what happens to it; times count from the start."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    name: str = ""
    description: str = ""
    duration: Seconds = 3600.0
    cluster: ClusterPart = ClusterPart()
    load: LoadPart = LoadPart()
    faults: tuple[PlannedFault, ...] = ()


def load_scenario(path: Path) -> Scenario:
    """Read a scenario from a TOML file.

    Args:
        path: the file.

    Raises:
        ScenarioError: it cannot be read, or is not right; the text names the file.
    """
    try:
        return read_scenario(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise ScenarioError(f"{path}: {error}") from error
    except ScenarioError as error:
        raise ScenarioError(f"{path}: {error}") from error


def read_scenario(table: Mapping[str, Any]) -> Scenario:
    """Read a scenario from a table as TOML or JSON gives it.

    Args:
        table: the scenario; see the module for its form.

    Raises:
        ScenarioError: something in it is not right.
    """
    fields = dict(table)
    raw = fields.pop("faults", [])
    if not isinstance(raw, list):
        raise ScenarioError("faults: must be a list of tables, such as [[faults]]")
    planned = tuple(_read_numbered(place, each) for place, each in enumerate(raw, start=1))
    try:
        return Scenario.model_validate({**fields, "faults": planned})
    except ValidationError as error:
        raise ScenarioError(complaint(error, Scenario)) from error


def _read_numbered(place: int, table: object) -> PlannedFault:
    try:
        return read_planned(table)
    except FaultError as error:
        raise ScenarioError(f"fault {place}: {error}") from error


def build(scenario: Scenario) -> SimulatedCluster:
    """Make the cluster of a scenario at virtual time zero, with its faults still to come.

    Args:
        scenario: the scenario.

    Raises:
        ScenarioError: its numbers do not fit together.
    """
    part = scenario.cluster
    fields = part.model_dump(exclude={"config", "labels"})
    places = str(part.config.get("location-labels", "")).split(",")
    labels = {int(key): value for key, value in part.labels.items() if key.isdigit()}
    spec = {**fields, "location_labels": tuple(filter(None, places)), "labels": labels}
    try:
        cluster = SimulatedCluster(spec=ClusterSpec(**spec))
        _set_up(cluster, scenario)
    except (ValueError, ConfigError) as error:
        raise ScenarioError(f"cluster: {error}") from error
    for number, planned in enumerate(scenario.faults, 1):
        for what in _unknown(cluster.world, scenario, planned.fault):
            raise ScenarioError(f"fault {number}: {planned.name}: {what}")
        cluster.plan(planned)
    return cluster


def _unknown(world: World, scenario: Scenario, fault: Fault) -> Iterator[str]:
    """Say what a fault names that the cluster does not have and no other fault brings."""
    named = fault.model_dump()
    members = [member.name for member in world.pd.members]
    for name in set(named.get("members") or ()) - set(members):
        yield f"there is no PD server {name!r}; there are {', '.join(members)}"
    grows = any(one.name in {"join", "ghost_store"} for one in scenario.faults)
    for store_id in set(named.get("stores") or ()) - world.stores.keys():
        if not grows:
            yield f"there is no store {store_id}; there are 1 to {max(world.stores)}"
    runs = {*world.pd.schedulers, *_BY_FAULT}
    scheduler = named.get("scheduler")
    if scheduler is not None and scheduler not in runs:
        yield f"there is no scheduler {scheduler!r}; {near(scheduler, runs)}"
    if "item" in named:
        yield from _unfit(world, named["item"], named["value"])


def _unfit(world: World, item: str, value: object) -> Iterator[str]:
    """Say why PD would not take a value of its configuration."""
    config = copy.deepcopy(world.pd.config)
    name = item.removeprefix("schedule.").removeprefix("replication.")
    known = {**config.schedule, **config.replication}
    try:
        config.update(item, value)
    except ConfigError as error:
        here = f"such as {json.dumps(known[name])}" if name in known else near(name, known)
        yield f"{error}; {here}"


def _set_up(cluster: SimulatedCluster, scenario: Scenario) -> None:
    world = cluster.world
    for item, value in scenario.cluster.config.items():
        world.pd.config.update(item, value)
    for store_id in scenario.cluster.labels:
        if not store_id.isdigit() or int(store_id) not in world.stores:
            raise ValueError(f"labels: no store {store_id!r}")
    world.load.write_bytes_per_second = scenario.load.write_mib_per_second * (1 << 20)
    world.load.read_bytes_per_second = scenario.load.read_mib_per_second * (1 << 20)
    world.load.factor = scenario.load.factor
