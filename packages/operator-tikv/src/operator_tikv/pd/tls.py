"""TLS towards PD: the authority to trust, and the certificate to show."""

import ssl

from operator_core.errors import ConfigurationError


def tls_context(ca_file: str = "", cert_file: str = "", key_file: str = "") -> ssl.SSLContext:
    """Return how to speak TLS with PD.

    Args:
        ca_file: certificates of the authorities that may have signed PD's, PEM; empty trusts
            what the machine trusts.
        cert_file: our own certificate with what leads up to the authority, PEM; empty shows none.
        key_file: the key of our own certificate, PEM.

    Raises:
        ConfigurationError: a file cannot be read, or does not hold what it should.
    """
    if bool(cert_file) != bool(key_file):
        raise ConfigurationError("The settings cert_file and key_file go together: give both.")
    try:
        context = ssl.create_default_context(cafile=ca_file or None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"The setting ca_file names {ca_file!r}: {_why(error)}") from error
    if cert_file:
        _load(context, cert_file, key_file)
    return context


def _load(context: ssl.SSLContext, cert_file: str, key_file: str) -> None:
    def no_password() -> str:
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
