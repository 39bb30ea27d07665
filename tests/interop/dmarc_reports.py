#!/usr/bin/env python3
"""DMARC reports between two of our servers, with dnsmasq as their DNS: mail of a.test comes to b.test, signed, from a
host of its own, and forged. b.test reports that to a.test, which sums it up; failures are told one by one.

    python3 tests/interop/dmarc_reports.py --binary target/debug/mailserver

Skips without dnsmasq; with MAILCORE_REQUIRE_TOOLS=1 its lack is a failure. Where python has lxml and
DMARC_SCHEMA names the schema of RFC 9990, the report is checked against it."""

import argparse
import email
import email.policy
import gzip
import imaplib
import json
import os
import pathlib
import re
import shlex
import smtplib
import ssl
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from server import PASSWORD, Server, free_port, need  # noqa: E402

FORGER = "198.51.100.66"
SPACE = {"r": "urn:ietf:params:xml:ns:dmarc-2.0"}
MAIL = "From: Ann <ann@a.test>\r\nTo: Bob <bob@b.test>\r\nSubject: {subject}\r\n" \
       "Date: Sun, 22 Nov 2026 12:00:00 +0000\r\nMessage-ID: <{subject}@a.test>\r\n\r\nHello.\r\n"


class Names:
    """dnsmasq with these TXT records."""

    def __init__(self):
        self.port = free_port()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="names-"))
        self.process = None

    def publish(self, records):
        text = [f"port={self.port}", "listen-address=127.0.0.1", "bind-interfaces", "no-resolv", "no-hosts",
                "local=/test/", "local=/arpa/", "pid-file=", "host-record=a.test,mx.a.test,192.0.2.1",
                "host-record=b.test,mx.b.test,192.0.2.2"]
        for name, parts in records:
            text.append(f"txt-record={name}," + ",".join(f'"{part}"' for part in parts))
        (self.folder / "conf").write_text("\n".join(text) + "\n")
        self.process = subprocess.Popen(["dnsmasq", "-k", "-C", self.folder / "conf", "-u", "root"])
        time.sleep(0.3)
        assert self.process.poll() is None, "dnsmasq ended"

    def stop(self):
        self.process.kill()
        self.process.wait()


def signing_records(server):
    found = []
    for line in server.command("dkim", "add", "a.test", "--active").splitlines():
        parts = line.split(" ", 4)
        if len(parts) == 5 and parts[3] == "TXT":
            found.append((parts[0].rstrip("."), shlex.split(parts[4])))
    assert found
    return found


def submit(server, text):
    with smtplib.SMTP_SSL("127.0.0.1", server.ports["submissions"], context=insecure()) as client:
        client.login("ann@a.test", PASSWORD)
        client.sendmail("ann@a.test", ["bob@b.test"], text)


def insecure():
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def send(server, text, ip):
    """Mail of ann's by a host at this address."""
    with smtplib.SMTP("127.0.0.1", server.ports["smtp"], timeout=60) as client:
        client.ehlo("proxy.test")
        code, answer = client.docmd(f"XCLIENT ADDR={ip} NAME=[UNAVAILABLE]")
        assert code == 220, answer
        client.ehlo("host.a.test")
        client.sendmail("ann@a.test", ["bob@b.test"], text)


def messages(server, user, folder="INBOX"):
    with imaplib.IMAP4_SSL("127.0.0.1", server.ports["imaps"], ssl_context=insecure()) as client:
        client.login(user, PASSWORD)
        if client.select(folder)[0] != "OK":
            return []
        _, (numbers,) = client.search(None, "ALL")
        found = []
        for number in numbers.split():
            _, parts = client.fetch(number, "(BODY.PEEK[])")
            found.append(parts[0][1])
        return found


def until(what, seconds=30):
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline, "nothing came"
        time.sleep(0.2)
    return found


def parsed(octets):
    return email.message_from_bytes(octets, policy=email.policy.default)


def mail_comes(a, b):
    submit(a, MAIL.format(subject="signed"))
    (signed,) = until(lambda: messages(b, "bob@b.test"))
    assert b"dmarc=pass" in signed, signed.decode()
    send(b, MAIL.format(subject="unsigned"), "127.0.0.1")
    for subject in ("forged", "forged-again"):
        send(b, MAIL.format(subject=subject), FORGER)
    # The words are others than those that were signed.
    start = signed.index(b"DKIM-Signature:")
    send(b, signed[start:].replace(b"Hello.", b"Pay here.").decode(), FORGER)
    until(lambda: len(messages(b, "bob@b.test", "Junk")) == 3)
    print("   mail came: signed, from a host of its own, forged, and altered")


