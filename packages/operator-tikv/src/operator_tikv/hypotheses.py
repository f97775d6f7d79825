"""The causes known for a TiKV cluster: what each would look like, and what would help.

Every claim names a path in the observation, so that anybody can check it again. Where only a
person can help (a host to start, a disk to free, a lost quorum) the cause says so and
recommends no action.
"""

from typing import Final

from operator_core.subject import Hypothesis
from operator_tikv.causes.advice import ADVISED_CAUSES
from operator_tikv.causes.leaders import LEADER_CAUSES
from operator_tikv.causes.moving import MOVING_CAUSES
from operator_tikv.causes.regions import REGION_CAUSES
from operator_tikv.causes.settings import SETTING_CAUSES
from operator_tikv.causes.stores import STORE_CAUSES

HYPOTHESES: Final[tuple[Hypothesis, ...]] = (
    *LEADER_CAUSES,
    *STORE_CAUSES,
    *REGION_CAUSES,
    *MOVING_CAUSES,
    *SETTING_CAUSES,
    *ADVISED_CAUSES,
)
