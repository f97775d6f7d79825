"""A cluster at one moment as rules, checks before actions and the twin see it; one value."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from operator_core.monitor.types import Observation
from operator_core.types import JsonObject
from operator_patroni.shapes import Config

NEEDS: Final = ("nodes", "members", "config", "cluster")
RUNNING: Final = frozenset({"running", "streaming", "in archive recovery"})
IN_WORK: Final = frozenset(
    {
        "creating replica",
        "initializing new cluster",
        "restarting",
        "running custom bootstrap script",
        "starting",
        "starting after custom bootstrap",
        "stopping",
    }
)
"""States that a member is in while it is brought to another one."""
STARTING: Final = frozenset({"starting", "restarting"})
_SYNC_ROLES: Final = frozenset({"sync_standby", "quorum_standby"})
_LEADERS: Final = frozenset({"leader", "standby_leader"})


@dataclass(frozen=True)
class Member:
    """A member of the cluster.

    Attributes:
        name: its name.
        role: leader, standby_leader, sync_standby, quorum_standby or replica, as the DCS says.
        state: of its PostgreSQL, in Patroni's words.
        reachable: whether its Patroni answers.
        timeline: the history of data that it follows; None: not told.
        lag_bytes: how much of the leader's log it does not have; None: not told.
        replay_lag_bytes: how much its readers do not see yet; None: not told.
        streams: whether it is fed by the leader at this moment; None: not told.
        nofailover: whether its own settings forbid it to lead.
        pending_restart: whether a changed setting waits for a restart.
    """

    name: str
    role: str = "replica"
    state: str = "running"
    reachable: bool = True
    timeline: int | None = 1
    lag_bytes: int | None = 0
    replay_lag_bytes: int | None = None
    streams: bool | None = True
    nofailover: bool = False
    pending_restart: bool = False

    @property
    def runs(self) -> bool:
        """Whether its PostgreSQL takes connections."""
        return self.state in RUNNING

    @property
    def behind_bytes(self) -> int | None:
        """How far its readers are behind: Patroni's own lag leaves out what waits for replay."""
        told = [one for one in (self.lag_bytes, self.replay_lag_bytes) if one is not None]
        return max(told, default=None)

    @property
    def leads(self) -> bool:
        """Whether it holds the leader key."""
        return self.role in _LEADERS

    @property
    def is_sync(self) -> bool:
        """Whether writes wait for it."""
        return self.role in _SYNC_ROLES


@dataclass(frozen=True)
class Model:
    """A cluster at one moment.

    Attributes:
        members: by name.
        primaries: who says that they take writes.
        paused: whether Patroni only watches.
        config: the dynamic configuration.
    """

    members: Mapping[str, Member]
    primaries: frozenset[str] = frozenset()
    paused: bool = False
    config: Config = field(default_factory=Config)

    @property
    def leader(self) -> Member | None:
        """Who holds the leader key; None: nobody."""
        return next((one for one in self.members.values() if one.leads), None)

    @property
    def has_primary(self) -> bool:
        """Whether the leader serves, as far as anybody can tell."""
        leader = self.leader
        if leader is None or not leader.runs:
            return False
        return not leader.reachable or leader.role == "standby_leader" or self._says_so(leader)

    def _says_so(self, leader: Member) -> bool:
        return leader.name in self.primaries

    @property
    def replicas(self) -> list[Member]:
        """All but the leader, by name."""
        return [self.members[name] for name in sorted(self.members) if not self.members[name].leads]

    @property
    def candidates(self) -> list[Member]:
        """The members that could take over now, the one least behind first."""
        able = [one for one in self.replicas if not any(unfit(self, one))]
        return sorted(able, key=lambda one: (one.lag_bytes or 0, one.name))

    @property
    def spare(self) -> int:
        """How many members may be lost before nobody can take writes; below zero: nobody does."""
        return len(self.candidates) if self.has_primary else -1

    @property
    def sync_standbys(self) -> list[str]:
        """Who writes wait for and who is there."""
        return [one.name for one in self.replicas if one.is_sync and one.runs]

    def with_member(self, member: Member) -> "Model":
        """Return it with another one in place of the member of its name."""
        return replace(self, members={**self.members, member.name: member})

    def facts(self) -> JsonObject:
        """Return what rules and claims read, as the part ``cluster`` of an observation."""
        leader = self.leader
        lags = [one.lag_bytes for one in self.replicas if one.lag_bytes is not None]
        return {
            "leader": leader.name if leader else None,
            "has_primary": self.has_primary,
            "leader_timeline": leader.timeline if leader else None,
            "member_count": len(self.members),
            "running": sorted(name for name, one in self.members.items() if one.runs),
            "candidates": [one.name for one in self.candidates],
            "unfit": {one.name: "; ".join(unfit(self, one)) for one in self._unfit()},
            "spare": self.spare,
            "paused": self.paused,
            "is_synchronous": self.config.is_synchronous,
            "sync_standbys": self.sync_standbys,
            "max_lag_bytes": max(lags, default=None),
            "pending_restart": sorted(
                name for name, one in self.members.items() if one.pending_restart
            ),
            "streaming": sorted(one.name for one in self.replicas if one.streams),
        }

    def _unfit(self) -> list[Member]:
        return [one for one in self.replicas if any(unfit(self, one))]


