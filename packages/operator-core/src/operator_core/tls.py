"""TLS towards a cluster: the authorities to trust, and the certificate to show."""

import ssl
import threading
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import NamedTuple, Self

from operator_core.clock import utc_now
from operator_core.errors import ConfigurationError
from operator_core.file_state import state_of
from operator_core.logs import get_logger

log = get_logger(__name__)

_RENEWED_BEFORE_THE_END = timedelta(days=60)
"""By then whoever renews certificates has begun to."""


class TlsFiles(NamedTuple):
    """Where certificates lie, each in PEM; an empty text is no file.

    Attributes:
        ca: those of the authorities that may have signed the members'; none: the machine's.
        cert: our own with what leads up to the authority; none: none is shown.
        key: the key of our own; none: it stands beside the certificate.
    """

    ca: str = ""
    cert: str = ""
    key: str = ""

    def state(self) -> tuple[object, ...]:
        """Return what changes where one of them is renewed.

        Raises:
            OSError: one cannot be found.
        """
        return state_of(name for name in self if name)


@cache
def machine_tls() -> ssl.SSLContext:
    """Return how to speak TLS where nothing is said: with whom this machine trusts.

    All connections share it, as each context holds all authorities that the machine knows.
    """
    return ssl.create_default_context()


def tls_context(files: TlsFiles) -> ssl.SSLContext:
    """Return how to speak TLS with a cluster.

    A file that is renewed counts from the next connection on. An authority that is taken away from
    its file is trusted until the process ends.

    Raises:
        ConfigurationError: a file cannot be read, or does not hold what it should.
    """
    if files.key and not files.cert:
        raise ConfigurationError("The setting key_file needs cert_file beside it.")
    return _Renewed(files)


class ShownCertificates:
    """When the certificates end that the members of a cluster have shown."""

    def __init__(self) -> None:
        """Begin without any."""
        self._ends: dict[str, datetime] = {}

    def see(self, endpoint: str, connection: object) -> None:
        """Remember what was shown.

        Args:
            endpoint: who showed it.
            connection: what an HTTP client says of its TLS; None where it speaks none.
        """
        shown = connection.getpeercert() if isinstance(connection, ssl.SSLObject) else None
        end = shown.get("notAfter") if shown else None
        if isinstance(end, str):
            self._ends[endpoint] = datetime.fromtimestamp(ssl.cert_time_to_seconds(end), UTC)

    def end_of(self, endpoint: str) -> datetime | None:
        """Return when a member's certificate ends; None where it has shown none."""
        return self._ends.get(endpoint)

    def may_change(self, endpoint: str) -> bool:
        """Return whether a certificate may soon be renewed, which only a new connection shows."""
        end = self.end_of(endpoint)
        return end is not None and end - utc_now() < _RENEWED_BEFORE_THE_END


class _Renewed(ssl.SSLContext):
    """Reads its files again before a connection, where somebody has renewed them.

    Certificates may live for a day, and who renews them does not start Operator again.
    """

    def __new__(cls, files: TlsFiles) -> Self:
        del files
        return super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)

    def __init__(self, files: TlsFiles) -> None:
        """Read the files.

        Raises:
            ConfigurationError: one cannot be used.
        """
        self.verify_flags = machine_tls().verify_flags  # this interpreter's own
        self._files = files
        self._state: tuple[object, ...] = ()
        self._turn = threading.Lock()  # clients call a context that is not the library's in threads
        self._read()

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,  # noqa: FBT001, FBT002 - as the library calls it
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """Begin a connection; files that cannot be used now leave what was read before."""
        with self._turn:
            self._renew()
            return super().wrap_bio(incoming, outgoing, server_side, server_hostname, session)

    def _renew(self) -> None:
        try:
            if self._files.state() != self._state:
                self._read()
        except (ConfigurationError, OSError) as error:
            log.warning("certificates_not_renewed", reason=str(error))

    def _read(self) -> None:
        files = self._files
        _load(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), files)  # half of a pair would undo the other
        state = files.state()
        _load(self, files)
        self._state = state


def _load(context: ssl.SSLContext, files: TlsFiles) -> None:
    try:
        if files.ca:
            context.load_verify_locations(files.ca)
        else:
            context.load_default_certs()
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            f"The setting ca_file names {files.ca!r}: {_why(error)}"
        ) from error
    if files.cert:
        _load_own(context, files.cert, files.key or files.cert)


def _load_own(context: ssl.SSLContext, cert_file: str, key_file: str) -> None:
    def no_password() -> str:  # without it OpenSSL asks at the terminal
        raise ConfigurationError(
            f"The key in {key_file!r} is locked with a password; give a key without one."
        )

    try:
        context.load_cert_chain(cert_file, key_file, password=no_password)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            f"The settings cert_file and key_file name {cert_file!r} and {key_file!r}: "
            f"{_why(error)}"
        ) from error


def _why(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return "what is in there is no certificate, or not the key to it. Give PEM files."
    return f"{error.strerror or error}."
