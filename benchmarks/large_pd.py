"""A static server that answers like the PD, and the stores, of a very large cluster."""

import json
import multiprocessing
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property, partial
from typing import Any

Answer = tuple[int, str, Iterator[bytes]]
PEERS = 3
PIECE = 1000
STORE_LINES, PD_LINES_A_STORE = 9_000, 100
START_SECONDS = 20.0


@dataclass(frozen=True)
class Scale:
    """How large the cluster is.

    Attributes:
        stores: how many stores.
        regions: how many regions, of three replicas each.
        silent: how many stores PD has not heard of for a minute.
    """

    stores: int
    regions: int
    silent: int = 0

    @property
    def peers_by_store(self) -> int:
        """How many regions have a replica on one store."""
        return self.regions * PEERS // self.stores


class LargePd:
    """The answers, by path."""

    def __init__(self, scale: Scale, address: str) -> None:
        """Take the size, and where all of the processes answer."""
        self.scale = scale
        self.address = address

    def answer(self, path: str) -> Answer:
        """Return status, content type and body."""
        path = path.removeprefix("/pd/api/v1")
        if path.startswith("/regions/store/"):
            return self._list(self.scale.peers_by_store)
        if path.startswith("/regions/check/"):
            is_down = path.endswith(("down-peer", "pending-peer"))
            return self._list(self.scale.silent * self.scale.peers_by_store if is_down else 0)
        made = self._pages.get(path)
        if made is None:
            return 404, "text/plain", iter([b"404 page not found\n"])
        return made()

    @cached_property
    def _pages(self) -> dict[str, Callable[[], Answer]]:
        member = {"name": "pd-0", "member_id": 1, "client_urls": [f"http://{self.address}"]}
        values: dict[str, Any] = {
            "/regions/count": {"count": self.scale.regions, "regions": None},
            "/schedulers": [
                f"balance-{what}-scheduler" for what in ("leader", "region", "hot-region")
            ],
            "/operators": [],
            "/config/schedule": {"leader-schedule-limit": 4, "max-store-down-time": "30m0s"},
            "/config/replicate": {"max-replicas": 3, "location-labels": ""},
            "/config/rules": [],
            "/config/region-label/rules": [],
            "/gc/safepoint": {"service_gc_safe_points": [], "gc_safe_point": 0},
            "/members": {"members": [member], "leader": member},
            "/health": [{**member, "health": True}],
        }
        pages: dict[str, Callable[[], Answer]] = {
            path: partial(_json, value) for path, value in values.items()
        }
        pages["/stores"] = lambda: _json(self._stores())
        pages["/regions"] = lambda: self._list(self.scale.regions)
        pages["/metrics"] = lambda: (200, "text/plain", iter([self._metrics]))
        return pages

    def _stores(self) -> dict[str, Any]:
        now = datetime.now(UTC)
        stores = [self._store(number, now) for number in range(1, self.scale.stores + 1)]
        return {"count": len(stores), "stores": stores}

    def _store(self, number: int, now: datetime) -> dict[str, Any]:
        is_silent = number <= self.scale.silent
        beat = now - timedelta(seconds=60 if is_silent else 5)
        return {
            "store": {
                "id": number,
                "address": f"10.0.{number // 250}.{number % 250}:20160",
                "status_address": self.address,
                "version": "8.5.7",
                "state_name": "Disconnected" if is_silent else "Up",
            },
            "status": {
                "capacity": "3.4TiB",
                "available": "1.9TiB",
                "used_size": "1.4TiB",
                "leader_count": self.scale.regions // self.scale.stores,
                "region_count": self.scale.peers_by_store,
                "leader_weight": 1,
                "region_weight": 1,
                "slow_score": 1,
                "last_heartbeat_ts": beat.isoformat(),
            },
        }

    def _list(self, count: int) -> Answer:
        return 200, "application/octet-stream", self._regions(count)

    def _regions(self, count: int) -> Iterator[bytes]:
        """Yield a list of regions, piece by piece; the pieces are alike."""
        yield b'{"count":%d,"regions":[' % count
        for first in range(0, count, PIECE):
            some = self._piece[: min(PIECE, count - first)]
            yield (b"," if first else b"") + b",".join(some)
        yield b"]}"

    @cached_property
    def _piece(self) -> list[bytes]:
        return [
            json.dumps(_region(number, self.scale.stores), separators=(",", ":")).encode()
            for number in range(1, PIECE + 1)
        ]

    @cached_property
    def _metrics(self) -> bytes:
        lines = ['process_start_time_seconds 1\netcd_server_is_leader 1\nup{a="b"} 1']
        for le in (*(0.0005 * 2**k for k in range(20)), float("inf")):
            bound = "+Inf" if le == float("inf") else f"{le:g}"
            lines.append(f'tikv_raftstore_append_log_duration_seconds_bucket{{le="{bound}"}} 7')
        lines += [
            f'tikv_filler_total{{type="kv_get",name="{number}",cf="default"}} {number}'
            for number in range(STORE_LINES)
        ]
        return ("# HELP x y\n" + "\n".join(lines) + "\n").encode()


def _region(number: int, stores: int) -> dict[str, Any]:
    peers = [
        {
            "role_name": "Voter",
            "id": 9_000_000 + number * 10 + k,
            "store_id": (number + k) % stores + 1,
        }
        for k in range(PEERS)
    ]
    return {
        "id": 4_000_000 + number,
        "start_key": "7480000000000000FF5F72800000000000FA" * 1,
        "end_key": "7480000000000000FF5F72800000000001FA",
        "epoch": {"conf_ver": 5, "version": 91},
        "peers": peers,
        "leader": peers[0],
        "cpu_usage": 0,
        "written_bytes": 39,
        "read_bytes": 0,
        "written_keys": 1,
        "read_keys": 0,
        "approximate_size": 96,
        "approximate_keys": 512_345,
    }


def _json(value: object) -> Answer:
    return 200, "application/json; charset=UTF-8", iter([json.dumps(value, indent=2).encode()])


def serve(scale: Scale, port: int) -> None:
    """Serve until the process is ended."""
    import uvicorn  # noqa: PLC0415 - the server's process alone needs it

    pd = LargePd(scale, f"127.0.0.1:{port}")

    async def app(scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI's own
        if scope["type"] != "http":
            return
        await receive()
        status, kind, body = pd.answer(scope["path"])
        headers = [(b"content-type", kind.encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        for piece in body:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    uvicorn.run(app, host="127.0.0.1", port=port, log_level="error", lifespan="off")


@contextmanager
def started(scale: Scale) -> Iterator[str]:
    """Start a server in a process of its own and give its URL."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(scale, port))
    process.start()
    try:
        _wait_for(port)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.join()


def _wait_for(port: int) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise TimeoutError("the static server did not start")
