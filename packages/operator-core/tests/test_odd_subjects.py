"""Subjects whose code raises or returns what nobody expects: nothing but their call ends."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

import pytest

from engine_bench import LEASE_SECONDS, Bench, bench
from operator_core.actions.audit import ActionAuditor
from operator_core.actions.executor import ActionExecutor
from operator_core.actions.readable import name_of, readable
from operator_core.actions.registry import ActionRegistry
from operator_core.actions.types import ActionDefinition, ActionStatus, Outcome
from operator_core.agent.diagnosis import ActionRecommendation
from operator_core.contain import contained
from operator_core.errors import SubjectError
from operator_core.monitor.tickets import MonitorStage
from operator_core.monitor.types import Observation
from operator_core.subject import ActionCall, ProbeAnswer, complete, has_twin
from operator_core.testing.fakes import FakeSubject
from operator_core.twin import Twin


class ForeignError(BaseException):
    """What is no `Exception`, so that few handlers catch it."""


class WordlessError(Exception):
    """It ends the process of whoever wants to know what it says."""

    def __str__(self) -> str:
        raise SystemExit(4)


ODD = [
    ForeignError("x"),
    SystemExit(3),
    asyncio.CancelledError(),
    BaseExceptionGroup("x", [ForeignError()]),
]
ODD_ANSWERS = [*ODD, WordlessError()]


@dataclass
class OddSubject(FakeSubject):
    """Raises one thing when it acts, and another one when it is asked or looked at."""

    acting_raises: BaseException | None = None
    asking_raises: BaseException | None = None

    async def act(self, value: int, idempotency_key: str) -> object:
        """Act, and raise."""
        result = await super().act(value, idempotency_key)
        if self.acting_raises is not None:
            raise self.acting_raises
        return result

    async def probe(self, call: ActionCall) -> ProbeAnswer:
        """Raise, or answer."""
        if self.asking_raises is not None:
            raise self.asking_raises
        return await super().probe(call)

    async def observe(self) -> Observation:
        """Raise, or look."""
        if self.asking_raises is not None:
            raise self.asking_raises
        return await super().observe()


async def assert_in_doubt_at_once(one: Bench, target: int) -> None:
    record = await one.run(target)
    assert record.outcome is Outcome.UNKNOWN
    kept = await one.get(target)
    assert (kept.status, kept.in_doubt) == (ActionStatus.EXECUTING, True)
    assert len(one.subject.effects) == 1


@pytest.mark.parametrize("error", ODD, ids=lambda error: type(error).__name__)
async def test_what_is_no_exception_leaves_a_call_in_doubt_at_once(
    tmp_path: Path, error: BaseException
) -> None:
    """It passed every handler: the row stayed executing, or the whole process ended."""
    async with bench(tmp_path) as one:
        one.subject = OddSubject(acting_raises=error)
        target = await one.validated()
        await assert_in_doubt_at_once(one, target)
        (record,) = await one.db.list_records(target)
        assert type(error).__name__ in str(record.error_message)


@pytest.mark.parametrize("error", ODD_ANSWERS, ids=lambda error: type(error).__name__)
async def test_a_probe_that_raises_no_exception_is_no_answer(
    tmp_path: Path, error: BaseException
) -> None:
    """One row's probe ended the loop of each process that settled it."""
    async with bench(tmp_path) as one:
        one.subject = OddSubject(acting_raises=TimeoutError(), asking_raises=error)
        await assert_in_doubt_at_once(one, await one.validated())


@pytest.mark.parametrize("error", ODD_ANSWERS, ids=lambda error: type(error).__name__)
async def test_a_look_that_raises_no_exception_is_a_failed_look(
    tmp_path: Path, error: BaseException
) -> None:
    async with bench(tmp_path) as one:
        monitor = MonitorStage(one.ledger, OddSubject(asking_raises=error), clock=one.clock)
        assert not (await monitor.step()).complete


