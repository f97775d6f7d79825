"""Canaries of the words that a policy asks for, and of what they rest on."""

from datetime import timedelta

from operator_core.actions.cage import PERSON, Cage, asking
from operator_core.actions.canaries.canary import Canary
from operator_core.errors import ApprovalRequiredError, StaleApprovalError


async def _without_a_word(cage: Cage) -> int:
    await cage.enforce(asking())
    return await cage.valid()


async def _approved(cage: Cage, action: str = "turn", *, seconds: float = 3600) -> int:
    await cage.look()
    await cage.enforce(asking(seconds=seconds))
    planted = await cage.valid(action)
    await cage.db.approve_proposal(planted, PERSON)
    return planted


async def _on_an_old_word(cage: Cage) -> int:
    planted = await _approved(cage, seconds=60)
    cage.clock.ahead += timedelta(seconds=61)
    return planted


async def _drifted(cage: Cage) -> int:
    planted = await _approved(cage, "shut")
    cage.subject.is_open = True
    return planted


WORD_CANARIES = (
    Canary(
        "without a word",
        ("actions.policy.ruling:_approved", "actions.policy.people:missing"),
        ApprovalRequiredError,
        "needs the approval",
        _without_a_word,
    ),
    Canary(
        "on an old word",
        ("actions.policy.ruling:_why_not", "actions.policy.people:why_not_counted"),
        StaleApprovalError,
        "it has expired",
        _on_an_old_word,
    ),
    Canary(
        "drifted",
        ("actions.policy.ruling:_drifted", "actions.policy.binding:drift"),
        StaleApprovalError,
        "is not as it was approved",
        _drifted,
    ),
)