def reports_go(a, b):
    dry = b.command("dmarc", "send", "--dry-run")
    assert "would be sent to dmarc@a.test" in dry and "<source_ip>" in dry, dry
    sent = b.command("dmarc", "send")
    assert "a.test: 5 messages in 4 rows sent to dmarc@a.test" in sent, sent
    assert "a.test._report._dmarc.victim.test does not say that it takes reports" in sent, sent
    assert "nothing was counted" in b.command("dmarc", "send")

    def aggregate():
        mails = map(parsed, messages(a, "dmarc@a.test"))
        return [mail for mail in mails if mail["Subject"].startswith("Report Domain: a.test Submitter: b.test Report-ID: <")]
    (mail,) = until(aggregate)
    (part,) = mail.iter_attachments()
    assert part.get_content_type() == "application/gzip"
    assert re.fullmatch(r"b\.test!a\.test!\d+!\d+\.xml\.gz", part.get_filename()), part.get_filename()
    octets = gzip.decompress(part.get_content())
    report = xml.etree.ElementTree.fromstring(octets)
    told = set()
    for record in report.iterfind("r:record", SPACE):
        text = lambda path: record.findtext(path, namespaces=SPACE)
        told.add((text("r:row/r:source_ip"), int(text("r:row/r:count")),
                  text("r:row/r:policy_evaluated/r:disposition"), text("r:row/r:policy_evaluated/r:dkim"),
                  text("r:row/r:policy_evaluated/r:spf"), text("r:auth_results/r:dkim/r:result"),
                  text("r:auth_results/r:spf/r:result")))
    assert told == {
        ("127.0.0.1", 1, "none", "pass", "pass", "pass", "pass"),
        ("127.0.0.1", 1, "none", "fail", "pass", None, "pass"),
        (FORGER, 2, "quarantine", "fail", "fail", None, "fail"),
        (FORGER, 1, "quarantine", "fail", "fail", "fail", "fail"),
    }, told
    if schema := os.environ.get("DMARC_SCHEMA"):
        import lxml.etree
        lxml.etree.XMLSchema(file=schema).assertValid(lxml.etree.fromstring(octets))
        print("   the report is as the schema has it")
    file = a.folder / part.get_filename()
    file.write_bytes(part.get_content())
    shown = a.command("dmarc", "show", str(file))
    assert "b.test about a.test" in shown and FORGER in shown, shown
    print("   the report of the day came once, in the form that is asked for")


def reports_are_summed(a):
    lines = until(lambda: a.command("dmarc", "reports", "--json").splitlines())
    sums = {it["source"]: it for it in map(json.loads, lines)}
    own, other = sums["127.0.0.1"], sums[FORGER]
    assert (own["messages"], own["passed"], own["dkim"], own["spf"]) == (2, 2, 1, 2), own
    assert (other["messages"], other["passed"], other["quarantined"]) == (3, 0, 3), other
    assert FORGER in a.command("dmarc", "reports", "--domain", "a.test", "--since", "2d")
    assert "no reports" in a.command("dmarc", "reports", "--domain", "b.test")
    print("   the domain's owner sees where its mail comes from, and what is forged")


def failures_are_told(a):
    def failures():
        mails = map(parsed, messages(a, "dmarc@a.test"))
        found = [mail for mail in mails if mail.get_content_type() == "multipart/report"]
        return found if len(found) == 3 else None
    for mail in until(failures):
        assert mail.get_param("report-type") == "feedback-report"
        text, feedback, header = mail.iter_parts()
        assert feedback.get_content_type() == "message/feedback-report"
        told = feedback.as_string()
        assert "Feedback-Type: auth-failure" in told and f"Source-IP: {FORGER}" in told, told
        assert "Auth-Failure: dmarc" in told and "Identity-Alignment: none" in told, told
        assert header.get_content_type() == "text/rfc822-headers"
        whole = mail.as_string()
        assert "redacted@b.test" in whole and "bob" not in whole and "Hello" not in whole, whole
    print("   failures are told one by one, without the words and the recipients")


def nothing_goes_round(a, b):
    # Reports came to a.test from b.test, which asks for reports, too.
    assert "nothing was counted" in a.command("dmarc", "send")
    b.stop()
    b.start()
    assert "nothing was counted" in b.command("dmarc", "send")


def check(binary):
    dns = Names()
    to_a, to_b = free_port(), free_port()
    extra = '\n[filter]\nexempt = []\n\n[filter.dmarc_reports]\non = true\nfailures = true\nfrom = "dmarc@{own}"\n' \
            '{receive}\n[smtp]\nxclient = ["127.0.0.1"]\n\n[[outgoing.route]]\ndomain = "{other}"\n' \
            'host = "127.0.0.1"\nport = {port}\ntls = "none"\n'
    a = Server(binary, "a.test", ["ann", "dmarc"], smtp_port=to_a, dns=f"127.0.0.1:{dns.port}",
               extra=extra.format(own="a.test", other="b.test", port=to_b, receive='receive = "dmarc@a.test"\n'))
    b = Server(binary, "b.test", ["bob", "dmarc"], smtp_port=to_b, dns=f"127.0.0.1:{dns.port}",
               extra=extra.format(own="b.test", other="a.test", port=to_a, receive=""))
    records = signing_records(a)
    for domain in ("a.test", "b.test"):
        records.append((domain, ["v=spf1 ip4:127.0.0.1 -all"]))
    records.append(("_dmarc.a.test", ["v=DMARC1; p=quarantine; fo=0; rua=mailto:dmarc@a.test,mailto:x@victim.test; "
                                      "ruf=mailto:dmarc@a.test"]))
    records.append(("_dmarc.b.test", ["v=DMARC1; p=none; rua=mailto:dmarc@b.test"]))
    dns.publish(records)
    try:
        with a, b:
            mail_comes(a, b)
            reports_go(a, b)
            reports_are_summed(a)
            failures_are_told(a)
            nothing_goes_round(a, b)
    finally:
        dns.stop()
    print("DMARC reports go and come")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", required=True)
    arguments = parser.parse_args()
    if need("dnsmasq"):
        check(arguments.binary)
