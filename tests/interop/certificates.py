#!/usr/bin/env python3
"""Certificates of clients: who gets in by them over SMTP, IMAP and POP3, and which are refused. By curl, openssl's
s_client and sockets; the other clients are in auth_mechanisms.py. And the server's own, replaced while sessions go on.

    python3 tests/interop/certificates.py --binary target/debug/mailserver [--only NAME]"""

import base64
import concurrent.futures
import contextlib
import pathlib
import shutil
import ssl
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import auth_clients  # noqa: E402
from auth_clients import PORTS, Refused, User  # noqa: E402
from authority import openssl  # noqa: E402
from peer import Peer  # noqa: E402
from run import play, run, until  # noqa: E402
from server import PASSWORD, Server, free_port, need  # noqa: E402

CURVE = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
STARTTLS = {"smtp": "smtp", "submission": "smtp", "imap": "imap", "pop3": "pop3", "managesieve": "sieve"}
CLEAR = {"smtp": "submission", "imap": "imap", "pop3": "pop3"}


class ClientAuthority:
    """Issues certificates to clients; the listeners of `keys` believe them."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="clients-"))
        self.root, self.key = self.folder / "ca.pem", self.folder / "ca.key"
        openssl("req", "-x509", *CURVE, "-keyout", self.key, "-out", self.root, "-days", "2", "-subj", "/CN=clients")
        self.issued = {}

    def keys(self, asked="optional"):
        return f'client_certificates = "{asked}"\nclient_authorities = "{self.root}"\n'

    def issue(self, address, subject="", days=2, use="clientAuth"):
        """The PEM file of a certificate and its key."""
        named = (address, subject, days, use)
        if named not in self.issued:
            part = self.folder / f"{len(self.issued)}"
            key, request, extensions, signed = (part.with_suffix(it) for it in (".key", ".csr", ".ext", ".crt"))
            openssl("req", *CURVE, "-keyout", key, "-out", request, "-subj", subject or f"/CN=client {part.name}")
            extensions.write_text(f"extendedKeyUsage={use}\n" + (f"subjectAltName=email:{address}\n" if address else ""))
            openssl("x509", "-req", "-in", request, "-CA", self.root, "-CAkey", self.key, "-CAcreateserial", "-out",
                    signed, "-days", days, "-extfile", extensions)
            whole = part.with_suffix(".pem")
            whole.write_text(signed.read_text() + key.read_text())
            self.issued[named] = whole
        return self.issued[named]

    def stop(self):
        shutil.rmtree(self.folder)


OURS = THEIRS = None
REQUIRED = free_port()


def fingerprint(certificate):
    return openssl("x509", "-in", certificate, "-noout", "-fingerprint", "-sha256").decode().strip().partition("=")[2]


def curl(server, certificate, login="ann"):
    """Over which protocols the certificate logs in; a refusal says which kind it is."""
    user = User(server, f"{login}@{server.domain}", PASSWORD, certificate=certificate)

    def told(protocol):
        try:
            auth_clients.curl(user, protocol, "EXTERNAL")
            return "in"
        except Refused as error:
            # 67: the login was denied; 35, 55, 56, 8: TLS ended it.
            return "denied" if str(error).startswith("curl: 67") else "cut"

    # A refusal is held back for a second.
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        return dict(zip(PORTS, pool.map(told, PORTS)))


def everywhere(word):
    return dict.fromkeys(PORTS, word)


class Shown(Peer):
    """A peer with a certificate, which begins TLS within the protocol where the port wants that."""

    def __init__(self, server, port, certificate=None):
        self.context = ssl.create_default_context()
        self.context.check_hostname, self.context.verify_mode = False, ssl.CERT_NONE
        if certificate:
            self.context.load_cert_chain(certificate)
        super().__init__(server, port)
        if port == "submission":
            self.reply(b"EHLO client.test")
        begin = {"submission": b"STARTTLS\r\n", "imap": b"tag9 STARTTLS\r\n", "pop3": b"STLS\r\n"}.get(port)
        if begin:
            self.send(begin)
            self.line()
            self.encrypt()
        if port == "managesieve":
            self.ok()
            self.send(b"STARTTLS\r\n")
            self.ok()
            self.encrypt()
            self.ok()

    def encrypt(self):
        self.socket = self.context.wrap_socket(self.socket)

    def ok(self):
        """The end of a ManageSieve response."""
        line = self.line()
        while line and not line.startswith(b"OK"):
            line = self.line()
        return line


def external(server, port, certificate, name=""):
    """The answer to EXTERNAL with this name."""
    said = base64.b64encode(name.encode()) or b"="
    with Shown(server, port, certificate) as peer:
        if port.startswith("imap"):
            return peer.imap(b"AUTHENTICATE EXTERNAL " + said).splitlines()[-1]
        if port.startswith("pop3"):
            peer.send(b"AUTH EXTERNAL " + said + b"\r\n")
            return peer.line()
        peer.reply(b"EHLO client.test")
        return peer.reply(b"AUTH EXTERNAL " + said)


@contextlib.contextmanager
def admitted(server, name, login="ann"):
    """While this lasts, the name stands for the account."""
    server.command("account", "certificate", "add", f"{login}@{server.domain}", name)
    try:
        yield
    finally:
        server.command("account", "certificate", "remove", f"{login}@{server.domain}", name)


def test_by_every_name_that_a_certificate_has(server):
    named = OURS.issue("ann@keys.test", "/O=Keys/CN=Ann")
    subject = openssl("x509", "-in", named, "-noout", "-subject", "-nameopt", "RFC2253").decode().strip()
    for name in ("address:ann@keys.test", f"sha256:{fingerprint(named)}", f"subject:{subject.partition('=')[2]}"):
        assert curl(server, named) == everywhere("denied"), name
        with admitted(server, name):
            assert curl(server, named) == everywhere("in"), name
    # Taken away, it is worth nothing from the next login on.
    assert curl(server, named) == everywhere("denied")


def test_by_starttls_and_with_and_without_a_name(server):
    certificate = OURS.issue("ann@keys.test")
    good = (b"235 ", b"tag9 OK", b"+OK")
    bad = (b"535 ", b"tag9 NO [AUTHENTICATIONFAILED]", b"-ERR [AUTH]")
    with admitted(server, "address:ann@keys.test"):
        for port in (*PORTS.values(), *CLEAR.values()):
            for name, wanted in (("", good), ("ann@keys.test", good), ("bob@keys.test", bad), ("no@keys.test", bad)):
                said = external(server, port, certificate, name)
                assert said.startswith(wanted), (port, name, said)


def test_s_client(server):
    certificate = OURS.issue("ann@keys.test")
    smtp, imap = "EHLO c\r\nAUTH EXTERNAL =\r\nQUIT\r\n", "a AUTHENTICATE EXTERNAL =\r\nb LOGOUT\r\n"
    pop3 = "AUTH EXTERNAL =\r\nQUIT\r\n"
    ways = [("submissions", [], smtp, "235 "), ("submission", ["-starttls", "smtp"], smtp, "235 "),
            ("imaps", [], imap, "a OK"), ("imap", ["-starttls", "imap"], imap, "a OK"),
            ("pop3s", [], pop3, "messages"), ("pop3", ["-starttls", "pop3"], pop3, "messages")]
    with admitted(server, "address:ann@keys.test"):
        for port, begin, lines, wanted in ways:
            client = subprocess.Popen(
                ["openssl", "s_client", "-quiet", "-connect", f"{server.host}:{server.ports[port]}", "-cert",
                 certificate, "-key", certificate, *begin], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.PIPE, text=True)
            # Who speaks before the greeting is sent away; within STARTTLS there is none.
            greeting = "" if begin else client.stdout.readline()
            told, failed = client.communicate(lines, timeout=30)
            assert wanted in told, (port, greeting, told, failed)


def test_who_shows_none_may_use_a_password(server):
    for port in PORTS.values():
        said = external(server, port, None)
        assert said.startswith((b"504 ", b"tag9 NO [CANNOT]", b"-ERR")), (port, said)
    for protocol in PORTS:
        for certificate in (None, OURS.issue("")):
            auth_clients.curl(User(server, "ann@keys.test", PASSWORD, certificate=certificate), protocol, "PLAIN")


def test_what_ends_the_handshake(server):
    itself = OURS.folder / "itself.pem"
    openssl("req", "-x509", *CURVE, "-keyout", itself, "-out", OURS.folder / "itself.crt", "-days", "2", "-subj",
            "/CN=Ann", "-addext", "subjectAltName=email:ann@keys.test")
    itself.write_text((OURS.folder / "itself.crt").read_text() + itself.read_text())
    with admitted(server, "address:ann@keys.test"):
        for certificate in (THEIRS.issue("ann@keys.test"), OURS.issue("ann@keys.test", days=-1),
                            OURS.issue("ann@keys.test", use="serverAuth"), itself):
            assert curl(server, certificate) == everywhere("cut"), certificate


def test_whom_a_certificate_is_not_for(server):
    bobs, of_two = OURS.issue("bob@keys.test"), OURS.issue("bob@keys.test", "/CN=two")
    with admitted(server, "address:bob@keys.test", "bob"):
        assert curl(server, bobs, "bob") == everywhere("in")
        assert curl(server, bobs, "ann") == everywhere("denied")
        with admitted(server, "subject:CN=two", "ann"):
            assert curl(server, of_two, "bob") == everywhere("denied")
        assert curl(server, of_two, "bob") == everywhere("in")
        server.command("account", "set", "bob@keys.test", "--login", "no")
        assert curl(server, bobs, "bob") == everywhere("denied")
        server.command("account", "set", "bob@keys.test", "--login", "yes")
    # An address that some authority wrote is worth nothing until it was added.
    assert curl(server, OURS.issue("carol@keys.test"), "carol") == everywhere("denied")


def test_where_one_is_required(server):
    server.ports["imaps required"] = REQUIRED
    url = f"imaps://{server.host}:{REQUIRED}/"
    words = ["curl", "-sS", "-k", "--max-time", "30", "--user", f"ann@keys.test:{PASSWORD}"]
    without = subprocess.run([*words, url], capture_output=True, text=True)
    assert without.returncode in (8, 35, 55, 56), without
    run(*words, "--cert", str(OURS.issue("")), url)


def own(folder, name):
    """A certificate for the server, in place of the one before; its fingerprint."""
    openssl("req", "-x509", *CURVE, "-keyout", folder / "next.key", "-out", folder / "next.pem", "-days", "2", "-subj",
            f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}")
    for kind in ("key", "pem"):
        (folder / f"next.{kind}").chmod(0o600)
        (folder / f"next.{kind}").rename(folder / f"own.{kind}")
    return fingerprint(folder / "own.pem")


def presented(server, port):
    """What s_client is shown."""
    begin = ["-starttls", STARTTLS[port]] if port in STARTTLS else []
    done = subprocess.run(["openssl", "s_client", "-connect", f"{server.host}:{server.ports[port]}", *begin],
                          input=b"", capture_output=True, timeout=30)
    told = subprocess.run(["openssl", "x509", "-noout", "-fingerprint", "-sha256"], input=done.stdout,
                          capture_output=True, check=True).stdout
    return told.decode().strip().partition("=")[2]


def test_the_servers_own_is_replaced_while_sessions_go_on(binary):
    with tempfile.TemporaryDirectory(prefix="own-") as name:
        folder = pathlib.Path(name)
        first = own(folder, "mx.keys.test")
        extra = f'\n[tls]\ncertificate = "{folder}/own.pem"\nkey = "{folder}/own.key"\nwatch = "1s"\n'
        with Server(binary, "keys.test", ["ann"], extra=extra) as server:
            ports = list(server.ports)
            assert {presented(server, port) for port in ports} == {first}
            # smtp without TLS, all others within it.
            sessions = [(port, Shown(server, port)) for port in ports * 15]
            second = own(folder, "mx.keys.test")
            server.command("reload")
            assert {presented(server, port) for port in ports} == {second}
            # Seen without being told, too.
            third = own(folder, "mx.keys.test")
            until("the third is shown", lambda: {presented(server, port) for port in ports} == {third}, 20)
            for port, peer in sessions:
                if port.startswith("imap"):
                    said = peer.imap(b"NOOP")
                elif port.startswith("pop3"):
                    peer.send(b"CAPA\r\n")
                    said = peer.line()
                elif port == "managesieve":
                    peer.send(b"NOOP\r\n")
                    said = peer.line()
                else:
                    said = peer.reply(b"NOOP")
                assert said.startswith((b"250", b"tag9 OK", b"+OK", b"OK")), (port, said)
                peer.close()
            print(f"   {len(sessions)} sessions went on")


if __name__ == "__main__":
    need("curl")
    OURS, THEIRS = ClientAuthority(), ClientAuthority()
    extra = (f'\n[[listener]]\nprotocol = "imap"\naddress = "127.0.0.1:{REQUIRED}"\ntls = "implicit"\n'
             f'{OURS.keys("required")}\n[abuse]\nexempt = ["127.0.0.1"]\n')
    try:
        play(__doc__, globals(), "keys.test", ["ann", "bob", "carol"], extra, listener_keys=OURS.keys())
    finally:
        OURS.stop()
        THEIRS.stop()
