#!/usr/bin/env python3
"""Sieve in the mailserver binary: scripts are put by command, mail comes by SMTP and is
read by IMAP. Filing, flags, refusals before the reply, redirects, answers once to whom
they are due, duplicates, edits of headers, scripts of the site around the accounts' own,
and a script that fails and keeps the mail; then sieve-check and sieve-test.

    python3 tests/interop/sieve.py --binary target/debug/mailserver"""

import argparse
import email
import email.policy
import imaplib
import json
import pathlib
import smtplib
import ssl
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from server import PASSWORD, Server  # noqa: E402

EXAMPLES = pathlib.Path(__file__).parents[2] / "examples" / "sieve"
# What asks DNS is off: there is none here.
EXTRA = """
[filter]
exempt = []

[filter.sender]
iprev = false
mx_check = false

[filter.rules]
on = false

[filter.reactions]
"spf" = "off"
"dkim" = "off"
"arc" = "off"
"dmarc" = "off"

[sieve]
folder = "sieve"
"""
SITE = 'require "editheader"; addheader "X-Site" "yes";\n'
DOMAIN_AFTER = 'require ["fileinto", "copy", "mailbox"];\nif header "subject" "archived" { fileinto :copy :create "Archive"; }\n'
ANN = """
require ["fileinto", "mailbox", "imap4flags", "ereject", "reject", "duplicate", "editheader", "variables", "include"];
if header :is "X-Site" "yes" { addflag "$Site"; }
if header :matches "subject" "report *" {
    fileinto :create :flags ["\\\\Flagged", "$Report"] "Reports/${1}";
} elsif header "subject" "refuse" {
    ereject "Ann takes none of this.";
} elsif header "subject" "forward" {
    redirect "cara@a.test";
} elsif header "subject" "to myself" {
    redirect "ann@a.test";
} elsif header "subject" "twice" {
    if duplicate { discard; }
} elsif header "subject" "edit" {
    deleteheader "X-Gone";
    addheader :last "X-Own" "grün";
} elsif header "subject" "drop" {
    include :global "dropper";
}
"""
BOB = 'require "vacation";\nvacation :days 7 :subject "Weg" :addresses "robert@a.test" "Bin im Urlaub, grüß Gott.";\n'
DAN = 'require "ihave";\nif header "subject" "fine" { stop; }\nerror "the sky fell";\n'


def tls():
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def text(subject, to="ann", sender="x@far.test", extra="", name=None):
    name = name or f"{subject.replace(' ', '.')}.{time.monotonic_ns()}"
    return (f"From: {sender}\r\nTo: {to}@a.test\r\nSubject: {subject}\r\nMessage-ID: <{name}@far.test>\r\n{extra}"
            f"\r\nThe text.\r\n").encode()


def send(server, message, to="ann", sender="x@far.test"):
    with smtplib.SMTP(server.host, server.ports["smtp"], local_hostname="far.test", timeout=30) as smtp:
        smtp.sendmail(sender, [f"{to}@a.test"], message)


def submit(server, user, message, to):
    with smtplib.SMTP(server.host, server.ports["submission"], local_hostname="far.test", timeout=30) as smtp:
        smtp.starttls(context=tls())
        smtp.login(f"{user}@a.test", PASSWORD)
        smtp.sendmail(f"{user}@a.test", [f"{to}@a.test"], message)


def mailbox(server, user, name="INBOX", wanted=None):
    """Flags and message of each in a mailbox, once there are as many as wanted."""
    deadline = time.monotonic() + 20
    while True:
        imap = imaplib.IMAP4_SSL(server.host, server.ports["imaps"], ssl_context=tls())
        imap.login(f"{user}@a.test", PASSWORD)
        found = []
        kind, count = imap.select(f'"{name}"', readonly=True)
        for number in range(1, int(count[0]) + 1 if kind == "OK" else 1):
            data = imap.fetch(str(number), "(FLAGS BODY.PEEK[])")[1]
            flags = imaplib.ParseFlags(b" ".join(part if isinstance(part, bytes) else part[0] for part in data))
            message = email.message_from_bytes(data[0][1], policy=email.policy.default)
            found.append(({flag.decode() for flag in flags}, message))
        imap.logout()
        if wanted is None or len(found) >= wanted or time.monotonic() > deadline:
            shown = [str(message["subject"]) for _, message in found]
            assert wanted is None or len(found) == wanted, f"{user} {name}: {shown}"
            return found
        time.sleep(0.05)


