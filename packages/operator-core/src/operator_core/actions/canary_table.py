"""The canaries: every guard of the gate has one; a test compares the two."""

from datetime import timedelta

from operator_core.actions.cage import ACTIONS, PERSON, Cage, asking, rule
from operator_core.actions.canaries import Canary
from operator_core.clock import to_text
from operator_core.db import changes
from operator_core.db.changes import Change
from operator_core.db.claims import ClaimTerms
from operator_core.db.control import ControlDB
from operator_core.db.executions import ExecutionDB
from operator_core.db.policy import PolicyDB
from operator_core.db.workflows import WorkflowDB
from operator_core.errors import (
    ApprovalRequiredError,
    BlindError,
    BreakerError,
    ConflictError,
    LimitError,
    NotReadyError,
    ObserveOnlyError,
    PolicyDeniedError,
    RequestError,
    StaleApprovalError,
    TransitionError,
    UnknownActionError,
    ValidationError,
)
from operator_core.types import RunMode

_AUTO = rule("auto")
_ANCIENT = timedelta(hours=1)

# --- without a policy -----------------------------------------------------------------


async def _unvalidated(cage: Cage) -> int:
    return await cage.propose()


async def _observing(cage: Cage) -> int:
    planted = await cage.valid()
    await ControlDB(cage.ledger).set_mode(RunMode.OBSERVE, actor=PERSON)
    return planted


async def _killed(cage: Cage) -> int:
    await ControlDB(cage.ledger).kill(actor=PERSON, reason="a canary")
    return await cage.slipped_in()


async def _paused(cage: Cage) -> int:
    workflow_id, steps = await cage.workflow("turn")
    await WorkflowDB(cage.ledger).pause(workflow_id, paused_by=PERSON)
    return steps[0]


async def _undoing_too_early(cage: Cage) -> int:
    workflow_id, steps = await cage.workflow("turn")
    return await cage.slipped_in(workflow_id=workflow_id, compensates_proposal_id=steps[0])


async def _held(cage: Cage) -> int:
    planted = await cage.valid()
    stamp = cage.stamp()
    hold = Change("proposal.hold", "proposal_held")
    await cage.ledger.write(lambda tx: changes.apply(tx, planted, hold, stamp))
    return planted


async def _unapproved(cage: Cage) -> int:
    return await cage.valid()


async def _out_of_order(cage: Cage) -> int:
    _, steps = await cage.workflow("turn", "turn")
    return steps[1]


async def _before_its_time(cage: Cage) -> int:
    planted = await cage.valid()
    await cage.db.update_scheduled_at(planted, cage.clock.now() + _ANCIENT)
    return planted


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


async def _two_at_once(cage: Cage) -> int:
    first, second = await cage.valid("smash"), await cage.valid("smash")
    terms = ClaimTerms(
        "another",
        cage.ledger.ledger_id,
        lease_seconds=60.0,
        require_approval=False,
        subject=cage.subject.name,
    )
    await ExecutionDB(cage.ledger).claim(first, terms)
    return second


async def _of_another_cluster(cage: Cage) -> int:
    planted = await cage.valid()
    cage.subject.name += "-other"
    return planted


async def _unregistered(cage: Cage) -> int:
    planted = await cage.valid()
    cage.subject.offers = tuple(one for one in ACTIONS if one.name != "turn")
    return planted


async def _out_of_range(cage: Cage) -> int:
    planted = await cage.valid()
    narrow = {
        name: one.model_copy(update={"minimum": 2}) for name, one in ACTIONS[0].parameters.items()
    }
    cage.subject.offers = (ACTIONS[0].model_copy(update={"parameters": narrow}),)
    return planted


_WITHOUT_POLICY = (
    Canary(
        "not validated",
        ("actions.verdict:refusal",),
        TransitionError,
        "not validated",
        _unvalidated,
    ),
    Canary("observe mode", ("actions.verdict:_switch",), ObserveOnlyError, "observe", _observing),
    Canary("kill switch", ("actions.verdict:_switch",), ObserveOnlyError, "kill switch", _killed),
    Canary("paused", ("actions.verdict:_workflow",), NotReadyError, "is paused", _paused),
    Canary(
        "undoes what was not done",
        ("actions.verdict:_compensation",),
        ConflictError,
        "only a completed step",
        _undoing_too_early,
    ),
    Canary("held", ("actions.verdict:_hold",), ApprovalRequiredError, "is held", _held),
    Canary(
        "not approved",
        ("actions.verdict:_approval",),
        ApprovalRequiredError,
        "waits for approval",
        _unapproved,
        require_approval=True,
    ),
    Canary(
        "out of order", ("actions.verdict:_readiness",), NotReadyError, "depends on", _out_of_order
    ),
    Canary("not due", ("actions.verdict:_readiness",), NotReadyError, "not due", _before_its_time),
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
    Canary("two at once", ("db.claims:_take",), LimitError, "Another disruptive", _two_at_once),
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
)

# --- under a policy -------------------------------------------------------------------


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


async def _frozen(cage: Cage) -> int:
    freeze = '[[freeze]]\nname = "all"\nhours = { from = "00:00", until = "24:00" }\n'
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


async def _too_soon(cage: Cage) -> int:
    return await _twice(cage, '[[cooldown]]\nname = "rest"\nseconds = 3600\n')


async def _in_vain(cage: Cage) -> int:
    return await _twice(cage, '[[breaker]]\nname = "stop"\ntries = 1\n')


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


_UNDER_POLICY = (
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

CANARIES: tuple[Canary, ...] = (*_WITHOUT_POLICY, *_UNDER_POLICY)
