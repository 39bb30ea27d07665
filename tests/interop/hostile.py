#!/usr/bin/env python3
"""Peers that mean harm against the mailserver binary: smuggling, injection, relaying,
floods, bombs, and mistakes in its configuration.

    python3 tests/interop/hostile.py --binary target/debug/mailserver [--only NAME]"""

import argparse
import base64
import itertools
import pathlib
import re
import resource
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import traceback

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from peer import TLS, Peer, good_client, mailbox, memory, ready, submission  # noqa: E402
from server import PASSWORD, Server, free_port  # noqa: E402

# What one answer may take; a debug build on a busy machine is slow.
PATIENCE = 5


def test_smuggling(server):
    """No spelling of a line end but CRLF ends the data (RFC 5321 section 4.1.1.4)."""
    ends = [b"\r\n", b"\n", b"\r", b"\0", b"\r\0", b"\r\r\n", b"\n\r", b"\r\n\0", b"\0\r\n", b"\r\0\n"]
    second = b"MAIL FROM:<evil@else.test>\r\nRCPT TO:<bob@a.test>\r\nDATA\r\nSubject: smuggled\r\n\r\nx"
    for port in ("smtp", "submissions"):
        for before, after in itertools.product(ends, ends):
            variant = before + b"." + after
            if b"\r\n.\r\n" in variant and b"\r\r\n." not in variant:
                continue
            peer = ready(server) if port == "smtp" else submission(server)
            if port == "submissions":
                peer.reply(b"MAIL FROM:<alice@a.test>")
                peer.reply(b"RCPT TO:<bob@a.test>")
            assert peer.reply(b"DATA").startswith(b"354")
            peer.send(b"From: alice@a.test\r\nSubject: outer\r\n\r\ntext" + variant + second + b"\r\n.\r\nQUIT\r\n")
            answer = peer.end()
            peer.close()
            replies = [line for line in answer.split(b"\r\n") if line and not line.startswith(b"221")]
            what = (port, variant, answer)
            assert len(replies) == 1 and b"354" not in answer and b"<reset>" not in answer, what
    with mailbox(server, "bob") as client:
        stored = client.imap(b"FETCH 1:* BODY.PEEK[]") if b" 0 EXISTS" not in client.imap(b"NOOP") else b""
        assert b"smuggled" not in stored
        assert not re.search(rb"\0|\r[^\n]|[^\r]\n", stored), "a stray line end was stored"


def test_starttls_injection(server):
    """What was sent in clear before the handshake is gone after it (RFC 3207 section 4.2)."""
    for port in ("smtp", "submission"):
        with Peer(server, port) as peer:
            assert b"STARTTLS" in peer.reply(b"EHLO client.test")
            peer.send(b"STARTTLS\r\nEHLO injected.test\r\nMAIL FROM:<x@else.test>\r\n")
            if not peer.reply().startswith(b"220"):
                assert b"250" not in peer.end()
            else:
                try:
                    peer.encrypt()
                    assert peer.reply(b"MAIL FROM:<x@else.test>").startswith(b"503"), "nothing was greeted"
                except OSError:
                    pass
        with Peer(server, port) as peer:
            peer.reply(b"EHLO client.test")
            assert peer.reply(b"STARTTLS").startswith(b"220")
            peer.encrypt()
            assert peer.reply(b"MAIL FROM:<x@else.test>").startswith(b"503"), "EHLO is forgotten"
            assert b"STARTTLS" not in peer.reply(b"EHLO client.test")
            assert peer.reply(b"STARTTLS")[:3] in (b"503", b"502", b"454")
    for port, upgrade, probe, good in (("imap", b"t STARTTLS", b"t NOOP", b"t OK"), ("pop3", b"STLS", b"NOOP", b"-ERR")):
        with Peer(server, port) as peer:
            peer.send(upgrade + b"\r\ninjected NOOP\r\nUSER injected\r\n")
            first = peer.line()
            if b"OK" in first:
                try:
                    peer.encrypt()
                    answer = peer.reply(probe)
                    assert b"injected" not in answer and answer.startswith(good), answer
                except OSError:
                    pass
            else:
                assert b"injected OK" not in peer.end()
        with Peer(server, port) as peer:
            assert b"OK" in peer.reply(upgrade)
            peer.encrypt()
            again = peer.reply(upgrade)
            assert b"OK" not in again, again


