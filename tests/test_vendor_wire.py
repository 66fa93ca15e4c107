"""The client against a server that breaks HTTP itself, or its certificate; over real sockets."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ensora_plugin.config import Settings
from ensora_plugin.errors import VendorBroke, VendorUnreachable
from ensora_plugin.vendor.client import DataCollection
from tests.connected_vendor import error_of

SECONDS = 0.6
Answer = Callable[[socket.socket], None]


@contextmanager
def server(answer: Answer, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """Answer every request in the same way; yield the port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=one, args=(listener.accept()[0],), daemon=True).start()

    def one(connection: socket.socket) -> None:
        with suppress(OSError), connection:
            near = tls.wrap_socket(connection, server_side=True) if tls else connection
            near.recv(65536)
            answer(near)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        # Closing alone would not wake the one that accepts.
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


def client(address: str, **settings: float) -> DataCollection:
    given = {"tries": 1, "request_seconds": SECONDS, "retry_pause_seconds": 0.0, **settings}
    return DataCollection(
        Settings(vendor_url=address, **given),  # type: ignore[arg-type]
        organization_id="org-1",
        token="token",
    )


PAGE = b'{"items":[],"cursor":"after","hasMore":false}'
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def said(*lines: bytes, body: bytes = PAGE) -> Answer:
    """An answer of these header lines and a body."""
    return lambda connection: connection.sendall(HEAD + b"".join(lines) + b"\r\n" + body)


def dripping_headers(connection: socket.socket) -> None:
    for byte in HEAD * 40:
        connection.sendall(bytes([byte]))
        time.sleep(0.05)


def test_headers_that_drip_are_cut_at_the_deadline() -> None:
    began = time.monotonic()
    with server(dripping_headers) as port, client(f"http://127.0.0.1:{port}") as vendor:
        raised = error_of(lambda: vendor.page("note", None, 10))
    assert time.monotonic() - began < 3 * SECONDS
    assert type(raised) is VendorUnreachable


@pytest.mark.parametrize(
    "lines",
    [
        (b"Content-Length: 45\r\n", b"Content-Length: 4\r\n"),
        (b"Content-Length: 45, 4\r\n",),
        (b"Content-Length: -1\r\n",),
        (b"Content-Length: 45\r\n", b"Transfer-Encoding: chunked\r\n"),
        (b"Transfer-Encoding: xchunked\r\n",),
        (b"Transfer-Encoding: chunked, chunked\r\n",),
        (b"Content-Length: 45\r\n", b"X: a\nTransfer-Encoding: chunked\r\n"),
        (b"Content-Length: 45\r\n", b" folded\x00: yes\r\n"),
    ],
)
def test_headers_that_would_let_two_readers_differ_are_no_answer(lines: tuple[bytes, ...]) -> None:
    began = time.monotonic()
    with server(said(*lines)) as port, client(f"http://127.0.0.1:{port}") as vendor:
        raised = error_of(lambda: vendor.page("note", None, 10))
    assert type(raised) is VendorUnreachable
    assert time.monotonic() - began < 3 * SECONDS


@pytest.mark.parametrize("encoding", [b"gzip, gzip", b"br", b"gzip;q=1", b"deflate"])
def test_an_encoding_that_nobody_asked_for_is_refused(encoding: bytes) -> None:
    lines = (b"Content-Length: 45\r\n", b"Content-Encoding: " + encoding + b"\r\n")
    with server(said(*lines)) as port, client(f"http://127.0.0.1:{port}") as vendor:
        assert type(error_of(lambda: vendor.page("note", None, 10))) is VendorBroke


def big(items: bytes, more: bytes = b"") -> bytes:
    return b'{"items":[' + items + b'],"cursor":"after","hasMore":false' + more + b"}"


@pytest.mark.parametrize(
    "body",
    [
        big(b'{"id":"note-1","version":' + b"7" * 5000 + b"}"),
        big(b"[" * 100 + b"]" * 100),
        big(b"1e999,-0,NaN"),
        big(b"0," * 1_000_000 + b"0"),
        big(b'{"id":"a"}', b',"items":[]'),
    ],
    ids=["5000 digits", "100 deep", "no numbers", "a million items", "items twice"],
)
def test_numbers_and_nests_that_nobody_can_walk_are_refused_or_set_aside(body: bytes) -> None:
    length = b"Content-Length: %d\r\n" % len(body)
    with (
        server(said(length, body=body)) as port,
        client(f"http://127.0.0.1:{port}", request_seconds=20) as vendor,
    ):
        try:
            page = vendor.page("note", None, 10)
        except (VendorBroke, VendorUnreachable):
            return
    assert not [item for item in page.items if not hasattr(item, "reason")]


def certificate(folder: Path, name: str, *, days: int) -> ssl.SSLContext:
    """A certificate that its own key signed, for a name, good until so many days from now."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    names: list[x509.GeneralName] = [x509.DNSName(name)]
    if name[0].isdigit():
        names = [x509.IPAddress(ipaddress.ip_address(name))]
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=30))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    pem = made.public_bytes(serialization.Encoding.PEM)
    pem += key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    path = folder / "server.pem"
    path.write_bytes(pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


@pytest.mark.parametrize(
    ("name", "days", "trusted"),
    [("127.0.0.1", 30, False), ("127.0.0.1", -1, True), ("elsewhere.example", 30, True)],
    ids=["signed by itself", "out of date", "of another host"],
)
def test_a_certificate_that_does_not_hold_ends_the_call_before_a_word_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, days: int, trusted: bool
) -> None:
    context, heard = certificate(tmp_path, name, days=days), []
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "server.pem"))

    def listen(connection: socket.socket) -> None:
        heard.append(connection)

    with server(listen, context) as port:
        with client(f"https://127.0.0.1:{port}", request_seconds=5) as vendor:
            raised = error_of(lambda: vendor.page("note", None, 10))
        assert type(raised) is VendorUnreachable
    assert heard == []


def test_a_host_that_no_name_server_knows_is_told_in_words() -> None:
    with client("https://nobody.invalid", request_seconds=5) as vendor:
        raised = error_of(lambda: vendor.page("note", None, 10))
    assert type(raised) is VendorUnreachable
    assert "ENSORA_VENDOR_URL" in str(raised)
