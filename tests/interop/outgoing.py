#!/usr/bin/env python3
"""The mailserver binary as a client of real Postfix and smtp-sink: in clear and
with STARTTLS, in chunks, with notices asked for, in UTF-8, with some recipients
refused.

    python3 tests/interop/outgoing.py --binary target/debug/mailserver [--only NAME]

Skips with a message without Postfix; with MAILCORE_REQUIRE_TOOLS=1 its lack is a
failure."""

import argparse
import os
import pathlib
import pwd
import shutil
import smtplib
import socket
import subprocess
import sys
import tempfile
import time
import traceback

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from server import PASSWORD, Server, free_port, need  # noqa: E402

MAIN = """
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
mail_owner = postfix
myhostname = pf.test
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
smtputf8_enable = yes
maillog_file = {folder}/log
maillog_file_prefixes = {folder}
smtpd_tls_cert_file = {folder}/cert.pem
smtpd_tls_key_file = {folder}/key.pem
smtpd_tls_security_level = may
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_recipient_restrictions = check_recipient_access inline:{{no@pf.test=REJECT, later@pf.test=DEFER}}, permit_mynetworks, reject
virtual_mailbox_domains = pf.test
virtual_mailbox_base = {folder}/mail
virtual_mailbox_maps = static:box/
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
virtual_minimum_uid = 1
relayhost = [127.0.0.1]:{back}
"""

MASTER = """
{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
local unix - n n - - local
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


class Postfix:
    """A Postfix of the test's own, whose notices come back to a port."""

    def __init__(self, back, extra=""):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="postfix-"))
        self.port = free_port()
        owner = pwd.getpwnam("postfix")
        self.folder.chmod(0o755)
        for name in ("queue", "data", "mail"):
            (self.folder / name).mkdir()
        for name in ("data", "mail"):
            os.chown(self.folder / name, owner.pw_uid, owner.pw_gid)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
                        "/CN=pf.test", "-keyout", self.folder / "key.pem", "-out", self.folder / "cert.pem"],
                       check=True, capture_output=True)
        (self.folder / "main.cf").write_text(
            MAIN.format(folder=self.folder, uid=owner.pw_uid, gid=owner.pw_gid, back=back) + extra)
        (self.folder / "master.cf").write_text(MASTER.format(port=f"127.0.0.1:{self.port}"))

    def __enter__(self):
        self.run("start")
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                with socket.create_connection(("127.0.0.1", self.port), 5) as peer:
                    if peer.recv(3) == b"220":
                        return self
            except OSError:
                pass
            time.sleep(0.1)
        self.run("stop")
        raise AssertionError(f"Postfix does not listen:\n{self.log()}")

    def __exit__(self, kind, *_):
        self.run("stop")
        if kind:
            print(f"--- log of Postfix\n{self.log()}")
        shutil.rmtree(self.folder, ignore_errors=True)

    def run(self, word):
        # A pipe would stay open as long as the daemon lives.
        with open(self.folder / "out", "ab") as out:
            subprocess.run(["postfix", "-c", str(self.folder), word], check=True, stdout=out, stderr=out,
                           stdin=subprocess.DEVNULL, timeout=60)

    def log(self):
        path = self.folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def mail(self):
        box = self.folder / "mail" / "box" / "new"
        return [path.read_bytes() for path in sorted(box.iterdir())] if box.exists() else []


def until(what, condition, seconds=30):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"in {seconds} seconds: {what} did not happen")


def route(server, text):
    """A server with routes of its own; before it starts."""
    with server.config.open("a") as config:
        config.write(text)
    server.command("check-config")


def submit(server, to, content, options=(), rcpt_options=()):
    client = smtplib.SMTP("127.0.0.1", server.ports["submission"], timeout=30)
    client.starttls()
    client.login("alice@a.test", PASSWORD)
    refused = client.sendmail("alice@a.test", to, content, options, rcpt_options)
    client.quit()
    assert not refused, refused


def box(server):
    """The messages of alice's INBOX."""
    import imaplib
    import ssl
    tls = ssl.create_default_context()
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    client = imaplib.IMAP4_SSL("127.0.0.1", server.ports["imaps"], ssl_context=tls)
    client.login("alice@a.test", PASSWORD)
    client.select()
    numbers = client.search(None, "ALL")[1][0].split()
    found = [client.fetch(number, "BODY[]")[1][0][1] for number in numbers]
    client.logout()
    return found


HEADER = b"From: <alice@a.test>\r\nSubject: %s\r\nMIME-Version: 1.0\r\n"


