#!/usr/bin/env python3
"""The HTTP listeners of the mailserver binary: curl as a client, and peers that mean harm by raw sockets.

    python3 tests/interop/http_listeners.py --binary target/debug/mailserver [--only NAME]"""

import argparse
import contextlib
import pathlib
import resource
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from hostile_imap import Growth  # noqa: E402
from peer import TLS  # noqa: E402
from server import Server, free_port, need  # noqa: E402

POLICY = "/.well-known/mta-sts.txt"


def curl(*words):
    """What curl prints: the answer's header and content."""
    done = subprocess.run(["curl", "-sS", "-i", "--max-time", "20", *words], capture_output=True, timeout=60)
    assert done.returncode == 0, (words, done.returncode, done.stderr)
    return done.stdout.decode()


def status(answer):
    """Of the last response, where one follows another."""
    return int([line for line in answer.split("\r\n") if line.startswith("HTTP/")][-1].split(" ")[1])


class Site:
    def __init__(self, binary):
        self.plain, self.tls = free_port(), free_port()
        listener = '\n[[listener]]\nprotocol = "http"\naddress = "127.0.0.1:{}"\ntls = "{}"\n'
        web = ('\n[web]\nnames = ["www.a.test"]\n[[mta_sts]]\ndomain = "a.test"\nmode = "enforce"\nmx = ["mx.a.test"]\n'
               '[limits]\nconnections_per_address = 1200\n')
        extra = listener.format(self.plain, "none") + listener.format(self.tls, "implicit") + web
        self.server = Server(binary, "a.test", ["ann"], extra=extra)

    def url(self, path, host="mx.a.test", scheme="http"):
        port = self.plain if scheme == "http" else self.tls
        resolve = ["--resolve", f"{host}:{port}:127.0.0.1"]
        return resolve + [f"{scheme}://{host}:{port}{path}"]

    def get(self, *words, **place):
        path, *options = words
        return curl(*options, *self.url(path, **place))

    def dial(self):
        return socket.create_connection(("127.0.0.1", self.plain), 20)

    def say(self, octets, end=True):
        """What a raw client hears until the connection is closed."""
        with self.dial() as stream:
            with contextlib.suppress(OSError):
                stream.sendall(octets)
                if end:
                    stream.shutdown(socket.SHUT_WR)
            heard = b""
            with contextlib.suppress(OSError):
                while more := stream.recv(65536):
                    heard += more
            return heard


def browsers(site):
    assert status(site.get("/healthz")) == 200 and status(site.get("/readyz")) == 200
    assert site.get("/healthz", "--http1.0").endswith("alive\n")
    head = site.get("/healthz", "--head")
    assert "Content-Length: 6\r\n" in head and head.endswith("\r\n\r\n"), head
    refused = site.get("/healthz", "--data", "x=y")
    assert status(refused) == 405 and "Allow: GET" in refused, refused
    assert status(site.get("/healthz", "-X", "TRACE")) == 501
    assert status(site.get("/nowhere")) == 404 and status(site.get("/", host="evil.test")) == 421
    for path in ("/../etc/passwd", "/%2e%2e/etc/passwd", "/a/..%2fhealthz", "//healthz", "/%00"):
        assert status(site.get(path, "--path-as-is")) == 400, path
    # curl sends content of more than 1 MB only after a 100, or after a second.
    with open(site.server.folder / "much", "wb") as file:
        file.truncate(8 << 20)
    began = time.monotonic()
    refused = site.get("/healthz", "--data-binary", f"@{site.server.folder / 'much'}")
    assert status(refused) == 413 and time.monotonic() - began < 5, refused
    # Two on one connection, of which the first has chunks.
    first = ["-sS", "--max-time", "20", "-w", "%{num_connects} ", "-o", "/dev/null"]
    both = subprocess.run(["curl", *first, "-H", "Transfer-Encoding: chunked", "--data", "a=b",
                           *site.url("/healthz"), "--next", *first, *site.url("/healthz")], capture_output=True)
    assert both.stdout.split() == [b"1", b"0"], both


