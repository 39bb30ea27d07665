#!/usr/bin/env python3
"""Lists in DNS: clients, senders, notices and links that are listed are refused or kept apart, and what dead, lying and
silent lists say counts for nothing. The lists are served by a name server of the script's own.

    python3 tests/interop/dns_lists.py --binary target/debug/mailserver"""

import argparse
import imaplib
import pathlib
import socket
import struct
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from peer import TLS  # noqa: E402
from server import PASSWORD, Server, free_port  # noqa: E402

A, TXT = 1, 16
# Names with their A records; what has words, has them in TXT.
NAMES = {
    "2.0.0.127.bl.test": "127.0.0.2",
    "9.0.0.127.bl.test": "127.0.0.2",
    "13.0.0.127.bl.test": "127.0.0.2",
    "2.0.0.127.score.test": "127.0.0.2",
    "10.0.0.127.score.test": "127.0.0.20",
    "2.0.0.127.back.test": "127.0.0.2",
    "11.0.0.127.back.test": "127.0.0.2",
    "test.rhs.test": "127.0.0.2",
    "spam.example.rhs.test": "127.0.0.2",
    "test.surbl.test": "127.0.0.2",
    "bad.co.uk.surbl.test": "127.0.0.8",
    "mail.partner.example": "127.0.0.13",
    # Senders without a host are refused by another test.
    "good.example": "198.51.100.7",
    "spam.example": "198.51.100.8",
}
WORDS = {"9.0.0.127.bl.test": "Listed\r\n250 see https://bl.test/?ip=127.0.0.9"}

FILTER = """
[filter]
exempt = []

[filter.dns_lists]
timeout = "1s"

[filter.dnsbl]
zones = ["bl.test", "everything.test", "never.test", "refuses.test", "gone.test"]
exceptions = ["mail.partner.example"]

[[filter.dnsbl.zone]]
name = "score.test"
answers = ["127.0.0.20 score 6.5"]

[filter.rhsbl]
zones = ["rhs.test", "everything.test"]

[[filter.uribl.zone]]
name = "surbl.test"
answers = ["127.0.0.&8 listed"]

[filter.backscatter]
zones = ["back.test"]
"""


class NameServer:
    """Answers about NAMES; says nothing at all below `never.test`."""

    def __init__(self):
        self.port = free_port()
        self.socket = socket.socket(type=socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", self.port))
        self.down, self.asked = False, []
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            packet, peer = self.socket.recvfrom(4096)
            answer = self.answer(packet)
            if answer:
                self.socket.sendto(answer, peer)

    def answer(self, packet):
        labels, at = [], 12
        while packet[at]:
            labels.append(packet[at + 1:at + 1 + packet[at]].decode("latin-1").lower())
            at += 1 + packet[at]
        question = packet[12:at + 5]
        name, kind = ".".join(labels), struct.unpack("!H", packet[at + 1:at + 3])[0]
        self.asked.append((name, kind))
        if name.endswith("never.test"):
            return None
        records = [] if self.down else self.records(name, kind)
        code = 2 if self.down else 0 if records or name in NAMES else 3
        header = packet[:2] + struct.pack("!HHHHH", 0x8180 | code, 1, len(records), 0, 0)
        body = b"".join(b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 1, len(data)) + data for data in records)
        return header + question + body

    @staticmethod
    def records(name, kind):
        if kind == TXT and name in WORDS:
            words = WORDS[name].encode()
            return [bytes([len(words)]) + words]
        address = NAMES.get(name)
        if name.endswith(".everything.test"):
            address = "127.0.0.2"
        if name.endswith(".refuses.test"):
            address = "127.255.255.254"
        return [socket.inet_aton(address)] if kind == A and address else []


class Client:
    """An SMTP client at an address of its own."""

    def __init__(self, server, ip):
        begun = time.monotonic()
        self.socket = socket.create_connection((server.host, server.ports["smtp"]), 20, (ip, 0))
        self.lines = self.socket.makefile("rb")
        self.greeting = self.reply()
        self.took = time.monotonic() - begun

    def reply(self):
        text = ""
        while True:
            line = self.lines.readline().decode()
            text += line
            if line[3:4] != "-":
                return text

    def say(self, line):
        self.socket.sendall(line.encode() + b"\r\n")
        return self.reply()

    def ended(self):
        return self.lines.read() == b""

    def send(self, sender, body, to="ann@a.test"):
        """The last reply of a whole transaction."""
        for line in ["EHLO client.example", f"MAIL FROM:<{sender}>", f"RCPT TO:<{to}>", "DATA"]:
            reply = self.say(line)
            if reply[0] in "45":
                return reply
        head = f"From: <{sender or 'postmaster@good.example'}>\r\nSubject: x\r\n"
        return self.say(f"{head}Date: Sun, 22 Nov 2026 10:00:00 +0000\r\n\r\n{body}\r\n.")


def until(what, holds, seconds=10):
    deadline = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < deadline, what
        time.sleep(0.1)
    return found


def check(binary):
    dns = NameServer()
    server = Server(binary, "a.test", ["ann"], dns=f"127.0.0.1:{dns.port}", extra=FILTER)
    server.start()
    try:
        clients(server, dns)
        senders(server)
        links(server)
        told(server)
        outage(server, dns)
    except BaseException:
        print(server.log()[-4000:])
        raise
    finally:
        server.stop()
    dead_lists(server)


