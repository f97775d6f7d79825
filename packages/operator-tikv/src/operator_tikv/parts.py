"""From PD's answers to the parts of an observation. Pure."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from operator_core.errors import SubjectError
from operator_core.monitor.types import Part
from operator_core.types import JsonObject
from operator_tikv import facts, facts_config, facts_moving
from operator_tikv.answers import Answers
from operator_tikv.history import (
    History,
    filling_facts,
    lagging_facts,
    leader_facts,
    leaving_facts,
)
from operator_tikv.pd.errors import is_no_leader
from operator_tikv.reads import PdState, Reading

PD_NO_LEADER: Final = "pd_no_leader"
PD_MEMBER_DOWN: Final = "pd_member_down"
"""The rule that tells why PD answers nothing: it has no leader that could."""

STORE_DISCONNECTED: Final = "store_disconnected"
"""The rule that tells of a store which PD calls silent, also where we hear it ourselves."""


@dataclass(frozen=True)
class Album:
    """The parts as they are made.

    Attributes:
        source: what all paths begin with.
        moment: when it was read.
        agrees: False: a minority of PD's members speaks, or what they say is of long ago.
        doubted_by: the rule that tells of it, if one does.
        parts: what was added.
    """

    source: str
    moment: datetime
    agrees: bool = True
    doubted_by: str | None = None
    parts: dict[str, Part] = field(default_factory=dict)

    def add(
        self,
        name: str,
        path: str,
        data: JsonObject | None,
        *errors: SubjectError | None,
        contradicted_by: str | None = None,
    ) -> None:
        """Add a part: whole where it has data and there is no error.

        ``contradicted_by`` is the rule that tells that another source says otherwise.
        """
        error = next((one for one in errors if one is not None), None)
        self.parts[name] = Part(
            source=f"{self.source}{path}",
            observed_at=self.moment,
            complete=error is None and data is not None,
            agrees=self.agrees and contradicted_by is None,
            error=None if error is None else str(error),
            told_by=(self.doubted_by or contradicted_by) if error is None else _told_by(error),
            data=data or {},
        )


def _told_by(error: SubjectError) -> str | None:
    return PD_NO_LEADER if is_no_leader(error) else None


def is_minority(pd: PdState | None) -> bool:
    """Return whether at most half of PD's members are healthy: what those say binds nobody."""
    healthy = [one for one in pd.members if one.health is not False] if pd else []
    return pd is not None and 2 * len(healthy) <= len(pd.members)


def answering_store_ids(store_metrics: JsonObject) -> list[int]:
    """Return the stores that gave their own metrics just now, whatever PD says of them."""
    ages: dict[str, float] = store_metrics.get("ages_seconds", {})
    return sorted(int(key) for key, age in ages.items() if age <= facts.DISCONNECTED_SECONDS)


def pd_parts(
    album: Album,
    answers: Answers,
    leaders: Reading[JsonObject],
    history: History,
    answering: Collection[int] = (),
) -> dict[str, Part]:
    """Return every part that PD answered for.

    Args:
        album: where the parts go.
        answers: what PD said.
        leaders: what was found out of the regions' leaders.
        history: what only several looks show.
        answering: stores that were heard without PD; one that PD calls silent contradicts it.
    """
    for name, path, reading in (
        ("leaders", "/regions", leaders),
        ("progress", "/stores/progress", answers.progress),
    ):
        album.add(name, path, reading.value, reading.error)
    _add_stores(album, answers, history, answering)
    _add_moves(album, answers)
    _add_schedulers(album, answers, history)
    _add_checks(album, answers, history)
    _add_config(album, answers)
    _add_pd(album, answers, history)
    return album.parts


