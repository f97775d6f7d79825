"""What the twin of an etcd cluster knows: members, quorum, leader, space, alarms; one value."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from operator_core.monitor.types import Observation
from operator_core.types import JsonObject

NEEDS: Final = ("members", "status", "alarms", "cluster", "keyspace")


@dataclass(frozen=True)
class EtcdMember:
    """A member of the cluster.

    Attributes:
        id: its id.
        name: its name; empty where it never started.
        votes: whether it is a voter.
        serves: whether it answers.
        peer_urls: where the others reach it.
        file_bytes: what its database takes on the disk.
        used_bytes: what of it is in use.
        quota_bytes: how large it may become; 0: not told.
        alarms: the alarms that it raised.
        raft_index: the last entry of the log that it has.
    """

    id: str
    name: str
    votes: bool
    serves: bool
    peer_urls: tuple[str, ...] = ()
    file_bytes: float = 0.0
    used_bytes: float = 0.0
    quota_bytes: float = 0.0
    alarms: frozenset[str] = frozenset()
    raft_index: int = 0


@dataclass(frozen=True)
class EtcdModel:
    """A cluster at one moment.

    Attributes:
        members: by id.
        leader_id: who leads; None: nobody.
        revision: the newest one.
        compacted: the revision before which the history is gone.
        superseded_share: the share of the kept revisions that nobody needs.
    """

    members: Mapping[str, EtcdMember]
    leader_id: str | None
    revision: int
    compacted: int
    superseded_share: float = 0.0

    @property
    def voters(self) -> list[EtcdMember]:
        """The members with a vote."""
        return [one for one in self.members.values() if one.votes]

    @property
    def healthy(self) -> list[EtcdMember]:
        """The voters that serve."""
        return [one for one in self.voters if one.serves]

    @property
    def quorum(self) -> int:
        """How many voters must agree."""
        return len(self.voters) // 2 + 1

    @property
    def spare(self) -> int:
        """How many more voters may fail; negative: nothing is written."""
        return len(self.healthy) - self.quorum

    def with_member(self, member: EtcdMember) -> "EtcdModel":
        """Return it with a member added, or in place of the one with its id."""
        return replace(self, members={**self.members, member.id: member})

    def without(self, member_id: str) -> "EtcdModel":
        """Return it without a member; another voter leads where that one led."""
        members = {key: one for key, one in self.members.items() if key != member_id}
        left = replace(self, members=members)
        return left.led_by_another() if self.leader_id == member_id else left

    def led_by_another(self) -> "EtcdModel":
        """Return it led by whoever can lead now."""
        others = [one.id for one in self.healthy if one.id != self.leader_id]
        return replace(self, leader_id=others[0] if others and self.spare >= 0 else None)


def model_of(seen: Observation) -> EtcdModel | None:
    """Return the model of an observation; None: too little was seen."""
    if not seen.sees(NEEDS):
        return None
    keyspace = seen.data("keyspace")
    members = seen.data("members")["members"]
    return EtcdModel(
        members={key: _member(key, one, seen) for key, one in members.items()},
        leader_id=seen.data("cluster")["leader_id"],
        revision=keyspace["revision"],
        compacted=keyspace["compact_revision"],
        superseded_share=keyspace.get("superseded_share", 0.0),
    )


def _member(key: str, said: JsonObject, seen: Observation) -> EtcdMember:
    status = seen.data("status").get(key, {})
    raised = seen.data("alarms")["alarms"]
    return EtcdMember(
        id=key,
        name=said["name"],
        votes=not said["is_learner"],
        serves=bool(status.get("reachable")),
        peer_urls=tuple(said["peer_urls"]),
        file_bytes=status.get("db_size_bytes", 0.0),
        used_bytes=status.get("db_in_use_bytes", 0.0),
        quota_bytes=seen.data("metrics").get(key, {}).get("quota_backend_bytes", 0.0),
        alarms=frozenset(one["alarm"] for one in raised if one["member_id"] == key),
        raft_index=status.get("raft_index", 0),
    )
