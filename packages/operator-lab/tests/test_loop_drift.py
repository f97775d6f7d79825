"""An approval is for a state of the cluster: whole loop, simulated cluster, shipped policy."""

import pytest

from loop_kit import Loop, loop
from operator_core.actions.policy import shipped_policy
from operator_core.actions.types import ActionStatus
from operator_core.db.engine import Row
from operator_core.db.policy import PolicyDB

FOUR_STORES = {"name": "drift", "cluster": {"stores": 5, "regions": 24}, "duration": "1h"}
PERSON = "alice"


def stopped(store_id: int) -> dict[str, object]:
    return {"at": "2m", "fault": "stop", "stores": [store_id]}


async def words_of(one: Loop, proposal_id: int) -> list[Row]:
    return list((await PolicyDB(one.ledger).standing("proposal", proposal_id)).words)


@pytest.mark.timeout(20)
async def test_a_store_that_goes_down_voids_the_approved_drain_of_another() -> None:
    async with loop({**FOUR_STORES, "faults": [stopped(3)]}, shipped_policy()) as one:
        drain = await one.propose("drain_store", store_id=2)
        await one.actions.approve_proposal(drain, approved_by=PERSON)
        one.witness.clock.move_to(180)  # store 3 has gone silent, and nobody has looked since
        await one.turn()
        after = await one.proposal(drain)
        assert one.done == []
        assert one.veil.effects == []
        assert after.status is ActionStatus.VALIDATED
        assert not after.is_approved
        (word,) = await words_of(one, drain)
        assert "cluster/silent_store_ids: [] → [3]" in word["ended_because"]


@pytest.mark.timeout(20)
async def test_what_an_approval_does_not_rest_on_may_change() -> None:
    async with loop(FOUR_STORES, shipped_policy()) as one:
        drain = await one.propose("drain_store", store_id=2)
        await one.actions.approve_proposal(drain, approved_by=PERSON)
        await one.by_hand("POST", "/store/4/limit", {"rate": 30})
        await one.by_hand("POST", "/store/2/label", {"rack": "r9"})
        one.witness.clock.move_to(180)
        await one.turn()
        assert one.done == ["drain_store"]
        assert (await one.proposal(drain)).status is ActionStatus.COMPLETED


@pytest.mark.timeout(20)
async def test_approved_anew_in_the_new_state_is_approved() -> None:
    table = {**FOUR_STORES, "faults": [{**stopped(3), "until": "4m"}]}
    async with loop(table, shipped_policy()) as one:
        drain = await one.propose("drain_store", store_id=2)
        await one.actions.approve_proposal(drain, approved_by=PERSON)
        one.witness.clock.move_to(180)
        await one.turn()
        one.witness.clock.move_to(600)
        await one.round()
        assert one.done == []
        await one.actions.approve_proposal(drain, approved_by=PERSON)
        await one.turn()
        assert one.done == ["drain_store"]
