"""What is to be done about a cause, as workflows; pure functions of the observation."""

from collections.abc import Iterable

from operator_core.agent.diagnosis import ActionRecommendation, WorkflowRecommendation
from operator_core.monitor.types import Observation
from operator_core.types import JsonObject

_MOST_KEPT_REVISIONS = 1000
_KEPT_PART = 10
"""A tenth of the history stays, so that watchers a little behind are not cut off."""


def label(seen: Observation, member_id: str) -> str:
    """Return how people call a member."""
    return str(_members(seen).get(member_id, {}).get("name") or member_id)


def _members(seen: Observation) -> dict[str, JsonObject]:
    members: dict[str, JsonObject] = seen.data("members").get("members", {})
    return members


def process_state(seen: Observation, member_id: str) -> str | None:
    """Return what a supervisor says of a member's process; None: there is none that knows it."""
    told = seen.data("processes").get("members", {}).get(member_id, {}).get("state")
    return None if told in {None, "unknown"} else str(told)


def can_spare_a_member(seen: Observation) -> bool:
    """Return whether one member after the other may pause while the rest serves."""
    facts = seen.data("cluster")
    return bool(facts["voter_count"] == 1 or facts["spare"] > 0)


def reclaim_space(seen: Observation) -> list[WorkflowRecommendation]:
    """Compact, defragment each member, and disarm the alarm where it is raised."""
    return _workflow(
        seen,
        "reclaim_space",
        "Drop superseded history, give its space back on each member, allow writes again",
        [_compact(seen), *_defragment_each(seen), *_disarm_each(seen)],
    )


def return_free_pages(seen: Observation) -> list[WorkflowRecommendation]:
    """Defragment each member, and disarm the alarm where it is raised."""
    return _workflow(
        seen,
        "defragment_members",
        "Give the free pages of each member's database back, one member at a time",
        [*_defragment_each(seen), *_disarm_each(seen)],
    )


def allow_writes(seen: Observation) -> list[WorkflowRecommendation]:
    """Disarm an alarm whose cause is gone."""
    return [
        WorkflowRecommendation(
            name="allow_writes",
            description="Disarm the NOSPACE alarm, since there is room again",
            actions=_disarm_each(seen),
        )
    ]


def restart(seen: Observation, member_id: str) -> ActionRecommendation:
    """Restart one member's process if it still does not serve."""
    name = label(seen, member_id)
    return ActionRecommendation(
        action_name="restart_member",
        parameters={"member_name": name, "only_if_down": True},
        reason=f"Member {name} does not serve, and its data are on its disk",
        urgency="high",
        expected_outcome=f"Member {name} answers and follows the leader",
        risks=["A member that crashes at its start needs a look at its log"],
    )


def restore_quorum(seen: Observation) -> list[WorkflowRecommendation]:
    """Restart every voter whose process does not run, where a supervisor can."""
    gone = [
        one
        for one in seen.data("cluster")["unreachable"]
        if process_state(seen, one) in {"stopped", "frozen"}
    ]
    if not gone:
        return []
    return [
        WorkflowRecommendation(
            name="restore_quorum",
            description="Restart the members that are gone, one after the other",
            actions=[restart(seen, one) for one in _by_name(seen, gone)],
        )
    ]


def _workflow(
    seen: Observation, name: str, description: str, steps: list[ActionRecommendation]
) -> list[WorkflowRecommendation]:
    """Return the workflow, or nothing where no member can be spared for it."""
    if not can_spare_a_member(seen) or not steps:
        return []
    return [WorkflowRecommendation(name=name, description=description, actions=steps)]


def _compact(seen: Observation) -> ActionRecommendation:
    keyspace = seen.data("keyspace")
    history = keyspace.get("history_revisions", 0)
    revision = keyspace["revision"] - min(history // _KEPT_PART, _MOST_KEPT_REVISIONS)
    kept = keyspace.get("kept_revisions", history)
    return ActionRecommendation(
        action_name="compact",
        parameters={"revision": revision},
        reason=f"{keyspace.get('superseded_revisions', kept)} of {kept} kept revisions are "
        "superseded and fill the databases",
        urgency="high",
        expected_outcome=f"The history before revision {revision} is gone; its pages are free",
        risks=[f"Readers and watchers of revisions before {revision} get an error"],
    )


def _defragment_each(seen: Observation) -> list[ActionRecommendation]:
    """Followers first, the leader last: it changes hands at most once."""
    answering = [key for key, one in seen.data("status").items() if one["reachable"]]
    leader = seen.data("cluster")["leader_id"]
    order = [one for one in _by_name(seen, answering) if one != leader]
    order += [leader] if leader in answering else []
    return [_defragment(seen, one, leads=one == leader) for one in order]


def _defragment(seen: Observation, member_id: str, *, leads: bool) -> ActionRecommendation:
    name = label(seen, member_id)
    return ActionRecommendation(
        action_name="defragment",
        parameters={"member_id": member_id},
        reason=f"{name}, {'the leader and so the last' if leads else 'a follower'}: "
        "free pages go back to the disk only by rewriting the file",
        urgency="high",
        expected_outcome=f"The database of {name} takes only what it uses",
        risks=[f"{name} serves nothing while its file is rewritten"],
    )


def _disarm_each(seen: Observation) -> list[ActionRecommendation]:
    """Disarm all members: any of them raises the alarm too when a client writes to it now."""
    raised = seen.data("cluster")["nospace_members"]
    if not raised:
        return []
    ids = {*_members(seen), *raised}
    return [_disarm(seen, one, raised=one in raised) for one in _by_name(seen, ids)]


def _disarm(seen: Observation, member_id: str, *, raised: bool) -> ActionRecommendation:
    name = label(seen, member_id)
    why = "raised the alarm" if raised else "may have raised it since, when a client wrote to it"
    return ActionRecommendation(
        action_name="disarm_alarm",
        parameters={"member_id": member_id, "alarm": "NOSPACE"},
        reason=f"{name} {why}; the cluster refuses writes while one alarm stands",
        urgency="high",
        expected_outcome=f"No NOSPACE alarm of {name}",
        risks=["If the space is not back, the next write raises it again"],
    )


def _by_name(seen: Observation, ids: Iterable[str]) -> list[str]:
    return sorted(ids, key=lambda one: (label(seen, one), one))
