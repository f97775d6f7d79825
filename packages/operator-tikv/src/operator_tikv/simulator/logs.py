"""Log lines of PD and TiKV in the unified format: kept as data, printed when asked for."""

from __future__ import annotations

import json
import re
from collections import deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

LINES_KEPT: Final = 2000
DEFAULT_LIMIT: Final = 200
_QUOTED: Final = re.compile(r'[\s"=\[\]\x00-\x1f]')

PLACES: Final[Mapping[str, str]] = {
    # PD
    "store has been offline": "cluster.go:1541",
    "store limit changed": "cluster.go:2590",
    "store has been Tombstone": "cluster.go:1641",
    "store has changed to serving": "cluster.go:1761",
    "store does not have enough disk space": "cluster.go:1086",
    "add operator": "operator_controller.go:561",
    "operator finish": "operator_controller.go:724",
    "operator timeout": "operator_controller.go:748",
    "operator canceled": "operator_controller.go:768",
    "operator replaced": "operator_controller.go:757",
    "leader changed": "region.go:837",
    "region ConfVer changed": "region.go:826",
    "region has down peer on connected store": "region_collection.go:534",
    "clock offset": "tso.go:351",
    "system time may be incorrect": "tso.go:217",
    "kv gets too slow": "etcdutil.go:157",
    "no longer a leader because lease has expired, pd leader will step down": "server.go:1787",
    "pd leader has changed, try to re-campaign a pd leader": "server.go:1659",
    "start to campaign PD leader": "server.go:1698",
    "campaign PD leader ok": "server.go:1724",
    "PD leader is ready to serve": "server.go:1778",
    "Welcome to Placement Driver (PD)": "versioninfo.go:89",
    "update service GC safe point": "grpc_service.go:2397",
    # TiKV
    "Welcome to TiKV": "lib.rs:89",
    "transfer leader": "peer.rs:4056",
    "became leader": "raft.rs:1215",
    "propose conf change peer": "peer.rs:5204",
    "replicate peer": "peer.rs:328",
    "snapshot is persisted": "peer.rs:5449",
    "leader missing longer than abnormal_leader_missing_duration": "peer.rs:6957",
    "connection aborted": "raft_client.rs:595",
    "wait connect timeout": "raft_client.rs:876",
    "failed to start node": "server.rs:1190",
    "store is tombstone": "pd.rs:1412",
}


class Line(NamedTuple):
    """One line: its level, its message, and its fields in the order of the source."""

    unix_seconds: float
    level: str
    message: str
    fields: Mapping[str, object]


class Logs:
    """The last lines of every node, by the node's name."""

    def __init__(self) -> None:
        """Start empty."""
        self._lines: dict[str, deque[Line]] = {}

    def write(self, node: str, line: Line) -> None:
        """Append a line to a node's log."""
        lines = self._lines.get(node)
        if lines is None:
            lines = self._lines[node] = deque(maxlen=LINES_KEPT)
        lines.append(line)

    def nodes(self) -> list[str]:
        """The nodes that have written anything."""
        return sorted(self._lines)

    def text(self, node: str, limit: int = DEFAULT_LIMIT) -> str:
        """Print the last lines of a node.

        Args:
            node: a PD member's name, or `store-N`.
            limit: how many lines at most.
        """
        lines = list(self._lines.get(node, ()))[-limit:] if limit > 0 else []
        is_store = node.startswith("store-")
        return "".join(print_line(line, is_store=is_store) + "\n" for line in lines)


def print_line(line: Line, *, is_store: bool) -> str:
    """Print a line in the unified format; TiKV reverses its fields and adds the thread."""
    moment = datetime.fromtimestamp(line.unix_seconds, tz=UTC)
    stamp = moment.strftime("%Y/%m/%d %H:%M:%S.") + f"{moment.microsecond // 1000:03d} +00:00"
    fields = list(line.fields.items())
    if is_store:
        fields = [*reversed(fields), ("thread_id", 41)]
    head = f"[{stamp}] [{line.level}] [{_place(line.message, is_store=is_store)}]"
    shown = [f"[{_quoted(key)}={_quoted(_plain(value))}]" for key, value in fields]
    return " ".join([head, f"[{_quoted(line.message)}]", *shown])


def _place(message: str, *, is_store: bool) -> str:
    return PLACES.get(message, "server.rs:1539" if is_store else "server.go:512")


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False) if _QUOTED.search(text) else text
