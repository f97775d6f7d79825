"""The canaries: every guard of the gate has one; tests compare the two."""

from operator_core.actions.canaries.canary import Canary
from operator_core.actions.canaries.looks import LOOK_CANARIES
from operator_core.actions.canaries.outright import OUTRIGHT_CANARIES, OUTRIGHT_RULED_CANARIES
from operator_core.actions.canaries.ruled import RULED_CANARIES
from operator_core.actions.canaries.sending import OVERTAKEN_CANARIES, SENDING_CANARIES
from operator_core.actions.canaries.state import STATE_CANARIES
from operator_core.actions.canaries.words import WORD_CANARIES

CANARIES: tuple[Canary, ...] = (
    *STATE_CANARIES,
    *SENDING_CANARIES,
    *LOOK_CANARIES,
    *OUTRIGHT_CANARIES,
    *RULED_CANARIES,
    *WORD_CANARIES,
    *OUTRIGHT_RULED_CANARIES,
    *OVERTAKEN_CANARIES,
)
"""Those without a policy come first: a ledger never gets rid of its policy."""
