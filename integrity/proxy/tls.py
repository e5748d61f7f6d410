"""Encryption for clients that insist on it: a certificate of our own making, for as long as the proxy runs.

It says who nobody is: a client that verifies certificates refuses it, and is right. Python's library has none that makes
certificates, so this takes a package that few need.
"""

import ssl
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.util import find_spec
from ipaddress import ip_address
from pathlib import Path
from tempfile import TemporaryDirectory

from integrity.errors import UsageError
from integrity.proxy.postgresql.session import DISBELIEVED, HUNG_UP

_LENIENT = "connect with sslmode=require, prefer or disable"


@cache
def find_context(host: str) -> ssl.SSLContext | None:
    """Return what encrypts, the same for all proxies of this process; None: nothing here makes certificates."""
    return make_context(host) if find_spec("cryptography") else None


def hint_of(counted: Iterable[str]) -> str:
    """Return what to do about clients that a proxy has not served for their encryption; empty: there were none.

    Args:
        counted: what a proxy counts, as it stands or behind the number.
    """
    said = " ".join(counted)
    if HUNG_UP in said:
        return (
            "pip install 'integrity[tls]', with which our proxy encrypts for drivers that insist, or let them connect with "
            "sslmode=prefer or disable."
        )
    if DISBELIEVED in said:
        return f"Let it {_LENIENT} there: a certificate of our proxy's own making verifies for nobody (verify-full)."
    return ""


def make_context(host: str) -> ssl.SSLContext:
    """Return what encrypts, with a new certificate for the host and localhost.

    Raises:
        UsageError: the package that makes certificates is not installed.
    """
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
    except ImportError:
        raise UsageError(
            "--tls: the package cryptography, which makes the certificate, is not installed",
            hint="pip install 'integrity[tls]', or let the application connect with sslmode=prefer or disable.",
        ) from None
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=365))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ip_address(host))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with TemporaryDirectory() as folder:  # ssl takes them from files only; the folder is nobody else's to read
        file = Path(folder) / "both.pem"
        file.write_bytes(
            key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
            + certificate.public_bytes(serialization.Encoding.PEM)
        )
        context.load_cert_chain(file)
    return context
