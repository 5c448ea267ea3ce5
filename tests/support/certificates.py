"""Certificates for tests, made by openssl on the spot."""

import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Certificate:
    """Paths of a self-signed authority and what it signed."""

    authority: str
    certificate: str
    key: str

    def server_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        return context


def authority(directory: Path, name: str) -> Certificate:
    """Make an authority and a certificate for *name* and 127.0.0.1 in *directory*."""
    files = {what: str(directory / what) for what in ("ca.pem", "ca.key", "cert.pem", "key.pem")}
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", "2", "-subj", "/CN=test authority",
         "-keyout", files["ca.key"], "-out", files["ca.pem"]],
        check=True, capture_output=True, timeout=30,
    )  # fmt: skip
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", "2", "-subj", f"/CN={name}",
         "-addext", f"subjectAltName=DNS:{name},IP:127.0.0.1",
         "-addext", "basicConstraints=critical,CA:FALSE",
         "-CA", files["ca.pem"], "-CAkey", files["ca.key"],
         "-keyout", files["key.pem"], "-out", files["cert.pem"]],
        check=True, capture_output=True, timeout=30,
    )  # fmt: skip
    return Certificate(files["ca.pem"], files["cert.pem"], files["key.pem"])
