"""What a process that runs on a ledger tells of it."""

from pathlib import Path

import pytest

from engine_bench import bench, recommend
from operator_core.actions.types import AuditEvent
from operator_core.runtime import news as news_module
from operator_core.runtime.news import News, line_of
from operator_core.types import JsonObject


def event(kind: str, data: JsonObject | None = None, **of: int | str) -> AuditEvent:
    return AuditEvent(event_type=kind, event_data=data or {}, **of)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("found", "line"),
    [
        (
            event("ticket_opened", {"key": "k", "message": "disk full"}, ticket_id=3, subject="a"),
            "ticket 3 opened (a): disk full",
        ),
        (
            event("ticket_diagnosed", {"hypothesis": "disk"}, ticket_id=3),
            "ticket 3 diagnosed: disk",
        ),
        (
            event("ticket_phase", {"phase": "escalated"}, ticket_id=3),
            "ticket 3 needs a person: operator diagnose 3",
        ),
        (event("ticket_phase", {"phase": "acting"}, ticket_id=3), None),
        (event("workflow_created", {"name": "grow"}, workflow_id=2), "workflow 2 proposed: grow"),
        (event("proposal_created", {}, workflow_id=2, proposal_id=9), None),
        (event("proposal_created", {}, proposal_id=9), "action 9 proposed"),
        (event("execution_failed", {"error": "no"}, proposal_id=9), "action 9 failed: no"),
        (
            event("kill_switch", {"reason": "enough", "running": []}, actor="ann"),
            "everything was stopped by ann: enough",
        ),
        (event("mode_changed", {"to": "execute"}, actor="ann"), "the mode was set by ann: execute"),
        (event("lease_taken", {"name": "monitor:a"}), None),
    ],
)
def test_an_event_has_one_line_or_none(found: AuditEvent, line: str | None) -> None:
    assert line_of(found) == line


async def test_what_happens_from_now_on_is_told_once(tmp_path: Path) -> None:
    async with bench(tmp_path, lasting=False) as one:
        await one.executor().propose_action(recommend())
        told: list[str] = []
        news = News(one.ledger, told.append)
        await news.step()
        assert told == [], "what was before is history"
        proposed = await one.executor().propose_action(recommend())
        await one.control.kill(actor="ann", reason="enough")
        await news.step()
        await news.step()
    assert told[0].startswith(f"action {proposed.id} proposed")
    assert "everything was stopped by ann: enough" in told
    assert len(told) == len(set(told))


async def test_a_flood_is_cut_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(news_module, "MOST_EVENTS", 3)
    async with bench(tmp_path, lasting=False) as one:
        told: list[str] = []
        news = News(one.ledger, told.append)
        await news.step()
        for _ in range(5):
            await one.executor().propose_action(recommend())
        await news.step()
        await news.step()
        assert len(told) == 4
        assert told[-1].startswith("more happens than is told here")
        last = await one.executor().propose_action(recommend())
        await news.step()
    assert told[-1].startswith(f"action {last.id} proposed")
