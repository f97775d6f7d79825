"""A cluster of three behind respx that answers as Patroni 4 does, and does as it is told."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx

from patroni_samples import LEADER, SECOND, THIRD, Seat, url

if TYPE_CHECKING:
    import respx

PAGES = ("/patroni", "/cluster", "/config", "/history")
EFFECTS = ("/switchover", "/failover", "/restart", "/reinitialize", "/reload")


class FakeCluster:
    """Members by name; effects change them at once, unless ``effects`` has another answer.

    Attributes:
        seats: the members.
        config: the dynamic configuration.
        effects: answers in place of effects, by path; an exception is raised, a function called.
        pages: answers in place of pages, by member and path; an exception is raised.
        sent: what was asked for, as method, member, path and body.
    """

    def __init__(self, router: respx.Router, *seats: Seat) -> None:
        self.seats = {one.name: one for one in seats or (LEADER, SECOND, THIRD)}
        self.config: dict[str, Any] = {"ttl": 30, "loop_wait": 10, "retry_timeout": 10}
        self.effects: dict[str, object] = {}
        self.pages: dict[tuple[str, str], object] = {}
        self.sent: list[tuple[str, str, str, dict[str, Any]]] = []
        router.route().mock(side_effect=self._answer)

    @property
    def endpoints(self) -> list[str]:
        return [url(name) for name in self.seats]

    def set(self, name: str, **changes: Any) -> None:  # noqa: ANN401 - any field of a seat
        self.seats[name] = replace(self.seats[name], **changes)

    def silence(self, name: str, error: Exception | None = None) -> None:
        refused = httpx.ConnectError("refused")
        refused.__cause__ = ConnectionRefusedError()
        for page in PAGES:
            self.pages[name, page] = error or refused

    def _answer(self, request: httpx.Request) -> httpx.Response:
        name, path = request.url.host, request.url.path
        if request.method == "GET":
            known = self.pages.get((name, path))
            return _reply(self._page(name, path) if known is None else known)
        body = json.loads(request.content)
        self.sent.append((request.method, name, path, body))
        if path in self.effects:
            answer = self.effects[path]
            return _reply((answer() or "done") if callable(answer) else answer)
        return _reply(self._change(name, path, body))

    def _page(self, name: str, path: str) -> object:
        members = [one.listed() for one in self.seats.values()]
        pages: dict[str, object] = {
            "/patroni": self.seats[name].node(),
            "/cluster": {"members": members, "scope": "shop", "pause": self.config.get("pause")},
            "/config": self.config,
            "/history": [[1, 25, "no recovery target specified", "2026-01-02T03:04:05+00:00"]],
        }
        return pages[path]

    def _change(self, name: str, path: str, body: dict[str, Any]) -> object:
        match path:
            case "/switchover" | "/failover":
                for one in list(self.seats):
                    leads = one == body["candidate"]
                    self.set(one, role="leader" if leads else "replica")
                    self.set(one, state="running" if leads else "streaming")
            case "/restart":
                self.set(
                    name, state="running" if self.seats[name].role == "leader" else "streaming"
                )
                self.set(name, pending_restart=False)
            case "/reinitialize":
                self.set(name, state="streaming", lag=0)
            case "/config":
                self.config |= body
                self.config = {key: one for key, one in self.config.items() if one is not None}
                return self.config
        return "done"


def _reply(answer: object) -> httpx.Response:
    if isinstance(answer, Exception):
        raise answer
    if isinstance(answer, tuple):
        status, text = answer
        return httpx.Response(status, text=text)
    if isinstance(answer, str):
        return httpx.Response(200, text=answer)
    return httpx.Response(200, json=answer)
