"""The error tree, split by what the caller must do next.

==================  ==================================================
RequestError        change the request; the same call fails again
RefusedError        nothing is wrong with the request; a gate is closed
ConflictError       somebody else was first; read again and decide anew
LedgerError         the ledger's storage needs care
SubjectError        the cluster's answer, split by what it says of the effect
==================  ==================================================

Every message tells the user what to do next.
"""

from collections.abc import Iterable

RAISE_LIMITS = "Raise its limits (`ulimit -a`, or its container's), or end what else needs them."
"""What is told where a process gets no more memory, threads or files."""


class OperatorError(Exception):
    """The root of all errors that Operator raises on purpose."""


# --- change the request ---------------------------------------------------------------


class RequestError(OperatorError, ValueError):
    """The request cannot succeed as it stands; change it."""


class NotFoundError(RequestError):
    """The request names something that does not exist."""

    def __init__(self, kind: str, key: object) -> None:
        """Name the kind of thing and the key that was looked for."""
        super().__init__(f"{kind} {key} not found. List what exists before you name one.")
        self.kind = kind
        self.key = key


class UnknownActionError(RequestError):
    """The action is not registered by the subject or the general tools."""

    def __init__(self, action_name: str, available: Iterable[str]) -> None:
        """Name the unknown action and those that are available."""
        names = ", ".join(sorted(available)) or "none"
        super().__init__(f"Unknown action {action_name!r}. Available actions: {names}.")
        self.action_name = action_name


class ValidationError(RequestError):
    """The parameters of a call do not fit the action; carries all faults at once."""

    def __init__(self, action_name: str, faults: Iterable[str]) -> None:
        """Take the action's name and every fault that was found."""
        self.action_name = action_name
        self.faults = tuple(faults)
        super().__init__(f"Invalid parameters for {action_name!r}: " + "; ".join(self.faults))


class UnsafeError(RequestError):
    """A rehearsal on a twin found that it would make the cluster less safe."""


class ConfigurationError(RequestError):
    """A setting (environment, file or option) has a value that Operator does not know."""


# --- a gate is closed -----------------------------------------------------------------


class RefusedError(OperatorError):
    """The request is sound, but a gate is closed. It burns no retry."""


class ObserveOnlyError(RefusedError):
    """Operator is in observe mode."""

    def __init__(self, reason: str | None = None) -> None:
        """Say why, and how a person leaves observe mode."""
        super().__init__(
            reason
            or "Operator is in observe mode: it may look but not act. "
            "Run `operator mode execute` to let it act."
        )


class ApprovalRequiredError(RefusedError):
    """The proposal waits for a person's approval."""


class StaleApprovalError(ApprovalRequiredError):
    """It was approved, and the approval does not hold any more."""


class PolicyDeniedError(RefusedError):
    """The policy in force forbids it."""


class BlindError(RefusedError):
    """Too little of the cluster is seen to act on it."""


class UnsafeNowError(RefusedError):
    """Rehearsed on the cluster as it is at this moment it would make that less safe."""


class NotReadyError(RefusedError):
    """The proposal is not due, or what it depends on is not complete."""


class LimitError(RefusedError):
    """A limit allows no further action right now."""


class BreakerError(LimitError):
    """A remedy did not help so often that it is not tried again; a person is needed."""


# --- somebody else was first ----------------------------------------------------------


class ConflictError(OperatorError):
    """The row is not in the state that this step needs; read it again and decide anew."""


class TransitionError(ConflictError):
    """The life cycle has no such transition from the present state."""


class LostLeaseError(ConflictError):
    """The owner's lease ended before it could write; its fencing number is old."""


class ConstraintError(ConflictError):
    """The ledger refuses the row: it would break a rule that the schema states."""


# --- the ledger -----------------------------------------------------------------------


class LedgerError(OperatorError):
    """The ledger's storage cannot be used as it is."""


class LedgerBusyError(LedgerError):
    """Another writer holds the ledger. Try again; see who holds it if that does not help."""


class LedgerReadOnlyError(LedgerError):
    """The ledger, or the folder it lies in, cannot be written."""


class LedgerFullError(LedgerError):
    """The disk under the ledger is full. Free some space; nothing was half written."""


class LedgerCorruptError(LedgerError):
    """The file is not a ledger or is damaged. Restore a backup, or name another file."""


class LedgerVersionError(LedgerError):
    """The ledger was written by a newer Operator. Upgrade this one."""


class LedgerUnavailableError(LedgerError):
    """The ledger cannot be opened at all."""


class LedgerAwayError(LedgerUnavailableError):
    """The server under the ledger does not answer; it may come back. See that it runs."""


class LedgerClosedError(LedgerUnavailableError):
    """This process has closed the ledger: nothing brings it back."""


class LedgerGoneError(LedgerUnavailableError):
    """The ledger's file was deleted or replaced under this process; start it again."""


# --- the cluster's answer -------------------------------------------------------------


class SubjectError(OperatorError):
    """The cluster behind a subject did not do what was asked."""


class SubjectUnreachableError(SubjectError):
    """The subject cannot be read. An unreachable source is not an empty cluster."""


class ActionFailedError(SubjectError):
    """The effect surely did not happen; trying again later may help."""


class ActionRefusedError(SubjectError):
    """The cluster refuses for good (bad target, target gone); trying again cannot help."""


class OutcomeUnknownError(SubjectError):
    """The effect may or may not have happened: it was sent and no answer came."""
