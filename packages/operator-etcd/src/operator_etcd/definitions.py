"""What the etcd subject can do, and what the engine must know of each action."""

from operator_core.actions.types import ActionDefinition, ParamDef
from operator_core.types import RiskLevel

_MEMBER_ID = r"^[1-9][0-9]{0,19}$"


def _member(description: str) -> ParamDef:
    return ParamDef(type="str", description=description, pattern=_MEMBER_ID)


MOVE_LEADER = ActionDefinition(
    name="move_leader",
    description="Hand the leadership to another voter; writes pause for a moment.",
    parameters={"target_member_id": _member("Id of the voter that is to lead")},
    risk_level=RiskLevel.LOW,
    idempotent=True,
    time_limit_seconds=30.0,
)

COMPACT = ActionDefinition(
    name="compact",
    description="Drop the history of keys before a revision, on all members. The present values "
    "stay. Readers and watchers of older revisions get an error.",
    parameters={
        "revision": ParamDef(
            type="int",
            description="Keep the history from this revision on; by default, as far back as "
            "keep_revisions says, counted from the revision at the time of the action",
            required=False,
            minimum=1,
        ),
        "keep_revisions": ParamDef(
            type="int",
            description="How many revisions to keep where no revision is given",
            required=False,
            default=0,
            minimum=0,
        ),
    },
    risk_level=RiskLevel.MEDIUM,
    idempotent=True,
    disruptive=True,
    time_limit_seconds=600.0,
)

DEFRAGMENT = ActionDefinition(
    name="defragment",
    description="Rewrite one member's database file, which gives its free pages back to the "
    "disk. The member serves nothing meanwhile; refused where that leaves no quorum.",
    parameters={"member_id": _member("Id of the member")},
    risk_level=RiskLevel.MEDIUM,
    idempotent=True,
    disruptive=True,
    time_limit_seconds=600.0,
)

DISARM_ALARM = ActionDefinition(
    name="disarm_alarm",
    description="Disarm the NOSPACE alarm that one member raised, after its space was freed. "
    "The CORRUPT alarm is for a person.",
    parameters={
        "member_id": _member("Id of the member that raised it"),
        "alarm": ParamDef(
            type="str",
            description="The alarm",
            required=False,
            default="NOSPACE",
            enum=["NOSPACE"],
        ),
    },
    risk_level=RiskLevel.LOW,
    idempotent=True,
    time_limit_seconds=30.0,
)

ADD_LEARNER = ActionDefinition(
    name="add_learner",
    description="Add a member without a vote. Its process is then started with the "
    "initial cluster that this action returns.",
    parameters={
        "peer_url": ParamDef(
            type="str",
            description="Peer address of the new member, such as http://10.0.0.4:2380",
            pattern=r"^https?://[^\s/?#@]+:[0-9]{1,5}$",
        )
    },
    risk_level=RiskLevel.MEDIUM,
    idempotent=True,
    disruptive=True,
    time_limit_seconds=60.0,
)

PROMOTE_MEMBER = ActionDefinition(
    name="promote_member",
    description="Give a learner that has caught up its vote. The quorum grows with it.",
    parameters={"member_id": _member("Id of the learner")},
    risk_level=RiskLevel.MEDIUM,
    idempotent=True,
    disruptive=True,
    time_limit_seconds=60.0,
)

REMOVE_MEMBER = ActionDefinition(
    name="remove_member",
    description="Take a member out of the cluster for good; its data cannot come back. Refused "
    "where the healthy voters that stay would be no quorum.",
    parameters={"member_id": _member("Id of the member")},
    risk_level=RiskLevel.HIGH,
    requires_approval=True,
    disruptive=True,
    shrinks=("members/{member_id}",),
    time_limit_seconds=60.0,
)

RESTART_MEMBER = ActionDefinition(
    name="restart_member",
    description="End a member's process if it runs and start it again with its data, through "
    "the process supervisor. Refused where that leaves no quorum.",
    parameters={
        "member_name": ParamDef(
            type="str", description="Name of the member", pattern=r"^[^\s/]{1,100}$"
        ),
        "only_if_down": ParamDef(
            type="bool",
            description="Leave the member alone where it serves by then",
            required=False,
            default=False,
        ),
    },
    risk_level=RiskLevel.MEDIUM,
    disruptive=True,
    time_limit_seconds=90.0,
)

DEFINITIONS = (
    MOVE_LEADER,
    COMPACT,
    DEFRAGMENT,
    DISARM_ALARM,
    ADD_LEARNER,
    PROMOTE_MEMBER,
    REMOVE_MEMBER,
    RESTART_MEMBER,
)
