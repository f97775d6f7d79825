"""TLS towards a cluster: whom to trust, and files that cannot be used."""

import ssl
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from operator_core import plugin_settings
from operator_core.errors import ConfigurationError
from operator_core.tls import TlsFiles, machine_tls, tls_context


class Files:
    """An authority, and a certificate with its key: apart, in one file, and locked."""

    def __init__(self, folder: Path) -> None:
        authority = trustme.CA()
        own = authority.issue_cert("operator.test")
        names = ("ca.pem", "cert.pem", "key.pem", "both.pem", "locked.pem", "garbage.pem")
        self.ca, self.cert, self.key, self.both, self.locked, self.garbage = (
            str(folder / name) for name in names
        )
        authority.cert_pem.write_to_path(self.ca)
        own.cert_chain_pems[0].write_to_path(self.cert)
        own.private_key_pem.write_to_path(self.key)
        own.private_key_and_cert_chain_pem.write_to_path(self.both)
        key = load_pem_private_key(own.private_key_pem.bytes(), None)
        secret = BestAvailableEncryption(b"secret")
        locked = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, secret)
        Path(self.locked).write_bytes(locked)
        Path(self.garbage).write_text("no certificate", encoding="utf-8")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return Files(tmp_path_factory.mktemp("certificates"))


def test_files_that_cannot_be_used_are_named(files: Files) -> None:
    bad: list[tuple[str, str, str, str]] = [
        ("/no/such/file", "", "", "ca_file names '/no/such/file': No such file"),
        (files.garbage, "", "", "no certificate"),
        ("", "", files.key, "needs cert_file"),
        ("", files.cert, "", "not the key"),
        ("", "/no/such/file", files.key, "No such file"),
        ("", files.cert, files.garbage, "not the key"),
        ("", files.key, files.cert, "not the key"),
    ]
    for ca_file, cert_file, key_file, words in bad:
        with pytest.raises(ConfigurationError, match=words):
            tls_context(TlsFiles(ca_file, cert_file, key_file))


def test_a_certificate_may_have_its_key_beside_it(files: Files) -> None:
    assert tls_context(TlsFiles(files.ca, files.both)).get_ca_certs()


def test_nobody_is_asked_for_a_password_at_the_terminal(files: Files) -> None:
    with pytest.raises(ConfigurationError, match="is locked with a password"):
        plugin_settings.tls({"cert_file": files.cert, "key_file": files.locked})


def test_where_nothing_is_said_the_machine_s_authorities_are_trusted(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An authority of one's own is in the machine's store, and in no library's list."""
    monkeypatch.setenv("SSL_CERT_FILE", files.ca)
    machine_tls.cache_clear()
    try:
        context = plugin_settings.tls({"ca_file": "", "url": "x"})
        assert context is machine_tls(), "one for all clusters"
        assert len(context.get_ca_certs()) >= 1
        assert context.verify_mode is ssl.CERT_REQUIRED
        names = [str(one["subject"]) for one in context.get_ca_certs()]
        assert any("trustme" in name for name in names)
    finally:
        machine_tls.cache_clear()


# --- files that are renewed ----------------------------------------------------------------


class Renewing:
    """A server that trusts one authority, and files that somebody renews under a client."""

    def __init__(self, folder: Path) -> None:
        self.known, self.other = trustme.CA(), trustme.CA()
        self.files = TlsFiles(*(str(folder / name) for name in ("ca.pem", "cert.pem", "key.pem")))
        self.server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.known.issue_cert("pd.test").configure_cert(self.server)
        self.known.configure_trust(self.server)
        self.server.verify_mode = ssl.CERT_REQUIRED

    def renew(self, *, trusted: trustme.CA, own: trustme.CA) -> None:
        """Write the files anew, as who renews them does: by names that are put in their place."""
        issued = own.issue_cert("operator.test")
        blobs = (trusted.cert_pem, issued.cert_chain_pems[0], issued.private_key_pem)
        for name, blob in zip(self.files, blobs, strict=True):
            blob.write_to_path(f"{name}.new")
            Path(f"{name}.new").replace(name)

    def is_accepted(self, client: ssl.SSLContext) -> bool:
        """Return whether the two trust each other, in memory."""
        there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
        ends = [
            client.wrap_bio(back, there, server_hostname="pd.test"),
            self.server.wrap_bio(there, back, server_side=True),
        ]
        for _ in range(4):
            for end in ends:
                try:
                    end.do_handshake()
                except ssl.SSLWantReadError:
                    continue
                except ssl.SSLError:
                    return False
        return all(end.version() for end in ends)


@pytest.fixture
def renewing(tmp_path: Path) -> Renewing:
    return Renewing(tmp_path)


def test_a_certificate_that_is_renewed_is_shown_from_the_next_connection_on(
    renewing: Renewing,
) -> None:
    renewing.renew(trusted=renewing.known, own=renewing.other)
    client = tls_context(renewing.files)
    assert not renewing.is_accepted(client), "the server does not know who signed it"
    renewing.renew(trusted=renewing.known, own=renewing.known)
    assert renewing.is_accepted(client)


def test_an_authority_that_is_renewed_is_trusted_from_the_next_connection_on(
    renewing: Renewing,
) -> None:
    renewing.renew(trusted=renewing.other, own=renewing.known)
    client = tls_context(renewing.files)
    assert not renewing.is_accepted(client)
    renewing.renew(trusted=renewing.known, own=renewing.known)
    assert renewing.is_accepted(client)


@pytest.mark.parametrize("how", ["half of a pair", "nothing readable", "none"])
def test_files_that_cannot_be_used_leave_what_was_read_before(
    renewing: Renewing, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    renewing.renew(trusted=renewing.known, own=renewing.known)
    client = tls_context(renewing.files)
    cert = Path(renewing.files.cert)
    before = cert.read_bytes()
    if how == "half of a pair":
        renewing.known.issue_cert("operator.test").cert_chain_pems[0].write_to_path(str(cert))
    elif how == "nothing readable":
        cert.write_text("half a line", encoding="utf-8")
    else:
        cert.unlink()
    assert renewing.is_accepted(client)
    assert "certificates_not_renewed" in caplog.text
    cert.write_bytes(before)
    caplog.clear()
    assert renewing.is_accepted(client)
    assert not caplog.text
