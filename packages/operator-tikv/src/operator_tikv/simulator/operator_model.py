"""PD's operators as data: the steps, what they expect of a region, and how PD prints them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from operator_tikv.simulator.model import Role
from operator_tikv.simulator.units import go_duration_text

if TYPE_CHECKING:
    from operator_tikv.simulator.model import Region

FAST_STEP_SECONDS: Final = 60.0
SLOW_STEP_SECONDS: Final = 600.0
FAST_SECONDS_PER_MIB: Final = 0.6
SLOW_SECONDS_PER_MIB: Final = 6.0
MERGE_FACTOR: Final = 10.0


class Status(StrEnum):
    """The states of an operator that PD prints."""

    RUNNING = "RUNNING"
    SUCCESS = "SUCCESS"
    TIMEOUT = "TIMEOUT"
    CANCEL = "CANCEL"
    REPLACE = "REPLACE"


class Priority(IntEnum):
    """An operator replaces another on the same region only when its priority is higher."""

    LOW = 0
    MEDIUM = 1
    HIGH = 2
    URGENT = 3


class TransferLeader(NamedTuple):
    """Move the leader."""

    from_store_id: int
    to_store_id: int

    def text(self) -> str:
        """As PD prints it."""
        return f"transfer leader from store {self.from_store_id} to store {self.to_store_id}"

    def is_finished(self, region: Region) -> bool:
        """Whether PD has heard that it is done."""
        return region.leader_store_id == self.to_store_id


class AddLearner(NamedTuple):
    """Add a learner and wait until it has its snapshot, which a witness needs not."""

    store_id: int
    peer_id: int
    is_witness: bool = False

    def text(self) -> str:
        """As PD prints it."""
        return f"add learner peer {self.peer_id} on store {self.store_id}"

    def is_finished(self, region: Region) -> bool:
        """Whether PD has heard that it is done."""
        peer = region.peer_on(self.store_id)
        return peer is not None and peer.peer_id == self.peer_id and region.is_healthy(peer)


class PromoteLearner(NamedTuple):
    """Make one learner a voter, alone."""

    store_id: int
    peer_id: int

    def text(self) -> str:
        """As PD prints it."""
        return f"promote learner peer {self.peer_id} on store {self.store_id} to voter"

    def is_finished(self, region: Region) -> bool:
        """Whether PD has heard that it is done."""
        peer = region.peer_on(self.store_id)
        return peer is not None and peer.role is Role.VOTER


class EnterJoint(NamedTuple):
    """Start to promote one learner and demote one voter together; 0 stands for none."""

    promote_store_id: int
    promote_peer_id: int
    demote_store_id: int
    demote_peer_id: int

    def pair_text(self) -> str:
        """The two halves as PD prints them."""
        promoted = (
            f"promote learner peer {self.promote_peer_id} on store {self.promote_store_id} to voter"
        )
        demoted = (
            f"demote voter peer {self.demote_peer_id} on store {self.demote_store_id} to learner"
        )
        halves = ((self.promote_peer_id, promoted), (self.demote_peer_id, demoted))
        return ", ".join(text for peer_id, text in halves if peer_id)

    def text(self) -> str:
        """As PD prints it."""
        return f"use joint consensus, {self.pair_text()}"

    def is_finished(self, region: Region) -> bool:
        """Whether PD has heard that it is done."""
        promoted = region.peer(self.promote_peer_id)
        demoted = region.peer(self.demote_peer_id)
        is_promoted = not self.promote_peer_id or (promoted is not None and promoted.is_voter)
        return is_promoted and (
            demoted is None or demoted.role in (Role.DEMOTING_VOTER, Role.LEARNER)
        )


class LeaveJoint(NamedTuple):
    """Finish a joint change."""

    enter: EnterJoint | None

    def text(self) -> str:
        """As PD prints it."""
        return "leave joint state" + (f", {self.enter.pair_text()}" if self.enter else "")

    def is_finished(self, region: Region) -> bool:
        """Whether PD has heard that it is done."""
        return not region.in_joint_state


class SwitchWitness(NamedTuple):
    """Take a peer's data away, or give it its data by a snapshot."""

    store_id: int
    peer_id: int
    to_witness: bool
    is_batch: bool = False

    def text(self) -> str:
        """As PD prints it."""
        kind = "witness" if self.to_witness else "non-witness"
        batch = "batch switch witness, " * self.is_batch
        return f"{batch}switch peer {self.peer_id} on store {self.store_id} to {kind}"

    def is_finished(self, region: Region) -> bool:
        """Whether PD has heard that it is done."""
        peer = region.peer(self.peer_id)
        switched = peer is not None and peer.is_witness is self.to_witness
        return switched and (self.to_witness or self.peer_id not in region.pending)


