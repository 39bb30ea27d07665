#!/usr/bin/env python3
"""Who sent a message, as the mailserver binary finds out: mail signed by dkimpy and opendkim, from addresses that SPF
names and does not name, sealed by dkimpy's ARC, forged, and hostile. What comes of it is read back by IMAP, and the
results by the authres module.

    python3 tests/interop/sender_auth.py --binary target/debug/mailserver

dkimpy and authres are looked for in target/interop/python-dkim, then among the system's modules. Skips opendkim where
it is missing; with MAILCORE_REQUIRE_TOOLS=1 its lack is a failure."""

import argparse
import base64
import email
import email.policy
import imaplib
import pathlib
import shutil
import smtplib
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.path.insert(0, str(HERE.parent.parent / "target/interop/python-dkim"))
import authres  # noqa: E402
import authres.arc  # noqa: E402
import authres.dmarc  # noqa: E402
import dkim  # noqa: E402
import dns.flags  # noqa: E402
import dns.message  # noqa: E402
import dns.rcode  # noqa: E402
import dns.rrset  # noqa: E402
from server import PASSWORD, Server, free_port, need  # noqa: E402

GOOD, BAD = "192.0.2.9", "198.51.100.66"
FEATURES = authres.FeatureContext(authres.dmarc, authres.arc)
MAIL = """From: Ann <ann@{domain}>
To: bob@here.test
Subject: {subject}
Date: Sun, 22 Nov 2026 12:00:00 +0000
Message-ID: <{subject}@{domain}>

Hello,

this is a message.
"""


