"""The texts in which PD prints its operators, read loosely: their form changes with releases."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

from operator_tikv.pd.parse import shorten

_REGION: Final = re.compile(r"\bregion:\s*(\d{1,20})\b")
_STATUS: Final = re.compile(r"^status:\s*([A-Za-z]+)")
_STEP: Final = re.compile(r"\bcurrentStep:\s*(\d{1,6})\b")
_CREATED: Final = re.compile(
    r"\bcreateAt:\s*(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)(?:\.\d+)? ([+-])(\d\d)(\d\d)\b"
)
_PLAIN_STEPS: Final = re.compile(r"\bsteps:\s*\[(?!\d+:)([^\]]*)")
_PLAIN_STEP: Final = re.compile(
    r"(?:use joint consensus|leave joint state)(?:,\s*(?:promote|demote)[^,]*)*|[^,\s][^,]*"
)
"""A change of several replicas at once is one step, whose parts are told one after the other."""
_STORE: Final = re.compile(r"\bon store (\d{1,20})\b")


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
        created: when PD made it; None where it does not say so.
        adds_to_store: the store where its present step makes a replica; 0 for other steps.
    """

    name: str
    region_id: int
    step: int
    text: str
    created: datetime | None = None
    adds_to_store: int = 0


def read_operator(text: str) -> OperatorText:
    """Read the print of an operator, of any release."""
    body = text.split("operator:", 1)[-1].strip()
    name = re.split(r"[ ({]", body, maxsplit=1)[0]
    step = _number(_STEP, body)
    return OperatorText(
        name,
        _number(_REGION, body),
        step,
        shorten(body),
        created=_created(body),
        adds_to_store=_adds_to(body, step),
    )


def _created(text: str) -> datetime | None:
    """Read the moment as Go prints it: local time of PD's host, and how far that is from UTC."""
    match = _CREATED.search(text)
    if match is None:
        return None
    try:
        offset = timedelta(hours=int(match[3]), minutes=int(match[4]))
        local = datetime.fromisoformat(match[1]).replace(tzinfo=UTC)
        return local - offset if match[2] == "+" else local + offset
    except (ValueError, OverflowError):
        return None


def _adds_to(text: str, step: int) -> int:
    """Return where a step such as ``0:{add learner peer 7 on store 3}`` makes a replica."""
    words = _step(text, step)
    store = _STORE.search(words) if words.startswith("add ") else None
    return int(store[1]) if store else 0


def _step(text: str, step: int) -> str:
    """Return a step's words; PD 4 prints them one after the other, without number and braces."""
    numbered = re.search(rf"[\[, ]{step}:\s*\{{\s*([^}}]*)", text)
    if numbered:
        return numbered[1]
    plain = _PLAIN_STEPS.search(text)
    words = _PLAIN_STEP.findall(plain[1]) if plain else []
    return words[step] if step < len(words) else ""


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
