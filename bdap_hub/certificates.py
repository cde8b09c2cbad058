"""The certificates by which hub, proxy, services and people's servers know each other (JupyterHub's internal_ssl).

Made here once, for all parts of this host, and renewed in time. Which part believes which is JupyterHub's own table:
a server believes the hub and the proxy, never another server.
"""

from __future__ import annotations

import fcntl
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from .settings import Settings, local

# As JupyterHub's `init_internal_ssl` has it: whom each part believes.
TRUST = {
    "hub-ca": ["hub-ca", "notebooks-ca", "proxy-api-ca", "proxy-client-ca", "services-ca"],
    "proxy-api-ca": ["hub-ca", "services-ca", "notebooks-ca"],
    "proxy-client-ca": ["hub-ca", "notebooks-ca"],
    "notebooks-ca": ["hub-ca", "proxy-client-ca"],
    "services-ca": ["hub-ca", "proxy-api-ca"],
}
PAIRS = {
    "hub-internal": "hub-ca",
    "proxy-api": "proxy-api-ca",
    "proxy-client": "proxy-client-ca",
    "services": "services-ca",
}
NODES = "nodes-ca"  # of root's part on machines that run servers: the hub alone believes it
AUTHORITY_YEARS, PAIR_YEARS = 30, 5
RENEW = timedelta(days=730)  # so long before its end a pair is made anew, when hub or proxy start
SERVER_DAYS = 366
IN_SERVER = "/run/bdap-tls"


def folder(settings: Settings) -> Path:
    """Where they lie: keys of mode 600, each beside its certificate."""
    return settings.var.resolve() / "internal-ssl"


def files(settings: Settings, name: str) -> tuple[str, str]:
    """Paths of the key and the certificate of that name."""
    place = folder(settings) / name
    return str(place / f"{name}.key"), str(place / f"{name}.crt")


def trusted(settings: Settings, part: str) -> str:
    """Path of the authorities that this part believes."""
    return str(folder(settings) / f"{part}_trust.crt")


def ensure(settings: Settings, names: Sequence[str] = ()) -> None:
    """Make what is missing or ends soon. `names`: by which the hub is called too, such as IP:172.20.0.1."""
    from certipy import Certipy

    here = {"IP:127.0.0.1", "IP:::1", "DNS:localhost"}
    with _alone(settings):
        store = Certipy(store_dir=str(folder(settings)))
        for authority in (*TRUST, NODES):
            if authority not in store.store.store:
                store.create_ca(authority, years=AUTHORITY_YEARS)
        if any(not Path(trusted(settings, part)).exists() for part in TRUST):
            store.trust_from_graph(TRUST)
        for name, authority in PAIRS.items():
            has, wanted = _good_for(store, name), here
            if name == "hub-internal":
                wanted = here | {_name(settings.hub.host), _name(local(settings.hub.api_bind)), *names}
            if not wanted <= has:
                store.create_signed_pair(
                    name, authority, years=PAIR_YEARS, alt_names=sorted(wanted | has), overwrite=True
                )


def client(settings: Settings) -> ssl.SSLContext | bool:
    """How a service calls the hub's API: with its certificate, believing the hub alone. True: as everywhere."""
    if not settings.hub.internal_ssl:
        return True
    ensure(settings)
    found = ssl.create_default_context(cafile=trusted(settings, "services-ca"))
    key, certificate = files(settings, "services")
    found.load_cert_chain(certificate, key)
    return found


def server_paths() -> dict[str, str]:
    """Where a person's server finds its own, as JupyterHub tells it."""
    return {f"{kind}file": f"{IN_SERVER}/{kind}.pem" for kind in ("key", "cert", "ca")}


@dataclass(frozen=True)
class Pair:
    """A certificate, its key, and the authorities that its holder believes; all PEM."""

    key: bytes = field(repr=False)
    certificate: bytes
    trusted: bytes


def for_server(settings: Settings, person: str, address: str) -> Pair:
    """A new pair for the server of `person`, which the hub and the proxy reach at that IP address."""
    uses = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    key, certificate = _signed(settings, "notebooks-ca", f"user-{person}", address, timedelta(days=SERVER_DAYS), uses)
    return Pair(key, certificate, Path(trusted(settings, "notebooks-ca")).read_bytes())


def for_node(settings: Settings, address: str, believes: str = "hub-ca") -> Pair:
    """A new pair for root's part on the machine at that address, which believes the hub (or another part) alone."""
    ensure(settings)
    lasts = timedelta(days=365 * PAIR_YEARS)
    key, certificate = _signed(settings, NODES, "node", address, lasts, [ExtendedKeyUsageOID.SERVER_AUTH])
    return Pair(key, certificate, Path(files(settings, believes)[1]).read_bytes())


def to_nodes(settings: Settings, pair: str) -> ssl.SSLContext:
    """How a part of this host that has that pair calls nodes, of which it believes the nodes' authority alone."""
    ensure(settings)
    found = ssl.create_default_context(cafile=files(settings, NODES)[1])
    found.minimum_version = ssl.TLSVersion.TLSv1_3
    key, certificate = files(settings, pair)
    found.load_cert_chain(certificate, key)
    return found


def serves_node(settings: Settings, address: str, certificate: Path) -> bool:
    """Whether that certificate is of this platform, for that address, and does not end soon."""
    if not certificate.is_file():
        return False
    ensure(settings)
    found = x509.load_pem_x509_certificate(certificate.read_bytes())
    authority = x509.load_pem_x509_certificate(Path(files(settings, NODES)[1]).read_bytes())
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    if ip_address(address) not in names.get_values_for_type(x509.IPAddress):
        return False
    try:
        found.verify_directly_issued_by(authority)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return found.not_valid_after_utc > datetime.now(UTC) + RENEW


def _signed(
    settings: Settings, authority: str, name: str, address: str, lasts: timedelta, uses: Sequence[x509.ObjectIdentifier]
) -> tuple[bytes, bytes]:
    """A new key and its certificate for that address."""
    authority_key, authority_certificate = (Path(path) for path in files(settings, authority))
    signer: Any = serialization.load_pem_private_key(authority_key.read_bytes(), None)
    issuer = x509.load_pem_x509_certificate(authority_certificate.read_bytes())
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])]))
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))  # clocks of several hosts
        .not_valid_after(now + lasts)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))]), critical=False)
        .add_extension(x509.ExtendedKeyUsage(uses), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        .sign(signer, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    no = serialization.NoEncryption()
    return key.private_bytes(pem, serialization.PrivateFormat.PKCS8, no), made.public_bytes(pem)


def _name(host: str) -> str:
    try:
        return f"IP:{ip_address(host)}"
    except ValueError:
        return f"DNS:{host}"


def _good_for(store: Any, name: str) -> set[str]:
    """The names in a pair's certificate; none where it is missing or ends soon."""
    if name not in store.store.store:
        return set()
    found: x509.Certificate = store.store.get_files(name).cert.load()
    if found.not_valid_after_utc < datetime.now(UTC) + RENEW:
        return set()
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {f"DNS:{one}" for one in names.get_values_for_type(x509.DNSName)} | {
        f"IP:{one}" for one in names.get_values_for_type(x509.IPAddress)
    }


@contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    """Hub and proxy may start at the same moment."""
    settings.var.mkdir(parents=True, exist_ok=True)
    with (settings.var / "internal-ssl.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
