"""TLS towards a cluster: the authorities to trust, and the certificate to show."""

import ssl
from functools import cache

from operator_core.errors import ConfigurationError


@cache
def machine_tls() -> ssl.SSLContext:
    """Return how to speak TLS where nothing is said: with whom this machine trusts.

    All connections share it, as each context holds all authorities that the machine knows.
    """
    return ssl.create_default_context()


def tls_context(ca_file: str = "", cert_file: str = "", key_file: str = "") -> ssl.SSLContext:
    """Return how to speak TLS with a cluster.

    Args:
        ca_file: certificates of the authorities that may have signed its members', PEM; empty
            trusts what the machine trusts.
        cert_file: our own certificate with what leads up to the authority, PEM; empty shows none.
        key_file: the key of our own certificate, PEM; empty: it stands beside the certificate.

    Raises:
        ConfigurationError: a file cannot be read, or does not hold what it should.
    """
    if key_file and not cert_file:
        raise ConfigurationError("The setting key_file needs cert_file beside it.")
    try:
        context = ssl.create_default_context(cafile=ca_file or None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"The setting ca_file names {ca_file!r}: {_why(error)}") from error
    if cert_file:
        _load(context, cert_file, key_file or cert_file)
    return context


def _load(context: ssl.SSLContext, cert_file: str, key_file: str) -> None:
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