def test_relay_test_prints_the_dialogue(server, postfix):
    said = server.command("relay", "test", "--from", "alice@a.test", "--to", "bob@pf.test")
    for line in ("-- connecting to [127.0.0.1]", "C: EHLO mx.a.test", "C: STARTTLS", "TLSv1.3",
                 "S: 250 CHUNKING", "C: BDAT ", "taken by "):
        assert line in said, said
    by_host = ["--host", "127.0.0.1", "--port", str(postfix.port), "--from", "alice@a.test", "--to"]
    server.command("relay", "test", *by_host, "bob@pf.test", "--tls", "none")
    try:
        server.command("relay", "test", *by_host, "no@pf.test", "--tls", "none")
        raise RuntimeError("a refused message must be a failure")
    except AssertionError as error:
        assert "refused by" in str(error) and "S: 554 5.7.1" in str(error), error
    try:
        # The certificate is nobody's.
        server.command("relay", "test", *by_host, "bob@pf.test")
        raise RuntimeError("a certificate that is not valid must be a failure")
    except AssertionError as error:
        assert "C: STARTTLS" in str(error) and "not reached by" in str(error), error


def test_some_recipients_are_refused(server, postfix):
    before = len(postfix.mail())
    submit(server, ["bob@pf.test", "no@pf.test", "later@pf.test"], HEADER % b"some" + b"\r\nbody\r\n")
    until("the mail arrives", lambda: len(postfix.mail()) > before)
    notice = until("the notice comes", lambda: [m for m in box(server) if b"no@pf.test" in m])[0]
    assert b"Action: failed" in notice and b"Diagnostic-Code: smtp; 554" in notice, notice
    assert "later@pf.test" in server.command("queue", "list")
    server.command("queue", "delete", "--all")


def test_large_mail_goes_in_chunks_as_it_is(server, postfix):
    before = len(postfix.mail())
    line = "0123456789 é".encode() * 5 + b"\r\n"
    content = HEADER % b"large" + b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + b"..\r\n.\r\n" + line * 20_000
    submit(server, ["bob@pf.test"], content)
    until("the mail arrives", lambda: len(postfix.mail()) > before)
    got = max(postfix.mail(), key=len).replace(b"\n", b"\r\n")
    assert got.endswith(content.split(b"\r\n\r\n", 1)[1]), "the content was changed"


def test_notices_are_asked_of_the_next_host(server, postfix):
    submit(server, ["bob@pf.test"], HEADER % b"notice" + b"\r\nbody\r\n", ["RET=HDRS", "ENVID=id-1"],
           ["NOTIFY=SUCCESS", "ORCPT=rfc822;first@pf.test"])
    notice = until("the notice comes", lambda: [m for m in box(server) if b"Original-Envelope-Id: id-1" in m])[0]
    assert b"Action: delivered" in notice and b"first@pf.test" in notice, notice
    assert b"Reporting-MTA: dns; pf.test" in notice, "it is Postfix that tells"


def test_addresses_in_utf8(server, postfix):
    submit(server, ["ящик@pf.test"], HEADER % "тема".encode() + "\r\nтело\r\n".encode(), ["SMTPUTF8", "BODY=8BITMIME"])
    # The mail of the test before may still be on its way.
    subject = "Subject: тема".encode()
    got = until("the mail arrives", lambda: [mail for mail in postfix.mail() if subject in mail])[0]
    assert "тело".encode() in got, got


def test_eight_bit_content_is_converted_for_an_old_host(server, postfix):
    """smtp-sink that offers nothing."""
    before = list(sink_mail(server))
    content = HEADER % b"old" + b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + "über\r\n".encode()
    submit(server, ["bob@sink.test"], content)
    got = until("the mail arrives", lambda: [m for m in sink_mail(server) if m not in before])[0]
    assert b"quoted-printable" in got and b"=C3=BCber" in got and got.isascii(), got


def sink_mail(server):
    return [path.read_bytes() for path in (server.folder / "sink").iterdir()]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", required=True)
    parser.add_argument("--only")
    options = parser.parse_args()
    if not (need("postfix") and need("smtp-sink") and need("openssl")):
        return
    if os.geteuid():
        print("skipped: Postfix runs as root alone")
        return sys.exit(1 if os.environ.get("MAILCORE_REQUIRE_TOOLS") else 0)
    tests = [(name, test) for name, test in globals().items() if name.startswith("test_")]
    failed = 0
    sink_port = free_port()
    server = Server(options.binary, "a.test", ["alice"], retry='["2s"]')
    with Postfix(server.ports["smtp"]) as postfix:
        (server.folder / "sink").mkdir()
        sink = subprocess.Popen(["smtp-sink", "-8", "-e", "-d", str(server.folder / "sink" / "m."), "-u", "root",
                                 f"127.0.0.1:{sink_port}", "10"], stderr=subprocess.DEVNULL)
        try:
            for domain, port in (("pf.test", postfix.port), ("sink.test", sink_port)):
                route(server, f'\n[[outgoing.route]]\ndomain = "{domain}"\nhost = "127.0.0.1"\nport = {port}\n'
                              'tls = "opportunistic"\n')
            with server:
                for name, test in tests:
                    if options.only and options.only not in name:
                        continue
                    try:
                        test(server, postfix)
                        print(f"ok      {name}")
                    except Exception:
                        failed += 1
                        print(f"FAILED  {name}")
                        traceback.print_exc(file=sys.stdout)
        finally:
            sink.terminate()
            sink.wait()
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