def put(server, name, script, *owner, active=True):
    path = server.folder / "put.sieve"
    path.write_text(script)
    server.command("sieve", "put", *owner, name, str(path))
    if active and not owner[0].startswith("--"):
        server.command("sieve", "activate", *owner, name)


def fails(server, code, *words):
    done = subprocess.run([server.binary, *words, "--config", str(server.config)], text=True, capture_output=True,
                          timeout=60, cwd=server.folder)
    assert done.returncode == code, (words, done.returncode, done.stdout, done.stderr)
    return done.stdout + done.stderr


def check_commands(server):
    put(server, "main", ANN, "ann@a.test")
    put(server, "spare", "keep;", "ann@a.test", active=False)
    listed = server.command("sieve", "list", "ann@a.test").splitlines()
    assert [line.split()[0] for line in listed] == ["main", "spare"] and listed[0].endswith("active"), listed
    assert server.command("sieve", "show", "ann@a.test", "main") == ANN
    assert "active" in fails(server, 1, "sieve", "remove", "ann@a.test", "main")
    server.command("sieve", "remove", "ann@a.test", "spare")
    assert "no script spare" in fails(server, 1, "sieve", "show", "ann@a.test", "spare")
    wrong = server.folder / "wrong.sieve"
    wrong.write_text('require "fileinto";\nif true {\n  fileinto 7;\n}\n')
    assert "line 3, column 12: " in fails(server, 1, "sieve", "put", "ann@a.test", "wrong", str(wrong))
    put(server, "after", DOMAIN_AFTER, "--domain", "a.test")
    put(server, "dropper", "discard;", "--global")
    assert "runs for all" in fails(server, 1, "sieve", "activate", "--global", "dropper")


def check_filing(server):
    send(server, text("report May"))
    [(flags, message)] = mailbox(server, "ann", "Reports/May", 1)
    assert {"\\Flagged", "$Report"} <= flags, flags
    assert message["X-Site"] == "yes", "a script of the site edits what the account's own files"
    send(server, text("plain"))
    [(flags, message)] = mailbox(server, "ann", wanted=1)
    assert "$Site" in flags, "the account's own script sees what the site's added"
    send(server, text("archived"))
    mailbox(server, "ann", "Archive", 1)
    mailbox(server, "ann", wanted=2)
    send(server, text("edit", extra="X-Gone: 1\r\nX-Stays: 2\r\n"))
    _, message = mailbox(server, "ann", wanted=3)[-1]
    assert (message["X-Gone"], message["X-Stays"], message["X-Own"]) == (None, "2", "grün"), message.items()
    send(server, text("drop"))
    twice = text("twice")
    send(server, twice)
    send(server, twice)
    send(server, text("to myself"))
    subjects = [str(message["subject"]) for _, message in mailbox(server, "ann", wanted=5)]
    assert subjects[-2:] == ["twice", "to myself"], subjects


def check_refusal(server):
    try:
        send(server, text("refuse"))
    except smtplib.SMTPDataError as error:
        assert error.smtp_code == 550 and b"Ann takes none" in error.smtp_error, error
    else:
        raise AssertionError("the message must be refused")


def check_redirect(server):
    send(server, text("forward"))
    [(_, message)] = mailbox(server, "cara", wanted=1)
    assert "ann@a.test" in message.get_all("Delivered-To"), message.items()
    mailbox(server, "ann", wanted=5)


def check_vacation(server):
    put(server, "away", BOB, "bob@a.test")
    before = len(mailbox(server, "cara"))
    for subject in ["Frage", "noch eine"]:
        submit(server, "cara", text(subject, "bob", "cara@a.test"), "bob")
    answers = mailbox(server, "cara", wanted=before + 1)[before:]
    [(_, answer)] = answers
    assert str(answer["subject"]) == "Weg" and str(answer["to"]) == "cara@a.test", answer.items()
    assert answer["auto-submitted"].startswith("auto-replied") and answer["in-reply-to"], answer.items()
    assert answer.get_content().strip() == "Bin im Urlaub, grüß Gott.", answer.get_content()
    assert answer["return-path"] == "<>", answer["return-path"]
    unanswered = [
        ("list", dict(extra="List-Id: <l.far.test>\r\n"), "cara"),
        ("bulk", dict(extra="Precedence: bulk\r\n"), "cara"),
        ("automatic", dict(extra="Auto-Submitted: auto-replied\r\n"), "cara"),
        ("not to bob", dict(to="ann"), "dora"),
        ("himself", dict(), "bob"),
    ]
    for subject, keys, user in unanswered:
        message = text(subject, **{"to": "bob", "sender": f"{user}@a.test", **keys})
        submit(server, user, message, "bob")
    send(server, text("null", "bob"), "bob", "")
    mailbox(server, "bob", wanted=8)
    time.sleep(0.5)
    mailbox(server, "cara", wanted=before + 1)
    assert not mailbox(server, "dora")
    # Another sender gets an answer of his own.
    submit(server, "dora", text("Hallo", "bob", "dora@a.test"), "bob")
    mailbox(server, "dora", wanted=1)


