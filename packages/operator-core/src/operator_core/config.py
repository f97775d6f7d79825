"""The only reader of the environment."""

import getpass
import math
import os
import pwd
from collections.abc import Mapping
from pathlib import Path

from operator_core.errors import ConfigurationError

APPROVAL_MODE_VARIABLE = "OPERATOR_APPROVAL_MODE"
LEDGER_VARIABLE = "OPERATOR_DB"
POLICY_VARIABLE = "OPERATOR_POLICY"
KEEP_MIB_VARIABLE = "OPERATOR_KEEP_MIB"
KEEP_DAYS_VARIABLE = "OPERATOR_KEEP_DAYS"
KEEP_AROUND_VARIABLE = "OPERATOR_KEEP_AROUND_MINUTES"
DEFAULT_LEDGER = Path("~/.operator/operator.db")

DEFAULT_LEASE_SECONDS = 15.0
"""How long a claim holds without being renewed."""

_YES, _NO = frozenset({"true", "1", "yes", "on"}), frozenset({"false", "0", "no", "off"})


def approval_mode(environment: Mapping[str, str] = os.environ, *, otherwise: bool = False) -> bool:
    """Return whether actions need a person's approval.

    Args:
        environment: the variables of the process.
        otherwise: the answer where nothing is set.

    Raises:
        ConfigurationError: the value is none of the known ones.
    """
    text = environment.get(APPROVAL_MODE_VARIABLE, "").strip().lower()
    if not text:
        return otherwise
    if text in _YES:
        return True
    if text in _NO:
        return False
    raise ConfigurationError(f"{APPROVAL_MODE_VARIABLE} is {text!r}. Set it to true or false.")


def positive_number(variable: str, environment: Mapping[str, str] = os.environ) -> float | None:
    """Return the number that a variable holds, or None where it is not set.

    Raises:
        ConfigurationError: it is no number greater than 0.
    """
    text = environment.get(variable, "").strip()
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise ConfigurationError(f"{variable} is {text!r}. Set it to a number greater than 0.")
    return number


def ledger_address(environment: Mapping[str, str] = os.environ) -> str:
    """Return where the ledger lies when nobody names one: a path or a URL."""
    return environment.get(LEDGER_VARIABLE) or str(DEFAULT_LEDGER)


def policy_file(environment: Mapping[str, str] = os.environ) -> Path | None:
    """Return the policy's file as the environment names it, or None."""
    path = environment.get(POLICY_VARIABLE)
    return expanded(path) if path else None


def expanded(path: Path | str) -> Path:
    """Return a path with the home folder that it begins with, if it does, in full.

    Raises:
        ConfigurationError: there is no such home.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise ConfigurationError(f"{path} begins with a home that nobody has.") from error


def whole(path: Path | str) -> Path:
    """Return a path from the root on, without links.

    Raises:
        ConfigurationError: it leads nowhere.
    """
    try:
        return expanded(path).resolve()
    except (OSError, RuntimeError) as error:  # the folder that we are in is gone; links in a circle
        raise ConfigurationError(f"{path} leads nowhere: {error}. Name the whole path.") from error


def os_user() -> str:
    """Return the user that the operating system knows this process by.

    No variable of the environment changes it, so it can answer for an approval.
    """
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid-{os.getuid()}"


def person() -> str:
    """Return the name of the person at the terminal: the user of the operating system."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return f"uid-{os.getuid()}"


def shut_out_pydantic_plugins() -> None:
    """Let no plugin of pydantic's watch or change validation, unless the environment says so.

    Before its first validator pydantic looks through all that is installed for such plugins. None
    belongs into the gate, and the look holds up every start. This is for a process of ours;
    who embeds Operator decides for themselves.
    """
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
