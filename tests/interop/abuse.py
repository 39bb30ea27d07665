#!/usr/bin/env python3
"""Peers that do too much against the mailserver binary: who may connect, shields,
the tarpit, bandwidths, bans by rule.

    python3 tests/interop/abuse.py --binary target/debug/mailserver"""

import argparse
import pathlib
import shutil
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from brute_force import From  # noqa: E402
from peer import mailbox  # noqa: E402
from server import Server, free_port  # noqa: E402

EXTRA = """
[[listener]]
protocol = "pop3"
address = "127.0.0.1:{guarded}"
tls = "none"
allow = ["127.0.0.2", "127.0.0.3"]
deny = ["127.0.0.3"]

[[shield]]
domain = "partner.test"
from = ["127.0.0.2"]

[smtp.tarpit]
after = 2
delay = "1s"
growth = 200

[limits.bandwidth]
connection = "300KB"

[[abuse.rule]]
count = "unknown-recipients"
most = 4
then = "ban"

[[abuse.rule]]
count = "errors"
most = 15
then = "ban"
"""


def test_who_may_connect(server):
    def word(source):
        with From(server, "guarded", source) as peer:
            return peer.greeting
    assert word("127.0.0.2").startswith(b"+OK")
    assert word("127.0.0.1").startswith(b"-ERR"), "not allowed"
    assert word("127.0.0.3").startswith(b"-ERR"), "allowed and denied"


def test_a_shielded_domain(server):
    for source, sender, answer in (("127.0.0.2", b"x@partner.test", b"250"), ("127.0.0.1", b"x@partner.test", b"550 5.7.1"),
                                   ("127.0.0.1", b"x@Partner.TEST", b"550 5.7.1"), ("127.0.0.1", b"x@other.test", b"250")):
        with From(server, "smtp", source) as peer:
            peer.reply(b"EHLO client.test")
            assert peer.reply(b"MAIL FROM:<%s>" % sender).startswith(answer), (source, sender)


def test_the_tarpit(server):
    times = []
    with From(server, "smtp", "127.0.0.5") as peer:
        peer.reply(b"EHLO client.test")
        peer.reply(b"MAIL FROM:<x@other.test>")
        for _ in range(4):
            started = time.monotonic()
            assert peer.reply(b"RCPT TO:<bob@a.test>").startswith(b"250")
            times.append(time.monotonic() - started)
    assert times[0] < 0.5 and times[1] < 0.5, times
    assert 1 <= times[2] < 1.9 and 2 <= times[3] < 2.9, times


def test_bandwidth(server):
    body = (b"y" * 76 + b"\r\n") * 15_000
    started = time.monotonic()
    with From(server, "smtp", "127.0.0.6") as peer:
        peer.reply(b"EHLO client.test")
        peer.reply(b"MAIL FROM:<x@other.test>")
        peer.reply(b"RCPT TO:<bob@a.test>")
        assert peer.reply(b"DATA").startswith(b"354")
        peer.send(b"Subject: big\r\n\r\n" + body + b".\r\n")
        assert peer.reply().startswith(b"250")
    up = time.monotonic() - started
    started = time.monotonic()
    with mailbox(server, "bob") as peer:
        octets = len(peer.imap(b"FETCH * BODY.PEEK[]"))
    down = time.monotonic() - started
    # 1.17 MB, of which a second's worth passes at once.
    print(f"   1.17 MB at 300 kB/s: in within {up:.1f} s, out within {down:.1f} s")
    assert octets > 1_100_000
    assert 2.5 < up < 8 and 2.5 < down < 8


def banned(server, source):
    try:
        with From(server, "smtp", source) as peer:
            return not peer.greeting
    except OSError:
        return True


def test_who_asks_for_nobody_is_banned(server):
    with From(server, "smtp", "127.0.0.7") as peer:
        peer.reply(b"EHLO client.test")
        peer.reply(b"MAIL FROM:<x@other.test>")
        answers = [peer.reply(b"RCPT TO:<nobody%d@a.test>" % number)[:3] for number in range(4)]
    assert answers == [b"550", b"550", b"550", b"421"], answers
    assert banned(server, "127.0.0.7") and not banned(server, "127.0.0.1")
    assert "4 unknown-recipients" in server.command("ban", "list")


def test_who_talks_out_of_turn_is_banned(server):
    for _ in range(2):
        with From(server, "smtp", "127.0.0.8") as peer:
            peer.send(b"\r\n" * 40)
            peer.end()
    assert banned(server, "127.0.0.8")


def test_an_operator_bans(server):
    server.command("ban", "add", "127.0.0.0/30", "--for", "1h", "--reason", "a bad neighbourhood")
    assert banned(server, "127.0.0.1") and banned(server, "127.0.0.2") and not banned(server, "127.0.0.4")
    server.command("ban", "allow", "127.0.0.2")
    assert not banned(server, "127.0.0.2")
    server.command("ban", "remove", "127.0.0.0/30")
    assert not banned(server, "127.0.0.1")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", default="target/debug/mailserver")
    arguments = parser.parse_args()
    guarded = free_port()
    with Server(arguments.binary, "a.test", ["alice", "bob"], extra=EXTRA.format(guarded=guarded)) as server:
        server.ports["guarded"] = guarded
        try:
            for name, test in [(name, test) for name, test in globals().items() if name.startswith("test_")]:
                started = time.monotonic()
                print(f"-- {name[5:].replace('_', ' ')}", flush=True)
                test(server)
                print(f"   ok ({time.monotonic() - started:.1f} s)")
        except BaseException:
            print(server.log()[-3000:])
            raise
        assert "panicked" not in server.log()
    shutil.rmtree(server.folder)
    print("passed")


if __name__ == "__main__":
    main()
