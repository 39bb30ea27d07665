#!/usr/bin/env python3
"""Postfix's own tools against the mailserver binary: smtp-source as a client of
many connections, smtp-sink as a host that refuses in each way, and Postfix's
notices beside ours.

    python3 tests/interop/postfix_tools.py --binary target/debug/mailserver [--only NAME]

Skips with a message without Postfix; with MAILCORE_REQUIRE_TOOLS=1 its lack is a
failure."""

import argparse
import email
import os
import pathlib
import smtplib
import socket
import subprocess
import sys
import time
import traceback

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from outgoing import HEADER, Postfix, box, route, submit, until  # noqa: E402
from server import Server, free_port, need  # noqa: E402


class Sink:
    """smtp-sink with options of its own, and what it took."""

    def __init__(self, folder, name, *options):
        self.domain, self.port = f"{name}.test", free_port()
        self.folder = folder / name
        self.folder.mkdir(parents=True)
        words = ["smtp-sink", "-u", "root", "-d", f"{self.folder}/m.", *options, f"127.0.0.1:{self.port}", "10"]
        self.process = subprocess.Popen(words, stderr=subprocess.DEVNULL)

    def wait(self):
        until(f"{self.domain} listens", self.listens)

    def listens(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def mail(self):
        return [path.read_bytes() for path in self.folder.iterdir() if path.stat().st_size]

    def route(self, keys=""):
        return (f'\n[[outgoing.route]]\ndomain = "{self.domain}"\nhost = "127.0.0.1"\nport = {self.port}\n'
                f'tls = "none"\n{keys}')

    def stop(self):
        self.process.terminate()
        self.process.wait()


def source(*words):
    done = subprocess.run(["smtp-source", "-f", "x@else.test", "-t", "alice@a.test", *words], capture_output=True,
                          text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


def held(server):
    """How many messages alice has."""
    import imaplib
    import ssl
    from server import PASSWORD
    tls = ssl.create_default_context()
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    client = imaplib.IMAP4_SSL("127.0.0.1", server.ports["imaps"], ssl_context=tls)
    client.login("alice@a.test", PASSWORD)
    count = int(client.select()[1][0])
    client.logout()
    return count


def test_smtp_source_sends_much(binary):
    """Many connections, one connection for many, long messages, LMTP."""
    lmtp = free_port()
    extra = (f'\n[[listener]]\nprotocol = "lmtp"\naddress = "127.0.0.1:{lmtp}"\ntls = "none"\n')
    server = Server(binary, "a.test", ["alice"], extra=extra)
    server.ports["lmtp"] = lmtp
    with server:
        smtp, lmtp = (f"127.0.0.1:{server.ports[name]}" for name in ("smtp", "lmtp"))
        sent = 0
        for messages, words in ((1_000, ["-s", "50", "-l", "4000", smtp]),
                                (1_000, ["-d", "-s", "10", "-l", "200", smtp]),
                                (10, ["-s", "5", "-l", "5000000", smtp]),
                                (500, ["-L", "-s", "20", "-l", "4000", lmtp]),
                                (500, ["-L", "-d", "-s", "5", "-l", "4000", lmtp])):
            started = time.monotonic()
            source("-m", str(messages), *words)
            sent += messages
            print(f"   {messages} by smtp-source {' '.join(words[:-1])}: {time.monotonic() - started:.1f} s")
            assert held(server) == sent, (words, held(server), sent)


# Options of smtp-sink, and what becomes of the mail.
MODES = {
    "connect-f": ("failed", "-f", "CONNECT"), "hello-f": ("failed", "-f", "EHLO,HELO"),
    "mail-f": ("failed", "-f", "MAIL"), "rcpt-f": ("failed", "-f", "RCPT"), "data-f": ("failed", "-f", "DATA"),
    "end-f": ("failed", "-f", "."), "abort": ("failed", "-A", "0"),
    "connect-r": ("waits", "-r", "CONNECT"), "hello-r": ("waits", "-r", "EHLO,HELO"),
    "mail-r": ("waits", "-r", "MAIL"), "rcpt-r": ("waits", "-r", "RCPT"), "data-r": ("waits", "-r", "DATA"),
    "end-r": ("waits", "-r", "."),
    "connect-q": ("waits", "-q", "CONNECT"), "hello-q": ("waits", "-q", "EHLO"), "mail-q": ("waits", "-q", "MAIL"),
    "rcpt-q": ("waits", "-q", "RCPT"), "data-q": ("waits", "-q", "DATA"), "end-q": ("waits", "-q", "."),
    "connect-421": ("waits", "-Q", "CONNECT"), "hello-421": ("waits", "-Q", "EHLO"),
    "mail-421": ("waits", "-Q", "MAIL"), "rcpt-421": ("waits", "-Q", "RCPT"), "data-421": ("waits", "-Q", "DATA"),
    "end-421": ("waits", "-Q", "."),
    "ehlo-f": ("taken", "-f", "EHLO"), "quit-f": ("taken", "-f", "QUIT"), "quit-q": ("taken", "-q", "QUIT"),
    "quit-421": ("taken", "-Q", "QUIT"), "old": ("taken", "-e"), "pix": ("taken", "-P"), "bare": ("taken", "-8", "-a", "-E", "-N", "-p"),
    "lmtp": ("taken", "-L"),
}


def test_smtp_sink_refuses_in_each_way(binary):
    """One message to all of them: one notice, and each recipient where it belongs."""
    server = Server(binary, "a.test", ["alice"])
    sinks = {name: Sink(server.folder / "sinks", name, *mode[1:]) for name, mode in MODES.items()}
    try:
        for name, sink in sinks.items():
            sink.wait()
            route(server, sink.route('protocol = "lmtp"\n' if name == "lmtp" else ""))
        with server:
            submit(server, [f"bob@{name}.test" for name in MODES], HEADER % b"all" + b"\r\nbody\r\n")
            notice = until("the notice comes", lambda: box(server), 60)
            assert len(notice) == 1, "one notice for one attempt"
            report = email.message_from_bytes(notice[0])
            failed = {}
            for group in report.get_payload()[1].get_payload()[1:]:
                assert group["Action"] == "failed", group.as_string()
                failed[group["Final-Recipient"].split("@")[1]] = group
            expected = {name: {f"{mode}.test" for mode, (end, *_) in MODES.items() if end == name}
                        for name in ("failed", "waits", "taken")}
            assert set(failed) == expected["failed"], (sorted(failed), sorted(expected["failed"]))
            for domain, group in failed.items():
                assert group["Diagnostic-Code"].startswith("smtp; 5"), group.as_string()
                assert group["Status"].startswith("5."), group.as_string()
                assert "Remote-MTA" in group and "Last-Attempt-Date" in group, group.as_string()
            left = {domain for domain in expected["failed"] | expected["waits"] | expected["taken"]
                    if "bob@" in server.command("queue", "list", "--to", f"bob@{domain}")}
            assert left == expected["waits"], (sorted(left), sorted(expected["waits"]))
            taken = {sink.domain for sink in sinks.values() if any(b"Subject: all" in mail for mail in sink.mail())}
            assert expected["taken"] <= taken, sorted(expected["taken"] - taken)
            server.command("queue", "delete", "--all")
    finally:
        for sink in sinks.values():
            sink.stop()


FIELDS = ("Action", "Status", "Final-Recipient", "Original-Recipient", "Remote-MTA", "Diagnostic-Code")


class Told:
    """What a notice says, in one form."""

    def __init__(self, octets):
        message = email.message_from_bytes(octets)
        parts = message.get_payload()
        groups = parts[1].get_payload()
        if len(groups) == 1:
            # Python reads message/global-delivery-status as one message.
            groups += [email.message_from_string(groups[0].get_payload())]
        self.types = [part.get_content_type() for part in parts]
        self.message, self.group = groups[0], groups[1]
        self.returned, self.text = parts[2], octets

    def field(self, name):
        value = self.group[name]
        if value is None:
            return None
        kind, _, rest = " ".join(str(value).split()).partition(";")
        # Postfix leaves the brackets of an address literal out.
        return f"{kind.strip()};{rest.strip().strip('[]')}" if rest else kind


CASES = [
    # address, MAIL and RCPT options, fields that may differ
    ("bob@refused.test", (), (), ()),
    ("bob@refused.test", ("RET=HDRS", "ENVID=id+2B1"), ("NOTIFY=FAILURE", "ORCPT=rfc822;First+2B@Old.test"), ()),
    ("bob@refused.test", ("RET=FULL", "BODY=8BITMIME"), (), ()),
    ("bob@lines.test", (), (), ()),
    ("bob@dead.test", (), (), ("Diagnostic-Code",)),
    ("bob@taken.test", ("ENVID=x",), ("NOTIFY=SUCCESS,FAILURE",), ()),
    # smtp-sink takes no SMTPUTF8.
    ("ящик@refused.test", ("SMTPUTF8", "BODY=8BITMIME"), (), ("Diagnostic-Code", "Remote-MTA")),
    ("bob@refused.test", (), ("NOTIFY=NEVER",), None),
]


def test_notices_say_what_those_of_postfix_say(binary):
    server = Server(binary, "a.test", ["alice"], retry='["1s"]', expire="3s")
    folder = server.folder / "sinks"
    sinks = [Sink(folder, "refused", "-B", "550 5.1.1 <bob> no such user", "-f", "RCPT"),
             Sink(folder, "lines", "-B", "550-5.7.1 not here\n550 5.7.1 nor there", "-f", "RCPT"),
             Sink(folder, "dead"), Sink(folder, "taken", "-N")]
    maps = ", ".join(f"{{{sink.domain} = smtp:[127.0.0.1]:{sink.port}}}" for sink in sinks)
    extra = f"transport_maps = inline:{{{maps}}}\nmaximal_queue_lifetime = 0\n"
    try:
        for sink in sinks:
            sink.wait()
            route(server, sink.route())
        sinks[2].stop()
        with server, Postfix(server.ports["smtp"], extra) as postfix:
            for to, options, rcpt_options, may_differ in CASES:
                text = "text: über\r\n".encode() if "BODY=8BITMIME" in options else b"text\r\n"
                content = HEADER % b"x" + b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + text
                before, bounced = held(server), postfix.log().count("status=bounced")
                submit(server, [to], content, options, rcpt_options)
                if may_differ is not None:
                    until("our notice comes", lambda: held(server) > before, 60)
                with smtplib.SMTP("127.0.0.1", postfix.port) as client:
                    client.sendmail("alice@a.test", [to], content, options, rcpt_options)
                print(f"   {to} {' '.join((*options, *rcpt_options))}")
                if may_differ is None:
                    until("both gave up", lambda: postfix.log().count("status=bounced") > bounced
                          and "bob@" not in server.command("queue", "list"))
                    assert held(server) == before, "NEVER is never"
                    continue
                until("the notice of Postfix comes", lambda: held(server) > before + 1, 60)
                ours, theirs = (Told(octets) for octets in box(server)[-2:])
                for field in FIELDS:
                    mine, other = ours.field(field), theirs.field(field)
                    same = (mine or "").lower() == (other or "").lower()
                    print(f"     {field}: {mine}" + ("" if same else f"   (Postfix: {other})"))
                    # Postfix tells an original recipient where none was given; RFC 3461 section 6.3 forbids it.
                    given = field != "Original-Recipient" or any("ORCPT" in option for option in rcpt_options)
                    if field not in may_differ and given:
                        assert same, (to, field, mine, other)
                    if not given:
                        assert mine is None, mine
                ids = [told.message["Original-Envelope-Id"] for told in (ours, theirs)]
                assert ids[0] == ids[1], ids
                print(f"     {ours.types[2]}" + ("" if ours.types == theirs.types else f"   (Postfix: {theirs.types[2]})"))
                assert ours.types == theirs.types, (ours.types, theirs.types)
                for told in (ours, theirs):
                    assert told.message["Reporting-MTA"] and told.message["Arrival-Date"]
                if to == "bob@dead.test":
                    assert "Remote-MTA" not in ours.group
    finally:
        for sink in sinks:
            sink.stop()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", required=True)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    if not (need("postfix") and need("smtp-sink") and need("smtp-source") and need("openssl")):
        return
    if os.geteuid():
        print("skipped: Postfix runs as root alone")
        return sys.exit(1 if os.environ.get("MAILCORE_REQUIRE_TOOLS") else 0)
    failed = 0
    for name, test in [(name, test) for name, test in globals().items() if name.startswith("test_")]:
        if options.only not in name:
            continue
        print(f"-- {name[5:].replace('_', ' ')}", flush=True)
        try:
            test(options.binary)
            print("   ok")
        except Exception:
            failed += 1
            print("   FAILED")
            traceback.print_exc(file=sys.stdout)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
