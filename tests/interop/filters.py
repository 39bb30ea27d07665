#!/usr/bin/env python3
"""The pipeline of filters in the mailserver binary: lists for everybody, domains and
accounts, changed while it runs; scores by domain; what the log tells of them.

    python3 tests/interop/filters.py --binary target/debug/mailserver"""

import argparse
import imaplib
import json
import pathlib
import smtplib
import ssl
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from server import PASSWORD, Server  # noqa: E402

EXTRA = """
[filter]
exempt = []
access_list = "access.list"

[filter.lists]
authenticated = false

[filter.reactions]
# No DNS is asked here.
spf = "off"
dkim = "off"
arc = "off"
dmarc = "off"
iprev = "off"
helo = "off"
sender = "off"
bimi = "off"
"helo.syntax" = "none"
"""


def commanded(server, *words, stdin=""):
    """A command that may fail: its status and what it said."""
    done = subprocess.run([server.binary, *words, "--config", str(server.config)], input=stdin, text=True,
                          capture_output=True, timeout=60, cwd=server.folder)
    return done.returncode, done.stdout + done.stderr


def send(server, sender, *recipients, source="127.0.0.1"):
    """The code at MAIL where it is refused, else the code for each recipient."""
    try:
        client = smtplib.SMTP("127.0.0.1", server.ports["smtp"], "client.far.test", 20, (source, 0))
    except smtplib.SMTPConnectError as refused:
        return refused.smtp_code
    with client:
        client.ehlo()
        code, _ = client.mail(sender)
        if code != 250:
            return code
        codes = [client.rcpt(recipient)[0] for recipient in recipients]
        if 250 in codes:
            code, words = client.data(f"From: {sender}\r\nSubject: {sender}\r\n\r\nx\r\n".encode())
            assert code == 250, words
        return codes


def folders(server, user):
    """How many messages are where."""
    context = ssl._create_unverified_context()
    with imaplib.IMAP4_SSL("127.0.0.1", server.ports["imaps"], ssl_context=context) as imap:
        imap.login(user, PASSWORD)
        held = {}
        for line in imap.list()[1]:
            name = line.decode().rsplit(" ", 1)[1].strip('"')
            status, data = imap.status(name, "(MESSAGES)")
            if status == "OK":
                held[name] = int(data[0].decode().rsplit(" ", 1)[1].rstrip(")"))
        return held


def test_the_lists_of_three_levels(server):
    ann, bob = "ann@a.test", "bob@a.test"
    assert send(server, "x@far.test", ann, bob) == [250, 250]
    server.command("filter", "add", "deny", "sender", ".far.test")
    assert send(server, "x@far.test", ann, bob) == [550, 550], "at once"
    server.command("filter", "add", "allow", "sender", "x@far.test", "--domain", "a.test")
    assert send(server, "x@far.test", ann, bob) == [250, 250]
    server.command("filter", "add", "deny", "sender", "x@far.test", "--account", bob)
    assert send(server, "x@far.test", ann, bob) == [250, 550]
    server.command("filter", "add", "deny", "sender", ".far.test", "final")
    assert send(server, "x@far.test", ann, bob) == 550, "at MAIL, whatever a.test says"
    server.command("filter", "remove", "sender", ".far.test")
    server.command("filter", "remove", "sender", "x@far.test", "--account", bob)
    assert send(server, "y@far.test", ann, bob) == [250, 250]
    code, said = commanded(server, "filter", "remove", "sender", ".far.test")
    assert code == 1 and "no rule about sender .far.test" in said, said


def test_clients(server):
    assert send(server, "x@far.test", "ann@a.test", source="127.0.0.9") == 554, "the file closes"
    server.command("filter", "add", "deny", "client", "127.0.0.0/8")
    assert send(server, "x@far.test", "ann@a.test", "carl@c.test", source="127.0.0.8") == [550, 550]
    server.command("filter", "add", "allow", "client", "127.0.0.8", "--domain", "c.test")
    assert send(server, "x@far.test", "ann@a.test", "carl@c.test", source="127.0.0.8") == [550, 250]
    server.command("filter", "remove", "client", "127.0.0.0/8")


def test_a_list_goes_in_and_out(server):
    domain = ("--domain", "c.test")
    many = "".join(f"user{number}@spam.test\n" for number in range(5000))
    server.command("filter", "import", "-", "--decision", "deny", *domain, stdin=many)
    code, said = commanded(server, "filter", "import", "-", *domain,
                           stdin='decision,subject,value\ndeny,sender,"*@csv.test"\nnonsense\nallow sender "a b"\n')
    assert code == 1 and "line 3:" in said and "line 4:" in said and "2 lines" in said, said
    assert send(server, "user4711@spam.test", "ann@a.test", "carl@c.test") == [250, 550]
    assert send(server, "who@csv.test", "carl@c.test") == [550]
    plain, csv = server.command("filter", "export", *domain), server.command("filter", "export", "--csv", *domain)
    assert len(plain.splitlines()) == 5002 and len(csv.splitlines()) == 5003
    (server.folder / "list.csv").write_text(csv)
    server.command("domain", "add", "d.test")
    server.command("filter", "import", "list.csv", "--domain", "d.test")
    assert server.command("filter", "export", "--domain", "d.test") == plain
    server.stop()
    server.command("filter", "add", "deny", "sender", "offline.test", *domain)
    server.start()
    assert send(server, "a@offline.test", "carl@c.test") == [550], "changed while no server ran"


