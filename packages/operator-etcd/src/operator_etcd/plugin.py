"""What the package offers at the entry point ``operator.subjects``."""

from collections.abc import Mapping
from pathlib import Path

from operator_core import plugin_settings
from operator_core.actions.types import ParamDef
from operator_core.errors import ConfigurationError
from operator_core.process_supervisor import LocalSupervisor, read_cluster_file
from operator_core.types import JsonObject
from operator_etcd.client import EtcdClient
from operator_etcd.demo import EtcdDemo
from operator_etcd.lab import EtcdLab
from operator_etcd.login import Login
from operator_etcd.subject import EtcdSubject
from operator_etcd.transport import Timeouts

_ADDRESSES = "http://10.0.0.1:2379,http://10.0.0.2:2379"

_SETTINGS = {
    "endpoints": ParamDef(
        type="str",
        description="Client addresses of the members, parted by commas: "
        "http://10.0.0.1:2379,http://10.0.0.2:2379",
    ),
    "name": ParamDef(type="str", description="Name of the cluster", required=False, default="etcd"),
    "username": ParamDef(
        type="str",
        description="Who Operator is where etcd has authentication: a user with the role root",
        required=False,
    ),
    "password_file": ParamDef(
        type="str",
        description="File whose first line is the password of that user",
        required=False,
    ),
    "supervisor_file": ParamDef(
        type="str",
        description="File of a local cluster, so that its members can be restarted",
        required=False,
    ),
    **plugin_settings.TLS_FILES,
    "read_timeout_seconds": ParamDef(
        type="float",
        description="How long a member may take to answer a question, in seconds",
        required=False,
        default=2.0,
        minimum=0.05,
        maximum=60.0,
    ),
}


class EtcdPlugin:
    """The etcd subject as the rest of Operator finds it."""

    name = "etcd"
    summary = "etcd clusters over the HTTP gateway (3.4 and newer)"
    settings: Mapping[str, ParamDef] = _SETTINGS
    lab = EtcdLab()

    async def connect(self, settings: JsonObject) -> EtcdSubject:
        """Return a subject for a cluster; does not reach it yet.

        Raises:
            ConfigurationError: the settings cannot mean a cluster.
        """
        unknown = sorted(set(settings) - set(_SETTINGS))
        if unknown:
            raise ConfigurationError(
                f"Unknown etcd settings: {', '.join(unknown)}. Known: {', '.join(_SETTINGS)}."
            )
        endpoints = plugin_settings.addresses(settings, "endpoints", _ADDRESSES)
        tls = plugin_settings.tls(settings)
        credentials = plugin_settings.credentials(settings)
        supervisor_file = plugin_settings.text(settings, "supervisor_file")
        supervisor = LocalSupervisor(Path(supervisor_file)) if supervisor_file else None
        if supervisor:
            read_cluster_file(supervisor.path)
        client = EtcdClient(
            endpoints,
            _timeouts(settings),
            tls,
            Login(credentials) if credentials else None,
        )
        return EtcdSubject(client, supervisor, plugin_settings.text(settings, "name") or "etcd")

    def demo(self, folder: Path) -> EtcdDemo:
        """Return a cluster of three for the demo that keeps its files in a folder."""
        return EtcdDemo(folder)


def _timeouts(settings: JsonObject) -> Timeouts:
    usual = Timeouts().read_seconds
    return Timeouts(read_seconds=plugin_settings.seconds(settings, "read_timeout_seconds", usual))


plugin = EtcdPlugin()
