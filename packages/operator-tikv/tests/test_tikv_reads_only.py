"""Whoever connects or compares a cluster changes nothing there: a server keeps what it is asked."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from typer.testing import CliRunner

import operator_core.cli.plugin_commands  # noqa: F401 - its loading is no part of a test's time
from operator_core.cli.main import app
from operator_tikv.pd.client import API
from pd_releases import RELEASES, Release

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.real


class Recorder(ThreadingHTTPServer):
    """A PD of a release on loopback; keeps the method and path of each request."""

    daemon_threads = True

    def __init__(self, release: Release) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers = release.answers
        self.requests: list[str] = []
        self.url = f"http://127.0.0.1:{self.server_port}"
        for member in [*self.answers["/members"]["members"], *self.answers["/health"]]:
            member["client_urls"] = [self.url]


class Handler(BaseHTTPRequestHandler):
    """Answers every method alike."""

    server: Recorder

    def handle_one_request(self) -> None:
        """See `BaseHTTPRequestHandler`."""
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        self.server.requests.append(f"{self.command} {self.path}")
        answer: Any = self.server.answers.get(self.path.removeprefix(API))
        if answer is None or isinstance(answer, httpx.Response):
            self.send_error(404, "404 page not found")
            return
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as its base names it
        """Say nothing."""


@contextmanager
def recording(name: str) -> Iterator[Recorder]:
    """Run the server in a thread until the block ends."""
    server = Recorder(Release(name))
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("name", RELEASES)
def test_to_connect_a_cluster_reads_and_changes_nothing(name: str, tmp_path: Path) -> None:
    with recording(name) as server:
        given = ["--db", str(tmp_path / "ops.db"), "--json", "connect", "tikv", "--pd", server.url]
        result = CliRunner().invoke(app, [*given, "--no-read-metrics"])
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["actions"], "what it may do"
    assert told["observation"], "what it sees"
    assert len(server.requests) > 20
    assert {one.split()[0] for one in server.requests} == {"GET"}


def test_to_compare_a_cluster_reads_and_changes_nothing(tmp_path: Path) -> None:
    with recording("8.5.7") as server:
        given = ["--db", str(tmp_path / "ops.db"), "--json", "tikv", "compare", server.url]
        result = CliRunner().invoke(app, given)
    assert result.exit_code in {0, 1}, result.output
    told = json.loads(result.stdout)
    assert len(told["answers"]) > 20
    assert {one.split()[0] for one in server.requests} == {"GET"}
