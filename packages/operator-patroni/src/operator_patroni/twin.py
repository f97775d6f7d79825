"""The twin of a cluster under Patroni: what each action does to the model of it, in numbers."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from operator_core.actions.types import ActionRequest
from operator_core.monitor.types import Observation
from operator_core.twin import BlastRadius, Breach, Change, Prediction, compare
from operator_core.types import JsonObject
from operator_patroni.model import Member, Model, model_of
from operator_patroni.obstacles import obstacles


def breaches(model: Model) -> dict[str, Breach]:
    """Return how far each safety rule is from holding."""
    down = sorted(name for name, one in model.members.items() if not one.runs)
    able, primaries = len(model.candidates), sorted(model.primaries)
    wanted = int(len(model.members) > 1)
    sync = model.config.synchronous_node_count if model.config.is_synchronous else 0
    standbys = len(model.sync_standbys) if model.has_primary else 0
    return {
        "a member takes writes": Breach(float(not model.has_primary), "nobody does"),
        "only one takes writes": Breach(max(0, len(primaries) - 1), " and ".join(primaries)),
        "somebody could take over": Breach(max(0, wanted - able), "nobody could"),
        "every PostgreSQL runs": Breach(len(down), f"down: {', '.join(down)}"),
        "writes have their standbys": Breach(
            max(0, sync - standbys), f"{standbys} synchronous standbys of {sync} are there"
        ),
    }


# --- effects --------------------------------------------------------------------------

_MOVE_SECONDS: Final = 5.0
_FAILOVER_SECONDS: Final = 10.0
_RESTART_SECONDS: Final = 5.0
_PATRONI_SECONDS: Final = 10.0
_COPY_SECONDS: Final = 60.0
"""At the least: the size of the data is not to be seen."""
_CONFIG_SECONDS: Final = 1.0


@dataclass(frozen=True)
class Effect:
    """What comes of an action.

    Attributes:
        after: the cluster as it is then.
        seconds: how long that takes.
        paused: the member that serves nothing meanwhile, where there is one.
        leader_moves: whether writes pause.
    """

    after: Model
    seconds: float
    paused: Member | None = None
    leader_moves: bool = False


def _take_over(model: Model, name: str) -> Model:
    """Return it led by another member; the old leader and whoever is in step follow it."""
    old, new = model.leader, model.members[name]
    timeline = (old or new).timeline or 0
    led = replace(
        new,
        role=old.role if old else "leader",
        state="running",
        timeline=timeline + 1,
        lag_bytes=None,
        streams=None,
    )
    others = [one for key, one in sorted(model.members.items()) if key != name]
    follow = [one for one in others if one.runs and (one.leads or one.streams or old is None)]
    stay = {one.name: replace(one, role="replica") for one in others if one not in follow}
    wanted = model.config.synchronous_node_count if model.config.is_synchronous else 0
    fed = {
        one.name: _fed(one, timeline + 1, is_sync=place < wanted)
        for place, one in enumerate(follow)
    }
    return replace(model, members={**stay, **fed, name: led}, primaries=frozenset({name}))


def _fed(member: Member, timeline: int | None, *, is_sync: bool = False) -> Member:
    """Return a member as a replica that is fed and in step."""
    role = "sync_standby" if is_sync else "replica"
    return replace(
        member, role=role, state="streaming", streams=True, lag_bytes=0, timeline=timeline
    )


def _lead(seconds: float) -> Callable[[Model, JsonObject], Effect]:
    def effect(model: Model, given: JsonObject) -> Effect:
        name, leader = given["candidate"], model.leader
        if name not in model.members or (leader and leader.name == name):
            return Effect(model, 0.0)
        return Effect(_take_over(model, name), seconds, leader, leader_moves=True)

    return effect


def _restart(model: Model, given: JsonObject) -> Effect:
    member = model.members.get(given["member_name"])
    if member is None or (given.get("only_if_down") and member.runs):
        return Effect(model, 0.0)
    if given.get("only_if_pending") and not member.pending_restart:
        return Effect(model, 0.0)
    state = member.state if member.runs else "running"
    after = model.with_member(replace(member, state=state, pending_restart=False))
    if member.leads:
        after = replace(after, primaries=after.primaries | {member.name})
    return Effect(after, _RESTART_SECONDS, member, leader_moves=member.leads)


def _restart_patroni(model: Model, given: JsonObject) -> Effect:
    member = model.members.get(given["member_name"])
    if member is None or member.reachable:
        return Effect(model, 0.0)
    # One that hung is ended together with its PostgreSQL, and Patroni starts both.
    back = replace(member, reachable=True, state=member.state if member.runs else "running")
    after = model.with_member(back)
    if member.leads:
        after = replace(after, primaries=after.primaries | {member.name})
    return Effect(after, _PATRONI_SECONDS, member, leader_moves=member.leads)


def _reinitialize(model: Model, given: JsonObject) -> Effect:
    member, leader = model.members.get(given["member_name"]), model.leader
    if member is None or member.leads or leader is None:
        return Effect(model, 0.0)
    # As good as a new one: it has all that the leader has.
    copy = _fed(replace(member, pending_restart=False), leader.timeline, is_sync=member.is_sync)
    return Effect(model.with_member(copy), _COPY_SECONDS, member)


def _unchanged(model: Model, given: JsonObject) -> Effect:
    del given
    return Effect(model, _CONFIG_SECONDS)


def _pause(model: Model, given: JsonObject) -> Effect:
    del given
    return Effect(replace(model, paused=True), _CONFIG_SECONDS)


def _resume(model: Model, given: JsonObject) -> Effect:
    """Patroni starts what stopped, and lets a candidate take over where nobody leads."""
    del given
    members = {
        name: replace(one, state="running") if one.state in {"stopped", "crashed"} else one
        for name, one in model.members.items()
    }
    after = replace(model, paused=False, members=members)
    if after.leader is None and after.candidates:
        return Effect(_take_over(after, after.candidates[0].name), _FAILOVER_SECONDS)
    return Effect(after, _CONFIG_SECONDS)


def _set_config(model: Model, given: JsonObject) -> Effect:
    config = model.config.model_copy(update={given["key"]: given["value"]})
    return Effect(replace(model, config=config), _CONFIG_SECONDS)


EFFECTS: Final[Mapping[str, Callable[[Model, JsonObject], Effect]]] = {
    "switchover": _lead(_MOVE_SECONDS),
    "failover": _lead(_FAILOVER_SECONDS),
    "restart_member": _restart,
    "restart_patroni": _restart_patroni,
    "reinitialize_member": _reinitialize,
    "reload_member": _unchanged,
    "pause_cluster": _pause,
    "resume_cluster": _resume,
    "set_config": _set_config,
}


@dataclass(frozen=True)
class PatroniTwin:
    """A model of one cluster that answers what an action would do to it."""

    model: Model

    def apply(self, call: ActionRequest) -> Prediction | None:
        """Return what would come of an action; None: this twin has no model of it."""
        effect_of = EFFECTS.get(call.action_name)
        if effect_of is None:
            return None
        found = obstacles(self.model, call.action_name, call.parameters)
        effect = effect_of(self.model, call.parameters)
        better, worse = compare(breaches(self.model), breaches(effect.after))
        return Prediction(
            seconds=effect.seconds,
            blast=_blast(self.model, effect),
            then=PatroniTwin(effect.after),
            changes=tuple(_changes(self.model, effect.after)),
            better=better,
            worse=(*(one.words for one in found), *worse),
        )


def twin_of(seen: Observation) -> PatroniTwin | None:
    """Return the twin of a cluster; None: too little of it was seen."""
    model = model_of(seen)
    return None if model is None else PatroniTwin(model)


def _blast(model: Model, effect: Effect) -> BlastRadius:
    """Return how much is touched: all data have one leader, and every member a copy of them."""
    stops = effect.paused is not None and effect.paused.runs
    running = max(1, sum(one.runs for one in model.members.values()))
    leader = float(effect.leader_moves)
    takes = stops and effect.paused in [*model.candidates, model.leader]
    return BlastRadius(
        data_share=round(1 / running, 4) if stops else 0.0,
        leader_share=leader,
        client_share=max(leader, round(1 / running, 4) if stops else 0.0),
        quorum_share=round(1 / max(1, model.spare), 4) if takes else 0.0,
    )


def _changes(before: Model, after: Model) -> Iterator[Change]:
    """Yield the numbers of the observation that become others."""
    counted = (
        ("cluster/spare", before.spare, after.spare),
        *((f"config/{key}", was, getattr(after.config, key)) for key, was in _numbers(before)),
    )
    yield from (Change(path, was, will) for path, was, will in counted if was != will)


def _numbers(model: Model) -> Iterator[tuple[str, int]]:
    for key, value in model.config.model_dump().items():
        if isinstance(value, int) and not isinstance(value, bool):
            yield key, value
