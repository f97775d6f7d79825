"""The twin of an etcd cluster: what each action does to the model of it, told in numbers."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from operator_core.actions.types import ActionRequest
from operator_core.monitor.types import Observation
from operator_core.twin import BlastRadius, Breach, Change, Prediction, compare, names_of
from operator_core.types import JsonObject
from operator_etcd.twin_model import EtcdMember, EtcdModel, model_of

_ROOM_SHARE: Final = 0.95
_MOST_ENTRIES_BEHIND: Final = 5000
"""etcd keeps so many entries for those who are slow; beyond them it sends a whole snapshot."""


# --- rules ----------------------------------------------------------------------------


def breaches(model: EtcdModel) -> dict[str, Breach]:
    """Return how far each safety rule is from holding."""
    healthy, voters = len(model.healthy), len(model.voters)
    quorum_words = (
        f"{healthy} of {voters} voters are healthy and a quorum needs {model.quorum}: "
        f"{max(0, model.spare)} more may fail"
    )
    alarms = sorted(f"{name} {one.name}" for one in model.members.values() for name in one.alarms)
    return {
        "a voter may fail": Breach(max(0, 1 - model.spare), quorum_words),
        "the cluster has a leader": Breach(float(model.leader_id is None), "nobody leads"),
        "no alarm is raised": Breach(len(alarms), f"raised: {', '.join(alarms)}"),
    }


def _no_leader(model: EtcdModel) -> Iterator[str]:
    if model.leader_id is None or model.spare < 0:
        yield f"the cluster has no leader with a quorum ({len(model.healthy)} of {model.quorum})"


def _no_quorum_beside(model: EtcdModel, member: EtcdMember, what: str) -> Iterator[str]:
    """Yield why a member must not stop serving, however short."""
    if not (member.votes and member.serves and len(model.voters) > 1):
        return
    staying = [one for one in model.healthy if one.id != member.id]
    if len(staying) < model.quorum:
        yield (
            f"{what} {member.name or member.id} would leave {len(staying)} healthy voters, and a "
            f"quorum needs {model.quorum}"
        )
    else:
        yield from _out_of_step(model, staying, model.quorum)


def _out_of_step(model: EtcdModel, voters: list[EtcdMember], quorum: int) -> Iterator[str]:
    """Yield why voters are no quorum although they answer: some cannot say yes for long."""
    lame = [words for one in voters for words in _not_in_step(model, one)]
    if lame and sum(not any(_not_in_step(model, one)) for one in voters) < quorum:
        yield f"the voters that stay are no quorum in step: {'; '.join(lame)}"


def _not_in_step(model: EtcdModel, member: EtcdMember) -> Iterator[str]:
    """Yield why a member must not lead, or vote, now: it lacks the log, or its data are wrong."""
    leader = model.members.get(model.leader_id or "")
    behind = leader.raft_index - member.raft_index if leader and member.serves else 0
    if behind > _MOST_ENTRIES_BEHIND:
        yield f"{member.name or member.id} is {behind} entries behind the leader"
    if "CORRUPT" in member.alarms:
        yield f"{member.name or member.id} has raised CORRUPT: its data are not those of the others"


# --- effects --------------------------------------------------------------------------

_BYTES_PER_SECOND: Final = 50e6
_REVISIONS_PER_SECOND: Final = 100_000.0
_ELECTION_SECONDS: Final = 2.0
_RESTART_SECONDS: Final = 5.0


@dataclass(frozen=True)
class Effect:
    """What comes of an action.

    Attributes:
        after: the cluster as it is then.
        seconds: how long that takes.
        faults: why it must not be done, or cannot work.
        paused: the member that serves nothing meanwhile, where there is one.
        leader_moves: whether another one leads, or nobody does for a moment.
    """

    after: EtcdModel
    seconds: float
    faults: tuple[str, ...] = ()
    paused: EtcdMember | None = None
    leader_moves: bool = False


def _unknown(model: EtcdModel, what: str) -> Effect:
    return Effect(model, 0.0, (f"the cluster has no member {what}",))


def _move_leader(model: EtcdModel, given: JsonObject) -> Effect:
    target = model.members.get(str(given["target_member_id"]))
    if target is None:
        return _unknown(model, str(given["target_member_id"]))
    faults = [*_no_leader(model)]
    if not target.votes:
        faults.append(f"{target.name or target.id} is a learner and cannot lead")
    elif not target.serves:
        faults.append(f"{target.name or target.id} does not answer")
    faults += _not_in_step(model, target)
    moves = model.leader_id != target.id
    after = replace(model, leader_id=target.id) if not faults else model
    return Effect(after, _ELECTION_SECONDS, tuple(faults), leader_moves=moves)


def _compact(model: EtcdModel, given: JsonObject) -> Effect:
    revision = given.get("revision")
    kept = model.revision - int(given.get("keep_revisions") or 0)
    at = max(model.compacted, kept if revision is None else int(revision))
    faults = [*_no_leader(model)]
    if at > model.revision:
        faults.append(f"revision {at} has not been reached: the newest is {model.revision}")
    dropped = max(0, at - model.compacted)
    seconds = 1.0 + dropped / _REVISIONS_PER_SECOND
    return Effect(_compacted(model, at, dropped), seconds, tuple(faults))


def _compacted(model: EtcdModel, at: int, dropped: int) -> EtcdModel:
    """Return it without a part of its history; the pages are free, the files as large."""
    history = max(1, model.revision - model.compacted)
    freed = model.superseded_share * min(1.0, dropped / history)
    members = {
        key: replace(one, used_bytes=round(one.used_bytes * (1 - freed)))
        for key, one in model.members.items()
    }
    left = model.superseded_share - freed
    return replace(model, members=members, compacted=at, superseded_share=left)


def _defragment(model: EtcdModel, given: JsonObject) -> Effect:
    member = model.members.get(str(given["member_id"]))
    if member is None:
        return _unknown(model, str(given["member_id"]))
    faults = [*_no_quorum_beside(model, member, "defragmenting")]
    if not member.serves:
        faults.append(f"{member.name or member.id} does not answer")
    after = model.with_member(replace(member, file_bytes=member.used_bytes))
    seconds = 1.0 + member.file_bytes / _BYTES_PER_SECOND
    leads = model.leader_id == member.id
    return Effect(after, seconds, tuple(faults), paused=member, leader_moves=leads)


def _disarm(model: EtcdModel, given: JsonObject) -> Effect:
    member = model.members.get(str(given["member_id"]))
    if member is None:
        return _unknown(model, str(given["member_id"]))
    faults = [*_no_leader(model)]
    if member.quota_bytes and member.file_bytes >= _ROOM_SHARE * member.quota_bytes:
        faults.append(
            f"the database of {member.name or member.id} still fills "
            f"{member.file_bytes / member.quota_bytes:.0%} of its quota: the alarm would come back"
        )
    alarm = str(given.get("alarm") or "NOSPACE")
    after = model.with_member(replace(member, alarms=member.alarms - {alarm}))
    return Effect(after, 1.0, tuple(faults))


def _add_learner(model: EtcdModel, given: JsonObject) -> Effect:
    url = str(given["peer_url"])
    faults = [*_no_leader(model)]
    taken = [one for one in model.members.values() if url in one.peer_urls and one.votes]
    if taken:
        faults.append(f"{url} belongs to {taken[0].name or taken[0].id}, which has a vote")
    learners = [one for one in model.members.values() if not one.votes]
    if any(url not in one.peer_urls for one in learners):
        faults.append("there is a learner already; etcd takes one at a time")
    new = EtcdMember(id="(new)", name="", votes=False, serves=False, peer_urls=(url,))
    return Effect(model if learners else model.with_member(new), 1.0, tuple(faults))


def _promote(model: EtcdModel, given: JsonObject) -> Effect:
    member = model.members.get(str(given["member_id"]))
    if member is None:
        return _unknown(model, str(given["member_id"]))
    faults = [*_no_leader(model)]
    if not member.serves:
        faults.append(f"{member.name or member.id} does not answer, and its vote would count")
    faults += _not_in_step(model, member)
    return Effect(model.with_member(replace(member, votes=True)), 5.0, tuple(faults))


def _remove(model: EtcdModel, given: JsonObject) -> Effect:
    member = model.members.get(str(given["member_id"]))
    if member is None:
        return _unknown(model, str(given["member_id"]))
    faults = [*_no_leader(model)]
    after = model.without(member.id)
    if member.votes and (not after.voters or after.spare < 0):
        faults.append(
            f"removing {member.name or member.id} would leave {len(after.healthy)} healthy voters "
            f"of {len(after.voters)}, and a quorum of those needs {after.quorum}"
        )
    elif member.votes:
        faults += _out_of_step(model, after.healthy, after.quorum)
    dead = [one.name or one.id for one in after.voters if not one.serves]
    if member.votes and member.serves and dead:
        faults.append(f"{', '.join(dead)} does not answer; that one is mended first")
    leads = model.leader_id == member.id
    gone = member if member.votes and member.serves else None
    return Effect(after, _ELECTION_SECONDS, tuple(faults), paused=gone, leader_moves=leads)


def _restart(model: EtcdModel, given: JsonObject) -> Effect:
    name = str(given["member_name"])
    found = [one for one in model.members.values() if one.name == name]
    if len(found) != 1:
        return _unknown(model, name)
    member = found[0]
    if given.get("only_if_down") and member.serves:
        return Effect(model, 0.0)
    faults = tuple(_no_quorum_beside(model, member, "restarting"))
    after = model.with_member(replace(member, serves=True))
    if after.leader_id is None and after.spare >= 0:
        after = replace(after, leader_id=member.id)
    leads = model.leader_id == member.id
    return Effect(after, _RESTART_SECONDS, faults, paused=member, leader_moves=leads)


EFFECTS: Final = {
    "move_leader": _move_leader,
    "compact": _compact,
    "defragment": _defragment,
    "disarm_alarm": _disarm,
    "add_learner": _add_learner,
    "promote_member": _promote,
    "remove_member": _remove,
    "restart_member": _restart,
}


@dataclass(frozen=True)
class EtcdTwin:
    """A model of one etcd cluster that answers what an action would do to it."""

    model: EtcdModel

    def apply(self, call: ActionRequest) -> Prediction | None:
        """Return what would come of an action; None: this twin has no model of it."""
        effect_of = EFFECTS.get(call.action_name)
        if effect_of is None:
            return None
        effect = effect_of(self.model, call.parameters)
        better, worse = compare(breaches(self.model), breaches(effect.after))
        return Prediction(
            seconds=round(effect.seconds, 1),
            blast=_blast(self.model, effect),
            then=EtcdTwin(effect.after),
            changes=tuple(_changes(self.model, effect.after)),
            better=better,
            breached=names_of(worse),
            mended=names_of(better),
            worse=(*effect.faults, *worse),
        )


def twin_of(seen: Observation) -> EtcdTwin | None:
    """Return the twin of a cluster; None: too little of it was seen."""
    model = model_of(seen)
    return None if model is None else EtcdTwin(model)


def _blast(model: EtcdModel, effect: Effect) -> BlastRadius:
    stops = effect.paused is not None and effect.paused.serves
    members = max(1, sum(one.serves for one in model.members.values()))
    leader = float(effect.leader_moves)
    takes_vote = stops and effect.paused is not None and effect.paused.votes
    return BlastRadius(
        data_share=round(1 / members, 4) if stops else 0.0,
        leader_share=leader,
        client_share=max(leader, round(1 / members, 4) if stops else 0.0),
        quorum_share=round(1 / max(1, model.spare), 4) if takes_vote else 0.0,
    )


def _changes(before: EtcdModel, after: EtcdModel) -> Iterator[Change]:
    """Yield the numbers of the observation that become others."""
    counted = (
        ("cluster/member_count", len(before.members), len(after.members)),
        ("cluster/voter_count", len(before.voters), len(after.voters)),
        ("cluster/healthy_voters", len(before.healthy), len(after.healthy)),
        ("cluster/spare", before.spare, after.spare),
        ("keyspace/compact_revision", before.compacted, after.compacted),
    )
    yield from (Change(path, was, will) for path, was, will in counted if was != will)
    for key in sorted({*before.members} & {*after.members}):
        was, will = before.members[key].file_bytes, after.members[key].file_bytes
        if was != will:
            yield Change(f"status/{key}/db_size_bytes", was, will)
