"""What PD keeps besides stores, regions and schedules: rules, labels, services, single settings."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Final

Json = dict[str, object]

GC_WORKER: Final = "gc_worker"
FOREVER: Final = (1 << 63) - 1
DEFAULT_RULE: Final = ("pd", "default")
_SCENE: Final[Json] = {"idle": 100, "low": 50, "normal": 32, "high": 12}
_PD_SERVER: Final[Json] = {
    "use-region-storage": "true",
    "max-gap-reset-ts": "24h0m0s",
    "key-type": "table",
    "runtime-services": "",
    "metric-storage": "",
    "dashboard-address": "auto",
    "flow-round-by-digit": 3,
    "min-resolved-ts-persistence-interval": "1s",
}
_MIDDLEWARE: Final[Json] = {
    "audit": {"enable-audit": "true"},
    "rate-limit": {"enable-rate-limit": "true", "limiter-config": {}},
    "grpc-rate-limit": {"enable-grpc-rate-limit": "true", "grpc-limiter-config": {}},
}
_HOT_REGION: Final[Json] = {
    "min-hot-byte-rate": 100,
    "min-hot-key-rate": 10,
    "min-hot-query-rate": 10,
    "max-zombie-rounds": 3,
    "max-peer-number": 1000,
    "byte-rate-rank-step-ratio": 0.05,
    "key-rate-rank-step-ratio": 0.05,
    "query-rate-rank-step-ratio": 0.05,
    "count-rank-step-ratio": 0.01,
    "great-dec-ratio": 0.95,
    "minor-dec-ratio": 0.99,
    "src-tolerance-ratio": 1.05,
    "dst-tolerance-ratio": 1.05,
    "read-priorities": ["query", "byte"],
    "write-leader-priorities": ["query", "byte"],
    "write-peer-priorities": ["byte", "key"],
    "strict-picking-store": "true",
    "enable-for-tiflash": "true",
    "rank-formula-version": "v2",
    "split-thresholds": 0.2,
    "history-sample-duration": "5m0s",
    "history-sample-interval": "30s",
}


@dataclass(slots=True)
class Recovery:
    """An unsafe recovery: the stores to give up, its stages so far, and when it must be done."""

    store_ids: tuple[int, ...]
    until_seconds: float
    stages: list[Json] = field(default_factory=list)
    running: bool = True


@dataclass(slots=True)
class Admin:
    """Settings that survive a change of PD's leader."""

    rules: dict[tuple[str, str], Json] = field(default_factory=dict)
    groups: dict[str, Json] = field(default_factory=dict)
    region_labels: dict[str, Json] = field(default_factory=dict)
    label_property: dict[str, list[Json]] = field(default_factory=dict)
    safe_points: dict[str, tuple[int, int]] = field(default_factory=dict)
    scenes: dict[str, Json] = field(
        default_factory=lambda: {kind: dict(_SCENE) for kind in ("add-peer", "remove-peer")}
    )
    payloads: dict[str, Json] = field(
        default_factory=lambda: {"balance-hot-region-scheduler": copy.deepcopy(_HOT_REGION)}
    )
    pd_server: Json = field(default_factory=lambda: dict(_PD_SERVER))
    middleware: Json = field(default_factory=lambda: copy.deepcopy(_MIDDLEWARE))
    replication_mode: Json = field(default_factory=lambda: {"replication-mode": "majority"})
    cluster_version: str = "8.5.7"
    log_level: str = "info"
    recovery: Recovery | None = None