def _add_stores(
    album: Album, answers: Answers, history: History, answering: Collection[int]
) -> None:
    stores, error, now = answers.known_stores, answers.stores.error, answers.pd_time
    seen = answers.stores.value is not None
    album.add("stores", "/stores", facts.stores_facts(stores, now) if seen else None, error)
    evicted = (answers.schedulers.value or {}).get("evict_leader_store_ids", ())
    told = facts.cluster_facts(stores, now, evicted)
    contradicted = sorted({*told["silent_store_ids"]} & {*answering})
    cluster = {
        **told,
        "contradicted_store_ids": contradicted,
        "came_silent_store_ids": sorted(history.came_silent),
        "versions": facts_config.version_facts(stores),
        "shared_addresses": facts_config.shared_addresses(stores),
        "tombstone_store_ids": answers.tombstones.value or [],
    }
    errors = (error, answers.schedulers.error, answers.tombstones.error)
    whole = cluster if seen else None
    doubted_by = STORE_DISCONNECTED if contradicted else None
    album.add("cluster", "/stores", whole, *errors, contradicted_by=doubted_by)
    leaving = leaving_facts(history, album.moment.timestamp())
    album.add("leaving", "/stores", leaving if seen else None, error)
    filling = filling_facts(history, stores, album.moment.timestamp(), _location_labels(answers))
    album.add("filling", "/stores", filling if seen else None, error)


def _add_moves(album: Album, answers: Answers) -> None:
    operators, hot = answers.operators, answers.hotspots
    data = None
    if operators.value is not None:
        data = facts_moving.operator_facts(operators.value, answers.pd_time)
    album.add("operators", "/operators", data, operators.error)
    found = facts_moving.hot_facts(hot.value) if hot.value is not None else None
    album.add("hotspots", "/hotspot/regions", found, hot.error)


def _add_schedulers(album: Album, answers: Answers, history: History) -> None:
    found = answers.schedulers
    data = None
    if found.value is not None:
        data = {**found.value, "evicted_lately_store_ids": sorted(history.evicted)}
    album.add("schedulers", "/schedulers", data, found.error)


def _add_checks(album: Album, answers: Answers, history: History) -> None:
    data = {
        kind.replace("-", "_"): facts.check_facts(reading.value, kind)
        for kind, reading in answers.checks.items()
        if reading.value is not None
    }
    album.add(
        "regions", "/regions/check", data, *(reading.error for reading in answers.checks.values())
    )
    pending = answers.checks["pending-peer"]
    lagging = lagging_facts(history, album.moment.timestamp())
    found = lagging if pending.value is not None else None
    album.add("lagging", "/regions/check/pending-peer", found, pending.error)


def _add_config(album: Album, answers: Answers) -> None:
    schedule, replicate = answers.schedule.value, answers.replicate.value
    errors = (answers.schedule.error, answers.replicate.error)
    config = facts_config.config_facts(schedule, replicate) if schedule and replicate else None
    album.add("config", "/config", config, *errors)
    rules = answers.rules.value
    placement = None
    if rules is not None and replicate is not None and answers.stores.value is not None:
        placement = facts_config.placement_facts(
            rules[0].rules, rules[1].rules, answers.known_stores, _location_labels(answers)
        )
    album.add(
        "placement",
        "/config/rules",
        placement,
        answers.rules.error,
        answers.stores.error,
        answers.replicate.error,
    )
    points = answers.safe_points.value
    gc = None if points is None else facts_config.gc_facts(points, answers.pd_time)
    album.add("gc", "/gc/safepoint", gc, answers.safe_points.error)


def _location_labels(answers: Answers) -> list[str]:
    """Return the labels by which PD keeps replicas apart, the widest first."""
    replicate = answers.replicate.value
    names = replicate.location_labels.split(",") if replicate is not None else []
    return [one.strip() for one in names if one.strip()]


def _add_pd(album: Album, answers: Answers, history: History) -> None:
    state, data = answers.pd.value, None
    if state is not None:
        data = {
            **facts.pd_facts(state.members, state.leader),
            **leader_facts(history, album.moment.timestamp()),
        }
    album.add("pd", "/members", data, answers.pd.error)
