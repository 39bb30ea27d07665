#!/usr/bin/env python3
"""Mail in quarantine in the mailserver binary: a test of the pipeline puts it there;
it is listed, shown, released into INBOX, sent on, deleted and purged, with and
without a running server, and is there after a kill -9.

    python3 tests/interop/quarantine.py --binary target/debug/mailserver"""

import argparse
import imaplib
import json
import pathlib
import shutil
import smtplib
import ssl
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from server import PASSWORD, Server  # noqa: E402

# What asks DNS is off: there is none here.
EXTRA = """
[filter]
exempt = []

[filter.sender]
iprev = false
mx_check = false

[filter.reactions]
"spf" = "off"
"dkim" = "off"
"arc" = "off"
"dmarc" = "off"
"helo.ours" = "quarantine score 7"

[filter.quarantine]
place = "user"
account_messages = 2
"""

MESSAGE = """From: someone@else.test
To: ann@a.test
Subject: =?utf-8?q?win_a_=E2=82=AC?=
Message-ID: <%s@else.test>

buy this now
"""


def send(server, word, *to, helo="mx.a.test"):
    with smtplib.SMTP(server.host, server.ports["smtp"], local_hostname=helo, timeout=30) as smtp:
        refused = smtp.sendmail("someone@else.test", [f"{one}@a.test" for one in to], MESSAGE % word)
        assert not refused, refused


def inbox(server, user, wanted=None):
    """The texts in a user's INBOX, once there are as many as wanted."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    deadline = time.monotonic() + 20
    while True:
        imap = imaplib.IMAP4_SSL(server.host, server.ports["imaps"], ssl_context=context)
        imap.login(f"{user}@a.test", PASSWORD)
        count = int(imap.select("INBOX", readonly=True)[1][0])
        texts = [imap.fetch(str(number), "(BODY.PEEK[])")[1][0][1].decode() for number in range(1, count + 1)]
        imap.logout()
        if wanted is None or len(texts) >= wanted or time.monotonic() > deadline:
            assert wanted is None or len(texts) == wanted, texts
            return texts
        time.sleep(0.05)


def listed(server, *words):
    return [json.loads(line) for line in server.command("quarantine", "list", "--json", *words).splitlines()]


def fails(server, *words):
    done = subprocess.run([server.binary, *words, "--config", str(server.config)], text=True, capture_output=True,
                          timeout=60)
    assert done.returncode == 1, done
    return done.stderr


def test_it_is_kept_apart_listed_and_shown(server):
    send(server, "good", "ann", helo="client.test")
    inbox(server, "ann", 1)
    send(server, "one", "ann", "bob")
    [mail] = listed(server)
    assert [to["address"] for to in mail["recipients"]] == ["ann@a.test", "bob@a.test"], mail
    assert (mail["place"], mail["release"], mail["client"]) == ("user", True, "127.0.0.1"), mail
    assert mail["subject"] == "win a €" and mail["score"] >= 7, mail
    assert {"helo"} <= {it["test"] for it in mail["findings"] if it["result"] == "ours"}, mail
    assert listed(server, "--account", "bob@a.test") == [mail] == listed(server, "--domain", "a.test")
    assert listed(server, "--admin") == []
    assert listed(server, "--before", "1h") == []
    deadline = time.monotonic() + 10
    # The journal is written behind.
    while "in quarantine as" not in (shown := server.command("quarantine", "show", mail["id"])):
        assert time.monotonic() < deadline, shown
    assert "helo ours" in shown, shown
    assert "buy this now" in server.command("quarantine", "content", mail["id"])
    assert mail["id"] not in server.command("queue", "list")
    assert "not in the queue" in fails(server, "queue", "release", mail["id"])
    inbox(server, "ann", 1)


def test_it_is_there_after_a_kill_and_without_a_server(server):
    server.kill()
    [mail] = listed(server)
    server.start()
    assert listed(server) == [mail]
    send(server, "two", "bob")
    server.kill()
    server.start()
    assert [len(it["recipients"]) for it in listed(server)] == [1, 2], "the newest first"


def test_it_is_released_to_one_and_deleted_for_the_other(server):
    [two, one] = [it["id"] for it in listed(server)]
    assert "is not in quarantine for x@a.test" in fails(server, "quarantine", "release", one, "--recipient", "x@a.test")
    server.command("quarantine", "release", one, "--recipient", "ann@a.test")
    texts = inbox(server, "ann", 2)
    assert "released from quarantine" in texts[1] and "<one@else.test>" in texts[1], texts
    assert inbox(server, "bob") == []
    assert listed(server, "--account", "ann@a.test") == []
    assert [it["id"] for it in listed(server, "--account", "bob@a.test")] == [two, one]
    assert "not in quarantine" in fails(server, "quarantine", "release", one, "--account", "ann@a.test")
    server.command("quarantine", "release", two, "--to", "ann@a.test")
    assert "<two@else.test>" in inbox(server, "ann", 3)[2]
    server.command("quarantine", "delete", one, "--account", "bob@a.test")
    assert [it["id"] for it in listed(server)] == [two], "a copy sent on leaves it there"


def test_it_is_released_without_a_server_and_delivered_by_the_next(server):
    [two] = [it["id"] for it in listed(server)]
    server.stop()
    server.command("quarantine", "release", two)
    assert listed(server) == []
    server.start()
    inbox(server, "bob", 1)


def test_what_is_over_the_limits_and_what_is_old_goes(server):
    for word in ("three", "four", "five"):
        send(server, word, "bob")
    ids = [it["id"] for it in listed(server)]
    done = server.command("schedule", "run", "quarantine")
    assert "1 over the limits" in done, done
    assert [it["id"] for it in listed(server)] == ids[:2], "the oldest goes first"
    assert server.command("quarantine", "purge", "--before", "1d").startswith("0 deleted")
    assert server.command("quarantine", "purge", "--before", "2099-01-01").startswith("2 deleted")
    assert listed(server) == []
    inbox(server, "bob", 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", default="target/debug/mailserver")
    arguments = parser.parse_args()
    with Server(arguments.binary, "a.test", ["ann", "bob"], extra=EXTRA) as server:
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