class RemovePeer(NamedTuple):
    """Remove the peer on a store."""

    store_id: int
    peer_id: int

    def text(self) -> str:
        """As PD prints it."""
        return f"remove peer on store {self.store_id}"

    def is_finished(self, region: Region) -> bool:
        """Whether PD has heard that it is done."""
        return region.peer_on(self.store_id) is None


class SplitRegion(NamedTuple):
    """Split the region, which then has a higher version than the one given."""

    version: int
    policy: str
    keys: tuple[str, ...]

    def text(self) -> str:
        """As PD prints it."""
        return f"split region with policy {self.policy}"

    def is_finished(self, region: Region) -> bool:
        """Whether PD has heard that it is done."""
        return region.version > self.version


class MergeRegion(NamedTuple):
    """Merge one region into another; the other one has an operator that only waits for it."""

    source_id: int
    target_id: int
    is_passive: bool
    version: int

    def text(self) -> str:
        """As PD prints it."""
        return f"merge region {self.source_id} into region {self.target_id}"

    def is_finished(self, region: Region) -> bool:
        """Whether PD has heard that it is done; the source is gone by then."""
        return self.is_passive and region.version > self.version


Step = (
    TransferLeader
    | AddLearner
    | PromoteLearner
    | EnterJoint
    | LeaveJoint
    | SwitchWitness
    | RemovePeer
    | SplitRegion
    | MergeRegion
)


def needs_snapshot(step: Step) -> bool:
    """Whether a step waits for data: that of a new peer, or of one that was a witness."""
    return isinstance(step, AddLearner) or (isinstance(step, SwitchWitness) and not step.to_witness)


def step_timeout_seconds(step: Step, size_mib: int) -> float:
    """How long PD waits for a step: what needs a snapshot is slow, the rest is fast."""
    if needs_snapshot(step):
        return max(SLOW_STEP_SECONDS, SLOW_SECONDS_PER_MIB * size_mib)
    if isinstance(step, MergeRegion):
        return MERGE_FACTOR * max(FAST_STEP_SECONDS, FAST_SECONDS_PER_MIB * size_mib)
    return max(FAST_STEP_SECONDS, FAST_SECONDS_PER_MIB * size_mib)


@dataclass(frozen=True, slots=True)
class Plan:
    """What an operator is to do, before it is admitted."""

    description: str
    brief: str
    kinds: tuple[str, ...]
    steps: tuple[Step, ...]
    priority: Priority = Priority.MEDIUM


@dataclass(slots=True)
class Operator:
    """An operator that PD has admitted. Times are virtual seconds."""

    operator_id: int
    plan: Plan
    region_id: int
    version: int
    conf_ver: int
    size_mib: int
    created_seconds: float
    status: Status = Status.RUNNING
    current_step: int = 0
    sent_step: int = -1
    finished_seconds: float = 0.0
    timeout_seconds: float = field(init=False)

    def __post_init__(self) -> None:
        """Sum the time limits of the steps."""
        self.timeout_seconds = sum(
            step_timeout_seconds(step, self.size_mib) for step in self.plan.steps
        )

    @property
    def is_admin(self) -> bool:
        """Whether a person or a tool asked for it."""
        return "admin" in self.plan.kinds

    def text(self, created_text: str) -> str:
        """Print it as PD does.

        Args:
            created_text: the time of creation as Go prints it; PD starts at once.
        """
        plan = self.plan
        steps = ", ".join(f"{i}:{{{step.text()}}}" for i, step in enumerate(plan.steps))
        suffix = {Status.SUCCESS: " finished", Status.TIMEOUT: " timeout"}.get(self.status, "")
        return (
            f"{plan.description} {{{plan.brief}}} (kind:{','.join(plan.kinds)}, "
            f"region:{self.region_id}({self.version}, {self.conf_ver}), "
            f"createAt:{created_text}, startAt:{created_text}, "
            f"currentStep:{self.current_step}, size:{self.size_mib}, steps:[{steps}], "
            f"timeout:[{go_duration_text(self.timeout_seconds)}]){suffix}"
        )