def clients(server, dns):
    listed = Client(server, "127.0.0.9")
    words = "127.0.0.9 is listed by bl.test: Listed 250 see https://bl.test/?ip=127.0.0.9"
    assert listed.greeting.startswith("554 5.7.1 ") and words in listed.greeting, listed.greeting
    assert listed.greeting.count("\n") == 1 and listed.ended(), listed.greeting
    # Of the others one lists everybody, one refuses, one is not there, one never answered and is not waited for again.
    good = Client(server, "127.0.0.12")
    assert good.greeting.startswith("220"), good.greeting
    assert good.took < 0.8, good.took
    assert good.send("a@good.example", "hello").startswith("250"), "good mail"
    excepted = Client(server, "127.0.0.13")
    assert excepted.greeting.startswith("220"), excepted.greeting
    asked = len(dns.asked)
    for _ in range(3):
        assert Client(server, "127.0.0.12").greeting.startswith("220")
    asked = [name for name, _ in dns.asked[asked:] if "never" in name or "everything" in name]
    assert not asked, f"lists that are off were asked: {asked}"
    print(f"clients: one listed refused in one line, one excepted, one good greeted within {good.took:.3f} s")


def senders(server):
    client = Client(server, "127.0.0.12")
    client.say("EHLO client.example")
    reply = client.say("MAIL FROM:<a@spam.example>")
    assert reply.startswith("554 5.7.1 ") and "spam.example is listed by rhs.test" in reply, reply
    assert client.ended(), "refused at MAIL, and closed"
    client = Client(server, "127.0.0.11")
    client.say("EHLO client.example")
    reply = client.say("MAIL FROM:<>")
    assert reply.startswith("55") and "127.0.0.11 is listed by back.test" in reply, reply
    reply = client.say("MAIL FROM:<a@good.example>")
    assert reply.startswith("250"), reply
    client = Client(server, "127.0.0.12")
    client.say("EHLO client.example")
    assert client.say("MAIL FROM:<>").startswith("250"), "notices of others"
    print("senders: a listed domain refused and closed at MAIL; notices of a listed host refused, its other mail not")


def links(server):
    reply = Client(server, "127.0.0.12").send("a@good.example", "see http://good.example/")
    assert reply.startswith("250"), reply
    reply = Client(server, "127.0.0.12").send("b@good.example", "see http://www.%62ad.co.uk/?x")
    assert reply.startswith("250"), reply
    until("the link in the log", lambda: "content uribl listed" in server.command("log"))
    assert Client(server, "127.0.0.10").send("c@good.example", "hello").startswith("250")
    until("the score in the log", lambda: "connect dnsbl scored" in server.command("log"))
    inbox = imaplib.IMAP4_SSL(server.host, server.ports["imaps"], ssl_context=TLS)
    inbox.login("ann@a.test", PASSWORD)
    inbox.select("INBOX")
    senders = inbox.search(None, "ALL")[1][0].split()
    texts = b"".join(inbox.fetch(number, "(BODY[HEADER.FIELDS (FROM)])")[1][0][1] for number in senders)
    assert b"a@good.example" in texts and b"b@good.example" not in texts, texts
    assert b"c@good.example" not in texts, texts
    inbox.logout()
    print("links: mail with a listed link is kept apart, as is mail whose client scores 6.5; other mail is in INBOX")


def told(server):
    log = server.log()
    for zone in ["everything.test", "never.test", "refuses.test", "gone.test"]:
        lines = [line for line in log.splitlines() if "does not count" in line and zone in line and "ipv4" in line]
        assert len(lines) == 1, (zone, lines)
    lines = server.command("log").splitlines()
    for event, words in [
        ("refused", "connect dnsbl listed"), ("refused", "mail rhsbl listed"), ("refused", "mail backscatter listed"),
        ("received", "content uribl listed"), ("received", "connect dnsbl scored +6.5"),
    ]:
        assert any(f" {event} " in line and words in line for line in lines), (words, lines)
    assert sum(" DnsListOff " in line and "kind=ipv4" in line for line in lines) == 4, lines
    print("told: each list that does not work, once; each listing in the log of mail")


def outage(server, dns):
    dns.down = True
    time.sleep(1.5)
    client = Client(server, "127.0.0.9")
    assert client.greeting.startswith("220"), client.greeting
    reply = client.send("a@spam.example", "see http://bad.co.uk/")
    assert reply[0] != "5", reply
    print(f"outage: who was listed is greeted, {reply.strip()}")


def dead_lists(server):
    text = server.config.read_text().replace('"gone.test"', '"relays.ordb.org", "dul.dnsbl.sorbs.net"')
    server.config.write_text(text)
    done = subprocess.run([server.binary, "check-config", "--config", str(server.config)], capture_output=True, text=True)
    words = done.stdout + done.stderr
    assert done.returncode != 0 and "relays.ordb.org closed in 2006" in words and "sorbs.net closed" in words, words
    print("configuration: lists that are no more are named")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", required=True)
    check(parser.parse_args().binary)
    print("dns_lists: all good")
