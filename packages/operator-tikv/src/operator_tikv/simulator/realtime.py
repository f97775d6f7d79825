"""Ties virtual time to real time and runs the simulator as a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import time
from typing import TYPE_CHECKING, Final

import uvicorn

from operator_tikv.simulator import nodes
from operator_tikv.simulator.server import create_app

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from operator_tikv.simulator.cluster import SimulatedCluster
    from operator_tikv.simulator.journal import Journal

HOST: Final = "127.0.0.1"
GRACEFUL_REAL_SECONDS: Final = 2
TICK_REAL_SECONDS: Final = 0.05
MARK_REAL_SECONDS: Final = 5.0
PARENT_CHECK_REAL_SECONDS: Final = 0.5


class Pacer:
    """Moves a cluster's clock with the real one, times a speed."""

    def __init__(
        self,
        cluster: SimulatedCluster,
        speed: float,
        read_clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin now.

        Args:
            cluster: the cluster whose time is to run.
            speed: virtual seconds in a real second.
            read_clock: the real clock in seconds.
        """
        self._cluster = cluster
        self._speed = speed
        self._read_clock = read_clock
        self._last_real_seconds = read_clock()

    def tick(self) -> None:
        """Let as much virtual time pass as is due; time advanced by hand comes on top."""
        now_real_seconds = self._read_clock()
        elapsed_seconds = now_real_seconds - self._last_real_seconds
        self._last_real_seconds = now_real_seconds
        self._cluster.advance(elapsed_seconds * self._speed)


def listen(port: int) -> socket.socket:
    """Open the listening socket on the loopback address.

    Args:
        port: 0 lets the system choose one.

    Raises:
        OSError: the port is taken.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((HOST, port))
    listener.listen()
    return listener


def listen_for_nodes(cluster: SimulatedCluster) -> list[socket.socket]:
    """Open a port for each PD server and the status port of each store, and let PD name them.

    Args:
        cluster: the cluster; its stores get the addresses of their ports.

    Raises:
        OSError: there are no ports left.
    """
    world, listeners = cluster.world, []
    for name in nodes.names(world):
        listeners.append(listen(0))
        world.node_addresses[name] = f"{HOST}:{listeners[-1].getsockname()[1]}"
    for store in world.stores.values():
        store.status_address = world.node_addresses[store.node]
    return listeners


async def serve(
    cluster: SimulatedCluster,
    listeners: list[socket.socket],
    *,
    speed: float,
    announce: Callable[[], None],
    parent_pid: int = 0,
    journal: Journal | None = None,
) -> None:
    """Serve a cluster until SIGTERM or SIGINT, or until a parent process is gone.

    Args:
        cluster: the cluster.
        listeners: the sockets to serve on; the first is PD's.
        speed: virtual seconds in a real second.
        announce: called once when requests are answered.
        parent_pid: the process whose end ends this one, 0 for none.
        journal: where to note what changes the cluster.
    """
    pacer = Pacer(cluster, speed)
    app = create_app(cluster, pacer.tick, journal)
    settings = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        date_header=False,
        server_header=False,
        lifespan="off",
        timeout_graceful_shutdown=GRACEFUL_REAL_SECONDS,
    )
    server = _Server(settings, announce)
    _stop_on_signals(server)
    tasks = [asyncio.create_task(_run_clock(pacer))]
    if journal is not None:
        tasks.append(asyncio.create_task(_mark_clock(cluster, journal)))
    if parent_pid:
        tasks.append(asyncio.create_task(_watch_parent(server, parent_pid)))
    await server.serve(sockets=listeners)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    if journal is not None:
        journal.mark(cluster.now_seconds)


class _Server(uvicorn.Server):
    """Says when it is ready, and leaves the signals to us: they end the process with status 0."""

    def __init__(self, settings: uvicorn.Config, announce: Callable[[], None]) -> None:
        super().__init__(settings)
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._announce()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


def _stop_on_signals(server: uvicorn.Server) -> None:
    def stop() -> None:
        server.should_exit = True

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)


async def _run_clock(pacer: Pacer) -> None:
    while True:
        pacer.tick()
        await asyncio.sleep(TICK_REAL_SECONDS)


async def _mark_clock(cluster: SimulatedCluster, journal: Journal) -> None:
    while True:
        journal.mark(cluster.now_seconds)
        await asyncio.sleep(MARK_REAL_SECONDS)


async def _watch_parent(server: uvicorn.Server, parent_pid: int) -> None:
    while True:
        if not _is_running(parent_pid):
            server.should_exit = True
            return
        await asyncio.sleep(PARENT_CHECK_REAL_SECONDS)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
