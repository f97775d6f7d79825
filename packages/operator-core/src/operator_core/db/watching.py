"""`WatchingDB`: how a cluster is watched: its rules' settings, and what is snoozed."""

import json
from datetime import datetime, timedelta

from operator_core.clock import to_text
from operator_core.db import changes, rows
from operator_core.db.changes import Stamp
from operator_core.db.engine import Row, Tx
from operator_core.db.store import ALL_ROWS, Store
from operator_core.errors import ConflictError, ConstraintError, NotFoundError, RequestError
from operator_core.monitor.types import OwnEffect, RuleSettings, Snooze


class WatchingDB(Store):
    """Settings of rules and snoozes; each method is one durable transaction."""

    # --- settings of rules ------------------------------------------------------------

    async def rule_settings(self, subject: str) -> dict[str, RuleSettings]:
        """Return what a cluster wants otherwise, by the rule's name."""
        found = await self._read(lambda tx: tx.all("rule_setting.list", subject=subject))
        return {row["rule"]: rows.rule_settings(row) for row in found}

    async def set_rule(
        self, subject: str, rule: str, settings: RuleSettings, *, actor: str
    ) -> RuleSettings:
        """Store what a cluster wants otherwise of a rule, in place of what it wanted before."""
        stamp, text = self._stamp(actor), rows.to_json(settings.model_dump(exclude_none=True))

        def work(tx: Tx) -> None:
            params = {"subject": subject, "rule": rule, "settings": text}
            tx.run("rule_setting.put", **params, now=stamp.text, actor=stamp.actor)
            data = {"rule": rule, "settings": json.loads(text)}
            changes.note(tx, "rule_set", data, stamp, subject=subject)

        await self._write(work)
        return settings

    async def reset_rule(self, subject: str, rule: str, *, actor: str) -> None:
        """Let a rule of a cluster be as its author says.

        Raises:
            NotFoundError: it is so already.
        """
        stamp = self._stamp(actor)

        def work(tx: Tx) -> None:
            if tx.one("rule_setting.delete", subject=subject, rule=rule) is None:
                raise NotFoundError("Settings of rule", rule)
            changes.note(tx, "rule_reset", {"rule": rule}, stamp, subject=subject)

        await self._write(work)

    async def was_own_effect(self, subject: str, effect: OwnEffect) -> bool:
        """Return whether Operator is doing, or did of late, what leaves a cluster so."""
        now = self.ledger.clock.now()
        since = to_text(now - timedelta(seconds=effect.within_seconds))
        parameters = rows.to_json(effect.parameters)
        row = await self._read(
            lambda tx: tx.one(
                "proposal.own_effect",
                subject=subject,
                action_name=effect.action_name,
                parameters=parameters,
                since=since,
            )
        )
        return row is not None

    # --- snoozes ----------------------------------------------------------------------

    async def add_snooze(self, snooze: Snooze, *, actor: str) -> Snooze:
        """Store a snooze.

        Raises:
            RequestError: it is about nothing, has no reason, or its end has passed.
        """
        stamp = self._stamp(actor)
        _require_meaning(snooze, stamp.now)
        return rows.snooze(await self._write(lambda tx: _add(tx, snooze, stamp)))

    async def end_snooze(self, snooze_id: int, *, actor: str) -> Snooze:
        """End a snooze before its time.

        Raises:
            NotFoundError: there is none of this id.
            ConflictError: it has ended.
        """
        stamp = self._stamp(actor)
        return rows.snooze(await self._write(lambda tx: _end(tx, snooze_id, stamp)))

    async def active_snoozes(self, subject: str | None = None) -> list[Snooze]:
        """Return the snoozes that mean something now, in order of id.

        Args:
            subject: only those of this cluster and of every cluster; None: all.
        """
        now = self.ledger.now_text()
        found = await self._read(lambda tx: tx.all("snooze.active", subject=subject, now=now))
        return [rows.snooze(row) for row in found]

    async def list_snoozes(self, *, after_id: int = 0, limit: int = ALL_ROWS) -> list[Snooze]:
        """Return all snoozes in order of id, also those that are over."""
        found = await self._read(lambda tx: tx.all("snooze.list", after_id=after_id, limit=limit))
        return [rows.snooze(row) for row in found]


def _require_meaning(snooze: Snooze, now: datetime) -> None:
    if snooze.rule is None and snooze.target is None:
        raise RequestError("Name a rule or a target to snooze; everything cannot be snoozed.")
    if not snooze.reason.strip():
        raise RequestError("Say why it is snoozed: whoever comes next wants to know.")
    if snooze.until <= now:
        raise RequestError("The end of a snooze must lie in the future.")


def _add(tx: Tx, snooze: Snooze, stamp: Stamp) -> Row:
    about = {"subject": snooze.subject, "rule": snooze.rule, "target": snooze.target}
    until, reason = to_text(snooze.until), snooze.reason.strip()
    row = tx.one(
        "snooze.insert", **about, until=until, reason=reason, now=stamp.text, actor=stamp.actor
    )
    if row is None:
        raise ConstraintError("the snooze was not stored")
    data = {"snooze_id": row["id"], **about, "until": until, "reason": reason}
    changes.note(tx, "snoozed", data, stamp, subject=snooze.subject)
    return row


def _end(tx: Tx, snooze_id: int, stamp: Stamp) -> Row:
    row = tx.one("snooze.end", id=snooze_id, now=stamp.text, actor=stamp.actor)
    if row is None:
        if tx.one("snooze.get", id=snooze_id) is None:
            raise NotFoundError("Snooze", snooze_id)
        raise ConflictError(f"Snooze {snooze_id} is over already.")
    changes.note(tx, "snooze_ended", {"snooze_id": snooze_id}, stamp, subject=row["subject"])
    return row
