"""Who Operator is to a Prometheus that asks."""

from base64 import b64encode
from collections.abc import Callable

from operator_core import plugin_settings
from operator_core.errors import ConfigurationError
from operator_core.types import JsonObject

Authorization = Callable[[], str]
"""Reads anew what a question says in its header of that name."""


def authorization(settings: JsonObject) -> Authorization | None:
    """Return what reads a token, or a user's password, from its file; None: nobody asks.

    Args:
        settings: ``prometheus_token_file``, or ``prometheus_username`` with
            ``prometheus_password_file``.

    Raises:
        ConfigurationError: they cannot be used; reading a file again raises it too.
    """
    token = plugin_settings.secret(settings, "prometheus_token_file")
    user = plugin_settings.credentials(settings, "prometheus_")
    if token and user:
        raise ConfigurationError(
            "Prometheus is shown a token or a password, not both: leave out prometheus_token_file, "
            "or prometheus_username and prometheus_password_file."
        )
    if token:
        return lambda: f"Bearer {token()}"
    if user:
        return lambda: f"Basic {b64encode(':'.join(user()).encode()).decode()}"
    return None
