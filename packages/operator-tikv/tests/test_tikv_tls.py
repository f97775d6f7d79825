"""PD behind TLS: real certificates, a real server on loopback."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trustme

from operator_core.errors import ConfigurationError, SubjectUnreachableError
from operator_core.tls import TlsFiles, tls_context
from operator_tikv.pd.api import PdApi
from operator_tikv.pd.client import PdClient
from operator_tikv.plugin import plugin

BODY = b'{"count": 0, "stores": []}'


class Certificates:
    """An authority, a server's certificate, and a client's with its files."""

    def __init__(self, folder: Path) -> None:
        self.authority = trustme.CA()
        self.ca_file = str(folder / "ca.pem")
        self.authority.cert_pem.write_to_path(self.ca_file)
        client = self.authority.issue_cert("operator.test")
        self.cert_file, self.key_file = str(folder / "cert.pem"), str(folder / "key.pem")
        client.private_key_pem.write_to_path(self.key_file)
        for pem in client.cert_chain_pems:
            pem.write_to_path(self.cert_file, append=True)

    def server_context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.authority.issue_cert("127.0.0.1").configure_cert(context)
        self.authority.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
        return context


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
async def url(certificates: Certificates) -> AsyncIterator[str]:
    """A PD that shows a certificate and asks for one."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(BODY)}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + BODY)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=certificates.server_context())
    async with server:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.real
async def test_pd_is_spoken_to_with_a_client_certificate(
    url: str, certificates: Certificates
) -> None:
    files = (certificates.ca_file, certificates.cert_file, certificates.key_file)
    client = PdClient([url], tls=tls_context(TlsFiles(*files)))
    stores, _ = await PdApi(client).stores()
    assert stores == []
    await client.close()


@pytest.mark.real
async def test_a_pd_that_asks_for_a_certificate_is_not_reached_without_one(
    url: str, certificates: Certificates
) -> None:
    client = PdClient([url], tls=tls_context(TlsFiles(certificates.ca_file)))
    with pytest.raises(SubjectUnreachableError, match="No PD member could be reached"):
        await PdApi(client).stores()
    await client.close()


@pytest.mark.real
async def test_a_pd_of_an_unknown_authority_is_not_trusted(
    url: str, certificates: Certificates
) -> None:
    files = TlsFiles("", certificates.cert_file, certificates.key_file)
    client = PdClient([url], tls=tls_context(files))
    with pytest.raises(SubjectUnreachableError, match="certificate verify failed"):
        await PdApi(client).stores()
    await client.close()


@pytest.mark.real
async def test_the_settings_of_the_plugin_reach_the_connection(
    url: str, certificates: Certificates
) -> None:
    subject = await plugin.connect(
        {
            "pd": url,
            "ca_file": certificates.ca_file,
            "cert_file": certificates.cert_file,
            "key_file": certificates.key_file,
        }
    )
    stores, _ = await PdApi(subject._api.client).stores()  # type: ignore[attr-defined]
    assert stores == []
    await subject.close()  # type: ignore[attr-defined]


async def test_certificates_for_a_pd_without_tls_are_refused(certificates: Certificates) -> None:
    settings = {"pd": "http://127.0.0.1:2379", "ca_file": certificates.ca_file}
    with pytest.raises(ConfigurationError, match="https://"):
        await plugin.connect(settings)


def test_tls_is_not_given_up_because_an_answer_says_so() -> None:
    client = PdClient(["https://a:2379"])
    client.follow(["http://b:2379", "https://c:2379/", "https://a:2379"], ["https://c:2379"])
    assert client.urls == ("https://a:2379", "https://c:2379")
    assert client.url == "https://a:2379", "what was not configured is never the first to be asked"


def test_the_leader_is_asked_first_where_it_was_configured() -> None:
    client = PdClient(["http://a:2379", "http://b:2379/"])
    client.follow(["http://a:2379", "http://b:2379", "http://d:2379"], ["http://b:2379"])
    assert client.url == "http://b:2379"
    client.follow(["http://a:2379"], [])
    assert client.urls == ("http://a:2379", "http://b:2379")
    assert client.url == "http://b:2379"
