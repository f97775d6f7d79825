"""Canaries of the last look before a call is sent: whose it is, and whether it is called off."""

from datetime import timedelta

from operator_core.actions.cage import PERSON, Cage
from operator_core.actions.canaries.canary import Canary
from operator_core.actions.canaries.state import claimed
from operator_core.db import changes
from operator_core.db.changes import Change
from operator_core.db.claims import Attempt, ClaimTerms
from operator_core.db.control import ControlDB
from operator_core.db.executions import ExecutionDB
from operator_core.errors import LostLeaseError, NotReadyError

_AFTER_THE_LEASE = timedelta(seconds=61)


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
    stop, stamp = Change("proposal.request_cancel", "stop_requested"), cage.stamp()
    await cage.ledger.write(lambda tx: changes.apply(tx, proposal_id, stop, stamp))
    await _sent_late(cage, attempt)


_GUARDS = ("actions.execution:_may_send",)

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
)
