"""`operator tikv compare URL`."""

import ssl
from collections.abc import Callable

import httpx

from operator_core import plugin_settings
from operator_core.actions.types import ParamDef
from operator_core.plugin import PluginCommand, Report
from operator_core.types import JsonObject
from operator_tikv.compare.run import TIMEOUT_SECONDS, compare, report_of

UrlsOf = Callable[[object], list[str]]
TlsOf = Callable[[list[str], JsonObject], ssl.SSLContext]


def compare_command(urls_of: UrlsOf, tls_of: TlsOf) -> PluginCommand:
    """Return the command.

    Args:
        urls_of: reads PD's URLs as the connection does.
        tls_of: makes TLS of the settings as the connection does.
    """

    async def run(given: JsonObject) -> Report:
        url = urls_of(given["url"])[0]
        async with httpx.AsyncClient(
            timeout=TIMEOUT_SECONDS, trust_env=False, verify=tls_of([url], given)
        ) as client:
            return report_of(url, await compare(client, url))

    return PluginCommand(
        name="compare",
        summary="Read from a PD, change nothing, and list where it differs from what we assume.",
        parameters={
            "url": ParamDef(type="str", description="PD's client URL"),
            **plugin_settings.TLS_FILES,
        },
        run=run,
        argument="url",
        example="http://10.0.0.1:2379",
    )
