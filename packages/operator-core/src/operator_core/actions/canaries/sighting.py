"""What became of a canary; apart from the canaries, which only a trial of the guards loads."""

from typing import NamedTuple


class Sighting(NamedTuple):
    """What became of a canary.

    Attributes:
        canary: its name.
        alive: whether it was refused as it must be.
        detail: what happened.
        passed: whether the bad action got through, which no trouble of the process explains.
    """

    canary: str
    alive: bool
    detail: str
    passed: bool = False
