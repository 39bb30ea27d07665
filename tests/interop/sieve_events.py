#!/usr/bin/env python3
"""The site's scripts at the events of a session: XCLIENT names the clients, and the replies say what scripts decided.

    python3 tests/interop/sieve_events.py --binary target/debug/mailserver"""

import argparse
import pathlib
import smtplib
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from server import Server  # noqa: E402

EXTRA = """
[smtp]
xclient = ["127.0.0.1"]

[abuse]
exempt = ["0.0.0.0/0"]

# No name server is there to ask.
[filter]
on = false

[filter.greylist]
on = true
delay = "2s"

[sieve]
folder = "{folder}"
"""

SCRIPTS = {
    "connect/10-networks": """require ["vnd.mailcore.ip", "vnd.mailcore.session"];
        if ip :cidr ["198.51.100.0/24", "203.0.*.9"] { disconnect "your network is not served"; }""",
    "helo/10-names": """require ["vnd.mailcore.session", "environment"];
        if environment :contains "vnd.mailcore.helo" "dynamic" { error "say who you are"; }""",
    "mail/10-senders": """require ["envelope", "vnd.mailcore.session"];
        if envelope :domain :is "from" "later.test" { defer "come back tomorrow"; }""",
    "rcpt/10-traps": """require ["envelope", "ereject"];
        if envelope :localpart :is "to" "bob" { ereject "bob takes no mail"; }""",
    "rcpt/20-greylist": """require ["vnd.mailcore.greylist", "vnd.mailcore.ip"];
        if ip :cidr "192.0.2.0/28" { greylist; }""",
    "data/10-words": """require ["vnd.mailcore.session", "variables"];
        if header :matches "Subject" "*lottery*" { error "no ${1}lotteries"; }""",
}


def session(server, client, helo="mx.good.test"):
    smtp = smtplib.SMTP(server.host, server.ports["smtp"], timeout=30)
    smtp.ehlo("proxy.test")
    code, words = smtp.docmd(f"XCLIENT ADDR={client}")
    return smtp, code, words.decode(), helo


def offer(server, client, to="ann@a.test", sender="eve@other.test", helo="mx.good.test", subject=None):
    """The reply that decides."""
    smtp, code, words, helo = session(server, client, helo)
    try:
        steps = [lambda: smtp.ehlo(helo), lambda: smtp.mail(sender), lambda: smtp.rcpt(to)]
        if subject is not None:
            steps.append(lambda: smtp.data(f"From: eve@other.test\r\nSubject: {subject}\r\n\r\nx\r\n"))
        for step in steps:
            if code not in (220, 250):
                break
            code, words = step()
            words = words.decode()
        return code, words
    finally:
        smtp.close()


def refusals(server):
    for case, wanted in [
        ({"client": "198.51.100.7"}, "your network is not served"),
        ({"client": "203.0.113.9"}, "your network is not served"),
        ({"client": "203.0.113.8", "helo": "dynamic.test"}, "say who you are"),
        ({"client": "203.0.113.8", "to": "bob@a.test"}, "bob takes no mail"),
        ({"client": "203.0.113.8", "subject": "a lottery"}, "no a lotteries"),
    ]:
        code, words = offer(server, **case)
        assert code // 100 == 5 and wanted in words, (case, code, words)
    code, words = offer(server, "203.0.113.8", sender="x@later.test")
    assert code // 100 == 4 and "come back tomorrow" in words, (code, words)
    code, words = offer(server, "203.0.113.8", subject="good news")
    assert code == 250, (code, words)


def greylist(server):
    began = time.monotonic()
    code, words = offer(server, "192.0.2.7")
    assert code == 451 and "try again" in words, (code, words)
    assert offer(server, "192.0.2.200")[0] == 250, "no script asks for it"
    time.sleep(max(0, 2.1 - (time.monotonic() - began)))
    code, words = offer(server, "192.0.2.7")
    assert code == 250, (code, words)


def reload(server, folder):
    (folder / "rcpt" / "30-all.sieve").write_text('require "vnd.mailcore.session"; defer "closed";')
    print(server.command("reload").strip())
    code, words = offer(server, "203.0.113.8")
    assert code // 100 == 4 and "closed" in words, (code, words)
    (folder / "rcpt" / "30-all.sieve").write_text("keeep;")
    try:
        server.command("reload")
        raise SystemExit("a script that is wrong was taken")
    except AssertionError as refused:
        assert "30-all.sieve: line 1" in str(refused), refused
    assert offer(server, "203.0.113.8")[0] // 100 == 4, "nothing changes by a script that is wrong"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", required=True)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for script, text in SCRIPTS.items():
            path = folder / f"{script}.sieve"
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        extra = EXTRA.format(folder=folder)
        with Server(options.binary, "a.test", ["ann", "bob"], extra=extra) as server:
            for scenario, given in [(refusals, [server]), (greylist, [server]), (reload, [server, folder])]:
                began = time.monotonic()
                scenario(*given)
                print(f"{scenario.__name__}: ok, {time.monotonic() - began:.1f} s", flush=True)


main()
