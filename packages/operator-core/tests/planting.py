"""An error planted in a call of the engine's own code: where memory ends, it ends anywhere."""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import pytest

import operator_core

_CODE = str(Path(operator_core.__file__).parent)
_OF_TESTS = str(Path(_CODE, "testing"))
_LAST_WORDS = frozenset({"_post", "_serve_waiting", "hand_out", "insist", "settle"})
"""What tells callers, and calls nothing before it is careful: nobody is left to tell them then."""


class Planter:
    """Counts calls while it is armed, and raises in one of them, whatever thread makes it."""

    def __init__(self, error: type[BaseException]) -> None:
        """Take what is raised."""
        self.calls = 0
        self.where = ""
        self._at: int | None = None
        self._armed = False
        self._error = error
        self._counting = threading.Lock()

    @contextmanager
    def armed(self, at: int | None) -> Iterator[None]:
        """Count calls, from 1 on; raise in the one with this number. None: only count."""
        self.calls, self._at, self._armed = 0, at, True
        sys.settrace(self)
        try:
            yield
        finally:
            self._armed = False
            sys.settrace(None)

    def __call__(self, frame: FrameType, event: str, _argument: object) -> "Planter | None":
        """Be told of an event, as `sys.settrace` says."""
        code = frame.f_code
        if not self._armed or event != "call" or not self._is_of_engine(code.co_filename):
            return self
        if code.co_name in _LAST_WORDS:
            return None
        with self._counting:
            self.calls += 1
            is_it = self.calls == self._at
        if is_it:
            self.where = f"{code.co_filename.removeprefix(_CODE)}:{code.co_name}"
            raise self._error
        return None

    def _is_of_engine(self, file: str) -> bool:
        return file.startswith(_CODE) and not file.startswith(_OF_TESTS)


@contextmanager
def planter(error: type[BaseException]) -> Iterator[Planter]:
    """Give a planter that is told of the calls of all threads that start meanwhile."""
    made = Planter(error)
    before = threading.gettrace()
    threading.settrace(made)
    try:
        yield made
    finally:
        threading.settrace(before)


def fail_once(
    patch: pytest.MonkeyPatch,
    owner: type,
    name: str,
    error: Exception,
    after: Callable[[object], object] = lambda _: None,
) -> None:
    """Let a method raise the first time that it is called, and then do what it always does.

    Args:
        patch: takes it back.
        owner: the class.
        name: the method's.
        error: what is raised.
        after: done to the object just before.
    """
    done, errors = getattr(owner, name), [error]

    def fail(one: object, *arguments: object) -> object:
        if errors:
            after(one)
            raise errors.pop()
        return done(one, *arguments)

    patch.setattr(owner, name, fail)
