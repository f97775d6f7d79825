"""Broken engines and subjects, with which the crash test must fail: they show that it can."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar, cast

from operator_core.clock import Clock
from operator_core.db.engine import Engine, ItemWork, Row, Tx, Value
from operator_core.subject import ActionCall
from operator_core.testing.crash.subject import FarSubject

T = TypeVar("T")
I = TypeVar("I")  # noqa: E741 - an item

SENDS_TWICE = "sends-twice"
LIES = "lies"
UNFENCED = "unfenced"
NAMES = (SENDS_TWICE, LIES, UNFENCED)

_RENEW = "proposal.renew_lease"
_FENCED = frozenset({"proposal.complete", "proposal.fail", "proposal.mark_in_doubt"})


def subject(flaw: str, sound: FarSubject) -> FarSubject:
    """Return the subject with a flaw, if the flaw is one of subjects."""
    kinds = {SENDS_TWICE: _SendsTwice, LIES: _Lies}
    return kinds[flaw](sound) if flaw in kinds else sound


def engine(flaw: str, sound: Engine) -> Engine:
    """Return the engine with a flaw, if the flaw is one of engines."""
    return _UnfencedEngine(sound) if flaw == UNFENCED else sound


class _Flawed(FarSubject):
    """A subject that has what a sound one has."""

    def __init__(self, sound: FarSubject) -> None:
        """Take the sound one."""
        super().__init__(sound.port, sound.trigger)


class _SendsTwice(_Flawed):
    """Sends each request again under another key, as a client library that retries by itself."""

    async def perform(self, call: ActionCall) -> object:
        """Do it, and do it again."""
        result = await super().perform(call)
        await self.ask("do", replace(call, idempotency_key=f"{call.idempotency_key}:again"))
        return result


class _Lies(_Flawed):
    """Answers before it has done anything."""

    async def perform(self, call: ActionCall) -> object:
        """Do nothing."""
        del call
        return {"answer": "done"}


class _UnfencedEngine:
    """Passes everything on, and hides from an owner that its work was taken over."""

    def __init__(self, sound: Engine) -> None:
        self._sound = sound

    async def write(self, work: Callable[[Tx], T]) -> T:
        return await self._sound.write(lambda tx: work(cast("Tx", _Unfenced(tx))))

    async def write_item(self, work: ItemWork[I, T], item: I) -> T:
        def alone(tx: Tx) -> T:
            (result,) = work(tx, [item])
            if isinstance(result, Exception):
                raise result
            return result

        return await self.write(alone)

    async def read(self, work: Callable[[Tx], T]) -> T:
        return await self._sound.read(lambda tx: work(cast("Tx", _Unfenced(tx))))

    async def changes(self) -> int:
        return await self._sound.changes()

    def on_change(self, callback: Callable[[], None]) -> None:
        self._sound.on_change(callback)

    def clock(self, base: Clock) -> Clock:
        return self._sound.clock(base)

    async def close(self) -> None:
        await self._sound.close()


class _Unfenced:
    """A transaction that compares no fencing numbers."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx

    def __getattr__(self, name: str) -> object:
        return getattr(self._tx, name)

    def one(self, name: str, /, **params: Value) -> Row | None:
        row = self._tx.one(name, **(params | {"fence": None} if name in _FENCED else params))
        if row is not None and name == "proposal.running":
            return row | {"status": "executing", "fence": _AnyNumber()}
        return row

    def each(self, name: str, params: Sequence[Mapping[str, Value]], /) -> int:
        return self.start(name, params)()

    def start(self, name: str, params: Sequence[Mapping[str, Value]], /) -> Callable[[], int]:
        if name == _RENEW:
            return lambda: len(params)
        unfenced = [one | {"fence": None} for one in map(dict, params)]
        return self._tx.start(name, unfenced if name in _FENCED else params)


class _AnyNumber(int):
    """Equal to every number."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, int)

    __hash__ = int.__hash__
