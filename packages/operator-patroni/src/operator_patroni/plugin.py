"""What the package offers at the entry point ``operator.subjects``."""

import ssl
from collections.abc import Mapping
from pathlib import Path

from operator_core.actions.types import ParamDef
from operator_core.errors import ConfigurationError
from operator_core.plugin import DemoCluster
from operator_core.types import JsonObject
from operator_patroni.client import PatroniClient
from operator_patroni.subject import PatroniSubject
from operator_patroni.transport import Timeouts

_MOST_SECONDS = 60.0


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
    "ca_file": _file("PEM file with the authority of https addresses"),
    "cert_file": _file("PEM file with the client certificate"),
    "key_file": _file("PEM file with the client certificate's key"),
    "read_timeout_seconds": ParamDef(
        type="float",
        description="How long a member may take to answer a question, in seconds",
        required=False,
        default=3.0,
        minimum=0.05,
        maximum=_MOST_SECONDS,
    ),
}


class PatroniPlugin:
    """The Patroni subject as the rest of Operator finds it."""

    name = "patroni"
    summary = "PostgreSQL clusters under Patroni, over its REST API (version 2 to 4)"
    settings: Mapping[str, ParamDef] = _SETTINGS

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
        client = PatroniClient(
            _endpoints(settings.get("url")),
            Timeouts(read_seconds=_read_seconds(settings)),
            _tls(settings),
            _credentials(settings),
        )
        return PatroniSubject(client, _text(settings, "name") or "patroni")

    def demo(self, folder: Path) -> DemoCluster:
        """Refuse: there is no demo of this subject.

        Raises:
            ConfigurationError: always.
        """
        del folder
        raise ConfigurationError(
            "There is no demo on Patroni. Connect a cluster of yours: "
            "operator connect patroni --url http://host:8008"
        )


def _endpoints(value: object) -> list[str]:
    """Return the endpoints of a list, or of text parted by commas."""
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list) or not all(isinstance(one, str) for one in parts):
        raise ConfigurationError(
            "The setting url is a list of addresses, or text parted by commas, such as "
            "http://10.0.0.1:8008,http://10.0.0.2:8008."
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
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 < value <= _MOST_SECONDS:
        raise ConfigurationError("The setting read_timeout_seconds is a number from 0 to 60.")
    return float(value)


def _credentials(settings: JsonObject) -> tuple[str, str] | None:
    """Return user and password; the password stays in its file, out of the ledger."""
    username, file = _text(settings, "username"), _text(settings, "password_file")
    if not (username or file):
        return None
    if not (username and file):
        raise ConfigurationError("The settings username and password_file go together.")
    try:
        lines = Path(file).read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"The password file {file} cannot be read: {error}") from error
    if not lines or not lines[0]:
        raise ConfigurationError(f"The first line of the password file {file} is empty.")
    return username, lines[0]


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


plugin = PatroniPlugin()
