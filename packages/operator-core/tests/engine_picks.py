"""What a story about the engine chooses from."""

from hypothesis import strategies as st

from engine_items import ACTIONS, Mood

ANYTHING = 9
PICK = st.integers(0, ANYTHING)
"""Which proposal or workflow, counted from the newest; or which of those that are ready."""
MOODS = st.sampled_from([*Mood, Mood.SUCCEED, Mood.SUCCEED])
MOSTLY = st.sampled_from([True, True, True, False])
SECONDS = st.sampled_from([0, 1, 2, 60])

OF_FLOWS = ("approve flow", "cancel flow", "pause", "resume")
OF_ITEMS = ("validate", "approve", "cancel", "reject", "stop", "retry", "settle")
SOME_ACTION = st.sampled_from([*ACTIONS, "put", "put"])
MOVES = ("kill", "observe", *OF_ITEMS, *OF_FLOWS)
"""What somebody does, alone or while somebody else does something."""
