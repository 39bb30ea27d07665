#!/usr/bin/env python3
"""Content rules: mail of a stranger is judged by the shipped rules and the operator's; what it says and where it leads
decides whether it is kept apart, and the command line says the same of it.

    python3 tests/interop/content_rules.py --binary target/debug/mailserver"""

import argparse
import imaplib
import pathlib
import smtplib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from dns_records import NameServer  # noqa: E402
from peer import TLS  # noqa: E402
from server import PASSWORD, Server, need  # noqa: E402

EXTRA = """
[filter]
exempt = []

[filter.sender]
iprev = false
helo = false
mx_check = false

[filter.rules]
files = ["own.rules"]
"""
RULES = """
phrases @prizes "you have won", "claim your prize", "lucky winner"
rule PRIZES 6 "Speaks of prizes"
    when text has 2 of @prizes
rule OUR_BANK 20 "A link to our bank that is none"
    when url text ~ /our-?bank/i and not url host under "ourbank.example"
"""
HEAD = """From: Bob <bob@far.test>
To: ann@a.test
Date: {date}
Message-ID: <{name}@far.test>
Subject: {name}
MIME-Version: 1.0
"""
MAIL = {
    "plain": "\nHi Ann, the menu is at https://www.example.com/menu. See you at noon.\n",
    "prizes": "Content-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n"
              "<p>You ha=\nve <b>w</b>on!<p>Cla&#105;m\n your&nbsp;prize\n",
    "bank": "Content-Type: text/html\n\n<p>Go to <a href='http://www.our&#45;bank.evil.test/'>your account</a>\n",
    "redirected": "\nhttps://www.example.com/url?q=http%3A%2F%2Four-bank.evil.test%2Flogin\n",
    "honest": "\nhttps://www.ourbank.example/our-bank\n",
}


def message(name):
    date = time.strftime("%a, %d %b %Y %H:%M:%S +0000", time.gmtime())
    return HEAD.format(name=name, date=date) + MAIL[name]


def offer(server, name):
    with smtplib.SMTP(server.host, server.ports["smtp"], timeout=30) as smtp:
        smtp.ehlo("mx.far.test")
        assert smtp.mail("bob@far.test")[0] == 250
        assert smtp.rcpt("ann@a.test")[0] == 250
        code, words = smtp.data(message(name))
        return code, words.decode()


def judged(server):
    for name, wanted in [("plain", 250), ("prizes", 250), ("bank", 550), ("redirected", 550), ("honest", 250)]:
        code, words = offer(server, name)
        assert code == wanted, (name, code, words)
    imap = imaplib.IMAP4(server.host, server.ports["imap"])
    imap.starttls(TLS)
    imap.login("ann@a.test", PASSWORD)
    imap.select("INBOX")
    fields = [imap.fetch(number, "(BODY[HEADER.FIELDS (SUBJECT)])")[1][0][1].decode().strip()
              for number in imap.search(None, "ALL")[1][0].split()]
    imap.logout()
    assert sorted(fields) == ["Subject: honest", "Subject: plain"], fields


def commands(server):
    listed = server.command("content-rules", "list")
    assert "PRIZES" in listed and "SUBJECT_SHOUTS" in listed, listed
    for name, wanted in [("plain", []), ("prizes", ["PRIZES"]), ("bank", ["OUR_BANK"]), ("redirected", ["OUR_BANK"])]:
        file = server.folder / f"{name}.eml"
        file.write_text(message(name))
        told = server.command("content-rules", "test", "--message", str(file), "--mail-from", "bob@far.test")
        names = [line.split()[1] for line in told.splitlines()]
        assert all(rule in names for rule in wanted) and ("OUR_BANK" in names) == ("OUR_BANK" in wanted), (name, told)
    (server.folder / "bad.rules").write_text('rule BAD 1 "x"\n    when subject ~ /(/\n')
    done = subprocess.run([server.binary, "content-rules", "check", "bad.rules"], cwd=server.folder,
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "bad.rules:2:20: " in done.stderr, (done.returncode, done.stderr)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", required=True)
    options = parser.parse_args()
    if not (need("knotd") and need("knotc")):
        return
    names = NameServer({"test": ["far.test. IN A 192.0.2.7"]})

    class WithRules(Server):
        def command(self, *words, **given):
            (self.folder / "own.rules").write_text(RULES)
            return super().command(*words, **given)

    try:
        with WithRules(options.binary, "a.test", ["ann"], dns=f"127.0.0.1:{names.port}", extra=EXTRA) as server:
            for scenario in (judged, commands):
                began = time.monotonic()
                scenario(server)
                print(f"{scenario.__name__}: ok, {time.monotonic() - began:.1f} s", flush=True)
    finally:
        names.stop()


if __name__ == "__main__":
    main()
