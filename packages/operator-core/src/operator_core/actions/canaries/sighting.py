"""What became of a canary; apart from the canaries, which only a trial of the guards loads."""

from typing import NamedTuple


class Sighting(NamedTuple):
    """What became of a canary.

    Attributes:
        canary: its name.
        alive: whether it was refused as it must be.
        detail: what happened.
    """

    canary: str
    alive: bool
    detail: str
