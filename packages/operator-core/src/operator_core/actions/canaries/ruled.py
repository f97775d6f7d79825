"""Canaries of the policy: rules, freezes, limits."""

from datetime import timedelta

from operator_core.actions.cage import Cage, rule
from operator_core.actions.canaries.canary import Canary
from operator_core.clock import to_text
from operator_core.db import changes
from operator_core.db.changes import Change
from operator_core.db.policy import PolicyDB
from operator_core.errors import (
    ApprovalRequiredError,
    BlindError,
    BreakerError,
    LimitError,
    NotReadyError,
    PolicyDeniedError,
    StaleApprovalError,
)
from operator_core.twin import BlastRadius

_AUTO = rule("auto")


async def _allowed_then(cage: Cage, *policy: str) -> int:
    """Plant what was allowed when it was validated, and is not any more."""
    await cage.enforce(_AUTO)
    planted = await cage.valid()
    await cage.enforce(*policy)
    return planted


async def _denied(cage: Cage) -> int:
    return await _allowed_then(cage, rule("deny"))


async def _of_no_rule(cage: Cage) -> int:
    return await _allowed_then(cage, 'version = 1\nunknown_blast = "as ruled"\n')


async def _of_a_broken_condition(cage: Cage) -> int:
    return await _allowed_then(cage, _AUTO, 'when = "parameters.nothing > 3"')


async def _denied_by_name(cage: Cage) -> int:
    denied = _AUTO.replace("auto", "deny").replace('"all"', '"no"')
    return await _allowed_then(
        cage, denied, 'match = { action = "tur?" }\n[[rule]]\nname = "all"\neffect = "auto"\n'
    )


async def _allowed_to_others(cage: Cage) -> int:
    return await _allowed_then(cage, _AUTO, 'match = { action = "shut" }')


async def _under_a_condition(cage: Cage) -> int:
    return await _allowed_then(cage, _AUTO, 'when = "parameters.valve > 3"')


async def _of_unknown_harm(cage: Cage) -> int:
    return await _allowed_then(cage, _AUTO.replace("as ruled", "approve"))


async def _frozen(cage: Cage) -> int:
    freeze = '[[freeze]]\nname = "all"\nhours = { from = "00:00", until = "24:00" }\n'
    return await _allowed_then(cage, _AUTO, freeze)


async def _frozen_for_days(cage: Cage) -> int:
    now = cage.clock.now()
    starts, ends = (to_text(now + timedelta(days=days)) for days in (-1, 1))
    freeze = f'[[freeze]]\nname = "days"\nstarts = {starts}\nends = {ends}\n'
    return await _allowed_then(cage, _AUTO, freeze)


async def _slipped_out_of_a_freeze(cage: Cage) -> int:
    now = cage.clock.now()
    starts, ends = (to_text(now + timedelta(seconds=one)) for one in (60, 120))
    freeze = f'[[freeze]]\nname = "past"\nstarts = {starts}\nends = {ends}\n'
    planted = await _allowed_then(cage, _AUTO, freeze)
    await cage.db.update_scheduled_at(planted, now + timedelta(seconds=90))
    cage.clock.ahead += timedelta(seconds=180)
    return planted


async def _of_a_cap_of_none(cage: Cage) -> int:
    await cage.enforce(_AUTO)
    planted = await cage.valid("smash")
    await cage.enforce("disruptive_at_once = 0", _AUTO)
    return planted


async def _of_a_limit_of_none(cage: Cage) -> int:
    return await _allowed_then(
        cage, _AUTO, '[[limit]]\nname = "none"\ncount = 0\nper_seconds = 3600\n'
    )


async def _twice(cage: Cage, limit: str) -> int:
    await cage.enforce(_AUTO, limit)
    first, second = await cage.valid(), await cage.valid()
    await cage.run(first)
    await PolicyDB(cage.ledger).set_helped(first, helped=False)
    cage.subject.done.clear()
    return second


async def _too_often(cage: Cage) -> int:
    return await _twice(cage, '[[limit]]\nname = "one"\ncount = 1\nper_seconds = 3600\n')


async def _too_often_there(cage: Cage) -> int:
    limit = '[[limit]]\nname = "there"\ncount = 1\nper_seconds = 3600\nper = "target"\n'
    return await _twice(cage, limit)


async def _too_often_anywhere(cage: Cage) -> int:
    await cage.enforce(_AUTO)
    first, second = await cage.valid(), await cage.valid()
    await cage.run(first)
    cage.subject.done.clear()
    limit = '[[limit]]\nname = "anywhere"\ncount = 1\nper_seconds = 3600\nper = "ledger"\n'
    await cage.enforce(_AUTO, limit)
    return second


async def _too_soon(cage: Cage) -> int:
    return await _twice(cage, '[[cooldown]]\nname = "rest"\nseconds = 3600\n')


