"""The causes known for a TiKV cluster: what each would look like, and what would help.

Every claim names a path in the observation, so that anybody can check it again. Where only a
person can help (a host to start, a disk to free, a lost quorum) the cause says so and
recommends no action.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from operator_core.subject import Hypothesis
from operator_tikv.causes.advice import ADVISED_CAUSES
from operator_tikv.causes.brings import BRINGS, WHOLE_CLUSTER
from operator_tikv.causes.leaders import LEADER_CAUSES
from operator_tikv.causes.moving import MOVING_CAUSES
from operator_tikv.causes.placement import PLACEMENT_CAUSES
from operator_tikv.causes.regions import REGION_CAUSES
from operator_tikv.causes.settings import SETTING_CAUSES
from operator_tikv.causes.stores import STORE_CAUSES


def _with_consequences(causes: Iterable[Hypothesis]) -> Iterator[Hypothesis]:
    for cause in causes:
        brings = BRINGS.get(cause.name, frozenset())
        yield replace(cause, brings=brings, is_cluster_wide=cause.name in WHOLE_CLUSTER)


HYPOTHESES: Final[tuple[Hypothesis, ...]] = tuple(
    _with_consequences(
        (
            *LEADER_CAUSES,
            *STORE_CAUSES,
            *REGION_CAUSES,
            *MOVING_CAUSES,
            *PLACEMENT_CAUSES,
            *SETTING_CAUSES,
            *ADVISED_CAUSES,
        )
    )
)