def unfit(model: Model, member: Member) -> Iterator[str]:
    """Yield why a replica must not take over, in words; the checks of Patroni and some more."""
    if not member.reachable:
        yield "its Patroni does not answer"
    if not member.runs:
        yield f"its PostgreSQL is {member.state}"
    if member.nofailover:
        yield "its tag nofailover forbids it to lead"
    yield from _behind(model, member)
    if model.config.is_synchronous and not member.is_sync:
        yield "writes do not wait for it, and in synchronous mode only a synchronous standby may"


def _behind(model: Model, member: Member) -> Iterator[str]:
    most, leader = model.config.maximum_lag_on_failover, model.leader
    if member.lag_bytes is None and member.runs:
        yield "nobody knows how far it is behind"
    elif (member.lag_bytes or 0) > most:
        yield f"it is {member.lag_bytes} bytes behind, and {most} are allowed"
    if leader is None or leader.timeline is None or member.timeline is None:
        return
    if member.timeline != leader.timeline:
        yield f"it follows timeline {member.timeline}, the leader is on {leader.timeline}"


def model_of(seen: Observation) -> Model | None:
    """Return the model of a cluster as it was observed; None: too little of it was seen."""
    if not seen.sees(NEEDS):
        return None
    return model_from(seen.data("members"), seen.data("nodes"), seen.data("config"))


def model_from(members: JsonObject, nodes: JsonObject, config: JsonObject) -> Model:
    """Return the model that the parts of an observation describe."""
    said: Mapping[str, JsonObject] = nodes.get("members", {})
    listed: Mapping[str, JsonObject] = members.get("members", {})
    fed = _fed(listed, said)
    return Model(
        members={name: _member(name, one, said.get(name, {}), fed) for name, one in listed.items()},
        primaries=frozenset(nodes.get("primaries", ())),
        paused=bool(members.get("paused")),
        config=Config.model_validate(config),
    )


def _member(name: str, listed: JsonObject, node: JsonObject, fed: set[str] | None) -> Member:
    # The DCS keeps the last word of a Patroni that is gone; the member's own word is newer.
    state = listed["state"]
    if node.get("reachable") and state in RUNNING and node["state"] != "running":
        state = node["state"]
    return Member(
        name=name,
        role=listed["role"],
        state=state,
        reachable=bool(node.get("reachable")),
        timeline=listed["timeline"] or node.get("timeline"),
        lag_bytes=listed["lag_bytes"],
        replay_lag_bytes=listed.get("replay_lag_bytes"),
        streams=_streams(name, listed, node, fed),
        nofailover=is_no_candidate(listed["tags"]),
        pending_restart=bool(listed["pending_restart"] or node.get("pending_restart")),
    )


def _streams(name: str, listed: JsonObject, node: JsonObject, fed: set[str] | None) -> bool | None:
    """Return whether a replica is fed; before version 3 only who feeds it can say so."""
    if listed["role"] == "leader":
        return None
    if not node.get("reachable"):
        return None if fed is None else name in fed  # the DCS keeps its last word
    states = {listed["state"], node.get("replication_state")}
    return "streaming" in states or name in (fed or ())


def _fed(listed: Mapping[str, JsonObject], said: Mapping[str, JsonObject]) -> set[str] | None:
    """Return who is fed by somebody; None: the leader does not say whom it feeds."""
    leaders = [said.get(name, {}) for name, one in listed.items() if one["role"] in _LEADERS]
    told = {name for one in said.values() for name in one.get("serves_replicas", ())}
    return told if any(one.get("reachable") for one in leaders) else told or None


def is_no_candidate(tags: Mapping[str, object]) -> bool:
    """Return whether a member's own settings forbid it to lead."""
    forbids = tags.get("nofailover") in {True, "true", "True", "yes", "on"}
    return forbids or tags.get("failover_priority") in {0, "0"}