def certified(site):
    """By HTTPS: a policy for whom it is meant, and no other protocol's client."""
    trust = ["--cacert", str(site.server.folder / "data" / "certificate.pem")]
    answer = site.get("/healthz", "--http2", *trust, scheme="https")
    assert answer.startswith("HTTP/1.1 200") and "Strict-Transport-Security: " in answer, answer
    policy = site.get(POLICY, "-k", host="mta-sts.a.test", scheme="https")
    assert policy.endswith("version: STSv1\r\nmode: enforce\r\nmx: mx.a.test\r\nmax_age: 604800\r\n"), policy
    assert "Content-Type: text/plain\r\n" in policy
    assert status(site.get(POLICY, "-k", host="www.a.test", scheme="https")) == 404
    for names, served in ((["http/1.1"], True), (["h2", "http/1.1"], True), ([], True), (["h2"], False),
                          (["imap"], False), (["acme-tls/1"], False)):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if names:
            context.set_alpn_protocols(names)
        try:
            with socket.create_connection(("127.0.0.1", site.tls), 20) as plain:
                context.wrap_socket(plain, server_hostname="mx.a.test").close()
            assert served, names
        except ssl.SSLError:
            assert not served, names
    # Clear words to a port that begins in TLS, and TLS to one in clear.
    with socket.create_connection(("127.0.0.1", site.tls), 20) as stream:
        stream.sendall(b"GET / HTTP/1.1\r\nHost: mx.a.test\r\n\r\n")
        assert not stream.recv(4096).startswith(b"HTTP"), "an answer in clear"
    with site.dial() as stream:
        with contextlib.suppress(ssl.SSLError, ConnectionError):
            TLS.wrap_socket(stream, server_hostname="mx.a.test")
            raise AssertionError("a handshake where there is no TLS")


POST = b"POST /healthz HTTP/1.1\r\nHost: mx.a.test\r\n"
HIDDEN = b"GET /readyz HTTP/1.1\r\nHost: mx.a.test\r\n\r\n"
SMUGGLED = {
    "length and chunks": POST + b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + HIDDEN,
    "chunks and length": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\n" + HIDDEN,
    "two lengths": POST + b"Content-Length: 0\r\nContent-Length: 50\r\n\r\n" + HIDDEN,
    "a list of lengths": POST + b"Content-Length: 0, 0\r\n\r\n" + HIDDEN,
    "a signed length": POST + b"Content-Length: +0\r\n\r\n" + HIDDEN,
    "a length in hex": POST + b"Content-Length: 0x0\r\n\r\n" + HIDDEN,
    "space before a colon": POST + b"Content-Length : 0\r\n\r\n" + HIDDEN,
    "a fold": POST + b"A: b\r\n Content-Length: 9\r\n\r\n" + HIDDEN,
    "another coding": POST + b"Transfer-Encoding: gzip\r\n\r\n" + HIDDEN,
    "a coding in disguise": POST + b"Transfer-Encoding: \x0cchunked\r\n\r\n0\r\n\r\n" + HIDDEN,
    "a vertical tab": POST + b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n" + HIDDEN,
    "two codings": POST + b"Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n" + HIDDEN,
    "chunks in HTTP/1.0": b"POST / HTTP/1.0\r\nHost: mx.a.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + HIDDEN,
    "a bare LF in a head": b"POST / HTTP/1.1\r\nHost: mx.a.test\nContent-Length: 0\r\n\r\n" + HIDDEN,
    "a bare CR in a field": POST + b"A: b\rContent-Length: 9\r\n\r\n" + HIDDEN,
    "NUL in a field": POST + b"A: b\0\r\n\r\n" + HIDDEN,
    "two hosts": b"GET /healthz HTTP/1.1\r\nHost: mx.a.test\r\nHost: evil.test\r\n\r\n" + HIDDEN,
    "a host and more": b"GET /healthz HTTP/1.1\r\nHost: mx.a.test:80:evil.test\r\n\r\n" + HIDDEN,
    "no host": b"GET /healthz HTTP/1.1\r\n\r\n" + HIDDEN,
    "a tab in the line": b"GET\t/healthz\tHTTP/1.1\r\nHost: mx.a.test\r\n\r\n" + HIDDEN,
    "a bare LF after a chunk": POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\n0\r\n\r\n" + HIDDEN,
    "a bare LF in an extension": POST + b"Transfer-Encoding: chunked\r\n\r\n1;x\na\r\n0\r\n\r\n" + HIDDEN,
    "a bare CR in an extension": POST + b"Transfer-Encoding: chunked\r\n\r\n1;x\ry\r\na\r\n0\r\n\r\n" + HIDDEN,
    "a chunk too long": POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n" + HIDDEN,
    "a signed chunk": POST + b"Transfer-Encoding: chunked\r\n\r\n-1\r\na\r\n0\r\n\r\n" + HIDDEN,
    "a request for a trailer": POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + HIDDEN,
}


