"""The policy's file: read when it has changed; a faulty one changes nothing and is told of."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from operator_core import db
from operator_core.actions import policy
from operator_core.db.ledger import Ledger
from operator_core.db.policy import PolicyDB
from operator_core.errors import ConfigurationError
from operator_core.file_state import state_of
from operator_core.logs import get_logger
from operator_core.monitor.types import Violation
from operator_core.types import Severity

log = get_logger(__name__)

INVARIANT = "policy_file"
"""The invariant that a faulty policy file breaks: it has a ticket of its own."""

SHIPPED = "shipped with Operator"
ACTOR = "operator"


def read_policy(path: Path) -> "policy.LoadedPolicy":
    """Return the policy of a file.

    Raises:
        PolicyError: it cannot be read or used; names every fault.
    """
    return policy.load(read_text(path))


def read_text(path: Path) -> str:
    """Return the text of a policy's file, or of its cases.

    Raises:
        PolicyError: it cannot be read.
    """
    try:
        with path.open(encoding="utf-8") as file:
            return file.read(policy.MAX_POLICY_CHARS + 1)
    except (OSError, UnicodeDecodeError) as error:
        raise policy.PolicyError((f"{path} cannot be read: {error}",)) from error


class PolicyKeeper:
    """Keeps the policy in force as its file says, and ends what is over.

    Args:
        ledger: an open ledger.
        path: the file; None: what is in force stays, and where nothing is, the shipped policy
            comes into force.
        default: whether it does so.
        tell: told in a line what happens.
    """

    def __init__(
        self,
        ledger: Ledger,
        path: Path | None,
        *,
        default: bool = True,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._policies = PolicyDB(ledger)
        self._ledger = ledger
        self._path = path
        self._default = default
        self._tell = tell
        self._state: tuple[object, ...] | None = None
        self._complaint = ""

    async def start(self) -> None:
        """Put a policy in force before anything is done.

        Raises:
            PolicyError: the file cannot be used, and no other policy is in force.
        """
        if self._path is not None:
            await self.step()
            if await self._policies.in_force() is None:
                read_policy(self._path)  # says what is wrong
            return
        known = {row["source"] for row in await self._policies.list_policies() if row["in_force"]}
        if known == {SHIPPED} or (not known and self._default):
            await self._enforce(policy.load(policy.shipped_policy()), SHIPPED)
        elif known:
            with suppress(ConfigurationError):  # each claim says so
                await (
                    self._policies.in_force()
                )  # loaded now, and not while a claim holds the ledger

    async def step(self) -> None:
        """Read the file if it has changed; end approvals and proposals whose time is over."""
        if self._path is not None and self._changed(self._path):
            await self._reload(self._path)
        for proposal_id in await self._policies.collect():
            log.warning("overtaken_by_a_freeze", proposal_id=proposal_id)

    def _changed(self, path: Path) -> bool:
        try:
            state = state_of([path])
        except OSError:
            state = ()
        changed, self._state = state != self._state, state
        return changed

    async def _reload(self, path: Path) -> None:
        try:
            loaded = read_policy(path)
        except policy.PolicyError as error:
            await self._complain(path, error)
            return
        self._complaint = ""
        await self._enforce(loaded, str(path))
        await self._settle(path)

    async def _enforce(self, loaded: "policy.LoadedPolicy", source: str) -> None:
        if await self._policies.enforce(loaded, source=source, actor=ACTOR):
            log.info("policy_in_force", policy=loaded.digest, source=source)
            self._tell(f"policy {loaded.digest[:12]} is in force ({source})")

    async def _complain(self, path: Path, error: "policy.PolicyError") -> None:
        if str(error) == self._complaint:
            return  # what was written just now is read more than once
        self._complaint = str(error)
        log.error("policy_refused", path=str(path), reason=str(error))
        self._tell(f"the policy file {path} is refused: {error}")
        violation = Violation(
            invariant=INVARIANT,
            target=str(path),
            message=f"{error} The policy before it stays in force.",
            severity=Severity.CRITICAL,
        )
        await db.TicketDB(self._ledger).report(violation, reported_by=ACTOR)

    async def _settle(self, path: Path) -> None:
        tickets = db.TicketDB(self._ledger)
        for ticket in await tickets.list_tickets(unresolved=True):
            if (ticket.invariant_name, ticket.target) == (INVARIANT, str(path)):
                await tickets.resolve(
                    int(ticket.id or 0), actor=ACTOR, resolution="the policy file can be used"
                )
