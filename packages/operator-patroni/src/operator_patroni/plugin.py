"""What the package offers at the entry point ``operator.subjects``."""

from collections.abc import Mapping
from pathlib import Path

from operator_core import plugin_settings
from operator_core.actions.types import ParamDef
from operator_core.errors import ConfigurationError
from operator_core.process_supervisor import LocalSupervisor, read_cluster_file
from operator_core.types import JsonObject
from operator_patroni.client import PatroniClient
from operator_patroni.demo import PatroniDemo
from operator_patroni.lab import PatroniLab
from operator_patroni.subject import PatroniSubject
from operator_patroni.transport import Timeouts

_ADDRESSES = "http://10.0.0.1:8008,http://10.0.0.2:8008"


def _file(description: str) -> ParamDef:
    return ParamDef(type="str", description=description, required=False)


_SETTINGS = {
    "url": ParamDef(
        type="str",
        description="Addresses of Patroni's REST API on all members, parted by commas: "
        "http://10.0.0.1:8008,http://10.0.0.2:8008",
    ),
    "name": ParamDef(
        type="str", description="Name of the cluster", required=False, default="patroni"
    ),
    "username": ParamDef(
        type="str",
        description="Who Operator is where Patroni asks for it before it changes anything",
        required=False,
    ),
    "password_file": _file("File whose first line is the password of that user"),
    "supervisor_file": _file("File of a local cluster, so that a Patroni can be started again"),
    **plugin_settings.TLS_FILES,
    "read_timeout_seconds": ParamDef(
        type="float",
        description="How long a member may take to answer a question, in seconds",
        required=False,
        default=3.0,
        minimum=0.05,
        maximum=plugin_settings.MOST_SECONDS,
    ),
}


class PatroniPlugin:
    """The Patroni subject as the rest of Operator finds it."""

    name = "patroni"
    summary = "PostgreSQL clusters under Patroni, over its REST API (version 2 to 4)"
    settings: Mapping[str, ParamDef] = _SETTINGS
    lab = PatroniLab()

    async def connect(self, settings: JsonObject) -> PatroniSubject:
        """Return a subject for a cluster; does not reach it yet.

        Raises:
            ConfigurationError: the settings cannot mean a cluster.
        """
        unknown = sorted(set(settings) - set(_SETTINGS))
        if unknown:
            raise ConfigurationError(
                f"Unknown Patroni settings: {', '.join(unknown)}. Known: {', '.join(_SETTINGS)}."
            )
        supervisor_file = plugin_settings.text(settings, "supervisor_file")
        supervisor = LocalSupervisor(Path(supervisor_file)) if supervisor_file else None
        if supervisor:
            read_cluster_file(supervisor.path)
        client = PatroniClient(
            plugin_settings.addresses(settings, "url", _ADDRESSES),
            _timeouts(settings),
            plugin_settings.tls(settings),
            plugin_settings.credentials(settings),
        )
        name = plugin_settings.text(settings, "name") or "patroni"
        return PatroniSubject(client, name, supervisor=supervisor)

    def demo(self, folder: Path) -> PatroniDemo:
        """Return a cluster of three for the demo that keeps its files in a folder."""
        return PatroniDemo(folder)


def _timeouts(settings: JsonObject) -> Timeouts:
    usual = Timeouts().read_seconds
    return Timeouts(read_seconds=plugin_settings.seconds(settings, "read_timeout_seconds", usual))


plugin = PatroniPlugin()