def test_no_password_in_clear(server):
    token = base64.b64encode(b"\0alice@a.test\0" + PASSWORD.encode())
    for port in ("smtp", "submission"):
        with Peer(server, port) as peer:
            assert b"AUTH" not in peer.reply(b"EHLO client.test")
            answer = peer.reply(b"AUTH PLAIN " + token)
            assert answer[:3] in (b"530", b"538", b"502", b"503", b"504"), answer
    with Peer(server, "submission") as peer:
        peer.reply(b"EHLO client.test")
        assert peer.reply(b"MAIL FROM:<alice@a.test>").startswith(b"530")
    with Peer(server, "imap") as peer:
        assert b"LOGINDISABLED" in peer.imap(b"CAPABILITY")
        for command in (b'LOGIN alice@a.test "%s"' % PASSWORD.encode(), b"AUTHENTICATE PLAIN " + token):
            assert b"tag9 NO" in peer.imap(command) or b"tag9 BAD" in peer.imap(command)
        assert b"tag9 BAD" in peer.imap(b"SELECT INBOX")
    with Peer(server, "pop3") as peer:
        assert peer.reply(b"USER alice@a.test").startswith(b"-ERR")
        assert peer.reply(b"PASS " + PASSWORD.encode()).startswith(b"-ERR")
        assert peer.reply(b"AUTH PLAIN " + token).startswith(b"-ERR")


def test_relaying(server):
    recipients = [
        b"x@else.test", b"x%else.test@a.test", b"else.test!x@a.test", b'"x@else.test"@a.test', b'"x%else.test"@a.test',
        b"x@else.test@a.test", b"@a.test:x@else.test", b"@a.test,@b.test:x@else.test", b"x@[127.0.0.1]", b"x@[192.0.2.1]",
        b"x%else.test", b"else.test!x", b'"x@else.test"', b"x@else.test>,<bob@a.test", b"x@else.test bob@a.test",
        b"x@else.test\0@a.test", b"x@a.test.", b"x@[IPv6:::1]", b"x%else.test@[127.0.0.1]", b"x@localhost",
        b"x@mx.a.test", b"<x@else.test>", b"bob@a.test@else.test",
    ]
    senders = [b"x@else.test", b"", b"alice@a.test", b"postmaster@a.test", b"x@[127.0.0.1]"]
    for sender in senders:
        for recipient in recipients:
            with Peer(server, "smtp") as peer:
                peer.reply(b"EHLO client.test")
                if not peer.reply(b"MAIL FROM:<" + sender + b">").startswith(b"250"):
                    continue
                answer = peer.reply(b"RCPT TO:<" + recipient + b">")
                assert answer.startswith(b"5"), (sender, recipient, answer)
    with submission(server) as peer:
        for sender in (b"bob@a.test", b"x@else.test", b"postmaster@a.test"):
            answer = peer.reply(b"MAIL FROM:<" + sender + b">")
            if answer.startswith(b"250"):
                answer = peer.reply(b"RCPT TO:<bob@a.test>")
            assert answer[:3] in (b"550", b"553"), (sender, answer)
            peer.reply(b"RSET")
    assert "else.test" not in server.command("queue", "list")


