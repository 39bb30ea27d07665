#!/usr/bin/env python3
"""Who sends: knot serves the zones of good and bad senders, XCLIENT names the clients, and the server's replies, its
header fields and a sink behind it say what became of their mail. Greylisting, BATV, iprev, MX check.

    python3 tests/interop/greylist.py --binary target/debug/mailserver"""

import argparse
import imaplib
import pathlib
import smtplib
import socketserver
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from dns_records import NameServer  # noqa: E402
from peer import TLS  # noqa: E402
from server import PASSWORD, Server, free_port, need  # noqa: E402

ZONES = {
    "test": [
        "good.test. IN MX 10 mx.good.test.", "mx.good.test. IN A 192.0.2.7", "other.test. IN A 192.0.2.9",
        "null.test. IN MX 0 .", "loop.test. IN MX 10 loop.test.", "loop.test. IN A 127.0.0.1",
        "inside.test. IN A 10.0.0.1", "gone.test. IN MX 10 nowhere.test.",
    ],
    "2.0.192.in-addr.arpa": ["7 IN PTR mx.good.test.", "8 IN PTR mx.good.test."],
    "100.51.198.in-addr.arpa": [],
}
EXTRA = """
[smtp]
xclient = ["127.0.0.1"]

[abuse]
exempt = ["0.0.0.0/0"]

[filter.greylist]
on = true
delay = "2s"
allow = ["203.0.113.0/24"]
fresh_per_network = 10

[filter.batv]
domains = ["a.test"]

[queue.smart_host]
host = "[127.0.0.1]"
port = {port}
tls = "none"
"""