async def _in_vain(cage: Cage) -> int:
    return await _twice(cage, '[[breaker]]\nname = "stop"\ntries = 1\n')


async def _allowed_in_another_state(cage: Cage) -> int:
    await cage.look()
    await cage.enforce(_AUTO)
    planted = await cage.valid("shut")
    cage.subject.is_open = True
    return planted


async def _allowed_and_not_seen(cage: Cage) -> int:
    planted = await _allowed_in_another_state(cage)
    cage.subject.is_dark = True
    return planted


async def _allowed_and_taken_back(cage: Cage) -> int:
    planted = await _allowed_in_another_state(cage)
    cage.subject.is_open = False
    back, stamp = Change("proposal.unapprove", "approval_voided"), cage.stamp()
    await cage.ledger.write(lambda tx: changes.apply(tx, planted, back, stamp))
    return planted


async def _larger_by_now(cage: Cage) -> int:
    await cage.enforce(_AUTO, "match = { data_share_at_most = 0.1 }")
    planted = await cage.propose()
    await cage.executor.validate_proposal(planted, BlastRadius(0.0, 0.0, 0.0, 0.0))
    cage.subject.touched_share = 0.5
    return planted


RULED_CANARIES = (
    Canary(
        "allowed in another state",
        ("actions.policy.ruling:_grounded", "actions.policy.binding:drift"),
        StaleApprovalError,
        "when the policy allowed it",
        _allowed_in_another_state,
    ),
    Canary(
        "allowed and not seen",
        ("actions.policy.ruling:_grounded", "actions.policy.ruling:_unseen"),
        BlindError,
        "cannot be seen now",
        _allowed_and_not_seen,
    ),
    Canary(
        "allowed and taken back",
        ("actions.policy.ruling:_grounded",),
        StaleApprovalError,
        "was taken back",
        _allowed_and_taken_back,
    ),
    Canary(
        "larger by now",
        ("actions.policy.decide:decide",),
        PolicyDeniedError,
        "no rule of the policy",
        _larger_by_now,
    ),
    Canary(
        "denied",
        ("actions.policy.ruling:_denied", "actions.policy.ruling:policy_refusal"),
        PolicyDeniedError,
        "denied by the policy",
        _denied,
    ),
    Canary(
        "of no rule",
        ("actions.policy.decide:_denied",),
        PolicyDeniedError,
        "no rule of the policy",
        _of_no_rule,
    ),
    Canary(
        "of a broken condition",
        ("actions.policy.decide:_denied",),
        PolicyDeniedError,
        "its condition failed",
        _of_a_broken_condition,
    ),
    Canary(
        "frozen",
        ("actions.policy.ruling:_frozen", "actions.policy.limits:frozen"),
        NotReadyError,
        "Freeze 'all' holds",
        _frozen,
    ),
    Canary(
        "overtaken by a freeze",
        ("actions.policy.limits:missed",),
        NotReadyError,
        "inside freeze 'past'",
        _slipped_out_of_a_freeze,
    ),
    Canary(
        "no disruption allowed",
        ("actions.policy.ruling:_limited",),
        PolicyDeniedError,
        "the policy allows none",
        _of_a_cap_of_none,
    ),
    Canary(
        "a limit of none",
        ("actions.policy.limits:over_limit",),
        PolicyDeniedError,
        "none is allowed",
        _of_a_limit_of_none,
    ),
    Canary(
        "too often", ("actions.policy.limits:over_limit",), LimitError, "are used up", _too_often
    ),
    Canary("too soon", ("actions.policy.limits:cooling",), LimitError, "Cooldown", _too_soon),
    Canary("in vain", ("actions.policy.limits:tripped",), BreakerError, "Breaker", _in_vain),
    Canary(
        "denied by name",
        ("actions.policy.decide:decide",),
        PolicyDeniedError,
        "denied by the policy",
        _denied_by_name,
    ),
    Canary(
        "allowed to others",
        ("actions.policy.decide:decide",),
        PolicyDeniedError,
        "no rule of the policy",
        _allowed_to_others,
    ),
    Canary(
        "under a condition",
        ("actions.policy.decide:decide",),
        PolicyDeniedError,
        "no rule of the policy",
        _under_a_condition,
    ),
    Canary(
        "of unknown harm",
        ("actions.policy.decide:_ruling",),
        ApprovalRequiredError,
        "1 of anybody",
        _of_unknown_harm,
    ),
    Canary(
        "frozen for days",
        ("actions.policy.limits:frozen",),
        NotReadyError,
        "Freeze 'days' holds",
        _frozen_for_days,
    ),
    Canary(
        "too often there",
        ("actions.policy.limits:over_limit",),
        LimitError,
        "Limit 'there'",
        _too_often_there,
    ),
    Canary(
        "too often anywhere",
        ("actions.policy.limits:over_limit",),
        LimitError,
        "Limit 'anywhere'",
        _too_often_anywhere,
    ),
)
