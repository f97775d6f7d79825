"""What the Patroni subject can do, and what the engine must know of each action."""

from operator_core.actions.types import WHOLE_SUBJECT, ActionDefinition, ParamDef
from operator_core.types import RiskLevel
from operator_patroni.obstacles import SMALLEST

PAUSE = "paused-failover/cluster"
"""The temporary effect of a pause."""
PAUSE_SECONDS = 4 * 3600.0

_SEEN = ("nodes", "members", "config", "cluster")
"""Who belongs to the cluster, who leads and who could: told by members that agree."""

_LEADS = ("cluster/leader", "cluster/has_primary")
_WHO = (*_LEADS, "cluster/candidates")
"""Another leader, or others who could take over, make another thing of what is approved."""


def _name(description: str) -> ParamDef:
    return ParamDef(type="str", description=description, pattern=r"^[^\s/{}]{1,100}$")


SWITCHOVER = ActionDefinition(
    name="switchover",
    description="Let the leader hand over to a replica that is in step; writes pause for seconds "
    "and connections to the old leader end. Refused where the replica is behind, not synchronous "
    "in synchronous mode, or kept from leading.",
    parameters={"candidate": _name("Name of the member that is to lead")},
    risk_level=RiskLevel.MEDIUM,
    idempotent=True,
    disruptive=True,
    time_limit_seconds=180.0,
    target_parameters=WHOLE_SUBJECT,
    needs_sources=_SEEN,
    facts=(*_LEADS, "members/members/{candidate}/role"),
    changes=("cluster", "members", "nodes", "history"),
    restored_by="switchover",
)

FAILOVER = ActionDefinition(
    name="failover",
    description="Let a replica take over where nobody leads. What only the lost leader had is "
    "lost. Refused where the replica is further behind than the configuration allows.",
    parameters={"candidate": _name("Name of the member that is to lead")},
    risk_level=RiskLevel.HIGH,
    requires_approval=True,
    idempotent=True,
    disruptive=True,
    time_limit_seconds=180.0,
    tags=("data-loss",),
    target_parameters=WHOLE_SUBJECT,
    needs_sources=_SEEN,
    facts=_WHO,
    changes=("cluster", "members", "nodes", "history"),
)

RESTART_MEMBER = ActionDefinition(
    name="restart_member",
    description="Restart the PostgreSQL of a member through its Patroni. Connections to it end. "
    "Refused for a leader that nobody could take over from.",
    parameters={
        "member_name": _name("Name of the member"),
        "only_if_down": ParamDef(
            type="bool",
            description="Leave the member alone where it runs by then",
            required=False,
            default=False,
        ),
        "only_if_pending": ParamDef(
            type="bool",
            description="Leave the member alone where no changed setting waits for a restart",
            required=False,
            default=False,
        ),
    },
    risk_level=RiskLevel.MEDIUM,
    disruptive=True,
    time_limit_seconds=180.0,
    target_parameters=("member_name",),
    needs_sources=_SEEN,
    facts=_LEADS,
    changes=("cluster", "members", "nodes"),
)

RESTART_PATRONI = ActionDefinition(
    name="restart_patroni",
    description="Start the Patroni of a member where it does not answer, through the process "
    "supervisor; one that hangs is ended first. Left alone where it answers.",
    parameters={"member_name": _name("Name of the member")},
    risk_level=RiskLevel.MEDIUM,
    disruptive=True,
    time_limit_seconds=120.0,
    target_parameters=("member_name",),
    needs_sources=("nodes", "processes"),
    facts=("nodes/members/{member_name}/reachable",),
    changes=("cluster", "members", "nodes", "processes"),
)

REINITIALIZE_MEMBER = ActionDefinition(
    name="reinitialize_member",
    description="Throw a replica's data away and copy them anew from another member. Refused for "
    "the leader, for the only one that could take over, and where nobody serves.",
    parameters={"member_name": _name("Name of the replica")},
    risk_level=RiskLevel.HIGH,
    requires_approval=True,
    disruptive=True,
    time_limit_seconds=900.0,
    target_parameters=("member_name",),
    needs_sources=_SEEN,
    facts=(*_WHO, "members/members/{member_name}/timeline"),
    changes=("cluster", "members", "nodes"),
)

RELOAD_MEMBER = ActionDefinition(
    name="reload_member",
    description="Let a member read its configuration again; nothing restarts.",
    parameters={"member_name": _name("Name of the member")},
    risk_level=RiskLevel.LOW,
    idempotent=True,
    tags=("config",),
    target_parameters=("member_name",),
    needs_sources=_SEEN,
    changes=("cluster", "members", "nodes"),
)

PAUSE_CLUSTER = ActionDefinition(
    name="pause_cluster",
    description="Let Patroni only watch (maintenance mode): nothing fails over by itself. Ends "
    "with the reason it was done for, and after four hours at the latest.",
    risk_level=RiskLevel.MEDIUM,
    idempotent=True,
    tags=("temporary", "config"),
    target_parameters=WHOLE_SUBJECT,
    needs_sources=_SEEN,
    facts=_LEADS,
    changes=("members", "cluster", "config"),
    inverse="resume_cluster",
    temporary_effect=PAUSE,
    effect_seconds=PAUSE_SECONDS,
)

RESUME_CLUSTER = ActionDefinition(
    name="resume_cluster",
    description="Let Patroni manage the cluster again after a pause. Refused while two members "
    "take writes.",
    risk_level=RiskLevel.LOW,
    idempotent=True,
    tags=("config",),
    target_parameters=WHOLE_SUBJECT,
    needs_sources=_SEEN,
    facts=_LEADS,
    changes=("members", "cluster", "config"),
)

SET_CONFIG = ActionDefinition(
    name="set_config",
    description="Change one number of the dynamic configuration.",
    parameters={
        "key": ParamDef(type="str", description="The setting", enum=list(SMALLEST)),
        "value": ParamDef(
            type="int",
            description="Its value: seconds, for maximum_lag_on_failover bytes, for "
            "synchronous_node_count members",
            minimum=0,
            maximum=2**50,
        ),
    },
    risk_level=RiskLevel.MEDIUM,
    idempotent=True,
    tags=("config",),
    target_parameters=("key",),
    needs_sources=_SEEN,
    facts=("config/{key}",),
    changes=("config", "cluster"),
    restored_by="set_config",
)

DEFINITIONS = (
    SWITCHOVER,
    FAILOVER,
    RESTART_MEMBER,
    RESTART_PATRONI,
    REINITIALIZE_MEMBER,
    RELOAD_MEMBER,
    PAUSE_CLUSTER,
    RESUME_CLUSTER,
    SET_CONFIG,
)
