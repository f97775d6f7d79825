"""The texts in which PD prints its operators, read loosely: their form changes with releases."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from operator_tikv.pd.parse import shorten

_REGION: Final = re.compile(r"\bregion:\s*(\d+)")
_STATUS: Final = re.compile(r"^status:\s*([A-Za-z]+)")
_STEP: Final = re.compile(r"\bcurrentStep:\s*(\d+)")


class OperatorStatus(StrEnum):
    """What became of an operator."""

    RUNNING = "RUNNING"
    SUCCESS = "SUCCESS"
    TIMEOUT = "TIMEOUT"
    CANCEL = "CANCEL"
    REPLACE = "REPLACE"
    NONE = "NONE"
    """PD knows of no operator on the region, not even a finished one."""
    OTHER = "OTHER"
    """A word that only a newer PD knows."""


@dataclass(frozen=True)
class OperatorText:
    """One operator as PD prints it.

    Attributes:
        name: such as `admin-transfer-leader`; empty where it cannot be read.
        region_id: the region it works on; 0 where it cannot be read.
        step: index of the step it is at.
        text: the print itself, shortened.
    """

    name: str
    region_id: int
    step: int
    text: str


def read_operator(text: str) -> OperatorText:
    """Read the print of an operator, of any release."""
    body = text.split("operator:", 1)[-1].strip()
    name = re.split(r"[ ({]", body, maxsplit=1)[0]
    return OperatorText(name, _number(_REGION, body), _number(_STEP, body), shorten(body))


def read_status(text: str) -> OperatorStatus:
    """Read the status in front of the print that `GET /operators/{region_id}` gives."""
    match = _STATUS.match(text.strip())
    word = match[1].upper() if match else ""
    # A process of a new operator: created, started and running are one for us.
    if word in {"CREATED", "STARTED"}:
        return OperatorStatus.RUNNING
    return OperatorStatus(word) if word in OperatorStatus.__members__ else OperatorStatus.OTHER


def _number(pattern: re.Pattern[str], text: str) -> int:
    match = pattern.search(text)
    return int(match[1]) if match else 0
