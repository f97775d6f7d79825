"""The virtual clock with its queue of events, and the history of what happened."""

from __future__ import annotations

import hashlib
import heapq
from collections import deque
from typing import NamedTuple

HISTORY_LENGTH = 2000


class Event(NamedTuple):
    """Something due at a virtual time; the sequence makes the order of equals certain."""

    at_seconds: float
    sequence: int
    kind: str
    args: tuple[int, ...]


class EventQueue:
    """Virtual time in seconds and what is still to happen."""

    def __init__(self) -> None:
        """Start at zero with nothing due."""
        self.now_seconds = 0.0
        self._heap: list[Event] = []
        self._sequence = 0

    def __len__(self) -> int:
        """Count the events still due."""
        return len(self._heap)

    @property
    def scheduled(self) -> int:
        """How many events have ever been scheduled."""
        return self._sequence

    def schedule(self, delay_seconds: float, kind: str, *args: int) -> None:
        """Let an event happen after a delay (never before now)."""
        self._sequence += 1
        due_seconds = self.now_seconds + max(0.0, delay_seconds)
        heapq.heappush(self._heap, Event(due_seconds, self._sequence, kind, args))

    def pop_due(self, until_seconds: float) -> Event | None:
        """Take the next event that is due and set the clock to it."""
        if not self._heap or self._heap[0].at_seconds > until_seconds:
            return None
        event = heapq.heappop(self._heap)
        self.now_seconds = event.at_seconds
        return event


class Entry(NamedTuple):
    """One line of the history."""

    at_seconds: float
    kind: str
    detail: str


class History:
    """What happened, in order, with a digest over all of it."""

    def __init__(self) -> None:
        """Start empty."""
        self.entries: deque[Entry] = deque(maxlen=HISTORY_LENGTH)
        self.count = 0
        self._hash = hashlib.sha256()

    def record(self, at_seconds: float, kind: str, detail: str) -> None:
        """Append one line; the digest covers also the lines that are no longer kept."""
        self.count += 1
        self.entries.append(Entry(at_seconds, kind, detail))
        self._hash.update(f"{at_seconds:.6f}\t{kind}\t{detail}\n".encode())

    @property
    def digest(self) -> str:
        """The SHA-256 over the whole history, in hex."""
        return self._hash.hexdigest()
