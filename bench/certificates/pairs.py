"""Makes pairs `<name>.crt` and `<name>.key` by one authority, an intermediate between them as public ones have it.

    python pairs.py FOLDER COUNT BASE

Needs the package `cryptography`.
"""

import datetime
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NOW = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(hours=1)
PEM = serialization.Encoding.PEM
PLAIN = (PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def name(text):
    """A subject or issuer."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def issue(subject, key, issuer, signer, names=(), is_authority=False):
    """One certificate; `signer` signs with SHA-256."""
    builder = x509.CertificateBuilder().subject_name(name(subject)).issuer_name(name(issuer)).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(NOW).not_valid_after(NOW + datetime.timedelta(days=90))
    builder = builder.add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    builder = builder.add_extension(identifier, critical=False)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(it) for it in names]), critical=False)
    return builder.sign(signer, hashes.SHA256())


def make(part):
    """Some of the pairs."""
    folder, base, numbers, signer, intermediate = part
    signer = serialization.load_pem_private_key(signer, None)
    for number in numbers:
        host, key = f"n{number}.{base}", ec.generate_private_key(ec.SECP256R1())
        leaf = issue(host, key, "bench intermediate", signer, [host])
        (folder / f"{host}.crt").write_bytes(leaf.public_bytes(PEM) + intermediate)
        (folder / f"{host}.key").write_bytes(key.private_bytes(*PLAIN))


def main(folder, count, base):
    """All of them, on all cores."""
    root, middle = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    intermediate = issue("bench intermediate", middle, "bench root", root, is_authority=True).public_bytes(PEM)
    parts = [(folder, base, range(at, count, 8), middle.private_bytes(*PLAIN), intermediate) for at in range(8)]
    with ProcessPoolExecutor() as pool:
        list(pool.map(make, parts))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
