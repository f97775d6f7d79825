"""A weight of nothing drives leaders and replicas away: others must be able to take them."""

import pytest

from operator_core.errors import ActionFailedError
from test_tikv_safety import perform
from tikv_cases import make_stage


@pytest.mark.parametrize("weights", [(0.0, 1.0), (1.0, 0.0)])
async def test_a_weight_of_nothing_needs_others_that_can_take_over(
    weights: tuple[float, float],
) -> None:
    stage = make_stage(3)
    await stage.send("POST", "/store/2/weight", {"leader": 0.0, "region": 1.0})
    given = {"leader_weight": weights[0], "region_weight": weights[1]}
    with pytest.raises(ActionFailedError, match=r"Only \d (other )?healthy"):
        await perform(stage, "set_store_weight", store_id=1, **given)