async def test_a_failed_call_says_what_can_be_said(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        one.subject = OddSubject(acting_raises=WordlessError())
        record = await one.run(await one.validated())
        assert record.error_message == "WordlessError: no reason given"


async def test_a_request_to_stop_is_none_of_the_subjects_errors() -> None:
    async def hang() -> None:
        await asyncio.Event().wait()

    task = asyncio.create_task(contained(hang()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_time_limit_round_contained_code_ends_it() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await contained(asyncio.Event().wait())


async def test_a_stray_cancellation_is_an_error_of_the_subject() -> None:
    async def stray() -> None:
        raise asyncio.CancelledError

    with pytest.raises(SubjectError):
        await contained(stray())


async def test_an_action_that_takes_its_owners_with_it_is_tried_so_often_and_no_more(
    tmp_path: Path,
) -> None:
    """Peer bug 8: each recovery started it anew, nobody counted, and each process died of it."""
    async with bench(tmp_path) as one:
        target = await one.validated("act_again")
        deaths = 0
        while not (await one.get(target)).in_doubt:
            await one.executions.claim(target, one.terms(f"process {deaths}"))
            deaths += 1
            one.clock.advance(LEASE_SECONDS)
            await one.executor("settler").settle_expired(one.subject)
            one.clock.advance(60)
        kept = await one.get(target)
        assert deaths == kept.max_retries == 3
        assert len(await one.db.list_records(target)) == deaths


# --- results ------------------------------------------------------------------------------


class _Nameless(type):
    @property
    def __name__(cls) -> str:  # type: ignore[override]
        raise RuntimeError("this type does not tell its name")


class Ending:
    """It ends the process of whoever shows it."""

    def __repr__(self) -> str:
        raise SystemExit(3)


class Nameless(metaclass=_Nameless):
    """Its type's name cannot be read in the usual way, and it cannot be shown."""

    def __repr__(self) -> str:
        raise RuntimeError("it cannot be shown")


def test_a_result_whose_types_name_cannot_be_read_is_readable() -> None:
    assert readable(Nameless()) == {"result": "<Nameless>"}


@pytest.mark.parametrize("kind", [Nameless, Ending], ids=["nameless", "ending"])
async def test_an_action_with_such_a_result_completes(tmp_path: Path, kind: type) -> None:
    async with bench(tmp_path) as one:
        one.subject.result = {"made": kind()}
        target = await one.validated()
        record = await one.run(target)
        assert (record.success, record.result_data) == (True, {"made": f"<{name_of(kind)}>"})
        assert await one.status(target) is ActionStatus.COMPLETED


# --- plain subjects -----------------------------------------------------------------------


class Plain:
    """A subject without the defaults, which has a probe and a twin of its own."""

    name = "plain"

    def __init__(self) -> None:
        """Begin without effects."""
        self.done: list[str] = []

    async def observe(self) -> Observation:
        """See nothing."""
        return Observation(subject=self.name)

    def get_action_definitions(self) -> list[ActionDefinition]:
        """Offer one action."""
        return [ActionDefinition(name="act", description="Act")]

    async def act(self, idempotency_key: str) -> None:
        """Act, and lose the answer."""
        self.done.append(idempotency_key)
        raise TimeoutError

    async def probe(self, call: ActionCall) -> ProbeAnswer:
        """Tell the truth."""
        happened = call.idempotency_key in self.done
        return ProbeAnswer.HAPPENED if happened else ProbeAnswer.NOT_HAPPENED

    def twin(self, observation: Observation) -> Twin | None:
        """Have none, but say so itself."""
        del observation
        return None

    def close(self) -> None:
        """Let go of connections; it is no coroutine, so it is not the port's."""
        raise AssertionError("not the port's")


async def test_a_plain_subjects_own_probe_is_asked(tmp_path: Path) -> None:
    """It was not: the default said that nobody knows, and each lost answer needed a person."""
    async with bench(tmp_path) as one:
        plain = Plain()
        executor = ActionExecutor(
            one.ledger,
            ActionRegistry(plain),
            one.safety,
            ActionAuditor(one.ledger),
            approval_mode=False,
        )
        stored = await executor.propose_action(
            ActionRecommendation(action_name="act", reason="it is ill")
        )
        await executor.validate_proposal(int(stored.id or 0))
        record = await executor.execute_proposal(int(stored.id or 0), plain)
        assert record.outcome is Outcome.SUCCEEDED
        assert len(plain.done) == 1


async def test_what_a_plain_subject_says_itself_counts() -> None:
    full = complete(Plain())
    assert has_twin(Plain())
    assert has_twin(full)
    await full.close()