def test_trust_and_proxies(binary):
    """Whoever may not name another client is nobody but itself."""
    proxied = lambda source, family="TCP4": f"PROXY {family} {source} {'::1' if family == 'TCP6' else '192.0.2.1'} 4711 25\r\n".encode()
    extra = '\n[smtp]\ntrusted = ["198.51.100.0/24", "a:nowhere.invalid"]\nxclient = ["203.0.113.1"]\n'
    with Server(binary, "a.test", ["alice"], extra=extra, smtp_keys='proxy = ["127.0.0.1"]\n') as server:
        for header, code in ((proxied("198.51.100.9"), b"250"), (proxied("::ffff:198.51.100.9", "TCP6"), b"250"),
                             (proxied("198.51.101.9"), b"550"), (proxied("127.0.0.1"), b"550"), (proxied("::198.51.100.9", "TCP6"), b"550"),
                             (b"PROXY UNKNOWN\r\n", b"550")):
            with Peer(server, "smtp", greeting=False) as peer:
                peer.send(header)
                assert peer.reply().startswith(b"220"), header
                hello = peer.reply(b"EHLO client.test")
                assert b"XCLIENT" not in hello
                for claim in (b"XCLIENT ADDR=198.51.100.9", b"XCLIENT LOGIN=alice@a.test"):
                    assert peer.reply(claim).startswith(b"550"), (header, claim)
                assert peer.reply(header.rstrip()).startswith(b"500"), "a second header is a command like others"
                peer.reply(b"MAIL FROM:<x@else.test>")
                answer = peer.reply(b"RCPT TO:<y@else.test>")
                assert answer.startswith(code), (header, answer)
        with Peer(server, "smtp", greeting=False) as peer:
            peer.send(proxied("203.0.113.1"))
            peer.reply()
            peer.reply(b"EHLO proxy.test")
            assert peer.reply(b"XCLIENT ADDR=[UNAVAILABLE]").startswith(b"220")
            peer.reply(b"EHLO proxy.test")
            peer.reply(b"MAIL FROM:<x@else.test>")
            assert peer.reply(b"XCLIENT ADDR=198.51.100.9").startswith(b"503"), "not within a transaction"
            assert peer.reply(b"RCPT TO:<y@else.test>").startswith(b"550"), "an unknown client is not trusted"
        for bad in (b"EHLO client.test\r\n", b"PROXY TCP4 198.51.100.9\r\n\r\n" + b"x" * 200, b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff",
                    b"PROXY TCP4 198.51.100.9 1.1.1.1 1 65536\r\n", b"PROXY " + b"x" * 10_000):
            with Peer(server, "smtp", greeting=False) as peer:
                peer.send(bad)
                assert peer.end().replace(b"<reset>", b"") == b"", bad
    with Server(binary, "a.test", ["alice"], smtp_keys='proxy = ["192.0.2.1"]\n') as server:
        with Peer(server, "smtp", greeting=False) as peer:
            peer.send(proxied("192.0.2.1"))
            assert peer.end().replace(b"<reset>", b"") == b"", "not a proxy that is named"


def test_nobody_learns_who_is_here(server):
    """VRFY, EXPN and ETRN say the same of all names to strangers (RFC 5321 section 7.3)."""
    for verb in (b"VRFY", b"EXPN", b"ETRN", b"HELP"):
        answers = set()
        for name in (b"bob", b"bob@a.test", b"<bob@a.test>", b"nobody", b"nobody@a.test", b"postmaster", b"a.test", b"else.test"):
            with Peer(server, "smtp") as peer:
                peer.reply(b"EHLO client.test")
                answers.add(peer.reply(verb + b" " + name))
        assert len(answers) == 1, (verb, answers)


def test_header_injection(server):
    commands = [
        b"EHLO a\rX-Evil: 1", b"EHLO a\nX-Evil: 1", b"EHLO a\0b", b"EHLO a\x01b", b"HELO a\tX-Evil: 1", b"EHLO a X-Evil: 1",
        b"MAIL FROM:<x@else.test\nX-Evil: 1>", b'MAIL FROM:<"x\rX-Evil: 1"@else.test>', b'MAIL FROM:<"x\\\r"@else.test>',
        b"MAIL FROM:<x\0@else.test>", b"MAIL FROM:<x@else.test> ENVID=a+0D+0AX-Evil:+201", b"MAIL FROM:<x@else.test> ENVID=a\x01",
        b"MAIL FROM:<x@else.test> AUTH=a+0D+0AX-Evil:+201", b"MAIL FROM:<x@else.test> BODY=8BITMIME\x0bX",
        b"RCPT TO:<bob@a.test> ORCPT=rfc822;a+0D+0AX-Evil:+201", b"RCPT TO:<bob@a.test\x7f>", b'RCPT TO:<"bob\nX-Evil: 1"@a.test>',
        b"RCPT TO:<bob@a.test> ORCPT=rfc822\rX-Evil:;a", b"NOOP \x02", b"VRFY bob\0",
    ]
    for command in commands:
        with Peer(server, "smtp") as peer:
            if not command.startswith((b"EHLO", b"HELO")):
                peer.reply(b"EHLO client.test")
            if command.startswith(b"RCPT"):
                peer.reply(b"MAIL FROM:<x@else.test>")
            first = peer.reply(command)
            peer.reply(b"EHLO client.test")
            assert first[:1] == b"5" or b"+0D" in command or command.startswith((b"EHLO a X", b"NOOP", b"VRFY")), (command, first)
        if b"+0D" in command and command.startswith((b"MAIL", b"RCPT")):
            with Peer(server, "smtp") as peer:
                peer.reply(b"EHLO client.test")
                if command.startswith(b"MAIL"):
                    peer.reply(command)
                    peer.reply(b"RCPT TO:<bob@a.test>")
                else:
                    peer.reply(b"MAIL FROM:<x@else.test>")
                    peer.reply(command)
                peer.reply(b"DATA")
                peer.send(b"Subject: params\r\n\r\nx\r\n.\r\nQUIT\r\n")
                peer.end()
    with mailbox(server, "bob") as client:
        assert b"X-Evil: 1" not in client.imap(b"FETCH 1:* BODY.PEEK[]")
    listed = server.command("queue", "list")
    assert "X-Evil" not in listed


