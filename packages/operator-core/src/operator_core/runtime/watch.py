"""Who watches a cluster: one monitor at a time, whatever the number of processes."""

from operator_core.db.leases import Lease, LeaseDB
from operator_core.db.ledger import Ledger


class Watch:
    """The right to watch one cluster, held by a lease in the ledger.

    When its holder dies, another process has it within one lease.
    """

    def __init__(self, ledger: Ledger, subject: str, holder: str, lease_seconds: float) -> None:
        """Take the ledger, the cluster, who wants to watch it, and for how long at a time."""
        self._leases = LeaseDB(ledger)
        self._name = f"monitor:{subject}"
        self._holder = holder
        self._seconds = lease_seconds
        self._lease: Lease | None = None

    async def is_mine(self) -> bool:
        """Return whether this process may look now; renews the lease, or tries to get it."""
        if self._lease is not None:
            self._lease = await self._leases.renew(self._lease, self._seconds)
        if self._lease is None:
            self._lease = await self._leases.acquire(self._name, self._holder, self._seconds)
        return self._lease is not None

    async def end(self) -> None:
        """Let somebody else watch at once."""
        if self._lease is not None:
            await self._leases.release(self._lease)
            self._lease = None