def smuggling(site):
    for name, octets in SMUGGLED.items():
        heard = site.say(octets)
        assert heard.startswith(b"HTTP/1.1 400 ") and heard.count(b"HTTP/1.1") == 1, (name, heard)
        assert b"Connection: close" in heard and b"ready" not in heard, (name, heard)
    # A hundred at once, each with its answer in turn; then the connection ends.
    lines = b"".join(b"%s /%s HTTP/1.1\r\nHost: mx.a.test\r\n\r\n" % (verb, page)
                     for verb, page in [(b"GET", b"healthz"), (b"HEAD", b"readyz")] * 60)
    heard = site.say(lines)
    assert heard.count(b"HTTP/1.1 200 OK") == 100 and heard.count(b"alive\n") == 50, heard[-300:]
    assert b"ready\n" not in heard, "HEAD has no content"


def floods(site):
    server = site.server
    with Growth(server):
        for octets, wanted in (
                (b"GET / HTTP/1.1\r\nHost: mx.a.test\r\nA: " + b"x" * (4 << 20), b"431"),
                (b"GET /" + b"x" * (4 << 20), b"431"),
                (b"GET / HTTP/1.1\r\nHost: mx.a.test\r\n" + b"A: b\r\n" * 400 + b"\r\n", b"431"),
                (POST + b"Content-Length: 99999999999999999999\r\n\r\n", b"413"),
                (POST + b"Content-Length: 4000000\r\n\r\n" + b"x" * 4000000, b"413"),
                (POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"1000\r\n" + b"x" * 4096 + b"\r\n" + b"ffff\r\n", b"413"),
                (POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"1;" + b"x" * (1 << 20), b"400"),
                (POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"A: b\r\n" * 4000, b"431")):
            heard = site.say(octets, end=False)
            assert heard.startswith(b"HTTP/1.1 " + wanted) or not heard, (octets[:80], heard)
    assert status(site.get("/healthz")) == 200


def slow(site):
    """A thousand that drip cost little, and keep nobody else out."""
    began = [b"", b"\r\n", b"GET / HT", b"GET / HTTP/1.1\r\nHost: mx.a.test\r\nA: ", POST + b"Content-Length: 9\r\n\r\nx"]
    streams = []
    with Growth(site.server, 40 << 20):
        for number in range(1000):
            stream = site.dial()
            stream.sendall(began[number % len(began)])
            streams.append(stream)
        ends = threading.Event()

        def drip():
            while not ends.wait(2):
                for stream in streams:
                    with contextlib.suppress(OSError):
                        stream.sendall(b"x")

        dripping = threading.Thread(target=drip)
        dripping.start()
        for _ in range(5):
            began_at = time.monotonic()
            assert status(site.get("/healthz")) == 200
            assert time.monotonic() - began_at < 1, "a good client waited"
            time.sleep(0.5)
        # Dripping buys no time: whoever began is over after half a minute.
        deadline = time.monotonic() + 45
        victim = streams[2]
        victim.settimeout(45)
        heard = victim.recv(4096)
        assert heard.startswith((b"HTTP/1.1 408 ", b"HTTP/1.1 400 ")), heard
        assert time.monotonic() < deadline
        ends.set()
        dripping.join()
    for stream in streams:
        stream.close()


def not_ready(site):
    """A store that takes no more is told, by a page that costs it nothing."""
    server = site.server
    server.stop()
    text = server.config.read_text()
    server.config.write_text(text + '\n[store]\nlow_space = "900000GB"\n')
    server.start()
    assert status(site.get("/readyz")) == 503 and status(site.get("/healthz")) == 200
    assert "low" not in site.get("/readyz"), "strangers are not told why"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", default="target/debug/mailserver")
    parser.add_argument("--only", default="")
    arguments = parser.parse_args()
    if not need("curl"):
        return
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    site = Site(arguments.binary)
    with site.server as server:
        for scenario in (browsers, certified, smuggling, floods, slow, not_ready):
            if arguments.only in scenario.__name__:
                began = time.monotonic()
                scenario(site)
                assert server.process.poll() is None and "panicked" not in server.log()
                print(f"   {scenario.__name__}: {time.monotonic() - began:.1f} s", flush=True)
    server.command("check")
    shutil.rmtree(server.folder)


if __name__ == "__main__":
    main()