def check_failure(server):
    put(server, "broken", DAN, "dan@a.test")
    for subject in ["one", "two", "fine"]:
        send(server, text(subject, "dan"), "dan")
    messages = [message for _, message in mailbox(server, "dan", wanted=4)]
    told = [message for message in messages if message["auto-submitted"]]
    [notice] = told
    words = notice.get_content()
    assert "broken" in words and "line 3" in words and "the sky fell" in words, words


def check_tests(server):
    words = server.command("sieve-check", *map(str, sorted(EXAMPLES.glob("*.sieve"))))
    assert all(line.endswith("is sound") for line in words.splitlines()), words
    wrong = server.folder / "wrong.sieve"
    said = fails(server, 1, "sieve-check", str(wrong))
    assert f"{wrong}: line 3, column 12: " in said, said
    message = server.folder / "message.eml"
    message.write_bytes(text("[report] May"))

    def test(script, *words):
        done = server.command("sieve-test", "--script", str(script), "--message", str(message), *words)
        return [json.loads(line) for line in done.splitlines()]

    personal = EXAMPLES / "personal.sieve"
    assert test(personal) == [
        {"action": "fileinto", "mailbox": "Reports", "flags": ["\\Seen", "$Report"], "create": True}]
    assert test(personal, "--set", "seen=yes") == [{"action": "discard"}]
    message.write_bytes(text("Hello", "bob"))
    at = ["--set", "now=Fri, 25 Dec 2026 12:00:00 +0000", "--mail-from", "x@far.test", "--rcpt-to", "bob@a.test"]
    actions = test(personal, *at)
    assert {action["action"] for action in actions} == {"vacation", "keep"}, actions
    assert test(EXAMPLES / "before.sieve", "--set", "spam=0.9")[0]["mailbox"] == "Junk"
    assert test(EXAMPLES / "before.sieve", "--set", "spam=0.1") == [{"action": "keep", "flags": []}]
    said = fails(server, 1, "sieve-test", "--script", str(wrong), "--message", str(message))
    assert said.startswith("error: line 3: "), said
    broken = server.folder / "broken.sieve"
    broken.write_text(DAN)
    said = fails(server, 2, "sieve-test", "--script", str(broken), "--message", str(message))
    assert said.startswith("error: line 3: ") and "the sky fell" in said, said


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", default="target/debug/mailserver")
    binary = parser.parse_args().binary
    folder = pathlib.Path(tempfile.mkdtemp()) / "sieve"
    (folder / "before").mkdir(parents=True)
    (folder / "before" / "10-site.sieve").write_text(SITE)
    extra = EXTRA.replace('folder = "sieve"', f'folder = "{folder}"')
    server = Server(binary, "a.test", ["ann", "bob", "cara", "dan", "dora"], extra=extra)
    print("-- commands without a server")
    check_commands(server)
    with server:
        for check in [check_filing, check_refusal, check_redirect, check_vacation, check_failure, check_tests]:
            print(f"-- {check.__name__.removeprefix('check_')}")
            check(server)
        print("-- a reload takes up the site's scripts")
        (folder / "before" / "10-site.sieve").write_text(SITE + "nonsense;\n")
        assert "line 2, column 1" in fails(server, 2, "reload")
        (folder / "before" / "10-site.sieve").write_text(SITE.replace("yes", "again"))
        server.command("reload")
        send(server, text("after the reload", "cara"), "cara")
        assert any(message["X-Site"] == "again" for _, message in mailbox(server, "cara"))
    print("ok")


if __name__ == "__main__":
    main()
