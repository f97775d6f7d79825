"""Right before an attempt it is rehearsed once more, on the cluster as it is then."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from engine_bench import bench, id_of, recommend
from gate_kit import ROLES
from operator_core.actions.policy import load
from operator_core.actions.types import ActionStatus
from operator_core.agent.runner import UNSAFE_WAIT_SECONDS
from operator_core.db.policy import PolicyDB
from operator_core.errors import StaleApprovalError, UnsafeNowError
from operator_core.twin import BlastRadius
from test_rehearsing import Cellar, Stage

if TYPE_CHECKING:
    from pathlib import Path

    from operator_core.actions.types import ActionRequest
    from operator_core.monitor.types import Observation
    from operator_core.twin import Prediction, Twin

SMALL_IS_AUTO = (
    ROLES
    + """
[[rule]]
name = "small"
match = { data_share_at_most = 0.2 }
effect = "auto"
[[rule]]
name = "large"
effect = "approve"
approvals = [{ role = "dba", count = 2 }]
"""
)


@dataclass
class Vat(Cellar):
    """A cellar in which the same draught is more or less of the whole."""

    share: float = 0.1

    def twin(self, observation: Observation) -> Twin | None:
        barrel = super().twin(observation)
        return None if barrel is None else _Scaled(barrel, self.share)


@dataclass(frozen=True)
class _Scaled:
    behind: Twin
    share: float

    def apply(self, call: ActionRequest) -> Prediction | None:
        found = self.behind.apply(call)
        return None if found is None else found._replace(blast=BlastRadius(*[self.share] * 4))


async def _validated(stage: Stage, litres: int) -> int:
    executor = stage.one.executor(subject=stage.cellar)
    made = await executor.propose_action(recommend("act", value=litres))
    await stage.agent.validate()
    return id_of(made)


async def test_what_has_become_unsafe_waits_and_goes_on_when_it_is_safe_again(
    tmp_path: Path,
) -> None:
    async with bench(tmp_path) as one:
        stage = Stage(one, Cellar())
        step = await _validated(stage, 2)
        stage.cellar.litres = 3.0
        with pytest.raises(UnsafeNowError, match="it is not dry"):
            await one.executor(subject=stage.cellar).execute_proposal(step, stage.cellar)
        kept = await one.get(step)
        assert (kept.status, kept.retry_count) == (ActionStatus.VALIDATED, 0)
        stage.cellar.litres = 10.0
        await one.executor(subject=stage.cellar).execute_proposal(step, stage.cellar)
        assert [each.value for each in stage.cellar.effects] == [2]


async def test_what_stays_unsafe_is_given_up(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        stage = Stage(one, Cellar())
        step = await _validated(stage, 2)
        stage.cellar.litres = 3.0
        agent = stage.agent
        for _ in range(2):
            await agent.execute()
            await asyncio.gather(*agent.running)
            assert await stage.status(step) is ActionStatus.VALIDATED
        one.clock.advance(UNSAFE_WAIT_SECONDS)
        await agent.execute()
        await asyncio.gather(*agent.running)
        assert await stage.status(step) is ActionStatus.CANCELLED
        assert stage.cellar.effects == []


async def test_what_has_become_larger_needs_whoever_the_policy_asks_of_that(
    tmp_path: Path,
) -> None:
    async with bench(tmp_path) as one:
        policies = PolicyDB(one.ledger)
        await policies.enforce(load(SMALL_IS_AUTO), source="test", actor="root")
        vat = Vat()
        stage = Stage(one, vat)
        step = await _validated(stage, 2)
        assert (await one.get(step)).is_approved
        vat.share = 0.5
        with pytest.raises(StaleApprovalError, match="2 of dba"):
            await one.executor(subject=stage.cellar).execute_proposal(step, stage.cellar)
        assert await policies.decide_again(subject=None) == []
        for person in ("alice", "bob"):
            assert not (await one.get(step)).is_approved
            await one.db.approve_proposal(step, person)
        await one.executor(subject=stage.cellar).execute_proposal(step, stage.cellar)
        assert len(stage.cellar.effects) == 1


async def test_a_twin_that_fails_makes_the_harm_unknown(tmp_path: Path) -> None:
    text = SMALL_IS_AUTO.replace('unknown_blast = "as ruled"', "")
    async with bench(tmp_path) as one:
        await PolicyDB(one.ledger).enforce(load(text), source="test", actor="root")
        stage = Stage(one, Cellar(litres=20.0))
        step = await _validated(stage, 2)
        stage.cellar.odd = True
        with pytest.raises(StaleApprovalError, match="2 of dba"):
            await one.executor(subject=stage.cellar).execute_proposal(step, stage.cellar)
        assert stage.cellar.effects == []
