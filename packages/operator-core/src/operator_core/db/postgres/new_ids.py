"""Ids of rows that will be inserted, asked for before, so that nobody waits for the insert."""

from operator_core.db.postgres.line import Answer


class NewIds:
    """What one transaction has asked for and not used yet; what is left over is never used."""

    def __init__(self) -> None:
        """Begin with none."""
        self._asked: dict[str, Answer] = {}
        self._left: dict[str, list[int]] = {}

    def clear(self) -> None:
        """Forget all: another transaction begins, or this one is taken back."""
        self._asked.clear()
        self._left.clear()

    def are_expected(self, kind: str) -> bool:
        """Return whether ids of a kind were asked for in this transaction."""
        return kind in self._asked or kind in self._left

    def expect(self, kind: str, answer: Answer) -> None:
        """Take the question for ids of a kind; its answer comes with the next one."""
        self._asked[kind] = answer

    def unanswered(self, kind: str) -> bool:
        """Return whether the answer has to be waited for."""
        return kind in self._asked and self._asked[kind].result is None

    def take(self, kind: str, count: int) -> list[int]:
        """Return so many ids, in their order; none where there are fewer."""
        answer = self._asked.pop(kind, None)
        if answer is not None:
            self._left[kind] = sorted(row["id"] for row in answer.rows())
        left = self._left.get(kind, [])
        if len(left) < count:
            return []
        self._left[kind] = left[count:]
        return left[:count]
