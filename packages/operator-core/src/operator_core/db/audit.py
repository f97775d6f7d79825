"""The audit's rows: written in the transaction of the change they tell of, chained by hash.

Each row's hash covers the row and the hash before it in its writer's chain, so a row that is
changed, added or taken away later breaks the chain from there on.
"""

import hashlib
import json
from collections.abc import Iterable
from functools import lru_cache

from operator_core.actions.readable import readable
from operator_core.actions.types import AuditEvent
from operator_core.agent.redact import redacted, suspicious
from operator_core.clock import to_text
from operator_core.db.codec import encoded, encoder
from operator_core.db.engine import AUDIT_COLUMNS, Row, Tx, Value
from operator_core.types import JsonObject

GENESIS = "0" * 64
"""What stands where a chain has no row before."""

PRUNED = "audit_pruned"
"""The event that tells which rows were taken away on purpose."""

_ENCODE_HASHED = encoder(separators=(",", ":"), allow_nan=True)
_NUL, _REPLACED = "\0", "\N{REPLACEMENT CHARACTER}"
_HASHED = AUDIT_COLUMNS[:-1]
_SHORT_CHARS = 500

_AT_ONCE = 128
"""Rows that are handed over together, so that a server stores them while the next are hashed."""

Event = tuple[Value, ...]
"""What an event says: the columns from its time to its data, in the order of the table's."""


def append(tx: Tx, event: AuditEvent) -> None:
    """Append one event to the transaction's chain."""
    own = (
        to_text(event.timestamp),
        event.event_type,
        event.actor,
        event.subject,
        event.ticket_id,
        event.workflow_id,
        event.proposal_id,
        text_of(event.event_data),
    )
    write(tx, [own])


def write(tx: Tx, events: Iterable[Event]) -> None:
    """Append events to the transaction's chain."""
    writer, seq, last = tx.writer, 0, ""
    head = tx.audit_head()
    if head is not None:
        seq, last = head
    chained = []
    for event in events:
        seq += 1
        before = last or _begin_chain(tx, str(event[0]))
        hashed = (writer, seq, *_storable(event), before)
        last = _hash(hashed)
        chained.append((*hashed, last))
        if len(chained) == _AT_ONCE:
            tx.append_audit(chained)
            chained = []
    tx.append_audit(chained)


def _is_plain(*texts: Value) -> bool:
    """Return whether texts surely hold no secret and no NUL."""
    text = "\n".join(str(one) for one in texts)
    return _NUL not in text and not suspicious(text)


_is_known_plain = lru_cache(maxsize=256)(_is_plain)
"""The same of short texts, most of which an audit repeats."""


def _storable(event: Event) -> Event:
    """Return an event without secrets, and without NUL, which no server stores."""
    ask = _is_known_plain if len(str(event[7])) <= _SHORT_CHARS else _is_plain
    if ask(event[1], event[2], event[3], event[7]):
        return event
    return tuple(
        redacted(one.replace(_NUL, _REPLACED)) if isinstance(one, str) else one for one in event
    )


def _begin_chain(tx: Tx, now: str) -> str:
    """Bind a new chain to the heads of the others, so that none can be cut off unseen."""
    heads = {row["writer"]: row for row in tx.all("audit.other_heads", writer=tx.writer)}
    if not heads:
        return GENESIS
    text = text_of({name: {"seq": row["seq"], "hash": row["hash"]} for name, row in heads.items()})
    tx.run("audit.begin_chain", writer=tx.writer, heads=text, now=now)
    return genesis(text)


def genesis(heads: str) -> str:
    """Return the hash before the first row of a chain that began beside others."""
    return hashlib.sha256(heads.encode()).hexdigest()


def text_of(data: JsonObject) -> str:
    """Return the JSON of what an event says; what is no JSON is told in words, never lost."""
    try:
        return encoded(data)
    except (TypeError, ValueError, RecursionError):
        return json.dumps(readable(data), sort_keys=True)


def row_hash(row: Row) -> str:
    """Return the hash that a row must carry."""
    return _hash(tuple(row[name] for name in _HASHED))


def _hash(hashed: tuple[Value, ...]) -> str:
    return hashlib.sha256(_ENCODE_HASHED(hashed).encode()).hexdigest()


def first_broken(rows: list[Row], heads: dict[str, str]) -> Row | None:
    """Return the first row that does not follow from the one before it.

    Args:
        rows: rows in the order of their chains.
        heads: the last hash seen of each writer; brought up to date on the way, so that a long
            audit can be checked page by page.
    """
    for row in rows:
        expected = heads.get(row["writer"], GENESIS)
        if row["prev_hash"] != expected or row["hash"] != row_hash(row):
            return row
        heads[row["writer"]] = row["hash"]
    return None


def anchors(tx: Tx) -> dict[str, Row]:
    """Return the last row, as seq and hash, that was pruned of each chain.

    They are told by the audit itself, so its chains cover them: rows that are gone without
    such an event are missed.
    """
    found: dict[str, Row] = {}
    for row in tx.all("audit.of_type", event_type=PRUNED):
        for writer, last in json.loads(row["event_data"])["anchors"].items():
            if writer not in found or last["seq"] > found[writer]["seq"]:
                found[writer] = last
    return found


def starts(tx: Tx) -> dict[str, str]:
    """Return what stands before the first row of each chain that does not begin with nothing."""
    begun = {row["writer"]: genesis(row["heads"]) for row in tx.all("audit.chains")}
    return begun | {writer: last["hash"] for writer, last in anchors(tx).items()}


def first_cut_off(tx: Tx) -> Row | None:
    """Return the first head that a later chain names and that is not in the audit any more."""
    pruned = anchors(tx)
    for writer, last in pruned.items():
        if tx.one("audit.at", writer=writer, seq=last["seq"] + 1) is None:
            return {"writer": writer, "seq": last["seq"] + 1, "missing": True}
    for chain in tx.all("audit.chains"):
        for writer, head in json.loads(chain["heads"]).items():
            if not _is_there(tx, writer, head, pruned.get(writer)):
                return {"writer": writer, **head, "missing": True}
    return None


def _is_there(tx: Tx, writer: str, head: Row, pruned: Row | None) -> bool:
    if pruned is not None and head["seq"] < pruned["seq"]:
        return True
    if pruned is not None and head["seq"] == pruned["seq"]:
        return bool(head["hash"] == pruned["hash"])
    row = tx.one("audit.at", writer=writer, seq=head["seq"])
    return row is not None and row["hash"] == head["hash"]
