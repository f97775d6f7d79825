"""The general tools: they have no effect, hold no worker, and take no odd values."""

import math

import pytest

from operator_core.actions.tools import TOOL_DEFINITIONS, run_tool
from operator_core.actions.types import ActionType
from operator_core.errors import UnknownActionError, ValidationError
from operator_core.types import RiskLevel


def test_the_tools_are_wait_and_log_message() -> None:
    assert [tool.name for tool in TOOL_DEFINITIONS] == ["log_message", "wait"]


@pytest.mark.parametrize("tool", TOOL_DEFINITIONS, ids=lambda tool: tool.name)
def test_a_tool_is_harmless_and_may_be_repeated(tool: object) -> None:
    (definition,) = [one for one in TOOL_DEFINITIONS if one is tool]
    assert definition.action_type is ActionType.TOOL
    assert definition.risk_level is RiskLevel.LOW
    assert definition.idempotent
    assert not definition.disruptive
    assert all(param.description for param in definition.parameters.values())


@pytest.mark.timeout(2)
def test_a_wait_completes_at_once_and_delays_the_next_step() -> None:
    result = run_tool("wait", {"seconds": 86_400, "reason": "leaders move"})
    assert result.delay_followers_seconds == 86_400
    assert result.result == {"next_step_waits_seconds": 86_400, "reason": "leaders move"}
    assert result.log is None


def test_a_wait_of_nothing_is_allowed() -> None:
    assert run_tool("wait", {"seconds": 0}).delay_followers_seconds == 0


@pytest.mark.parametrize("seconds", [-5, 86_400.1, math.nan, math.inf, "5", True, None, [5]])
def test_a_wait_takes_no_odd_values(seconds: object) -> None:
    with pytest.raises(ValidationError):
        run_tool("wait", {"seconds": seconds})


def test_log_message_asks_for_a_line_at_info() -> None:
    result = run_tool("log_message", {"message": "[/bold] drained"})
    assert result.log == ("info", "[/bold] drained")
    assert result.result == {"logged": "[/bold] drained", "level": "info"}
    assert result.delay_followers_seconds == 0


def test_log_message_knows_four_levels() -> None:
    for level in ("debug", "info", "warning", "error"):
        line = run_tool("log_message", {"message": "x", "level": level}).log
        assert line is not None
        assert line.level == level
    with pytest.raises(ValidationError, match="level: must be one of"):
        run_tool("log_message", {"message": "x", "level": "fatal"})


@pytest.mark.parametrize("name", ["", "Wait", "sleep", "__class__"])
def test_an_unknown_tool_is_an_error_that_names_the_tools(name: str) -> None:
    with pytest.raises(UnknownActionError, match="log_message, wait"):
        run_tool(name, {})
