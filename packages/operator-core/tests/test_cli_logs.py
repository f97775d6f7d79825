"""The log's lines go to stderr, and a reader that went away stops nothing."""

import asyncio
import io
import logging
import sys
from collections.abc import Iterator

import pytest

from operator_core.cli import logs
from operator_core.cli.logs import configure_logs
from operator_core.logs import ROOT, get_logger, silenced


@pytest.fixture(autouse=True)
def _fresh_logs() -> Iterator[None]:
    logger = logging.getLogger(ROOT)
    before = logger.handlers, logger.level
    yield
    logger.handlers, logger.level = before


def test_a_log_whose_reader_went_away_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    configure_logs(debug=False)
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)
    get_logger("test").warning("nobody_reads_this", reason="closed")


def test_warnings_go_to_stderr_as_it_is_now(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(debug=False)
    get_logger("test").warning("probe_failed", reason="no\nanswer")
    get_logger("test").info("not_shown")
    told = capsys.readouterr()
    assert "probe_failed reason=no answer" in told.err
    assert "not_shown" not in told.err
    assert told.out == ""


def test_what_is_said_again_is_told_once_a_minute(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    configure_logs(debug=False)
    log = get_logger("test")
    for now_seconds in (0.0, 1.0, 59.0, 60.0, 61.0):
        monkeypatch.setattr(logs, "monotonic_seconds", lambda: now_seconds)  # noqa: B023
        log.warning("observation_failed", reason="refused")
        if now_seconds == 1.0:
            log.warning("observation_failed", reason="no answer")
    told = [line.split(" ", 2)[2] for line in capsys.readouterr().err.splitlines()]
    assert told == [
        "observation_failed reason=refused",
        "observation_failed reason=no answer",
        "observation_failed reason=refused repeats=2",
    ]


def test_few_lines_are_remembered(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "_MAX_REPEATS", 2)
    configure_logs(debug=False)
    for word in ("a", "b", "a", "c", "a", "b"):
        get_logger("test").warning(word)
    told = [line.split(" ", 2)[2] for line in capsys.readouterr().err.splitlines()]
    assert told == ["a", "b", "c", "a", "b"]


def test_a_fault_is_looked_for_in_every_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(debug=True)
    for _ in range(3):
        get_logger("test").warning("probe_failed")
    assert len(capsys.readouterr().err.splitlines()) == 3


def test_a_traceback_is_for_those_who_look_for_a_fault(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for debug in (False, True):
        configure_logs(debug=debug)
        try:
            int("no number")
        except ValueError as error:
            get_logger("test").exception("round_failed", reason=str(error))
        told = capsys.readouterr().err
        assert "error round_failed reason=invalid literal" in told
        assert ("Traceback" in told) is debug


def test_whoever_embeds_operator_reads_the_standard_library_s_lines(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO, logger=ROOT):
        get_logger("a.module").info("recovered", proposal_id=7)
        get_logger("a.module").debug("not_told")
    (record,) = caplog.records
    assert (record.name, record.getMessage()) == ("operator.a.module", "recovered proposal_id=7")
    assert record.__dict__["facts"] == {"proposal_id": 7}


async def test_what_is_silenced_silences_nobody_else(caplog: pytest.LogCaptureFixture) -> None:
    log, silent = get_logger("test"), asyncio.Event()

    async def tell(word: str) -> None:
        log.warning(word)

    async def beside() -> None:
        await silent.wait()
        log.warning("beside")

    other = asyncio.create_task(beside())
    with silenced():
        log.critical("within")
        await asyncio.create_task(tell("started_within"))
        silent.set()
        await other
    log.warning("after")
    assert [one.getMessage() for one in caplog.records] == ["beside", "after"]
