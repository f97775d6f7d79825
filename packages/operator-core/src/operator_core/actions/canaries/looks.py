"""Canaries of what a look shows, and of the call itself as it is sent."""

from datetime import timedelta

from operator_core.actions.cage import ACTIONS, Cage
from operator_core.actions.canaries.canary import Canary
from operator_core.actions.types import ParamDef
from operator_core.errors import (
    BlindError,
    LimitError,
    RequestError,
    UnknownActionError,
    UnsafeNowError,
    ValidationError,
)

_ANCIENT = timedelta(hours=1)


async def _unseen(cage: Cage) -> int:
    cage.subject.part = None
    return await cage.valid("flush")


async def _seen_in_part(cage: Cage) -> int:
    cage.subject.part = {"complete": False}
    return await cage.valid("flush")


async def _contradicted(cage: Cage) -> int:
    cage.subject.part = {"agrees": False}
    return await cage.valid("flush")


async def _seen_long_ago(cage: Cage) -> int:
    cage.subject.part = {"observed_at": cage.clock.now() - _ANCIENT}
    return await cage.valid("flush")


async def _in_the_dark(cage: Cage) -> int:
    planted = await cage.valid("flush")
    cage.subject.is_dark = True
    return planted


async def _seen_in_the_future(cage: Cage) -> int:
    cage.subject.part = {"observed_at": cage.clock.now() + _ANCIENT}
    return await cage.valid("flush")


async def _blocked_twice(cage: Cage) -> int:
    first, second = await cage.valid("block"), await cage.valid("block")
    await cage.run(first)
    cage.subject.done.clear()
    return second


async def _blocking_in_the_dark(cage: Cage) -> int:
    planted = await cage.valid("block")
    cage.subject.is_dark = True
    return planted


async def _of_another_cluster(cage: Cage) -> int:
    planted = await cage.valid()
    cage.subject.name += "-other"
    return planted


async def _unregistered(cage: Cage) -> int:
    planted = await cage.valid()
    cage.offer(*(one for one in ACTIONS if one.name != "turn"))
    return planted


async def _out_of_range(cage: Cage) -> int:
    planted = await cage.valid()
    narrow = {
        name: one.model_copy(update={"minimum": 2}) for name, one in ACTIONS[0].parameters.items()
    }
    cage.offer(ACTIONS[0].model_copy(update={"parameters": narrow}))
    return planted


async def _lacking_a_parameter(cage: Cage) -> int:
    planted = await cage.valid()
    more = ACTIONS[0].parameters | {"hand": ParamDef(type="int", description="Which hand")}
    cage.offer(ACTIONS[0].model_copy(update={"parameters": more}))
    return planted


async def _brittle(cage: Cage) -> int:
    planted = await cage.valid()
    cage.subject.is_brittle = True
    return planted


LOOK_CANARIES = (
    Canary(
        "less safe by now",
        ("actions.verdict:_safety",),
        UnsafeNowError,
        "it breaks",
        _brittle,
    ),
    Canary(
        "not seen",
        ("actions.verdict:_sight", "db.gate:unseen", "actions.policy.sight:blindness"),
        BlindError,
        "was not seen",
        _unseen,
    ),
    Canary(
        "seen in part", ("actions.policy.sight:_fault",), BlindError, "in part only", _seen_in_part
    ),
    Canary(
        "contradicted", ("actions.policy.sight:_fault",), BlindError, "contradicted", _contradicted
    ),
    Canary(
        "seen long ago",
        ("actions.policy.sight:_fault",),
        BlindError,
        "too long ago",
        _seen_long_ago,
    ),
    Canary(
        "of another cluster",
        ("db.claims:_admitted",),
        RequestError,
        "is for subject",
        _of_another_cluster,
    ),
    Canary(
        "not registered any more",
        ("actions.registry:ActionRegistry.require",),
        UnknownActionError,
        "Unknown action",
        _unregistered,
    ),
    Canary(
        "parameters that do not fit",
        ("actions.validation:validate_action_params",),
        ValidationError,
        "Invalid parameters",
        _out_of_range,
    ),
    Canary(
        "in the dark",
        ("actions.policy.sight:blindness",),
        BlindError,
        "could not be seen",
        _in_the_dark,
    ),
    Canary(
        "seen in the future",
        ("actions.policy.sight:_fault",),
        BlindError,
        "in the future",
        _seen_in_the_future,
    ),
    Canary("two holders", ("db.effects:refusal",), LimitError, "holds blocked/1", _blocked_twice),
    Canary(
        "effects not seen",
        ("db.effects:refusal",),
        BlindError,
        "until it can be seen",
        _blocking_in_the_dark,
    ),
    Canary(
        "lacks a parameter",
        ("actions.validation:validate_action_params",),
        ValidationError,
        "Invalid parameters",
        _lacking_a_parameter,
    ),
)
