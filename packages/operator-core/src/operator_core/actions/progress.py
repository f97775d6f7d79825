"""What a running call says of how far it is, and when that is worth telling; pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from operator_core.actions.readable import clean_text, cut

EVERY_SECONDS = 2.0
"""A call may say more in between; the last word counts."""
MAX_CHARS = 500


@dataclass
class Progress:
    """What one call has said, and what of it was told."""

    said: str = ""
    told: str = ""
    told_at: datetime | None = None

    def say(self, text: str) -> None:
        """Take a line for people; called by the subject, as often as it likes."""
        self.said = cut(clean_text(str(text)), MAX_CHARS)

    def news(self, now: datetime) -> str:
        """Return what is new and worth telling now, and take it as told; empty: nothing."""
        fresh = self.told_at is not None and now - self.told_at < timedelta(seconds=EVERY_SECONDS)
        if fresh or self.said == self.told:
            return ""
        self.told, self.told_at = self.said, now
        return self.said
