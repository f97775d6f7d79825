"""Canaries of the last look before a call is sent: whose it is, and whether it is called off."""

from datetime import timedelta

from operator_core.actions.cage import PERSON, Cage, asking, rule
from operator_core.actions.canaries.canary import Canary
from operator_core.actions.canaries.state import ask_to_stop, claimed
from operator_core.clock import to_text
from operator_core.db.claims import Attempt, ClaimTerms
from operator_core.db.control import ControlDB
from operator_core.db.executions import ExecutionDB
from operator_core.errors import LostLeaseError, NotReadyError
from operator_core.types import RunMode

_AFTER_THE_LEASE = timedelta(seconds=61)
_A_WHILE = timedelta(seconds=5)


async def _valid(cage: Cage) -> int:
    return await cage.valid()


async def _sent_late(cage: Cage, attempt: Attempt) -> None:
    """Go on with an attempt that was claimed some time ago, as a process does that stood still."""
    record = await cage.carry_out(attempt)
    if not cage.subject.done:
        raise NotReadyError(record.error_message or "")


async def _taken_over(cage: Cage, proposal_id: int) -> None:
    attempt = await claimed(cage, proposal_id)
    cage.clock.ahead += _AFTER_THE_LEASE
    other = ClaimTerms("a third", cage.ledger.ledger_id, 60.0, require_approval=False)
    await ExecutionDB(cage.ledger).take_over(attempt.proposal, other)
    cage.clock.ahead -= _AFTER_THE_LEASE  # by its own clock it has time left
    await _sent_late(cage, attempt)


async def _killed(cage: Cage, proposal_id: int) -> None:
    attempt = await claimed(cage, proposal_id)
    await ControlDB(cage.ledger).kill(actor=PERSON, reason="a canary")
    await _sent_late(cage, attempt)


async def _called_off(cage: Cage, proposal_id: int) -> None:
    attempt = await claimed(cage, proposal_id)
    await ask_to_stop(cage, proposal_id)
    await _sent_late(cage, attempt)


async def _only_looking(cage: Cage, proposal_id: int) -> None:
    attempt = await claimed(cage, proposal_id)
    await ControlDB(cage.ledger).set_mode(RunMode.OBSERVE, actor=PERSON)
    await _sent_late(cage, attempt)


async def _allowed(cage: Cage) -> int:
    """Plant what is allowed, and frozen in a moment."""
    now = cage.clock.now()
    starts, ends = (to_text(now + number * _A_WHILE) for number in (1, 9))
    freeze = f'[[freeze]]\nname = "soon"\nstarts = {starts}\nends = {ends}\n'
    await cage.enforce(rule("auto"), freeze)
    return await cage.valid()


async def _after_a_while(cage: Cage, proposal_id: int) -> None:
    attempt = await claimed(cage, proposal_id)
    cage.clock.ahead += _A_WHILE
    await _sent_late(cage, attempt)


async def _denied(cage: Cage, proposal_id: int) -> None:
    attempt = await claimed(cage, proposal_id)
    await cage.enforce(rule("deny"))
    await _sent_late(cage, attempt)


async def _approved(cage: Cage) -> int:
    await cage.enforce(asking(seconds=_A_WHILE.total_seconds()))
    planted = await cage.valid()
    await cage.db.approve_proposal(planted, PERSON)
    return planted


_GUARDS = ("actions.sending:may_send",)

SENDING_CANARIES = (
    Canary(
        "taken over before it was sent",
        _GUARDS,
        LostLeaseError,
        "was taken over before it was sent",
        _valid,
        run=_taken_over,
    ),
    Canary("killed before it was sent", _GUARDS, NotReadyError, "kill switch", _valid, run=_killed),
    Canary(
        "called off before it was sent",
        _GUARDS,
        NotReadyError,
        "cancel requested",
        _valid,
        run=_called_off,
    ),
    Canary(
        "only looked on before it was sent",
        ("db.gate:overtaken",),
        NotReadyError,
        "observe",
        _valid,
        run=_only_looking,
    ),
)

_OVERTAKEN = ("db.gate:overtaken", "actions.policy.ruling:overtaken")

OVERTAKEN_CANARIES = (
    Canary(
        "frozen before it was sent",
        (*_GUARDS, *_OVERTAKEN),
        NotReadyError,
        "Freeze 'soon' holds",
        _allowed,
        run=_after_a_while,
    ),
    Canary(
        "denied before it was sent",
        _OVERTAKEN,
        NotReadyError,
        "rule 'all'",
        _allowed,
        run=_denied,
    ),
    Canary(
        "on a word that expired before it was sent",
        _OVERTAKEN,
        NotReadyError,
        "it has expired",
        _approved,
        run=_after_a_while,
    ),
)
"""Of what the policy says once more; they need one."""
