"""What a running call says of itself: the last word counts, and it stands in the audit."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from engine_bench import Bench, bench, until
from operator_core.actions.progress import EVERY_SECONDS, MAX_CHARS, Progress
from operator_core.subject import ActionCall
from operator_core.testing.clock import ManualClock
from operator_core.testing.fakes import FakeSubject
from operator_core.types import JsonObject

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def test_the_last_word_counts_and_is_told_once() -> None:
    progress = Progress()
    assert progress.news(NOW) == ""
    for text in ("1 of 3", "2 of 3"):
        progress.say(text)
    assert progress.news(NOW) == "2 of 3"
    assert progress.news(NOW + timedelta(seconds=60)) == ""


def test_a_call_that_talks_much_is_told_of_now_and_then() -> None:
    progress = Progress()
    progress.say("1 of 3")
    assert progress.news(NOW) == "1 of 3"
    progress.say("2 of 3")
    assert progress.news(NOW + timedelta(seconds=EVERY_SECONDS / 2)) == ""
    assert progress.news(NOW + timedelta(seconds=EVERY_SECONDS)) == "2 of 3"


def test_a_word_is_cut_and_clean() -> None:
    progress = Progress()
    progress.say("a\0" * MAX_CHARS)
    assert len(progress.news(NOW)) == MAX_CHARS
    assert "\0" not in progress.told


@dataclass
class Talking(FakeSubject):
    """A subject whose action says how far it has come."""

    async def perform(self, call: ActionCall) -> object:
        call.progress("2 of 5 regions")
        self.acting.set()
        await self.let_go.wait()
        return None


async def test_what_a_running_call_says_stands_in_the_audit(tmp_path: Path) -> None:
    clock = ManualClock()
    async with bench(tmp_path, clock=clock) as one:
        subject = Talking()
        target = await one.validated()
        running = asyncio.create_task(one.executor().execute_proposal(target, subject))
        await subject.acting.wait()
        await until(lambda: clock.sleepers == 1)
        clock.advance(1)
        assert await _told(one, target) == {"text": "2 of 5 regions"}
        subject.let_go.set()
        assert (await running).success is True


async def _told(one: Bench, target: int) -> JsonObject:
    while True:
        events = await one.control.list_events(proposal_id=target, event_type="execution_progress")
        if events:
            return events[0].event_data
