"""Counting effects from any thread, and waiting for the last one."""

import threading

LIMIT_SECONDS = 180.0


class Countdown:
    """Counts effects down to none."""

    def __init__(self, count: int) -> None:
        """Take how many effects are expected."""
        self._left = count
        self._changed = threading.Condition()

    def effect(self, _value: int = 0) -> None:
        """Count one effect."""
        with self._changed:
            self._left -= 1
            self._changed.notify_all()

    def wait(self, left: int = 0) -> None:
        """Return when so few effects are left.

        Raises:
            TimeoutError: they do not come.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._left <= left, LIMIT_SECONDS):
                raise TimeoutError(f"{self._left} tasks were not run")
