"""The parameters that several actions have."""

from typing import Annotated

from pydantic import JsonValue

from operator_core.actions.types import ParamDef
from operator_tikv.pd.parse import duration_seconds

RegionId = Annotated[int, ParamDef(type="int", description="Id of the region", minimum=1)]
StoreId = Annotated[int, ParamDef(type="int", description="Id of the store", minimum=1)]
ToStoreId = Annotated[
    int, ParamDef(type="int", description="Id of the store to move to", minimum=1)
]
FromStoreId = Annotated[
    int, ParamDef(type="int", description="Id of the store to move from", minimum=1)
]
StoreIds = Annotated[tuple[int, ...], ParamDef(type="list", description="Ids of stores")]
Texts = tuple[str, ...]
Seconds = Annotated[
    int, ParamDef(type="int", description="For how many seconds", minimum=1, maximum=86_400)
]
SchedulerName = Annotated[
    str,
    ParamDef(
        type="str",
        description="Name of the scheduler, such as balance-leader-scheduler",
        pattern=r"^[a-z][A-Za-z0-9_-]{0,99}$",
    ),
]
KeyHex = Annotated[
    str, ParamDef(type="str", description="Key in hex, empty for no end", pattern=r"^[0-9A-Fa-f]*$")
]
GroupId = Annotated[
    str, ParamDef(type="str", description="Id of the group of rules", pattern=r"^[^/?#\s]{1,100}$")
]
RuleId = Annotated[
    str, ParamDef(type="str", description="Id of the rule", pattern=r"^[^?#\s]{1,100}$")
]
ConfigItem = Annotated[
    str,
    ParamDef(
        type="str",
        description="Name of the item, without its section",
        pattern=r"^[a-z][a-z0-9-]{0,99}$",
    ),
]
ConfigValue = Annotated[
    str, ParamDef(type="str", description="The new value as PD prints it: 4, true, 30m0s, 0.8")
]


def scalar(text: str) -> JsonValue:
    """Turn a value that a person wrote into what pd-ctl would send: a number, else the text."""
    try:
        number = float(text)
    except ValueError:
        return text
    return int(number) if number.is_integer() else number


def printed(value: JsonValue) -> str:
    """Print a value of PD's configuration as a person would write it, such as `a,b` or `true`."""
    if isinstance(value, list):
        return ",".join(printed(item) for item in value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def same_value(left: JsonValue, right: JsonValue) -> bool:
    """Return whether two values of PD's configuration mean the same, however they are printed."""
    if any(isinstance(value, list) or "," in str(value) for value in (left, right)):
        return _items(left) == _items(right)
    return _plain(left) == _plain(right)


def _items(value: JsonValue) -> list[str]:
    parts = value if isinstance(value, list) else str(value).split(",")
    return [str(part).strip() for part in parts]


def _plain(value: JsonValue) -> float | str:
    text = str(value).strip().lower()
    try:
        return float(text)
    except ValueError:
        return _duration(text)


def _duration(text: str) -> float | str:
    try:
        seconds = duration_seconds(text)
    except ValueError:
        return text
    return seconds if isinstance(seconds, float) else text
