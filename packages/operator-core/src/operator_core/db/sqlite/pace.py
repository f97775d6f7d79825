"""How long a transaction on this disk takes, as far as the last ones tell."""

QUICK_SECONDS = 0.01
"""How long the event loop may stand still for a transaction."""

_UNKNOWN_SECONDS = 0.02
_KEPT_EACH = 0.9


class Pace:
    """Expects the worst of late: slow is believed at once, quick only after a while."""

    def __init__(self) -> None:
        """Begin without trust: a disk that nobody has waited for may be slow."""
        self._expected_seconds = _UNKNOWN_SECONDS

    def took(self, seconds: float) -> None:
        """Take note of how long a transaction has taken."""
        self._expected_seconds = max(seconds, self._expected_seconds * _KEPT_EACH)

    def is_quick(self) -> bool:
        """Return whether the next transaction is likely to be quick."""
        return self._expected_seconds <= QUICK_SECONDS
