"""Leases by name: one holder at a time, taken over when its time is over.

A monitor holds the lease of the subject it watches, so that of several operators one watches
it. The fence grows with each new holder: what a former one still writes can be told by it.
"""

from datetime import datetime, timedelta
from typing import NamedTuple

from operator_core.clock import from_text, to_text
from operator_core.db import changes
from operator_core.db.changes import Stamp
from operator_core.db.damage import read_as
from operator_core.db.engine import Row, Tx
from operator_core.db.store import Store
from operator_core.errors import RequestError


class Lease(NamedTuple):
    """A lease as it stood when it was read.

    Attributes:
        name: what it is for, such as ``monitor:tikv-eu``.
        holder: who has it.
        expires_at: when it ends unless it is renewed.
        fence: grows with each new holder.
    """

    name: str
    holder: str
    expires_at: datetime
    fence: int


def acquire(tx: Tx, name: str, holder: str, seconds: float, stamp: Stamp) -> Lease | None:
    """Take a lease that is free or has ended, or renew one's own; None: somebody else has it.

    Raises:
        RequestError: the time is not positive.
    """
    before = tx.one("lease.get", name=name)
    row = tx.one(
        "lease.acquire", name=name, holder=holder, expires_at=_end(seconds, stamp), now=stamp.text
    )
    if row is None:
        return None
    if before is None or before["fence"] != row["fence"]:
        data = {"name": name, "from": before["holder"] if before else None, "fence": row["fence"]}
        changes.note(tx, "lease_taken", data, stamp)
    return _lease(row)


def renew(tx: Tx, lease: Lease, seconds: float, stamp: Stamp) -> Lease | None:
    """Renew a lease; None: somebody else has taken it.

    Raises:
        RequestError: the time is not positive.
    """
    row = tx.one(
        "lease.renew",
        name=lease.name,
        holder=lease.holder,
        fence=lease.fence,
        expires_at=_end(seconds, stamp),
    )
    return _lease(row) if row else None


def release(tx: Tx, lease: Lease, stamp: Stamp) -> bool:
    """Let go of a lease, so that nobody waits for its end; False: it was not held any more."""
    row = tx.one(
        "lease.release",
        name=lease.name,
        holder=lease.holder,
        fence=lease.fence,
        now=stamp.text,
    )
    if row is not None:
        changes.note(tx, "lease_released", {"name": lease.name, "fence": lease.fence}, stamp)
    return row is not None


def _end(seconds: float, stamp: Stamp) -> str:
    if seconds <= 0:
        raise RequestError(f"A lease of {seconds:g} s has ended before it begins.")
    return to_text(stamp.now + timedelta(seconds=seconds))


@read_as("Lease")
def _lease(row: Row) -> Lease:
    return Lease(row["name"], row["holder"], from_text(row["expires_at"]), row["fence"])


class LeaseDB(Store):
    """Leases by name; each method is one durable transaction, on the ledger's clock."""

    async def acquire(self, name: str, holder: str, seconds: float) -> Lease | None:
        """Take a lease that is free or has ended, or renew one's own.

        Args:
            name: what it is for.
            holder: who asks for it; a name that no other process has.
            seconds: how long it holds unless it is renewed.

        Returns:
            The lease; None: somebody else has it.
        """
        return await self._write(lambda tx: acquire(tx, name, holder, seconds, self._stamp(holder)))

    async def renew(self, lease: Lease, seconds: float) -> Lease | None:
        """Renew a lease; None: somebody else has taken it, so stop at once."""
        return await self._write(lambda tx: renew(tx, lease, seconds, self._stamp(lease.holder)))

    async def release(self, lease: Lease, *, by: str | None = None) -> bool:
        """Let go of a lease; False: it was not held any more.

        Args:
            lease: as it was read.
            by: who does it in the place of a holder that is dead; None: the holder.
        """
        return await self._write(lambda tx: release(tx, lease, self._stamp(by or lease.holder)))

    async def get(self, name: str) -> Lease | None:
        """Return a lease, also one that has ended; None: nobody ever had it."""
        row = await self._read(lambda tx: tx.one("lease.get", name=name))
        return _lease(row) if row else None

    async def list_leases(self) -> list[Lease]:
        """Return all leases, also those that have ended."""
        return [_lease(row) for row in await self._read(lambda tx: tx.all("lease.list"))]
