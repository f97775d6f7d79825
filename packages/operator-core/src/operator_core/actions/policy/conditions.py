"""Conditions in CEL: compiled once, and a fault of one is never taken for a no."""

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

from operator_core.actions.policy.request import NO_BLAST, PolicyRequest

if TYPE_CHECKING:
    from cel_expr_python.cel import Env, Expression  # type: ignore[import-untyped]

Condition = Callable[[PolicyRequest], bool]
"""Says whether a condition holds; raises `ConditionError` where that cannot be said."""


class ConditionError(ValueError):
    """A condition could not be evaluated."""


def variables_of(request: PolicyRequest) -> dict[str, object]:
    """Return what a condition can look at, by name."""
    return {
        "action": request.action,
        "subject": request.subject or "",
        "target": request.target,
        "tags": sorted(request.tags),
        "risk": request.risk.value,
        "proposer": request.proposer,
        "parameters": dict(request.parameters),
        "severity": request.severity.value if request.severity else "",
        "confidence": request.confidence,
        "blast": (request.blast or NO_BLAST)._asdict(),
        "now": request.now,
    }


def compile_condition(source: str) -> Condition:
    """Return the condition that a text says.

    Args:
        source: the text.

    Raises:
        ConditionError: it is no CEL, names what there is not, or is no yes or no.
    """
    env = _environment()
    try:
        expression = env.compile(source)
    except RuntimeError as error:
        raise ConditionError(_first_line(error)) from error
    if expression.return_type().name() not in ("BOOL", "DYN"):
        raise ConditionError("it is neither true nor false")
    return lambda request: _evaluate(expression, source, request)


@cache
def _environment() -> "Env":
    from cel_expr_python.cel import NewEnv, Type  # noqa: PLC0415 - few policies have conditions

    text, anything = Type.STRING, Type.DYN
    names = ("action", "subject", "target", "risk", "proposer", "severity")
    return NewEnv(
        variables={
            **dict.fromkeys(names, text),
            "tags": Type.List(text),
            "parameters": Type.Map(text, anything),
            "confidence": anything,
            "blast": Type.Map(text, anything),
            "now": Type.TIMESTAMP,
        }
    )


def _evaluate(expression: "Expression", source: str, request: PolicyRequest) -> bool:
    """Evaluate; the library gives a fault back as a value, which is no yes and no no."""
    try:
        answer = expression.eval(data=variables_of(request))
    except (RuntimeError, TypeError, ValueError) as error:
        raise ConditionError(f"{source}: {_first_line(error)}") from error
    value = answer.value()
    if not isinstance(value, bool):
        raise ConditionError(f"{source}: {_first_line(answer)}")
    return value


def _first_line(fault: object) -> str:
    line = str(fault).partition("\n")[0].removeprefix("INVALID_ARGUMENT: ")
    return line.replace("ERROR: <input>:", "at ").replace(" (in container '')", "")
