"""What the package offers at the entry point ``operator.subjects``."""

import ssl
from collections.abc import Mapping
from pathlib import Path

from operator_core.actions.types import ParamDef
from operator_core.errors import ConfigurationError
from operator_core.types import JsonObject
from operator_etcd.client import EtcdClient
from operator_etcd.demo import EtcdDemo
from operator_etcd.lab import EtcdLab
from operator_etcd.subject import EtcdSubject
from operator_etcd.supervisor import LocalSupervisor, read_cluster_file
from operator_etcd.transport import Timeouts

_SETTINGS = {
    "endpoints": ParamDef(
        type="str",
        description="Client addresses of the members, parted by commas: "
        "http://10.0.0.1:2379,http://10.0.0.2:2379",
    ),
    "name": ParamDef(type="str", description="Name of the cluster", required=False, default="etcd"),
    "supervisor_file": ParamDef(
        type="str",
        description="File of a local cluster, so that its members can be restarted",
        required=False,
    ),
    "ca_file": ParamDef(
        type="str", description="PEM file with the authority of https endpoints", required=False
    ),
    "cert_file": ParamDef(
        type="str", description="PEM file with the client certificate", required=False
    ),
    "key_file": ParamDef(
        type="str", description="PEM file with the client certificate's key", required=False
    ),
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
        endpoints, tls = _endpoints(settings.get("endpoints")), _tls(settings)
        supervisor_file = _text(settings, "supervisor_file")
        supervisor = LocalSupervisor(Path(supervisor_file)) if supervisor_file else None
        if supervisor:
            read_cluster_file(supervisor.path)
        client = EtcdClient(endpoints, Timeouts(read_seconds=_read_seconds(settings)), tls)
        return EtcdSubject(client, supervisor, _text(settings, "name") or "etcd")

    def demo(self, folder: Path) -> EtcdDemo:
        """Return a cluster of three for the demo that keeps its files in a folder."""
        return EtcdDemo(folder)


def _endpoints(value: object) -> list[str]:
    """Return the endpoints of a list, or of text parted by commas."""
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list) or not all(isinstance(one, str) for one in parts):
        raise ConfigurationError(
            "The setting endpoints is a list of addresses, or text parted by commas, such as "
            "http://10.0.0.1:2379,http://10.0.0.2:2379."
        )
    return [one.strip() for one in parts if one.strip()]


def _text(settings: JsonObject, key: str) -> str | None:
    value = settings.get(key)
    if value is not None and not isinstance(value, str):
        raise ConfigurationError(f"The setting {key} must be text.")
    return value or None


def _read_seconds(settings: JsonObject) -> float:
    value = settings.get("read_timeout_seconds")
    if value is None:
        return Timeouts().read_seconds
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 60:  # noqa: PLR2004 - the maximum above
        raise ConfigurationError("The setting read_timeout_seconds is a number from 0 to 60.")
    return float(value)


def _tls(settings: JsonObject) -> ssl.SSLContext | None:
    authority, certificate = _text(settings, "ca_file"), _text(settings, "cert_file")
    key = _text(settings, "key_file")
    if not (authority or certificate or key):
        return None
    if key and not certificate:
        raise ConfigurationError("The setting key_file needs cert_file beside it.")
    try:
        context = ssl.create_default_context(cafile=authority)
        if certificate:
            context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"The TLS files cannot be used: {error}") from error
    return context


plugin = EtcdPlugin()
