"""What a rule says, and what is said where it says nothing; apart from the models of the file."""

from enum import StrEnum
from typing import Final

EVERYBODY: Final = "*"
"""As a member of a role: every user of the operating system."""

DAY_SECONDS: Final = 86_400.0


class Effect(StrEnum):
    """What a rule says of a request."""

    DENY = "deny"
    AUTO = "auto"
    APPROVE = "approve"
