"""Each client trusts whom this machine trusts, as curl and etcdctl do."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import trustme

from operator_core.errors import SubjectError
from operator_core.tls import machine_tls
from operator_etcd.client import EtcdClient
from operator_patroni.client import PatroniClient
from operator_patroni.survey import survey
from operator_tikv.metrics.prometheus import Prometheus
from operator_tikv.metrics.promql import Process
from operator_tikv.metrics.signals import TIKV_SIGNALS
from operator_tikv.pd.client import PdClient

pytestmark = pytest.mark.real

Client = EtcdClient | PatroniClient | PdClient | Prometheus
STORE = Process("1", "127.0.0.1:20180")


@pytest.fixture
async def url(tmp_path: Path) -> AsyncIterator[str]:
    """A server that answers no question, with a certificate of an authority in the folder."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 418 No\r\nContent-Length: 6\r\nConnection: close\r\n\r\nteapot")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0, ssl=context)
    async with server:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize(
    ("made", "ask"),
    [
        (lambda url: EtcdClient([url]), lambda one: one.status(one.endpoints[0])),
        (lambda url: PatroniClient([url]), survey),
        (lambda url: PdClient([url]), lambda one: one.get("/stores")),
        (Prometheus, lambda one: one.ask(TIKV_SIGNALS, [STORE])),
    ],
    ids=["etcd", "patroni", "pd", "prometheus"],
)
async def test_a_client_trusts_whom_the_machine_trusts(
    made: Callable[[str], Client],
    ask: Callable[[Client], Awaitable[object]],
    url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for is_known in (False, True):
        if is_known:
            monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        machine_tls.cache_clear()
        client = made(url)
        try:
            with pytest.raises(SubjectError, match="teapot" if is_known else "certificate"):
                await ask(client)
        finally:
            await client.close()
            machine_tls.cache_clear()
