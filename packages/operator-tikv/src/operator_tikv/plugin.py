"""What this package offers Operator: settings, a connection, and a demo."""

import re
import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import httpx

from operator_core import plugin_settings
from operator_core.actions.types import ParamDef
from operator_core.errors import ConfigurationError
from operator_core.lab import Lab
from operator_core.plugin import DemoCluster, PluginCommand, SubjectPlugin
from operator_core.types import JsonObject
from operator_tikv.compare.command import compare_command
from operator_tikv.demo import TikvDemo
from operator_tikv.metrics.authorization import authorization
from operator_tikv.metrics.sight import MetricsSettings
from operator_tikv.pd.client import PdClient
from operator_tikv.subject import TikvSubject

_LARGEST_TIME_SCALE: Final = 1000.0


def _of_prometheus(description: str) -> ParamDef:
    return ParamDef(type="str", description=description, required=False)


class TikvPlugin:
    """The plugin at the entry point ``operator.subjects``."""

    name = "tikv"
    summary = "TiKV clusters, through the HTTP API of PD"
    settings: Mapping[str, ParamDef] = {
        "pd": ParamDef(
            type="str",
            description="Client URLs of PD, parted by commas, such as http://10.0.0.1:2379",
        ),
        **plugin_settings.TLS_FILES,
        "read_metrics": ParamDef(
            type="bool",
            description="Whether metrics are read: from Prometheus, else from each process",
            required=False,
            default=True,
        ),
        "prometheus_url": ParamDef(
            type="str",
            description="Prometheus that scrapes the cluster, such as http://10.0.0.9:9090",
            required=False,
            default="",
        ),
        "prometheus_token_file": _of_prometheus("File whose first line is a token for Prometheus"),
        "prometheus_username": _of_prometheus("Who Operator is where Prometheus asks for a user"),
        "prometheus_password_file": _of_prometheus(
            "File whose first line is the password of that user"
        ),
        "prometheus_labels": ParamDef(
            type="str",
            description="Labels of the cluster's series there, such as tidb_cluster=prod,env=eu",
            required=False,
            default="",
        ),
        "name": ParamDef(
            type="str",
            description="What tickets call the cluster",
            required=False,
            default="tikv",
            pattern=r".*\S.*",
        ),
        "time_scale": ParamDef(
            type="float",
            description="How many times faster than real time the cluster lives (simulators)",
            required=False,
            default=1.0,
            minimum=1.0,
            maximum=_LARGEST_TIME_SCALE,
        ),
    }

    def __init__(self) -> None:
        """Offer the commands, which read settings as the connection does."""
        self.commands: Sequence[PluginCommand] = (compare_command(pd_urls, _tls),)

    @property
    def lab(self) -> Lab:
        """Simulated clusters that are broken on purpose."""
        from operator_tikv.lab import TikvLab  # noqa: PLC0415 - the simulator is rarely needed

        return TikvLab()

    async def connect(self, settings: JsonObject) -> TikvSubject:
        """Return the subject of a cluster; does not reach for it yet.

        Args:
            settings: ``pd`` as a list of URLs or as text parted by commas; ``ca_file``,
                ``cert_file`` and ``key_file`` for TLS; ``read_metrics``, ``prometheus_url`` and
                ``prometheus_labels`` for metrics; ``name``; ``time_scale``.

        Raises:
            ConfigurationError: the settings cannot mean a cluster.
        """
        urls = pd_urls(settings.get("pd"))
        return TikvSubject(
            PdClient(urls, tls=_tls(urls, settings)),
            name=str(settings.get("name") or self.name),
            time_scale=_time_scale(settings.get("time_scale")),
            metrics=metrics_settings(settings),
        )

    def demo(self, folder: Path) -> DemoCluster:
        """Return a simulated cluster that keeps its files in a folder."""
        return TikvDemo(folder)


def pd_urls(value: object) -> list[str]:
    """Return the URLs of PD's members.

    Args:
        value: a list of URLs, or text parted by commas; ``http://`` may be left out.

    Raises:
        ConfigurationError: there is none, or one that is no URL.
    """
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list):
        raise ConfigurationError("The setting pd must name PD's client URLs, parted by commas.")
    urls = [_url(str(part).strip()) for part in parts if str(part).strip()]
    if not urls:
        raise ConfigurationError("The setting pd is empty; name PD's client URLs.")
    return urls


def _tls(urls: list[str], settings: JsonObject) -> ssl.SSLContext:
    plain = [url for url in urls if not url.startswith("https://")]
    if plain and plugin_settings.has_tls_files(settings):
        raise ConfigurationError(
            f"Certificates are given, but {plain[0]} would be spoken to without TLS; "
            "write https:// in front of each URL of PD."
        )
    return plugin_settings.tls(settings)


def metrics_settings(settings: JsonObject) -> MetricsSettings:
    """Return how metrics are read.

    Args:
        settings: ``read_metrics``, ``prometheus_url``, what `authorization` reads,
            ``prometheus_labels``, ``time_scale``.

    Raises:
        ConfigurationError: they cannot be used.
    """
    url = str(settings.get("prometheus_url") or "").strip()
    if url and not re.fullmatch(r"https?://[^\s/?#]+(/[^\s?#]*)?", url):
        raise ConfigurationError(
            f"prometheus_url is {url!r}; it should look like http://10.0.0.9:9090."
        )
    labels = str(settings.get("prometheus_labels") or "")
    return MetricsSettings(
        is_on=settings.get("read_metrics") is not False,
        prometheus_url=url,
        authorization=authorization(settings),
        prometheus_labels=dict(_label(one) for one in labels.split(",") if one.strip()),
        time_scale=_time_scale(settings.get("time_scale")),
    )


def _label(text: str) -> tuple[str, str]:
    name, equals, value = text.strip().partition("=")
    if not equals or not re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]*", name):
        raise ConfigurationError(
            f"prometheus_labels has {text!r}; it should be names with values, such as "
            "tidb_cluster=prod."
        )
    return name, value.strip('"')


def _url(text: str) -> str:
    whole = text if "://" in text else f"http://{text}"
    try:
        url = httpx.URL(whole)
    except httpx.InvalidURL as error:
        raise ConfigurationError(f"{text!r} is no URL of PD: {error}.") from error
    if url.scheme not in {"http", "https"} or not url.host or url.path not in {"", "/"}:
        raise ConfigurationError(
            f"{text!r} is no client URL of PD; it should look like http://10.0.0.1:2379."
        )
    return whole.rstrip("/")


def _time_scale(value: object) -> float:
    if value is None:
        return 1.0
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 1.0 <= float(str(value)) <= _LARGEST_TIME_SCALE:
        raise ConfigurationError(
            f"The setting time_scale must be from 1 to {_LARGEST_TIME_SCALE:.0f}, not {value!r}."
        )
    return float(str(value))


plugin: SubjectPlugin = TikvPlugin()
