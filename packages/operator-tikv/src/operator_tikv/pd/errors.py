"""What PD's refusals mean for an effect: gone for good, or worth another try."""

from typing import Final

from operator_core.errors import (
    ActionFailedError,
    ActionRefusedError,
    OutcomeUnknownError,
    SubjectError,
)


class PdAnswerError(SubjectError):
    """PD answered with something that is none of its answers."""


class PdRefusalError(SubjectError):
    """PD answered a request with an error of its own.

    Attributes:
        status: HTTP status code.
        reason: PD's reason in its own words.
    """

    def __init__(self, status: int, reason: str, request: str) -> None:
        """Take the status, the reason and what was asked (`GET /stores`)."""
        super().__init__(f"PD refused {request} ({status}): {reason or 'no reason given'}")
        self.status = status
        self.reason = reason


_NO_LEADER_REASONS: Final = ("ErrRedirectNoLeader", "redirect finds no leader")
_NEVER_SERVED_REASONS: Final = (
    *_NO_LEADER_REASONS,
    "ErrRedirectToNotLeader",
    "redirect to not leader",
    "ErrServerNotStarted",
    "server not started",
)
"""The member that answered did not look at the request: another one may serve it."""

_TRANSIENT_REASONS: Final = (
    *_NEVER_SERVED_REASONS,
    "ErrAddOperator",
    "ErrNotBootstrapped",
    "ErrStoreUnhealthy",
    "unhealthy",
    "target leader is not allowed",
    "region with no leader",
    "in joint state",
    "ErrPauseLeaderTransfer",
    "is a hot region",
    "ErrRegionAbnormalPeer",
    "ErrUnsafeRecoveryIsRunning",
    "ErrNoStoreForRegionLeader",
    "busy",
    "timeout",
    "etcd",
)
_PERMANENT_REASONS: Final = (
    "ErrRegionNotFound",
    "has no voter in store",
    "has no peer in store",
    "already has peer in store",
    "cannot add peer",
    "ErrStoreNotFound",
    "ErrStoreRemoved",
    "has been removed",
    "ErrStoreDestroyed",
    "ErrStoresNotEnough",
    "no operator step is built",
    "match no placement rule",
    "without peer role is not supported",
    "ErrSchedulerNotFound",
    "ErrUnknownOperator",
    "unknown operator",
    "unknown scheduler",
    "ErrSchedulerExisted",
    "scheduler existed",
    "ErrRegionNotAdjacent",
    "not adjacent",
    "ErrUnsafeRecoveryInvalidInput",
    "ErrPlacementDisabled",
    "is not supported",
    "is illegal",
    "not found",
    "does not exist",
    "missing ",
    "invalid ",
)
_GATEWAY_STATUS: Final = frozenset({502, 504})
_SERVER_FAULT: Final = 500
_UNAVAILABLE: Final = 503
_CLIENT_FAULT_STATUS: Final = frozenset({400, 404, 405, 410, 412})


def effect_error(status: int, reason: str, request: str) -> SubjectError:
    """Say what a refused effect means.

    Args:
        status: HTTP status code, not 200.
        reason: PD's reason in its own words.
        request: what was asked, for people.
    """
    told = f"PD refused {request} ({status}): {reason or 'no reason given'}"
    if status in _GATEWAY_STATUS or (status >= _SERVER_FAULT and _is_page(reason)):
        return OutcomeUnknownError(
            f"A gateway answered {request} with {status} instead of PD, "
            f"so nobody knows whether PD got it: {reason}"
        )
    if any(mark in reason for mark in _TRANSIENT_REASONS):
        return ActionFailedError(told)
    if status in _CLIENT_FAULT_STATUS or any(mark in reason for mark in _PERMANENT_REASONS):
        return ActionRefusedError(told)
    return ActionFailedError(told)


def is_never_served(status: int, reason: str) -> bool:
    """Return whether the member turned the request away unread, so that another may take it."""
    return status == _UNAVAILABLE or any(mark in reason for mark in _NEVER_SERVED_REASONS)


def is_no_leader(error: BaseException | None) -> bool:
    """Return whether PD answered that it has no leader."""
    if not isinstance(error, PdRefusalError):
        return False
    told = any(mark in error.reason for mark in _NO_LEADER_REASONS)
    return told or error.status == _UNAVAILABLE


def _is_page(reason: str) -> bool:
    return reason.lstrip().lower().startswith(("<!doctype", "<html"))
