"""The general tools: actions that need no cluster. Pure: the engine does what they ask for."""

from collections.abc import Callable
from typing import NamedTuple

from operator_core.actions.types import ActionDefinition, ActionType, ParamDef
from operator_core.actions.validation import validate_action_params
from operator_core.errors import UnknownActionError
from operator_core.types import JsonObject, RiskLevel

WAIT = "wait"
LOG_MESSAGE = "log_message"
LONGEST_WAIT_SECONDS = 86_400.0


class LogLine(NamedTuple):
    """A line that a tool wants in the log."""

    level: str
    message: str


class ToolResult(NamedTuple):
    """What a tool gives back, and what it asks the engine to do.

    Attributes:
        result: what the record keeps.
        delay_followers_seconds: how long the next step of the workflow must wait. The tool
            itself has completed, so no worker is held meanwhile.
        log: a line for the log, or None.
    """

    result: JsonObject
    delay_followers_seconds: float = 0.0
    log: LogLine | None = None


def _tool(name: str, description: str, parameters: dict[str, ParamDef]) -> ActionDefinition:
    return ActionDefinition(
        name=name,
        description=description,
        parameters=parameters,
        action_type=ActionType.TOOL,
        risk_level=RiskLevel.LOW,
        idempotent=True,
    )


_WAIT_DEFINITION = _tool(
    WAIT,
    "Wait before the next step of the workflow, such as until a drain has had its effect.",
    {
        "seconds": ParamDef(
            type="float",
            description="How long the next step waits, in seconds",
            minimum=0,
            maximum=LONGEST_WAIT_SECONDS,
        ),
        "reason": ParamDef(type="str", description="Why to wait", required=False),
    },
)
_LOG_DEFINITION = _tool(
    LOG_MESSAGE,
    "Write a line into Operator's log.",
    {
        "message": ParamDef(type="str", description="The line"),
        "level": ParamDef(
            type="str",
            description="How important it is",
            required=False,
            default="info",
            enum=["debug", "info", "warning", "error"],
        ),
    },
)

TOOL_DEFINITIONS: tuple[ActionDefinition, ...] = (_LOG_DEFINITION, _WAIT_DEFINITION)
"""The definitions of all general tools, by name."""


def run_tool(name: str, parameters: JsonObject) -> ToolResult:
    """Return what a tool does with its parameters; has no effect itself.

    Args:
        name: the tool's name.
        parameters: its arguments; checked here again.

    Raises:
        UnknownActionError: there is no such tool.
        ValidationError: the parameters do not fit.
    """
    for definition in TOOL_DEFINITIONS:
        if definition.name == name:
            return _RUN[name](validate_action_params(definition, parameters))
    raise UnknownActionError(name, [definition.name for definition in TOOL_DEFINITIONS])


def _wait(parameters: JsonObject) -> ToolResult:
    seconds = float(parameters["seconds"])
    return ToolResult(
        {"next_step_waits_seconds": seconds, **_only(parameters, "reason")},
        delay_followers_seconds=seconds,
    )


def _log_message(parameters: JsonObject) -> ToolResult:
    line = LogLine(parameters["level"], parameters["message"])
    return ToolResult({"logged": line.message, "level": line.level}, log=line)


def _only(parameters: JsonObject, name: str) -> JsonObject:
    return {name: parameters[name]} if name in parameters else {}


_RUN: dict[str, Callable[[JsonObject], ToolResult]] = {WAIT: _wait, LOG_MESSAGE: _log_message}
