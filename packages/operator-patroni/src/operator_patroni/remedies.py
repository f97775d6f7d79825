"""What is to be done about a cause; pure functions of the observation."""

from operator_core.agent.diagnosis import ActionRecommendation, WorkflowRecommendation
from operator_core.monitor.types import Observation
from operator_core.types import JsonObject
from operator_patroni.model import Member, Model, model_from
from operator_patroni.obstacles import obstacles


def model(seen: Observation) -> Model:
    """Return the model of a cluster that was seen, as far as it was."""
    return model_from(seen.data("members"), seen.data("nodes"), seen.data("config"))


def member(seen: Observation, name: str) -> Member | None:
    """Return a member, None where the DCS does not list it."""
    return model(seen).members.get(name)


def start(seen: Observation, name: str) -> list[ActionRecommendation]:
    """Start a PostgreSQL that Patroni does not start by itself."""
    return _where_allowed(
        seen,
        ActionRecommendation(
            action_name="restart_member",
            parameters={"member_name": name, "only_if_down": True},
            reason=f"The PostgreSQL of {name} does not run, and its Patroni waits for a word",
            urgency="high",
            expected_outcome=f"{name} runs and is fed by the leader",
            risks=["One that ends again at its start needs a look at its log"],
        ),
    )


def start_patroni(seen: Observation, name: str) -> list[ActionRecommendation]:
    """Start a Patroni that does not answer, where a supervisor knows its process."""
    if process_state(seen, name) is None:
        return []
    return _where_allowed(
        seen,
        ActionRecommendation(
            action_name="restart_patroni",
            parameters={"member_name": name},
            reason=f"The Patroni of {name} does not answer, and its data are on its disk",
            urgency="high",
            expected_outcome=f"The Patroni of {name} answers and its PostgreSQL runs under it",
            risks=["One that hung is ended, and its PostgreSQL may be restarted with it"],
        ),
    )


def process_state(seen: Observation, name: str) -> str | None:
    """Return what a supervisor says of a member's Patroni; None: there is none that knows it."""
    told = seen.data("processes").get("members", {}).get(name, {}).get("state")
    return None if told in {None, "unknown"} else str(told)


def copy_anew(seen: Observation, name: str, why: str) -> list[ActionRecommendation]:
    """Replace a replica's data by a copy of the leader's."""
    return _where_allowed(
        seen,
        ActionRecommendation(
            action_name="reinitialize_member",
            parameters={"member_name": name},
            reason=why,
            urgency="high",
            expected_outcome=f"{name} has a new copy of the data and is fed by the leader",
            risks=[
                f"What is only on {name} is gone; keep its data folder first if that may matter",
                "The copy loads the member that it is taken from; large data take hours",
            ],
        ),
    )


def resume(seen: Observation, why: str) -> list[ActionRecommendation]:
    """End the maintenance mode."""
    return _where_allowed(
        seen,
        ActionRecommendation(
            action_name="resume_cluster",
            parameters={},
            reason=why,
            urgency="medium",
            expected_outcome="Patroni fails over by itself again",
            risks=["Where maintenance goes on, Patroni may start or restart what is worked on"],
        ),
    )


def take_over(seen: Observation) -> list[ActionRecommendation]:
    """Let the candidate that is least behind lead."""
    able = model(seen).candidates
    if not able:
        return []
    best = able[0]
    return _where_allowed(
        seen,
        ActionRecommendation(
            action_name="failover",
            parameters={"candidate": best.name},
            reason=f"Nobody leads, and {best.name} is the least behind ({best.lag_bytes} bytes)",
            urgency="high",
            expected_outcome=f"{best.name} leads and takes writes",
            risks=["What the lost leader had and nobody else is lost"],
        ),
    )


def apply_settings(seen: Observation) -> list[WorkflowRecommendation]:
    """Restart the members where a changed setting waits: replicas first, the leader last."""
    waiting = [one for one in model(seen).members.values() if one.pending_restart]
    order = sorted(waiting, key=lambda one: (one.leads, one.name))
    if not order or any(obstacles(model(seen), "restart_member", _pending(one)) for one in order):
        return []
    return [
        WorkflowRecommendation(
            name="apply_settings",
            description="Restart the members where a changed setting waits, the leader last",
            actions=[_apply(one) for one in order],
        )
    ]


def _pending(one: Member) -> JsonObject:
    return {"member_name": one.name, "only_if_pending": True}


def _apply(one: Member) -> ActionRecommendation:
    pause = "writes pause for seconds" if one.leads else "its readers are cut off for seconds"
    return ActionRecommendation(
        action_name="restart_member",
        parameters=_pending(one),
        reason=f"A changed setting of {one.name} waits for a restart",
        urgency="low",
        expected_outcome=f"{one.name} runs with the setting",
        risks=[f"While {one.name} restarts, {pause}"],
    )


def _where_allowed(seen: Observation, one: ActionRecommendation) -> list[ActionRecommendation]:
    """Return a recommendation unless the same rules would refuse it."""
    return [] if obstacles(model(seen), one.action_name, one.parameters) else [one]
