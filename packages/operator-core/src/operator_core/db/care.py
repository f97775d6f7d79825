"""`CareDB`: looking after the ledger's storage."""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

from operator_core.clock import to_text
from operator_core.db import looks, prune
from operator_core.db.actions import ActionDB
from operator_core.db.control import ControlDB
from operator_core.db.engine import Tx
from operator_core.db.looks import Usage
from operator_core.db.prune import PruneReport
from operator_core.db.schema import migrations
from operator_core.db.sqlite.backup import back_up
from operator_core.db.sqlite.engine import SqliteEngine
from operator_core.db.store import Store
from operator_core.db.tickets import TicketDB
from operator_core.errors import ConflictError, LedgerError, RequestError
from operator_core.monitor.retention import Retention

_SHOWN_LINKS = 5
_PAGE = 1_000


@dataclass(frozen=True)
class CheckResult:
    """What one check of the ledger found.

    Attributes:
        check: what was looked at: schema, file, links, rows or audit.
        ok: whether it is as it must be.
        detail: what was found, and what to do.
    """

    check: str
    ok: bool
    detail: str


@dataclass(frozen=True)
class Durability:
    """What a server's word that something is stored is worth.

    Attributes:
        outlives_power: whether it is on the server's disk then.
        outlives_server: whether a standby has it then, or there is none that may take over.
    """

    outlives_power: bool
    outlives_server: bool


@dataclass(frozen=True)
class KeptLooks:
    """What is kept of what was seen.

    Attributes:
        kinds: what the looks of each kind take.
        limits: what the monitors go by; None: none has looked yet.
    """

    kinds: tuple[Usage, ...]
    limits: Retention | None

    @property
    def looks(self) -> int:
        """How many in all."""
        return sum(one.looks for one in self.kinds)

    @property
    def size_bytes(self) -> int:
        """What all of them take."""
        return sum(one.size_bytes for one in self.kinds)

    @property
    def over_budget(self) -> bool:
        """Whether they take more than they may."""
        return self.limits is not None and self.size_bytes > self.limits.budget_bytes


class CareDB(Store):
    """The care of a ledger's storage."""

    @property
    def _on_sqlite(self) -> bool:
        return isinstance(self.ledger.engine, SqliteEngine)

    # --- check ------------------------------------------------------------------------

    async def check(self) -> list[CheckResult]:
        """Look for damage: of the schema, the file, links between rows, rows, and the audit.

        On PostgreSQL file and links are the server's own care.
        """
        checks = [("schema", self._check_schema)]
        if self._on_sqlite:
            checks += [("file", self._check_file), ("links", self._check_links)]
        checks += [("rows", self._check_rows), ("audit", self._check_audit)]
        found = []
        for name, look in checks:
            try:
                fault, fine = await look()
            except LedgerError as error:
                fault, fine = str(error), ""
            found.append(CheckResult(name, not fault, fault or fine))
        return found

    async def _check_schema(self) -> tuple[str, str]:
        engine = "sqlite" if self._on_sqlite else "postgres"
        known = migrations(engine)[-1].version
        row = await self._read(lambda tx: tx.one("ledger.version"))
        version = row["version"] if row else None
        if version is None or version < known:
            return f"the schema has version {version}, not {known}: restore a backup", ""
        return "", f"version {version}"

    async def _check_file(self) -> tuple[str, str]:
        found = await self._read(lambda tx: tx.all("sqlite.integrity_check"))
        said = [str(row["integrity_check"]) for row in found]
        if said == ["ok"]:
            return "", "every page and index is whole"
        return f"damaged: {'; '.join(said)}: restore a backup", ""

    async def _check_links(self) -> tuple[str, str]:
        found = await self._read(_broken_links)
        if not found:
            return "", "every link leads to a row"
        shown = ", ".join(found[:_SHOWN_LINKS])
        return f"{len(found)} links lead nowhere: {shown}: restore a backup", ""

    async def _check_rows(self) -> tuple[str, str]:
        actions = ActionDB(self.ledger)
        lists = (actions.list_proposals, actions.list_workflows, TicketDB(self.ledger).list_tickets)
        for read in lists:
            after_id = 0
            while page := await read(after_id=after_id, limit=_PAGE):
                after_id = int(page[-1].id or 0)
        return "", "every action, workflow and ticket can be read"

    async def _check_audit(self) -> tuple[str, str]:
        broken = await ControlDB(self.ledger).first_broken_audit_row()
        if broken is None:
            return "", "the chain is whole"
        place = f"row {broken['seq']} of chain {broken['writer']!r}"
        return f"{place} was tampered with: see `operator audit verify`", ""

    async def durability(self) -> Durability | None:
        """Return what the server's word is worth; None: a file, which we see to ourselves."""
        if self._on_sqlite:
            return None
        row = await self._read(lambda tx: tx.one("server.durability")) or {}
        synced = bool(row["synchronous"]) or not row["standbys"]
        return Durability(outlives_power=row["fsync"] == "on", outlives_server=synced)

    # --- backup -----------------------------------------------------------------------

    async def backup(self, target: Path, *, force: bool = False) -> int:
        """Copy the ledger to a file while others go on writing.

        The copy is marked: opened as a ledger it comes up in observe mode, with an id of its
        own, and with its pending work held until a person approves it anew.

        Args:
            target: the file to write.
            force: whether a file that is there may be replaced.

        Returns:
            The size of the copy in bytes.

        Raises:
            RequestError: the file exists or its folder does not, or the ledger is no file.
            LedgerError: it cannot be read or written.
        """
        engine = self.ledger.engine
        if not isinstance(engine, SqliteEngine):
            raise RequestError(
                "This ledger lies on a PostgreSQL server: back it up with the server's own "
                "tools, such as pg_dump."
            )
        now = self.ledger.now_text()
        return await asyncio.to_thread(back_up, engine.path, target, now, force=force)

    # --- what is kept -----------------------------------------------------------------

    async def kept_looks(self) -> KeptLooks:
        """Return what is kept of what was seen, and what it may take."""
        return await self._read(lambda tx: KeptLooks(tuple(looks.usage(tx)), looks.last_limits(tx)))

    # --- prune ------------------------------------------------------------------------

    async def prune(self, before: datetime, *, actor: str, dry_run: bool = False) -> PruneReport:
        """Drop looks that nothing refers to, and the audit's rows, from before a moment.

        Args:
            before: the moment.
            actor: who does it.
            dry_run: only count.

        Raises:
            ConflictError: the audit was tampered with; pruning could hide that.
        """
        text = to_text(before)
        if dry_run:
            return await self._read(lambda tx: prune.count(tx, text))
        if await ControlDB(self.ledger).first_broken_audit_row() is not None:
            raise ConflictError(
                "The audit was tampered with, and pruning could hide it. See "
                "`operator audit verify`."
            )
        whole = PruneReport()
        while True:
            work = partial(prune.prune, before=text, stamp=self._stamp(actor))
            done = await self._write(work)
            whole += done
            if max(done.observations, done.audit_rows) < prune.BATCH:
                return whole


def _broken_links(tx: Tx) -> list[str]:
    found = tx.all("sqlite.foreign_key_check")
    return [f"{row['table']} {row['rowid']} to {row['parent']}" for row in found]
