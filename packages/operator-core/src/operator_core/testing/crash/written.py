"""Which statements of the ledger write, and which of them the crash test reaches; pure."""

from operator_core.db.statements import statements
from operator_core.testing.crash.points import OPERATIONS

WITHIN = frozenset(
    {
        "audit.insert",
        "proposal.cancel",
        "proposal.count_failure",
        "proposal.delay_followers",
        "proposal.set_counted",
        "proposal.set_next_retry",
        "record.finish",
        "record.insert",
        "schedule.fired",
        "workflow.complete",
        "workflow.fail",
        "workflow.set_compensation_due",
        "workflow.start",
    }
)
"""Statements that write in the transaction of an operation: they live or die with it."""

OF_PEOPLE = frozenset(
    {
        "effect.forget_undos",
        "effect.renew",
        "proposal.approve",
        "proposal.doubt",
        "proposal.reject",
        "proposal.request_cancel",
        "proposal.schedule",
        "safety.insert",
        "safety.kill",
        "safety.set_mode",
        "schedule.delete",
        "schedule.disable",
        "schedule.enable",
        "schedule.insert",
        "workflow.approve",
        "workflow.cancel",
        "workflow.forget_compensations",
        "workflow.pause",
        "workflow.resume",
    }
)
"""Commands of a person, who sees that no answer came: one transaction each, no effect behind it."""

OF_THE_POLICY = frozenset(
    {
        "approval.bind",
        "approval.end",
        "approval.insert",
        "decision.ground",
        "decision.insert",
        "decision.judge_ticket",
        "decision.set_helped",
        "policy.enforce",
        "policy.retire",
        "proposal.unapprove",
        "proposal.void_approval",
        "rehearsal.insert",
        "rehearsal.measure",
        "workflow.void_approval",
    }
)
"""What the gate writes under a policy; the runs have none, so that every gate is open."""

ELSEWHERE = frozenset(
    {
        "comment",
        "diagnosis",
        "lease",
        "ledger",
        "looks",
        "observation",
        "rule_setting",
        "sighting",
        "snooze",
        "subject",
        "ticket",
        "verification",
    }
)
"""Kinds of rows that the engine of actions does not write: they are of watching and of care."""

OF_CARE = frozenset(
    {
        "audit.begin_chain",
        "audit.prune",
        "effect.prune",
        "proposal.end_lease",
        "proposal.hold",
        "proposal.hold_begun",
        "proposal.let_go_of_workflow",
        "proposal.wait_anew",
    }
)
"""What opening, pruning and restoring a ledger write, and what follows a clock set back."""


def writing() -> frozenset[str]:
    """Return the names of the statements that write, those for many rows as those for one."""
    words = ("INSERT", "UPDATE", "DELETE", "REPLACE")
    return frozenset(
        name.removesuffix(".each")
        for name, text in statements("sqlite").items()
        if text.upper().startswith(words)
    )


def reached() -> frozenset[str]:
    """Return the statements that write in a run without a fault."""
    return WITHIN | {name for name in OPERATIONS if not name.startswith("subject.")}


def in_no_operation() -> frozenset[str]:
    """Return the statements that write and have no place in this module or in `OPERATIONS`."""
    known = reached() | OF_PEOPLE | OF_THE_POLICY | OF_CARE
    return frozenset(one for one in writing() - known if one.split(".")[0] not in ELSEWHERE)
