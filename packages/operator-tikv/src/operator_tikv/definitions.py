"""What a TiKV subject can do: the registered actions and their parameters."""

from typing import Final

from operator_core.actions.types import ActionDefinition, ParamDef
from operator_core.types import RiskLevel

TRANSFER_LEADER_WAIT_SECONDS: Final = 75.0
"""PD gives up a leader transfer after 60 s; the rest is for hearing of it."""

TRANSFER_PEER_WAIT_SECONDS: Final = 1200.0
"""The sum of PD's own limits of the steps of a big region."""

DRAIN_WAIT_SECONDS: Final = 300.0
RETURN_WAIT_SECONDS: Final = 60.0
"""How long leaders may take to begin to come back after a drain was undone."""

_MARGIN_SECONDS: Final = 60.0

_REGION: Final = ParamDef(type="int", description="Id of the region", minimum=1)
_STORE: Final = ParamDef(type="int", description="Id of the store", minimum=1)
_TO_STORE: Final = ParamDef(type="int", description="Id of the store to move to", minimum=1)
_FROM_STORE: Final = ParamDef(type="int", description="Id of the store to move from", minimum=1)

DEFINITIONS: Final[tuple[ActionDefinition, ...]] = (
    ActionDefinition(
        name="transfer_leader",
        description="Let another replica of a region become its leader, and wait until it is.",
        parameters={"region_id": _REGION, "to_store_id": _TO_STORE},
        risk_level=RiskLevel.LOW,
        time_limit_seconds=TRANSFER_LEADER_WAIT_SECONDS + _MARGIN_SECONDS,
    ),
    ActionDefinition(
        name="transfer_peer",
        description=(
            "Move one replica of a region to another store, and wait until the data is there."
        ),
        parameters={"region_id": _REGION, "from_store_id": _FROM_STORE, "to_store_id": _TO_STORE},
        risk_level=RiskLevel.MEDIUM,
        requires_approval=True,
        time_limit_seconds=TRANSFER_PEER_WAIT_SECONDS + _MARGIN_SECONDS,
    ),
    ActionDefinition(
        name="drain_store",
        description=(
            "Move all leaders off a store and keep them off (evict-leader), and wait until it "
            "leads none. If it cannot be done the eviction is taken back."
        ),
        parameters={"store_id": _STORE},
        risk_level=RiskLevel.MEDIUM,
        requires_approval=True,
        idempotent=True,
        disruptive=True,
        time_limit_seconds=DRAIN_WAIT_SECONDS + _MARGIN_SECONDS,
        inverse="undrain_store",
    ),
    ActionDefinition(
        name="undrain_store",
        description="Let a drained store lead regions again, and wait for leaders to return.",
        parameters={"store_id": _STORE},
        risk_level=RiskLevel.LOW,
        # Somebody may be working on the store, and only people know.
        requires_approval=True,
        idempotent=True,
        time_limit_seconds=2 * RETURN_WAIT_SECONDS + _MARGIN_SECONDS,
    ),
    ActionDefinition(
        name="resume_scheduler",
        description="Let a scheduler of PD that was paused run again.",
        parameters={
            "name": ParamDef(
                type="str",
                description="Name of the scheduler, such as balance-leader-scheduler",
                pattern=r"^[a-z][a-z0-9-]{0,99}$",
            )
        },
        risk_level=RiskLevel.LOW,
        # An import or a backup may have paused it, and only people know.
        requires_approval=True,
        idempotent=True,
        time_limit_seconds=RETURN_WAIT_SECONDS + _MARGIN_SECONDS,
    ),
)
