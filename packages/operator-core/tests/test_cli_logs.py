"""The log's lines go to stderr, and a reader that went away stops nothing."""

import io
import sys
from collections.abc import Iterator

import pytest
import structlog

from operator_core.cli.logs import configure_logs


@pytest.fixture(autouse=True)
def _fresh_logs() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def test_a_log_whose_reader_went_away_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    configure_logs(debug=False)
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)
    structlog.get_logger("test").warning("nobody_reads_this", reason="closed")


def test_warnings_go_to_stderr_as_it_is_now(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(debug=False)
    structlog.get_logger("test").warning("probe_failed", reason="no\nanswer")
    structlog.get_logger("test").info("not_shown")
    told = capsys.readouterr()
    assert "probe_failed reason=no answer" in told.err
    assert "not_shown" not in told.err
    assert told.out == ""
