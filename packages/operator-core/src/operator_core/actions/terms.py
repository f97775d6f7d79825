"""On what terms an executor runs attempts."""

from collections.abc import Callable
from typing import NamedTuple

from operator_core.actions.retry import Wait
from operator_core.clock import Clock
from operator_core.db.claims import ClaimTerms


class Terms(NamedTuple):
    """On what terms an executor runs attempts.

    Attributes:
        claim: owner, ledger, lease and whether approval is required.
        retry_in: says for (proposal, failures, limit) how long it waits until it is tried again;
            None: it is not any more.
        clock: the source of time.
    """

    claim: ClaimTerms
    retry_in: Callable[[int, int, int], Wait | None]
    clock: Clock
