"""What somebody writes who has only read the signatures."""

from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

import pytest

from operator_core.actions import (
    ActionDefinition,
    ActionProposal,
    ActionRecommendation,
    ActionStatus,
    AuditEvent,
    ParamDef,
    RetryConfig,
)
from operator_core.db.actions import ActionDB
from operator_core.errors import ConfigurationError, LedgerCorruptError, RequestError

if TYPE_CHECKING:
    from collections.abc import Callable

Model = TypeVar("Model")


def by_position(model: type[Model], *values: object) -> Model:
    """Make a model as a caller does whose checker is off."""
    return cast("Callable[..., Model]", model)(*values)


def test_the_models_of_the_engine_take_their_fields_by_position() -> None:
    required = True
    store = by_position(ParamDef, "int", "Which store", required, None, None, 1, 9, None)
    drain = by_position(ActionDefinition, "drain_store", "Drain a store", {"store_id": store})
    assert (store.minimum, store.maximum, drain.parameters["store_id"]) == (1, 9, store)
    asked = by_position(ActionRecommendation, "drain_store", {"store_id": 4}, "slow disk", "high")
    assert (asked.action_name, asked.urgency) == ("drain_store", "high")
    assert by_position(AuditEvent, None, "looked", {"at": "store-4"}, "ann").actor == "ann"
    with pytest.raises(TypeError, match="at most 8"):
        by_position(ParamDef, *range(9))


def test_a_retry_config_can_be_changed() -> None:
    config = RetryConfig()
    config.max_attempts = 5
    assert config.should_retry(4)


async def test_a_state_may_be_named_by_its_text(tmp_path: Path) -> None:
    async with ActionDB(tmp_path / "ledger.db") as db:
        made = await db.create_proposal(ActionProposal(action_name="x", reason="y"))
        await db.update_proposal_status(int(made.id or 0), ActionStatus("validated"))
        with pytest.raises(RequestError, match="Known: proposed"):
            await db.update_proposal_status(int(made.id or 0), "nonsense")  # type: ignore[arg-type]


async def test_a_ledger_must_last() -> None:
    with pytest.raises(ConfigurationError, match="name a file"):
        ActionDB(":memory:")


async def test_a_ledger_whose_tail_was_cut_off_is_refused_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    async with ActionDB(path) as db:
        for _ in range(60):
            await db.create_proposal(ActionProposal(action_name="x", reason="y" * 200))
    path.write_bytes(path.read_bytes()[:-100])
    before = path.read_bytes()
    with pytest.raises(LedgerCorruptError, match="cut off"):
        async with ActionDB(path):
            pass
    assert path.read_bytes() == before