class Sink(socketserver.ThreadingTCPServer):
    """Takes all mail and remembers who it is said to be from."""
    allow_reuse_address = daemon_threads = True

    def __init__(self):
        self.senders = []
        super().__init__(("127.0.0.1", free_port()), Taker)
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Taker(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(b"220 sink\r\n")
        for line in self.rfile:
            word = line[:4].upper()
            if word == b"MAIL":
                self.server.senders.append(line.split(b"<")[1].split(b">")[0].decode())
            if word == b"DATA":
                self.wfile.write(b"354 go\r\n")
                while self.rfile.readline() not in (b".\r\n", b""):
                    pass
            self.wfile.write(b"221 bye\r\n" if word == b"QUIT" else b"250 ok\r\n")
            if word == b"QUIT":
                return


def session(server, client, helo="mx.good.test"):
    smtp = smtplib.SMTP(server.host, server.ports["smtp"], timeout=30)
    smtp.ehlo("proxy.test")
    code, words = smtp.docmd(f"XCLIENT ADDR={client}")
    assert code == 220, (code, words)
    smtp.ehlo(helo)
    return smtp


def offer(server, client, sender, to="ann@a.test"):
    """The reply that decides, before DATA."""
    with session(server, client) as smtp:
        code, words = smtp.mail(sender)
        if code == 250:
            code, words = smtp.rcpt(to)
        return code, words.decode()


def senders(server):
    for sender, wanted in [("x@gone.test", "no host"), ("x@nowhere.test", "no host"), ("x@null.test", "takes no mail"),
                           ("x@loop.test", "can be reached")]:
        code, words = offer(server, "203.0.113.1", sender)
        assert code == 550 and wanted in words, (sender, code, words)
    for sender in ("x@good.test", "x@other.test", "x@inside.test", "x@[192.0.2.1]", "", "x@a.test"):
        code, words = offer(server, "203.0.113.1", sender)
        assert code == 250, (sender, code, words)
    # The name server refuses to speak of this one: nobody's fault.
    code, words = offer(server, "203.0.113.1", "x@elsewhere.example")
    assert code == 250, (code, words)


def scores(server):
    """What each client's mail is told to score."""
    told = {}
    for client, helo in [("203.0.113.7", "[203.0.113.8]"), ("192.0.2.7", "mx.good.test"), ("192.0.2.8", "friend"),
                         ("198.51.100.9", "a.nowhere.test")]:
        with session(server, client, helo) as smtp:
            for _ in range(40):
                smtp.rset()
                assert smtp.mail("bob@good.test")[0] == 250
                code, words = smtp.rcpt("ann@a.test")
                if code == 250:
                    break
                assert code == 451, (code, words)
                time.sleep(0.1)
            code, words = smtp.data(f"Subject: {client}\r\n\r\nx\r\n")
            assert code == 250, (code, words)
    imap = imaplib.IMAP4(server.host, server.ports["imap"])
    imap.starttls(TLS)
    imap.login("ann@a.test", PASSWORD)
    for box in ("INBOX", "Junk"):
        if imap.select(box)[0] != "OK":
            continue
        for number in imap.search(None, "ALL")[1][0].split():
            field = imap.fetch(number, "(BODY[HEADER.FIELDS (SUBJECT X-SPAM-STATUS)])")[1][0][1].decode()
            subject = [line for line in field.splitlines() if line.startswith("Subject: ")][0][9:]
            told[subject] = " ".join(field.split())
    imap.logout()
    for client, wanted in [("203.0.113.7", ["helo.foreign_literal=2.0"]), ("192.0.2.8", ["iprev.fail=1.0", "helo.unqualified"]),
                           ("198.51.100.9", ["iprev.permerror=1.0", "helo.no_address=1.0"])]:
        for word in wanted:
            assert word in told[client], (client, told)
    assert "iprev" not in told["192.0.2.7"] and "helo" not in told["192.0.2.7"], told


def greylist(server):
    began = time.monotonic()
    code, words = offer(server, "192.0.2.20", "eve@other.test")
    assert code == 451 and words.startswith("4.7.1"), (code, words)
    assert offer(server, "192.0.2.20", "eve@other.test")[0] == 451, "too early"
    assert offer(server, "203.0.113.5", "eve@other.test")[0] == 250, "let through by the configuration"
    assert offer(server, "192.0.2.20", "eve@other.test", "nobody@a.test")[0] == 550, "unknown, not put off"
    time.sleep(max(0, 2.1 - (time.monotonic() - began)))
    # Its neighbour, with another mark.
    assert offer(server, "192.0.2.99", "eve+7@other.test")[0] == 250, "came again"
    assert offer(server, "198.51.100.20", "eve@other.test")[0] == 451, "another network"
    replies = [offer(server, "198.51.100.30", f"{'q' * count}@other.test") for count in range(1, 13)]
    assert all(code == 451 for code, _ in replies), replies
    crowded = [words for _, words in replies if "too many" in words]
    assert 2 <= len(crowded) <= 4, replies


def batv(server, sink):
    smtp = smtplib.SMTP_SSL(server.host, server.ports["submissions"], timeout=30, context=TLS)
    smtp.login("ann@a.test", PASSWORD)
    smtp.sendmail("ann@a.test", ["bob@far.test"], "From: ann@a.test\r\nTo: bob@far.test\r\n\r\nx\r\n")
    smtp.quit()
    deadline = time.monotonic() + 20
    while not sink.senders:
        assert time.monotonic() < deadline, server.log()
        time.sleep(0.05)
    signed = sink.senders[0]
    assert signed.startswith("prvs=0") and signed.endswith("=ann@a.test"), signed
    code, words = offer(server, "203.0.113.1", "", signed)
    assert code == 250, (code, words)
    digit = "1" if signed[9] == "0" else "0"
    code, words = offer(server, "203.0.113.1", "", signed[:9] + digit + signed[10:])
    assert code == 550, (code, words)
    # All mail has not been signed for a week yet.
    assert offer(server, "203.0.113.1", "", "ann@a.test")[0] == 250


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", required=True)
    options = parser.parse_args()
    if not (need("knotd") and need("knotc")):
        return
    names, sink = NameServer(ZONES), Sink()
    try:
        extra = EXTRA.format(port=sink.server_address[1])
        with Server(options.binary, "a.test", ["ann"], dns=f"127.0.0.1:{names.port}", extra=extra) as server:
            for scenario, given in [(senders, [server]), (scores, [server]), (greylist, [server]),
                                    (batv, [server, sink])]:
                began = time.monotonic()
                scenario(*given)
                print(f"{scenario.__name__}: ok, {time.monotonic() - began:.1f} s", flush=True)
    finally:
        sink.shutdown()
        names.stop()


if __name__ == "__main__":
    main()
