"""Certificates that end soon, and how a look finds out that they were renewed."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import trustme

from etcd_samples import IDS, NOW, broken, look, observed, readings, status, survey_of, violations
from operator_core.agent.rules import diagnose
from operator_core.clock import utc_now
from operator_core.monitor.types import Observation
from operator_core.tls import TlsFiles, tls_context
from operator_core.types import Severity
from operator_etcd.client import EtcdClient
from operator_etcd.hypotheses import HYPOTHESES
from operator_etcd.invariants import certificate_ends


def seen_with(**days: float) -> Observation:
    """Return a look at members whose certificates are good for so many days."""
    ends = {name.removeprefix("m"): NOW + timedelta(days=one) for name, one in days.items()}
    members = (status(one).model_copy(update={"certificate_end": ends.get(one)}) for one in IDS)
    return look(survey_of(*members))


def test_certificates_that_end_soon_are_one_problem() -> None:
    assert broken(seen_with(m11=14.5, m22=400, m33=14.01)) == []
    seen = seen_with(m11=13.9, m22=400, m33=-1.5)
    assert broken(seen) == ["certificate_ends:cluster"]
    (found,) = violations(seen)
    assert "n1 (13 days), n3 (-2 days)" in found.message
    assert found.severity is Severity.WARNING
    assert found.metrics["certificate_days"] == {"11": 13, "33": -2}


def test_a_cluster_without_tls_shows_none() -> None:
    seen = look(survey_of(*(status(one) for one in IDS)))
    assert "certificate_days" not in seen.data("cluster")
    assert not any("certificate_days" in one for one in seen.data("status").values())
    assert broken(seen) == []


def test_a_cluster_may_have_another_threshold() -> None:
    check = certificate_ends({"least_days": 30.0})
    assert [one.invariant for one in check(seen_with(m22=29.5))] == ["certificate_ends"]
    assert not list(check(seen_with(m22=30.5)))


def test_a_person_is_told_who_must_be_renewed() -> None:
    seen = seen_with(m11=3.2, m22=400)
    (found,) = violations(seen)
    answer = diagnose(found, seen, HYPOTHESES, now=NOW)
    assert answer.hypothesis == "certificate_not_renewed"
    assert answer.escalate
    assert answer.components == ["n1"]
    assert not answer.actions


# --- what a connection shows -----------------------------------------------------------------


class Member:
    """One member behind TLS, whose certificate may be renewed while connections are open."""

    def __init__(self, folder: Path) -> None:
        self.authority = trustme.CA()
        self.ca_file = str(folder / "ca.pem")
        self.authority.cert_pem.write_to_path(self.ca_file)
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.connections = 0
        self._answering: list[asyncio.Task[None]] = []

    def show(self, end: datetime) -> None:
        self.authority.issue_cert("127.0.0.1", not_after=end).configure_cert(self.context)

    @asynccontextmanager
    async def serving(self, context: ssl.SSLContext | None) -> AsyncIterator[str]:
        """Serve until the end of all connections, which the clients bring about."""
        server = await asyncio.start_server(self._answer, "127.0.0.1", 0, ssl=context)
        async with server:
            scheme = "https" if context else "http"
            yield f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            await asyncio.gather(*self._answering)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._answering.append(task)
        body = json.dumps({"header": {"member_id": "11", "cluster_id": "7"}, "version": "3.5.1"})
        with suppress(asyncio.IncompleteReadError):
            is_kept = True
            while is_kept:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                length = next(one for one in head.splitlines() if one.startswith("content-length"))
                await reader.readexactly(int(length.split()[1]))
                is_kept = "connection: close" not in head
                answer = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}"
                writer.write(answer.encode())
                await writer.drain()
        writer.close()
        await writer.wait_closed()


@pytest.fixture
async def member(tmp_path: Path) -> AsyncIterator[tuple[Member, str]]:
    made = Member(tmp_path)
    made.show(utc_now() + timedelta(days=90))
    async with made.serving(made.context) as url:
        yield made, url


@asynccontextmanager
async def asking(url: str, ca_file: str = "") -> AsyncIterator[Callable[[], Awaitable[int | None]]]:
    """Give what asks for how many days a member's certificate is good."""
    client = EtcdClient([url], tls=tls_context(TlsFiles(ca_file)))

    async def days() -> int | None:
        end = (await client.status(url)).certificate_end
        return None if end is None else (end - utc_now()).days

    try:
        yield days
    finally:
        await client.close()


@pytest.mark.real
async def test_what_is_good_for_long_is_asked_over_one_connection(
    member: tuple[Member, str],
) -> None:
    server, url = member
    async with asking(url, server.ca_file) as days:
        assert [await days(), await days()] == [89, 89]
    assert server.connections == 1


@pytest.mark.real
async def test_a_certificate_that_was_renewed_is_seen_by_the_next_look(
    member: tuple[Member, str],
) -> None:
    server, url = member
    server.show(utc_now() + timedelta(days=5))
    async with asking(url, server.ca_file) as days:
        assert await days() == 4
        server.show(utc_now() + timedelta(days=90))
        await days()  # over the connection that has shown the old one, and it is the last one
        assert await days() == 89


@pytest.mark.real
async def test_without_tls_nothing_is_known_of_certificates(tmp_path: Path) -> None:
    async with Member(tmp_path).serving(None) as url, asking(url) as days:
        assert await days() is None


def test_days_are_counted_from_the_look_on() -> None:
    members = (status(one).model_copy(update={"certificate_end": NOW}) for one in IDS)
    seen = observed(readings(survey_of(*members)))
    assert seen.data("cluster")["certificate_days"] == 0