class NameServer:
    """Answers from a table by UDP; names under `silent` are never answered, those under `broken` with SERVFAIL."""

    def __init__(self):
        self.port = free_port()
        self.records, self.silent, self.broken = {}, set(), set()
        self.socket = socket.socket(type=socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", self.port))
        threading.Thread(target=self.serve, daemon=True).start()

    def add(self, name, kind, text):
        self.records.setdefault((name, kind), []).append(text)

    def txt(self, name, text):
        parts = [text[at:at + 250] for at in range(0, len(text), 250)]
        self.add(name, "TXT", " ".join(f'"{part}"' for part in parts))

    def serve(self):
        while True:
            octets, peer = self.socket.recvfrom(4096)
            query = dns.message.from_wire(octets)
            question = query.question[0]
            name = question.name.to_text().rstrip(".").lower()
            if any(name == it or name.endswith("." + it) for it in self.silent):
                continue
            reply = dns.message.make_response(query)
            reply.flags |= dns.flags.RA
            kind = question.rdtype.name
            if any(name == it or name.endswith("." + it) for it in self.broken):
                reply.set_rcode(dns.rcode.SERVFAIL)
            elif found := self.records.get((name, kind)):
                reply.answer.append(dns.rrset.from_text(question.name, 60, "IN", kind, *found))
            elif not any(known == name or known.endswith("." + name) for known, _ in self.records):
                reply.set_rcode(dns.rcode.NXDOMAIN)
            self.socket.sendto(reply.to_wire(), peer)


class World:
    """A server, its name server, and hosts that send to it."""

    def __init__(self, binary):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="sender-auth-"))
        self.dns = NameServer()
        self.key = self.folder / "key.pem"
        subprocess.run(["openssl", "genrsa", "-traditional", "-out", self.key, "2048"], check=True, capture_output=True)
        public = subprocess.run(["openssl", "rsa", "-in", self.key, "-pubout", "-outform", "DER"], check=True,
                                capture_output=True).stdout
        record = "v=DKIM1; k=rsa; p=" + base64.b64encode(public).decode()
        for domain in ("good.test", "soft.test", "list.test", "evil.test"):
            self.dns.txt(f"s._domainkey.{domain}", record)
            self.dns.add(domain, "A", GOOD)
        for domain, policy in (("good.test", "reject"), ("soft.test", "quarantine"), ("bank.test", "reject")):
            self.dns.txt(domain, f"v=spf1 ip4:{GOOD} -all")
            self.dns.txt(f"_dmarc.{domain}", f"v=DMARC1; p={policy}")
        self.dns.txt("evil.test", f"v=spf1 ip4:{BAD} -all")
        self.dns.txt("list.test", f"v=spf1 ip4:{BAD} -all")
        self.dns.add("9.2.0.192.in-addr.arpa", "PTR", "out.good.test.")
        self.dns.add("out.good.test", "A", GOOD)
        extra = ('\n[filter]\nexempt = []\ndeadline = "4s"\n\n[filter.sender_auth]\ntrusted_sealers = ["list.test"]\n'
                 'received_spf = true\n\n[smtp]\nxclient = ["127.0.0.1"]\nheader_size = "2MiB"\n')
        self.server = Server(binary, "here.test", ["bob"], dns=f"127.0.0.1:{self.dns.port}", extra=extra)
        self.sent = 0

    def sign(self, text, domain="good.test", **more):
        octets = crlf(text)
        field = dkim.sign(octets, b"s", domain.encode(), self.key.read_bytes(), include_headers=[
            b"from", b"to", b"subject", b"date"], canonicalize=(b"relaxed", b"relaxed"), **more)
        return field + octets

    def send(self, octets, ip=GOOD, sender="ann@good.test", helo="out.good.test"):
        """The server's reply to a message from a host at this address."""
        with smtplib.SMTP("127.0.0.1", self.server.ports["smtp"], timeout=60) as client:
            client.ehlo("proxy.test")
            code, answer = client.docmd(f"XCLIENT ADDR={ip} NAME=[UNAVAILABLE]")
            assert code == 220, (code, answer)
            client.ehlo(helo)
            code, answer = client.mail(sender)
            if code == 250:
                code, answer = client.rcpt("bob@here.test")
            if code == 250:
                code, answer = client.data(octets)
            return code, answer.decode()

    def receive(self, subject):
        """The message in INBOX with this subject, where there is one."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with imaplib.IMAP4_SSL("127.0.0.1", self.server.ports["imaps"], ssl_context=context) as client:
            client.login("bob@here.test", PASSWORD)
            _, (last,) = client.select("INBOX")
            if last == b"0":
                return None
            _, parts = client.fetch(last, "(BODY.PEEK[])")
            message = email.message_from_bytes(parts[0][1], policy=email.policy.compat32)
            return message if message["Subject"] == subject else None

    def subject(self, what):
        self.sent += 1
        return f"{what}{self.sent}"

    def mail(self, domain, what):
        subject = self.subject(what)
        return subject, MAIL.format(domain=domain, subject=subject)

    def taken(self, subject, octets, **how):
        """Sends a message that must be taken; what is written on top of it, method by method."""
        code, answer = self.send(octets, **how)
        assert code == 250, (subject, code, answer)
        message = self.receive(subject)
        assert message, f"{subject} is not in INBOX"
        fields = message.get_all("Authentication-Results")
        ours = [field for field in fields if field.strip().startswith("mx.here.test")]
        assert len(ours) == 1, fields
        read = FEATURES.parse("Authentication-Results: " + " ".join(ours[0].split()))
        assert read.authserv_id == "mx.here.test"
        results = {}
        for result in read.results:
            results.setdefault(result.method, []).append(result)
        return message, results


def crlf(text):
    return text.replace("\r\n", "\n").replace("\n", "\r\n").encode()


def said(results):
    return {method: found[0].result for method, found in results.items()}


def prop(result, kind, name):
    return next((it.value for it in result.properties if (it.type, it.name) == (kind, name)), None)


def signed_by_dkimpy(world):
    subject, text = world.mail("good.test", "dkimpy")
    message, results = world.taken(subject, world.sign(text))
    assert said(results) == {"spf": "pass", "dkim": "pass", "dmarc": "pass", "arc": "none", "iprev": "pass"}, results
    assert prop(results["spf"][0], "smtp", "mailfrom") == "ann@good.test"
    assert prop(results["dkim"][0], "header", "d") == "good.test"
    assert prop(results["dmarc"][0], "header", "from") == "good.test"
    assert message["Received-SPF"].startswith("pass "), message["Received-SPF"]
    names = [name.lower() for name in message.keys()]
    assert names.index("authentication-results") < names.index("received"), names


class Milter:
    """opendkim, asked by its own protocol to sign."""

    def __init__(self, world, form):
        self.port = free_port()
        config = world.folder / "opendkim.conf"
        config.write_text("RequireSafeKeys no\n")
        self.process = subprocess.Popen(
            ["opendkim", "-f", "-x", config, "-p", f"inet:{self.port}@127.0.0.1", "-b", "s", "-d", "good.test", "-s",
             "s", "-k", world.key, "-c", form, "-P", world.folder / "pid"], stdout=subprocess.DEVNULL)

    def ask(self, command, data=b""):
        self.stream.sendall(struct.pack(">I", len(data) + 1) + command + data)

    def answer(self):
        length, = struct.unpack(">I", self.stream.recv(4, socket.MSG_WAITALL))
        octets = self.stream.recv(length, socket.MSG_WAITALL)
        return octets[:1], octets[1:]

    def sign(self, text):
        """The text with what opendkim put before it."""
        deadline = time.monotonic() + 10
        while True:
            try:
                self.stream = socket.create_connection(("127.0.0.1", self.port), 10)
                break
            except OSError:
                assert time.monotonic() < deadline, "opendkim does not listen"
                time.sleep(0.05)
        header, _, body = crlf(text).partition(b"\r\n\r\n")
        self.ask(b"O", struct.pack(">III", 6, 0x1FF, 0))
        self.answer()
        steps = [(b"C", b"localhost\x004" + struct.pack(">H", 25) + b"127.0.0.1\0"), (b"H", b"localhost\0"),
                 (b"M", b"<ann@good.test>\0"), (b"R", b"<bob@here.test>\0")]
        for line in header.split(b"\r\n"):
            name, _, value = line.partition(b": ")
            steps.append((b"L", name + b"\0" + value + b"\0"))
        for command, data in [*steps, (b"N", b""), (b"B", body)]:
            self.ask(command, data)
            assert self.answer()[0] == b"c", command
        self.ask(b"E")
        fields = b""
        while (told := self.answer())[0] not in b"ca":
            kind, data = told
            if kind in b"ih":
                name, value, _ = data[4 if kind == b"i" else 0:].split(b"\0")
                fields = name + b": " + value.replace(b"\n", b"\r\n") + b"\r\n" + fields
        self.stream.close()
        assert b"DKIM-Signature" in fields, fields
        return fields + crlf(text)

    def stop(self):
        self.process.terminate()
        self.process.wait(10)


def signed_by_opendkim(world):
    if not need("opendkim"):
        return
    for form in ("relaxed/simple", "simple/relaxed"):
        milter = Milter(world, form)
        try:
            subject, text = world.mail("good.test", "opendkim")
            octets = milter.sign(text)
        finally:
            milter.stop()
        # Sent on by another host: the signature alone speaks for it.
        _, results = world.taken(subject, octets, ip=BAD, sender="list@evil.test")
        assert said(results)["dkim"] == "pass" and said(results)["dmarc"] == "pass", results


def spf_alone(world):
    subject, text = world.mail("good.test", "spf")
    _, results = world.taken(subject, crlf(text))
    assert said(results)["dkim"] == "none" and said(results)["dmarc"] == "pass", results
    # A notice has no sender: the name of the host counts.
    world.dns.txt("out.good.test", f"v=spf1 ip4:{GOOD} -all")
    subject, text = world.mail("good.test", "notice")
    _, results = world.taken(subject, crlf(text), sender="")
    assert said(results)["spf"] == "pass" and prop(results["spf"][0], "smtp", "helo") == "out.good.test", results


def forged(world):
    subject, text = world.mail("good.test", "forged")
    code, answer = world.send(crlf(text), ip=BAD)
    assert code == 550 and answer.startswith("5.7.1 Email rejected per DMARC policy for good.test"), (code, answer)
    # SPF of the forger's own domain passes, and is of no help.
    code, answer = world.send(world.sign(text, "evil.test"), ip=BAD, sender="x@evil.test")
    assert code == 550, (code, answer)
    subject, text = world.mail("soft.test", "suspicious")
    code, answer = world.send(crlf(text), ip=BAD, sender="ann@soft.test")
    assert code == 250, (code, answer)
    assert world.receive(subject) is None, "what is kept apart is in INBOX"


def changed(world):
    subject, text = world.mail("good.test", "changed")
    code, answer = world.send(world.sign(text) + b"More.\r\n", ip=BAD, sender="x@evil.test")
    assert code == 550, (code, answer)
    # Signed in part only: the rest is anybody's.
    subject, text = world.mail("good.test", "partly")
    code, answer = world.send(world.sign(text, length=True) + b"More.\r\n", ip=BAD, sender="x@evil.test")
    assert code == 550, (code, answer)


def results_of_others(world):
    subject, text = world.mail("evil.test", "forged-results")
    text = ("Authentication-Results: mx.here.test; dmarc=pass header.from=bank.test\n"
            "Authentication-Results: (c) MX.here.test ; dkim=pass\nBIMI-Location: v=BIMI1; l=https://evil.test/\n"
            "Authentication-Results: other.test; spf=pass smtp.mailfrom=x\n") + text
    message, results = world.taken(subject, crlf(text), ip=BAD, sender='"a;b=c"@evil.test')
    assert said(results)["dmarc"] == "none" and said(results)["dkim"] == "none", results
    assert len(message.get_all("Authentication-Results")) == 2, message.items()
    assert message["BIMI-Location"] is None


def authors(world):
    subject, text = world.mail("evil.test", "authors")
    code, answer = world.send(crlf("From: ceo@bank.test\n" + text), ip=BAD, sender="x@evil.test")
    assert code == 550 and "5.6.0" in answer, (code, answer)
    both = text.replace("From: ", "From: ceo@bank.test, ")
    code, answer = world.send(crlf(both), ip=BAD, sender="x@evil.test")
    assert code == 550 and "bank.test" in answer, (code, answer)


def sealed(world):
    """A list that we trust changed the message, and sealed what it had found."""
    def passed_on(subject, text, sealer, found):
        octets = crlf(f"Authentication-Results: {sealer}; {found} header.from=bank.test\n" + text)
        chain = dkim.arc_sign(octets, b"s", sealer.encode(), world.key.read_bytes(), sealer.encode(), include_headers=[
            b"from", b"to", b"subject", b"date"])
        return b"".join(chain) + octets
    subject, text = world.mail("bank.test", "sealed")
    _, results = world.taken(subject, passed_on(subject, text, "list.test", "dmarc=pass"), ip=BAD, sender="l@list.test")
    assert said(results)["arc"] == "pass" and said(results)["dmarc"] == "fail", results
    for sealer, found in (("evil.test", "dmarc=pass"), ("list.test", "dmarc=fail")):
        subject, text = world.mail("bank.test", "badly-sealed")
        code, answer = world.send(passed_on(subject, text, sealer, found), ip=BAD, sender="l@list.test")
        assert code == 550, (sealer, found, code, answer)
    subject, text = world.mail("bank.test", "broken-seal")
    octets = passed_on(subject, text, "list.test", "dmarc=pass") + b"More.\r\n"
    code, answer = world.send(octets, ip=BAD, sender="l@list.test")
    assert code == 550, (code, answer)


def hostile(world):
    subject, text = world.mail("good.test", "hundred")
    many = "".join(f"DKIM-Signature: v=1; a=rsa-sha256; d=evil{n}.test; s=s; h=from; bh=AAAA; b=AAAA\n"
                   for n in range(100))
    begun = time.monotonic()
    _, results = world.taken(subject, crlf(many + text))
    assert len(results["dkim"]) == 11 and said(results)["dmarc"] == "pass", results
    subject, text = world.mail("good.test", "large")
    filler = "".join(f"X-Filler-{n}: {'x' * 900}\n" for n in range(1_100))
    _, results = world.taken(subject, crlf(filler + text))
    assert said(results)["dmarc"] == "pass", results
    assert time.monotonic() - begun < 10
    # The next message is none the worse.
    signed_by_dkimpy(world)


def dns_is_out(world):
    """Mail of a domain that is not answered for is taken, and in time; a signature of one that never answers is no way
    out of another's policy."""
    world.dns.silent.add("silent.test")
    world.dns.broken.add("broken.test")
    subject, text = world.mail("broken.test", "broken")
    _, results = world.taken(subject, world.sign(text, "broken.test"), sender="ann@broken.test")
    assert said(results) == {"spf": "temperror", "dkim": "temperror", "dmarc": "temperror", "arc": "none",
                             "iprev": "pass"}, results
    subject, text = world.mail("silent.test", "silent")
    begun = time.monotonic()
    _, results = world.taken(subject, world.sign(text, "silent.test"), sender="")
    assert said(results)["dkim"] == "temperror" and said(results)["dmarc"] == "temperror", results
    took = time.monotonic() - begun
    assert took < 10, took
    print(f"    DNS that never answers: {took:.1f} s for a message")
    subject, text = world.mail("bank.test", "way-out")
    code, answer = world.send(world.sign(text, "silent.test"), ip=BAD, sender="x@evil.test")
    assert code == 550, (code, answer)


CASES = {
    "dkimpy": signed_by_dkimpy, "opendkim": signed_by_opendkim, "spf": spf_alone, "forged": forged, "changed": changed,
    "results": results_of_others, "authors": authors, "sealed": sealed, "hostile": hostile, "dns": dns_is_out,
}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", required=True)
    parser.add_argument("--only", choices=CASES)
    arguments = parser.parse_args()
    world = World(arguments.binary)
    failures = 0
    with world.server:
        for name, case in CASES.items():
            if arguments.only in (None, name):
                try:
                    case(world)
                    print(f"ok   {name}")
                except Exception:  # noqa: BLE001
                    failures += 1
                    print(f"FAIL {name}")
                    traceback.print_exc()
    shutil.rmtree(world.folder, ignore_errors=True)
    return failures


if __name__ == "__main__":
    sys.exit(main())
