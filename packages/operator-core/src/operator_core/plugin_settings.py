"""Readers of the settings that a cluster was connected with, for plugins, with clear errors."""

import ssl
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from operator_core.actions.types import ParamDef
from operator_core.errors import ConfigurationError
from operator_core.tls import TlsFiles, machine_tls, tls_context
from operator_core.types import JsonObject

MOST_SECONDS = 60.0
"""The longest that a plugin may be told to wait for one answer."""


def _file(description: str) -> ParamDef:
    return ParamDef(type="str", description=f"PEM file of {description}", required=False)


TLS_FILES = {
    "ca_file": _file("the authorities of https addresses; else the machine's are trusted"),
    "cert_file": _file("the client certificate, where one is asked for"),
    "key_file": _file("the client certificate's key, unless it stands beside that"),
}
"""The settings of TLS, for a plugin's own; `tls` reads them."""


def addresses(settings: JsonObject, key: str, example: str) -> list[str]:
    """Return the addresses of a list, or of text parted by commas.

    Args:
        settings: what the cluster was connected with.
        key: the setting's name.
        example: what it may look like, for the error.

    Raises:
        ConfigurationError: it is neither.
    """
    value = settings.get(key)
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list):
        raise _no_addresses(key, example)
    texts = [one for one in parts if isinstance(one, str)]
    if len(texts) != len(parts):
        raise _no_addresses(key, example)
    return [one.strip() for one in texts if one.strip()]


def _no_addresses(key: str, example: str) -> ConfigurationError:
    return ConfigurationError(
        f"The setting {key} is a list of addresses, or text parted by commas, such as {example}."
    )


def endpoint(written: str, error: str, paths: Collection[str] = ()) -> str:
    """Return an address as scheme, host and port; a bare host and port means http.

    Args:
        written: as a person or a member wrote it.
        error: what is said where it is no http(s) address, without the address.
        paths: what may follow the port, and is left out.

    Raises:
        ConfigurationError: it is no http(s) address.
    """
    stripped = written.strip()
    stripped = stripped if "://" in stripped else f"http://{stripped}"
    try:
        parts = urlsplit(stripped)
        usable = bool(parts.hostname) and parts.port != 0
    except ValueError:
        parts, usable = urlsplit(""), False
    more = parts.path.strip("/") not in {"", *paths} or parts.query or parts.fragment
    usable = usable and not more and not parts.username and " " not in stripped
    if not usable or parts.scheme not in {"http", "https"}:
        raise ConfigurationError(f"{written!r} {error}")
    return f"{parts.scheme}://{parts.netloc}"


def text(settings: JsonObject, key: str) -> str | None:
    """Return a text; None where there is none, or an empty one.

    Raises:
        ConfigurationError: it is no text.
    """
    value = settings.get(key)
    if value is not None and not isinstance(value, str):
        raise ConfigurationError(f"The setting {key} must be text.")
    return value or None


def seconds(settings: JsonObject, key: str, default: float) -> float:
    """Return a number of seconds above 0 and up to `MOST_SECONDS`.

    Raises:
        ConfigurationError: it is no such number.
    """
    value = settings.get(key)
    if value is None:
        return default
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 < float(value) <= MOST_SECONDS:
        raise ConfigurationError(f"The setting {key} is a number from 0 to {MOST_SECONDS:g}.")
    return float(value)


Credentials = Callable[[], tuple[str, str]]
"""Reads user and password anew."""


def credentials(settings: JsonObject, whose: str = "") -> Credentials | None:
    """Return what reads user and password by the settings username and password_file.

    It has been tried once. The password stays in its file, out of the ledger, and may be changed
    there at any time. None: there are no such settings.

    Args:
        settings: what the cluster was connected with.
        whose: what the names of both settings begin with.

    Raises:
        ConfigurationError: one of the two is missing, or the file cannot be read; reading it again
            raises it too.
    """
    user_key, file_key = f"{whose}username", f"{whose}password_file"
    username, read = text(settings, user_key), secret(settings, file_key)
    if not (username or read):
        return None
    if not (username and read):
        raise ConfigurationError(f"The settings {user_key} and {file_key} go together.")
    return partial(_credentials, username, read)


def _credentials(username: str, read: Callable[[], str]) -> tuple[str, str]:
    return username, read()


def secret(settings: JsonObject, key: str) -> Callable[[], str] | None:
    """Return what reads the first line of a setting's file, which may be changed at any time.

    It has been tried once. None: there is no such setting.

    Raises:
        ConfigurationError: the file cannot be read; reading it again raises it too.
    """
    file = text(settings, key)
    if file is None:
        return None
    read = partial(_first_line, key.replace("_", " "), Path(file))
    read()
    return read


def _first_line(what: str, file: Path) -> str:
    try:
        lines = file.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"The {what} {file} cannot be read: {error}") from error
    if not lines or not lines[0]:
        raise ConfigurationError(f"The first line of the {what} {file} is empty.")
    return lines[0]


def has_tls_files(settings: JsonObject) -> bool:
    """Return whether the settings say whom to trust, or what to show."""
    return any(text(settings, name) for name in TLS_FILES)


def tls(settings: JsonObject) -> ssl.SSLContext:
    """Return the context of the settings ca_file, cert_file and key_file, or the machine's.

    Raises:
        ConfigurationError: the files cannot be used.
    """
    if not has_tls_files(settings):
        return machine_tls()
    return tls_context(TlsFiles(*(text(settings, name) or "" for name in TLS_FILES)))