def test_smtp_limits(server):
    with Peer(server, "smtp") as peer:
        size = int(re.search(rb"SIZE (\d+)", peer.reply(b"EHLO client.test"))[1])
        assert peer.reply(b"MAIL FROM:<x@else.test> SIZE=%d" % (size + 1)).startswith(b"552")
        for value in (b"99999999999999999999999", b"18446744073709551616", b"-1", b"x"):
            assert peer.reply(b"MAIL FROM:<x@else.test> SIZE=" + value)[:3] in (b"501", b"552"), value
    with ready(server) as peer:
        peer.reply(b"DATA")
        line = b"x" * 998 + b"\r\n"
        for _ in range(size // len(line) // 100 + 1):
            peer.send(line * 100)
        assert peer.reply(b"x\r\n.").startswith(b"552")
        assert peer.reply(b"NOOP").startswith(b"250"), "the session goes on"
    with Peer(server, "smtp") as peer:
        peer.reply(b"EHLO client.test")
        peer.reply(b"MAIL FROM:<x@else.test>")
        peer.send(b"RCPT TO:<bob@a.test>\r\n" * 1_200)
        codes = [peer.reply()[:3] for _ in range(1_200)]
        assert codes[:100] == [b"250"] * 100, "RFC 5321 section 4.5.3.1.8"
        assert b"452" in codes and set(codes) <= {b"250", b"452", b"421", b""}, set(codes)
    for line in (b"NOOP " + b"x" * 3_000, b"MAIL FROM:<" + b"x" * 5_000 + b"@else.test>", b"AUTH PLAIN " + b"x" * 20_000):
        with Peer(server, "smtp") as peer:
            peer.reply(b"EHLO client.test")
            assert peer.reply(line)[:1] == b"5"
    for verb in (b"GET / HTTP/1.1", b"POST / HTTP/1.1", b"Host: a.test"):
        with Peer(server, "smtp") as peer:
            peer.send(verb + b"\r\nHost: a.test\r\n\r\nEHLO x\r\nMAIL FROM:<x@else.test>\r\n" + b"y" * 100_000)
            answer = peer.end()
            assert answer[:3] in (b"421", b"554") and b"250" not in answer and b"<reset>" not in answer, answer
    with Peer(server, "smtp", greeting=False) as peer:
        peer.send(b"EHLO early.test\r\nMAIL FROM:<x@else.test>\r\n" * 1_000)
        answer = peer.end()
        assert answer.startswith((b"554", b"421")) and b"250 " not in answer and b"<reset>" not in answer, answer[:200]


def test_chunks(server):
    """A refused chunk is dropped, never read as commands (RFC 3030 section 2)."""
    inner = b"MAIL FROM:<evil@else.test>\r\nRCPT TO:<bob@a.test>\r\nDATA\r\nSubject: smuggled\r\n\r\nx\r\n.\r\n"
    for size in (b"99999999999999999999999", b"18446744073709551615", b"18446744073709551616", b"-5", b"1e3", b""):
        with ready(server) as peer:
            peer.send(b"BDAT " + size + b" LAST\r\n" + inner)
            peer.half_close()
            answer = peer.end()
            assert b"354" not in answer and b"250" not in answer and b"<reset>" not in answer, (size, answer)
    with ready(server) as peer:
        peer.reply(b"RSET")
        peer.send(b"BDAT %d LAST\r\n" % len(inner) + inner + b"NOOP\r\nQUIT\r\n")
        assert [line[:3] for line in peer.end().split(b"\r\n")] == [b"503", b"250", b"221", b""]
    with ready(server) as peer:
        peer.send(b"BDAT 5\r\nhelloDATA\r\n" + inner)
        assert b"354" not in peer.end(), "DATA after BDAT"
    for text in (b"A: b\n\nx\r\n", b"A: b\r\rx\r\n", b"A: b\0x\r\n"):
        with ready(server) as peer:
            assert peer.reply(b"BDAT %d LAST\r\n" % len(text) + text.removesuffix(b"\r\n")).startswith(b"550")
    for line in (b"BDAT %d LAST\x01", b"BDAT\t%d LAST", b"BDAT %d LAST\xff"):
        with ready(server) as peer:
            peer.send(line % len(inner) + b"\r\n" + inner)
            answer = peer.end()
            assert answer.count(b"\r\n") == 1 and answer[:1] == b"5", ("a chunk was taken for commands", line, answer)
    for header in (b"From: a@else.test\rFrom: b@else.test\r\n", b"From: a@else.test\nFrom: b@else.test\r\n", b"X: \0\r\n"):
        with Peer(server, "smtp") as peer:
            peer.reply(b"EHLO client.test")
            peer.reply(b"MAIL FROM:<x@else.test> BODY=BINARYMIME")
            peer.reply(b"RCPT TO:<bob@a.test>")
            text = header + b"\r\nbody"
            peer.send(b"BDAT %d LAST\r\n" % len(text) + text)
            assert peer.reply().startswith(b"550 5.6.0"), header


def test_floods_end_with_a_goodbye(server):
    """After too many errors the server says so, and the peer gets to read it."""
    cases = [("smtp", b"BOGUS\r\n", b"421"), ("smtp", b"NOOP\r\n", b"421"), ("smtp", b"\r\n", b"421"),
             ("submission", b"RCPT TO:<x@y>\r\n", b"421"), ("smtp", b"\xff\xfe\r\n", b"421"),
             ("imap", b"t BOGUS\r\n", b"* BYE"), ("imap", b"\r\n", b"* BYE"), ("pop3", b"BOGUS\r\n", b"-ERR"),
             ("imaps", b"t BOGUS\r\n", b"* BYE"), ("submissions", b"BOGUS\r\n", b"421"), ("pop3s", b"BOGUS\r\n", b"-ERR")]
    for port, line, goodbye in cases:
        with Peer(server, port) as peer:
            peer.send(line * 30_000)
            answer = peer.end()
            last = answer.replace(b"<reset>", b"").strip().split(b"\r\n")[-1]
            assert goodbye in answer and (last.startswith(goodbye) or b"BYE" in answer) and b"<reset>" not in answer, (
                port, line, answer[-200:])
            assert answer.count(b"\n") <= 150, (port, line, answer.count(b"\n"))
    with Peer(server, "smtp") as peer:
        peer.reply(b"EHLO client.test")
        peer.reply(b"MAIL FROM:<x@else.test>")
        peer.send(b"".join(b"RCPT TO:<nobody%d@a.test>\r\n" % n for n in range(200)))
        answer = peer.end()
        assert answer.count(b"\r\n550") <= 21 and b"421" in answer, "harvesting ends"


def test_auth_garbage(server):
    def fresh():
        peer = Peer(server, "submissions")
        peer.reply(b"EHLO client.test")
        return peer
    with fresh() as peer:
        assert peer.reply(b"AUTH PLAIN !!!!").startswith(b"501")
        assert peer.reply(b"AUTH PLAIN").startswith(b"334")
        assert peer.reply(b"*").startswith(b"501"), "RFC 4954 section 4: cancelled"
        assert peer.reply(b"AUTH LOGIN").startswith(b"334")
        assert peer.reply(b"*").startswith(b"501")
        assert peer.reply(b"AUTH PLAIN =").startswith(b"5")
        assert peer.reply(b"AUTH BOGUS").startswith(b"504")
        assert peer.reply(b"NOOP").startswith(b"250")
    password = PASSWORD.encode()
    for token in (b"\0alice@a.test\0" + password + b"\0", b"\0alice@a.test\0x\0" + password, b"bob@a.test\0alice@a.test\0" + password,
                  b"\0alice@a.test\0", b"\0\0", b"", b"\0alice@a.test\0\xff\xfe", b"\0alice@a.test\0" + b"x" * 6_000):
        with fresh() as peer:
            answer = peer.reply(b"AUTH PLAIN " + (base64.b64encode(token) or b"="))
            assert answer.startswith(b"5"), (token, answer)
            assert peer.reply(b"MAIL FROM:<alice@a.test>").startswith(b"530")
    with submission(server) as peer:
        assert peer.reply(b"AUTH PLAIN " + base64.b64encode(b"\0alice@a.test\0" + password)).startswith(b"503")
    with Peer(server, "imaps") as peer:
        peer.send(b"a AUTHENTICATE PLAIN\r\n")
        assert peer.line().startswith(b"+")
        peer.send(b"*\r\n")
        assert peer.line().startswith(b"a BAD")
        peer.send(b"a AUTHENTICATE PLAIN\r\n")
        peer.line()
        peer.send(b"!!!\r\n")
        assert peer.line().startswith(b"a BAD")
        assert b"tag9 OK" not in peer.imap(b'LOGIN alice@a.test "x\0y"')
        peer.send(b"a AUTHENTICATE PLAIN\r\n" + b"A" * 1_000_000)
        answer = peer.end()
        assert b"BYE" in answer and b"<reset>" not in answer, answer
    with Peer(server, "pop3s") as peer:
        peer.send(b"AUTH PLAIN\r\n")
        assert peer.line().startswith(b"+")
        assert peer.reply(b"*").startswith(b"-ERR")
        assert peer.reply(b"USER alice@a.test\0").startswith(b"-ERR")
        assert peer.reply(b"USER alice@a.test").startswith(b"+OK")
        assert peer.reply(b"PASS " + password + b"\0x").startswith(b"-ERR")


def test_wrong_protocol_on_a_port(server):
    for port in ("smtp", "submission", "imap", "pop3"):
        with Peer(server, port, greeting=False) as peer:
            try:
                TLS.wrap_socket(peer.socket)
                raise AssertionError(f"TLS on {port}")
            except OSError:
                pass
    for port in ("submissions", "imaps", "pop3s"):
        with Peer(server, port, tls=False, greeting=False) as peer:
            peer.send(b"EHLO x\r\n" * 1_000)
            answer = peer.end()
            assert b"250" not in answer and b"OK" not in answer, answer
    for port in ("submissions", "imaps", "pop3s"):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols(["http/1.1", "h2"])
        try:
            context.wrap_socket(socket.create_connection((server.host, server.ports[port]), 10)).close()
            raise AssertionError(f"{port} takes a client that means HTTP (RFC 7301 section 3.2)")
        except ssl.SSLError as error:
            assert "no application protocol" in str(error).lower().replace("_", " "), error


def test_half_closed_clients_get_answers(server):
    cases = [
        ("smtp", b"EHLO x.test\r\nMAIL FROM:<x@else.test>\r\nRCPT TO:<bob@a.test>\r\nDATA\r\n", b"354"),
        ("smtp", b"EHLO x.test\r\nNOOP\r\nQUIT\r\n", b"221"),
        ("imap", b"a CAPABILITY\r\nb NOOP\r\nc LOGOUT\r\n", b"c OK"),
        ("imap", b"a CAPABILITY\r\nb NOOP\r\n", b"b OK"),
        ("pop3", b"CAPA\r\nQUIT\r\n", b"+OK"),
    ]
    for port, octets, wanted in cases:
        with Peer(server, port) as peer:
            peer.send(octets)
            peer.half_close()
            answer = peer.end()
            assert wanted in answer and b"<reset>" not in answer, (port, octets, answer)


def test_pop3_numbers(server):
    with Peer(server, "pop3s") as peer:
        peer.reply(b"USER alice@a.test")
        assert peer.reply(b"PASS " + PASSWORD.encode()).startswith(b"+OK")
        for command in (b"RETR 0", b"RETR -1", b"RETR 99999999999999999999", b"TOP 1 -1", b"LIST 0", b"UIDL 4294967297", b"DELE 1 1",
                        b"RETR", b"TOP 1", b"DELE \xff"):
            assert peer.reply(command).startswith(b"-ERR"), command
    with Peer(server, "pop3") as peer:
        peer.send(b"x" * (2 << 20))
        peer.send(b"\r\nQUIT\r\n")
        answer = peer.end()
        assert b"-ERR" in answer and b"<reset>" not in answer, answer


def test_many_hostile_connections(binary):
    kinds = [("garbage", ("smtp", "submission", "imap", "pop3"), 16), ("TLS", ("submissions", "imaps", "pop3s"), 0)]
    for name, ports, chunks in kinds:
        with Server(binary, "a.test", ["alice", "bob"]) as server:
            good_client(server)
            before, peers = memory(server), []
            for number in range(500):
                peer = Peer(server, ports[number % len(ports)])
                peer.socket.settimeout(0.2)
                # One line of up to 1 MB, as far as the server reads it.
                if all(peer.send(b"x" * 65_536) for _ in range(chunks)):
                    peers.append(peer)
            took = good_client(server)
            each = (memory(server) - before) / 500 / 1024
            print(f"   500 with {name}: {each:.1f} kB each, a good client was served in {took:.2f} s")
            assert each <= 64 and took < PATIENCE
            for peer in peers:
                peer.close()


def test_guesses_at_once(binary):
    """Each guess costs 19 MB for a moment: only a few may at the same time."""
    # As if each came from another address: of one, only ten are looked at.
    exempt = '\n[abuse]\nexempt = ["127.0.0.1"]\n'
    with Server(binary, "a.test", ["alice", "bob"], extra=exempt) as server:
        good_client(server)
        before = most = memory(server)
        peers = [Peer(server, "imaps") for _ in range(60)]
        for number, peer in enumerate(peers):
            peer.send(b'a LOGIN user%d@a.test "wrong"\r\n' % number)
        took = good_client(server)
        for peer in peers:
            most = max(most, memory(server))
            assert peer.line().startswith(b"a NO")
            peer.close()
        kept = memory(server) - before
        print(f"   {(most - before) >> 20} MB at most, {kept >> 20} MB kept, a good client was served in {took:.2f} s")
        assert most - before < 112 << 20 and kept < 32 << 20 and took < PATIENCE


def test_aborted_uploads_leave_nothing(server):
    # Without the room set aside for a full disk, which may still be growing to its size.
    def used():
        files = (path for path in (server.folder / "data").rglob("*") if path.is_file())
        return sum(path.stat().st_blocks * 512 for path in files if path.name != "reserve")
    before = used()
    for _ in range(5):
        with mailbox(server) as peer:
            peer.send(b"a APPEND INBOX {50000000+}\r\nSubject: x\r\n\r\n" + b"y" * 5_000_000)
        with ready(server) as peer:
            peer.reply(b"DATA")
            peer.send(b"Subject: x\r\n\r\n" + b"yyyyyyyy\r\n" * 500_000)
    deadline = time.monotonic() + 10
    while used() > before + (1 << 20) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert used() <= before + (1 << 20), used() - before


def test_sigterm_says_goodbye(binary):
    server = Server(binary, "a.test", ["alice", "bob"]).start()
    sessions = {port: Peer(server, port) for port in server.ports}
    idle = mailbox(server)
    idle.send(b"i IDLE\r\n")
    assert idle.line().startswith(b"+")
    data = ready(server)
    data.reply(b"DATA")
    started = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    for port, peer in sessions.items():
        answer = peer.end()
        wanted = {"smtp": b"421", "subm": b"421", "imap": b"* BYE", "pop3": b"", "mana": b"BYE"}[port[:4]]
        assert wanted in answer and b"<reset>" not in answer, (port, answer)
    assert b"* BYE" in idle.end()
    data.send(b"Subject: late\r\n\r\nx\r\n.\r\n")
    assert data.reply().startswith(b"250"), "a message on its way is finished"
    assert server.process.wait(20) == 0
    assert time.monotonic() - started < 15
    server.command("check")


def refusal(binary, text, code, *words, command=("serve",), folder=None):
    """The message with which this configuration is refused."""
    folder = folder or pathlib.Path(tempfile.mkdtemp(prefix="mailserver-"))
    (folder / "bad.toml").write_text(text)
    done = subprocess.run([str(pathlib.Path(binary).resolve()), *command, "--config", str(folder / "bad.toml")],
                          capture_output=True, text=True, timeout=30, cwd=folder)
    told = done.stdout + done.stderr
    assert done.returncode == code, (text, done.returncode, told)
    assert "panicked" not in told, told
    for word in words:
        assert word in told, (word, told)
    return told


def test_wrong_configurations(binary):
    base = '[server]\nhostname = "mx.a.test"\ndata = "data"\n'
    port = free_port()
    listener = f'[[listener]]\nprotocol = "imap"\naddress = "127.0.0.1:{port}"\n'
    for command in (("serve",), ("check-config",)):
        refusal(binary, base + 'hostnam = "x"\n' + listener, 2, ":4", "hostnam", 'did you mean "hostname"', command=command)
        refusal(binary, base + listener + "tls = 7\n", 2, "tls", "must be a string", command=command)
        refusal(binary, base + listener + '[limits]\nmessage_size = "many"\n', 2, "message_size", command=command)
        refusal(binary, base + "[[listener\n", 2, command=command)
        refusal(binary, base.replace("mx.a.test", "not a name"), 2, "hostname", command=command)
        refusal(binary, base + '[[listener]]\nprotocol = "imap"\naddress = "127.0.0.1:99999"\n', 2, "address", command=command)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        refusal(binary, base + listener, 1, f"127.0.0.1:{port}", "imap")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="mailserver-"))
    (folder / "junk").write_text("junk")
    for certificate in ("nowhere.pem", "junk", "."):
        text = base + listener + f'[tls]\ncertificate = "{certificate}"\nkey = "junk"\n'
        refusal(binary, text, 2, str(folder / certificate), folder=folder, command=("check-config",))
        refusal(binary, text, 2 if certificate == "nowhere.pem" else 1, str(folder / certificate), folder=folder)
    refusal(binary, base.replace('"data"', '"junk"') + listener, 1, "junk", folder=folder)
    refusal(binary, base.replace('"data"', '"/proc/none/data"') + listener, 1, "/proc/none", folder=folder)
    done = subprocess.run([str(pathlib.Path(binary).resolve()), "serve", "--config", "none.toml"], capture_output=True,
                          text=True, timeout=30, cwd=folder)
    assert done.returncode == 2 and "none.toml" in done.stderr + done.stdout, done