def test_scores_by_domain(server):
    """Two recipients of one message: in one domain it is spam."""
    server.command("filter", "set", "lists.client-allow", "score", "6")
    server.command("filter", "add", "allow", "client", "127.0.0.7")
    server.command("filter", "set", "score.quarantine", "8", "--domain", "c.test")
    before = {user: folders(server, user) for user in ("ann@a.test", "carl@c.test")}
    assert send(server, "s@news.test", "ann@a.test", "carl@c.test", source="127.0.0.7") == [250, 250]
    for _ in range(100):
        after = {user: folders(server, user) for user in before}
        if after["carl@c.test"]["INBOX"] > before["carl@c.test"]["INBOX"]:
            break
        time.sleep(0.1)
    assert after["carl@c.test"]["INBOX"] == before["carl@c.test"]["INBOX"] + 1, after
    assert after["ann@a.test"]["INBOX"] == before["ann@a.test"]["INBOX"], "kept apart"
    story = told(server, "s@news.test")
    assert "lists at connect said client-allow, score +6" in story, story
    # Where it is kept is a setting, too.
    server.command("filter", "set", "spam.place", "inbox", "--account", "ann@a.test")
    assert send(server, "s@news.test", "ann@a.test", source="127.0.0.7") == [250]
    for _ in range(100):
        if folders(server, "ann@a.test")["INBOX"] > before["ann@a.test"]["INBOX"]:
            return
        time.sleep(0.1)
    raise AssertionError("spam is to be in the inbox")


def told(server, sender):
    """The story of the newest message of a sender; the journal is written a little later."""
    for _ in range(50):
        lines = server.command("log", "--json", "--from", sender, "--event", "MessageReceived").splitlines()
        if lines:
            return server.command("log", "--explain", json.loads(lines[-1])["trace"])
        time.sleep(0.2)
    raise AssertionError(f"nothing of {sender} in the journal")


def test_settings_are_checked(server):
    for words, wrong in ((("lists.maybe", "reject"), "never says"), (("nonsense", "off"), "there is no test"),
                         (("score.reject", "much"), "is no score"), (("lists.sender-deny", "kill"), "is no reaction"),
                         (("spam.place", "moon"), "is no place")):
        code, said = commanded(server, "filter", "set", *words)
        assert code == 1 and wrong in said, (words, said)
    server.command("filter", "set", "lists.sender-deny", "quarantine", "--domain", "a.test")
    tests = server.command("filter", "tests", "--domain", "a.test")
    line = next(line for line in tests.splitlines() if line.startswith("lists.sender-deny"))
    assert "quarantine" in line and "shipped: reject" in line, line
    assert "sender-deny" not in server.command("filter", "show")
    shown = server.command("filter", "show", "--account", "ann@a.test")
    assert "lists.sender-deny quarantine (set for a.test)" in " ".join(shown.split()), shown
    server.command("filter", "unset", "lists.sender-deny", "--domain", "a.test")
    good = server.config.read_text()
    server.config.write_text(good.replace('"helo.syntax" = "none"',
                                          '"helo.sintax" = "none"\n"nosuch.test" = "reject"\n[filter.stages]\n'
                                          'helo = "connect"\n'))
    code, said = commanded(server, "check-config")
    server.config.write_text(good)
    first = good[:good.index('"helo.syntax"')].count("\n") + 1
    for line in (first, first + 1, first + 3):
        assert code == 2 and f"toml:{line}:" in said, said


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", required=True)
    binary = parser.parse_args().binary
    tests = [test for name, test in globals().items() if name.startswith("test_")]

    class Prepared(Server):
        def command(self, *words, stdin=""):
            (self.folder / "access.list").write_text("deny client 127.0.0.9  # the operator's word\n")
            return super().command(*words, stdin=stdin)

    server = Prepared(binary, "a.test", ["ann", "bob"], extra=EXTRA)
    server.command("domain", "add", "c.test")
    server.command("account", "add", "carl@c.test", "--password-stdin", stdin=PASSWORD)
    with server:
        for test in tests:
            started = time.monotonic()
            test(server)
            print(f"ok {test.__name__} ({time.monotonic() - started:.1f} s)")


if __name__ == "__main__":
    main()
