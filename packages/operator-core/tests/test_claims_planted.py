"""Claims that somebody planted: sixty ways to be nearly true, decided the same before and after."""

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from operator_core.agent.diagnosis import Claim, Diagnosis, Predicate
from operator_core.agent.evidence import holds
from operator_core.agent.support import recheck_report, supported
from operator_core.monitor.types import Observation, Part

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DATA: dict[str, Any] = {
    "n": 10, "f": 1.5, "s": "10", "b": True, "z": None, "e": [], "o": "", "1": 2, "nan": "nan",
    "l": [{"id": 1, "v": 5}, {"id": 2, "v": 7}], "st\u00f6re": 1, "red": "[redacted]",
    "big": 10**30, "d": {"a": 1},
}  # fmt: skip
LOOK = Observation(
    id=1,
    subject="x",
    observed_at=NOW,
    parts={
        "p": Part(source="s", observed_at=NOW, data=DATA),
        "half": Part(source="s", observed_at=NOW, complete=False, data={"q": 1}),
    },
)
INF, NAN = float("inf"), float("nan")

TRUE = [
    ("p/n", "ge", 10), ("p/s", "lt", "9"), ("p/z", "eq", None), ("p/zz", "absent", None),
    ("p/l/0/v", "eq", 5), ("p/st\u00f6re", "eq", 1), ("p/red", "ne", "hunter2"),
    ("p/big", "eq", 10**30), ("p/big", "gt", 10**30 - 1), ("p/d", "contains", "a"),
    ("p/l", "contains", {"id": 1, "v": 5}), ("p/e", "eq", []), ("p/e", "exists", None),
    ("p", "exists", None), ("p/1", "eq", 2), ("p/n", "eq", 10.0), ("p/n", "ne", NAN),
]  # fmt: skip
FALSE = [
    ("p/n", "gt", 10), ("p/n", "lt", 10), ("p/n", "eq", "10"), ("p/s", "eq", 10),
    ("p/s", "gt", 5), ("p/b", "eq", 1), ("p/b", "gt", 0), ("p/n", "eq", True),
    ("p/z", "absent", None), ("p/zz", "eq", None), ("p/zz", "ne", 5), ("half/zz", "absent", None),
    ("q/zz", "absent", None), ("p/l/2/v", "exists", None), ("p/l/-1/v", "exists", None),
    ("p/l/00/v", "exists", None), ("p/l/[id=1]/v", "exists", None), ("p/l/*/v", "exists", None),
    ("p/l/\u0660/v", "exists", None), ("p/sto\u0308re", "eq", 1), ("p/ST\u00d6RE", "exists", None),
    ("p/red", "eq", "hunter2"), ("p/big", "eq", 1e30), ("p/f", "eq", 1.5000000001),
    ("p/d", "contains", "b"), ("p/l", "contains", {"id": 1}), ("p/e", "contains", None),
    ("", "exists", None), ("p/", "exists", None), ("/p", "exists", None), ("p//n", "exists", None),
    ("p/n/", "exists", None), ("p/n/0", "exists", None), ("p/s/0", "exists", None),
    ("p/n\u200b", "exists", None), ("p/n ", "exists", None), ("p/../p/n", "exists", None),
    ("p/l/0/id", "ne", 1), ("p/d/~0a", "exists", None), ("p/n", "lt", INF), ("p/n", "gt", -INF),
    ("p/n", "eq", NAN), ("p/l", "contains", [NAN]),
]  # fmt: skip
CASES = [(one, True) for one in TRUE] + [(one, False) for one in FALSE]


@pytest.mark.parametrize(("planted", "is_true"), CASES)
def test_what_is_planted_is_decided_alike_before_and_after_it_is_stored(
    planted: tuple[str, str, Any], is_true: bool
) -> None:
    path, predicate, value = planted
    claim = Claim(
        statement="so", path=path, predicate=Predicate(predicate), value=value, observation_id=1
    )
    assert holds(claim, LOOK) is is_true
    said = Diagnosis(
        id=1, ticket_id=1, observation_id=1, subject="x", created_at=NOW, diagnoser="model",
        cause="c", hypothesis="h", confidence=1.0, evidence=[claim],
    )  # fmt: skip
    stored = supported(said, {1: LOOK})
    read = Diagnosis.model_validate_json(stored.model_dump_json())
    assert len(read.evidence) == int(is_true)
    assert recheck_report(read, {1: LOOK})["is_unchanged"]


@pytest.mark.parametrize("weight", [INF, NAN, 0.0, -1.0])
def test_a_claim_weighs_something_that_can_be_stored(weight: float) -> None:
    with pytest.raises(ValidationError, match="weight"):
        Claim(statement="so", path="p/n", predicate=Predicate.EXISTS, weight=weight)
