#!/usr/bin/env python3
"""Distribution lists and groups in the mailserver binary: who may write to them, what
members read, what waits for a moderator, and that a list's mail survives a kill -9 with
one copy for each member.

    python3 tests/interop/lists.py --binary target/debug/mailserver"""

import argparse
import email
import imaplib
import pathlib
import shutil
import smtplib
import ssl
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from server import PASSWORD, Server  # noqa: E402

USERS = ["ann", "bob", "mod"]
CROWD = 300
# What asks DNS is off: there is none here.
EXTRA = """
[filter]
exempt = []

[filter.sender]
iprev = false
helo = false
mx_check = false

[filter.reactions]
"spf" = "off"
"dkim" = "off"
"arc" = "off"
"dmarc" = "off"
"""


def tls():
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def message(sender, to, subject):
    return f"From: {sender}\r\nTo: {to}\r\nSubject: {subject}\r\nMessage-ID: <{subject}@x.test>\r\n\r\nhello\r\n"


def post(server, to, subject, user=None, sender="far@c.test"):
    """None when it was taken, else the reply to RCPT."""
    if user:
        sender = f"{user}@a.test"
        smtp = smtplib.SMTP(server.host, server.ports["submission"], timeout=30)
        smtp.starttls(context=tls())
        smtp.login(sender, PASSWORD)
    else:
        smtp = smtplib.SMTP(server.host, server.ports["smtp"], timeout=30)
    with smtp:
        try:
            smtp.sendmail(sender, [to], message(sender, to, subject))
        except smtplib.SMTPRecipientsRefused as refused:
            [(code, words)] = refused.recipients.values()
            return f"{code} {words.decode()}"
    return None


def inbox(server, user, wanted):
    """The messages in a user's INBOX, once there are as many as wanted."""
    deadline = time.monotonic() + 30
    while True:
        imap = imaplib.IMAP4_SSL(server.host, server.ports["imaps"], ssl_context=tls())
        imap.login(f"{user}@a.test", PASSWORD)
        count = int(imap.select("INBOX", readonly=True)[1][0])
        texts = [imap.fetch(str(number), "(BODY.PEEK[])")[1][0][1] for number in range(1, count + 1)]
        imap.logout()
        if len(texts) >= wanted or time.monotonic() > deadline:
            assert len(texts) == wanted, (user, wanted, texts)
            return [email.message_from_bytes(text) for text in texts]
        time.sleep(0.05)


def fails(server, *words):
    done = subprocess.run([server.binary, *words, "--config", str(server.config)], text=True, capture_output=True,
                          timeout=60)
    assert done.returncode == 1, done
    return done.stderr


def test_a_lists_mail_reaches_its_members_and_others_are_refused(server):
    server.command("list", "add", "news@a.test", "--mode", "membership", "--owner", "mod@a.test", "--reply-to", "list")
    server.command("list", "member", "add", "news@a.test", "ann@a.test", "bob@a.test")
    server.command("list", "setting", "news@a.test", "subject-tag", "[news]")
    assert "subject-tag  [news]" in server.command("list", "setting", "news@a.test").replace("   ", "  ")
    assert "write never, dmarc or always" in fails(server, "list", "setting", "news@a.test", "from", "maybe")
    refused = "550 5.7.1 you may not write to this list"
    assert post(server, "news@a.test", "no") == refused
    assert post(server, "news@a.test", "forged", sender="ann@a.test") == refused
    assert post(server, "news@a.test", "one", user="ann") is None
    for user in ("ann", "bob"):
        [mail] = inbox(server, user, 1)
        assert mail["List-Id"] == "<news.a.test>", mail
        assert mail["List-Post"] == "<mailto:news@a.test>", mail
        assert mail["List-Unsubscribe"] == "<mailto:news-unsubscribe@a.test>", mail
        assert mail["Subject"] == "[news] one" and mail["Reply-To"] == "news@a.test", mail
        assert mail["Return-Path"].startswith("<news-bounces+"), mail
        assert mail["From"] == "ann@a.test", mail
    inbox(server, "mod", 0)


def test_a_closed_group_takes_mail_of_those_who_logged_in(server):
    server.command("group", "add", "board@a.test", "--closed")
    server.command("group", "member", "add", "board@a.test", "bob@a.test")
    assert post(server, "board@a.test", "no").startswith("550 5.7.1"), "a stranger"
    assert post(server, "board@a.test", "two", user="ann") is None
    assert [it["Subject"] for it in inbox(server, "bob", 2)][1] == "two"


def test_a_message_waits_for_its_moderator(server):
    server.command("list", "set", "news@a.test", "--mode", "public", "--posting", "moderated")
    for subject in ("three", "four"):
        assert post(server, "news@a.test", subject) is None
    notices = inbox(server, "mod", 2)
    assert notices[0]["Subject"] == "To be approved for news@a.test: three", notices
    assert notices[0]["Reply-To"].startswith("news-approve+"), notices
    lines = server.command("list", "pending").splitlines()
    assert [line.split()[0] for line in lines] == ["news@a.test"] * 2, lines
    numbers = [line.split()[1] for line in lines]
    server.command("list", "reject", "news@a.test", numbers[1], "--reason", "too late")
    # Also while no server runs.
    server.stop()
    assert "goes out" in server.command("list", "approve", "news@a.test", numbers[0])
    server.start()
    assert inbox(server, "ann", 2)[1]["Subject"] == "[news] three"
    assert server.command("list", "pending") == ""
    assert "waits no more" in fails(server, "list", "approve", "news@a.test", numbers[0])
    assert "0 messages" in server.command("schedule", "run", "lists")


def test_each_of_a_crowd_gets_one_copy_though_the_server_is_killed(server):
    server.command("list", "add", "all@a.test")
    members = server.folder / "members"
    # One account by many addresses.
    crowd = "".join(f"mod+{number}@a.test\n" for number in range(CROWD))
    members.write_text(f"# everybody\nann@a.test\nbob@a.test\nnot an address\n{crowd}")
    server.command("list", "set", "all@a.test", "--members-file", str(members))
    for pause in (0, 0.02, 0.1):
        assert post(server, "all@a.test", f"crowd{pause}") is None
        time.sleep(pause)
        server.kill()
        server.start()
    subjects = [it["Subject"] for it in inbox(server, "ann", 5)]
    assert subjects[2:] == ["crowd0", "crowd0.02", "crowd0.1"], subjects
    inbox(server, "bob", 6)
    deadline = time.monotonic() + 30
    while not server.command("queue", "list").startswith("0 in the queue"):
        assert time.monotonic() < deadline, server.command("queue", "list")
        time.sleep(0.1)
    [*_, last] = inbox(server, "mod", 2 + 3)
    assert last["Subject"] == "crowd0.1", last


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", default="target/debug/mailserver")
    arguments = parser.parse_args()
    with Server(arguments.binary, "a.test", USERS, extra=EXTRA) as server:
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