def test_a_second_process_on_the_same_data(server):
    done = subprocess.run([server.binary, "serve", "--config", str(server.config)], capture_output=True, text=True,
                          timeout=30, cwd=server.folder)
    told = done.stdout + done.stderr
    assert done.returncode == 1 and "in use" in told and str(server.pid) in told, (done.returncode, told)


def play(description, tests):
    """Runs the functions of `tests` whose names begin with `test_`, or those asked for."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--binary", default="target/debug/mailserver")
    parser.add_argument("--only", default="")
    arguments = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    passed, failed = 0, 0
    tests = [(name, test) for name, test in tests.items() if name.startswith("test_") and arguments.only in name]
    with Server(arguments.binary, "a.test", ["alice", "bob"]) as server:
        for name, test in tests:
            print(f"-- {name[5:].replace('_', ' ')}", flush=True)
            started = time.monotonic()
            try:
                test(arguments.binary if test.__code__.co_varnames[0] == "binary" else server)
                assert server.process.poll() is None, "the server ended"
                assert "panicked" not in server.log(), "a task panicked"
                passed += 1
                print(f"   ok ({time.monotonic() - started:.1f} s)")
            except Exception as error:  # every failure is told, the others still run
                failed += 1
                print(f"   FAILED: {type(error).__name__}: {error}")
                traceback.print_exc()
        good_client(server)
        token = base64.b64encode(b"\0alice@a.test\0" + PASSWORD.encode()).decode()
        if PASSWORD in server.log() or token in server.log():
            failed += 1
            print("   FAILED: a password is in the log")
        if failed:
            print(server.log()[-5000:])
    server.command("check")
    if not failed:
        shutil.rmtree(server.folder)
    print(f"{passed} passed, {failed} failed")
    sys.exit(bool(failed))


if __name__ == "__main__":
    play(__doc__, globals())
