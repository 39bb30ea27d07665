#!/usr/bin/env python3
"""kill -9 at random moments under load: what was acknowledged is there once.

    python3 tests/crash/kill_nine.py --binary target/release/mailserver --rounds 20 [--seed N]

Each round some clients send by SMTP, others append, set flags, copy and expunge
by IMAP; the server is killed, started again, and compared with what each client
was told."""

import argparse
import imaplib
import pathlib
import random
import re
import smtplib
import ssl
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "interop"))
from server import PASSWORD, Server  # noqa: E402

TLS = ssl.create_default_context()
TLS.check_hostname, TLS.verify_mode = False, ssl.CERT_NONE
GONE = (OSError, EOFError, smtplib.SMTPException, imaplib.IMAP4.error, imaplib.IMAP4.abort)


def message(name):
    return f"Subject: {name}\r\n\r\n{'x' * random.randrange(10, 100_000)}\r\n"


def login(server, user):
    client = imaplib.IMAP4_SSL(server.host, server.ports["imaps"], ssl_context=TLS)
    client.login(f"{user}@{server.domain}", PASSWORD)
    return client


def send(server, told, name):
    """Sends until the server dies; notes each name that got 250."""
    try:
        smtp = smtplib.SMTP(server.host, server.ports["smtp"])
        for n in range(100_000):
            smtp.sendmail("x@else.test", [f"smtp@{server.domain}"], message(f"{name}-{n}"))
            told["sent"].add(f"{name}-{n}")
    except GONE:
        pass


def change(server, told, name):
    """Appends, flags, copies and expunges until the server dies. What was asked
    for and not answered may have happened or not."""
    try:
        client = login(server, "imap")
        client.select("INBOX")
        for n in range(100_000):
            subject = f"{name}-{n}"
            answer = client.append("INBOX", None, None, message(subject).encode())[1][0]
            uid = int(re.search(rb"APPENDUID \d+ (\d+)", answer).group(1))
            told["uids"].append(uid)
            told["there"][uid] = (subject, frozenset())
            client.noop()
            kind = n % 4
            if kind == 1:
                told["there"][uid] = None
                client.uid("STORE", str(uid), "+FLAGS", "(\\Flagged)")
                told["there"][uid] = (subject, frozenset({"\\Flagged"}))
            elif kind == 2:
                client.uid("COPY", str(uid), "Copies")
                told["copied"].add(subject)
            elif kind == 3:
                told["there"][uid] = None
                client.uid("STORE", str(uid), "+FLAGS", "(\\Deleted)")
                client.uid("EXPUNGE", str(uid))
                told["gone"].add(uid)
                del told["there"][uid]
    except GONE:
        pass


def listing(client, mailbox):
    client.select(mailbox)
    rows = client.uid("FETCH", "1:*", "(UID FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1]
    found = []
    for row in rows:
        if isinstance(row, tuple):
            uid = int(re.search(rb"UID (\d+)", row[0]).group(1))
            flags = frozenset(re.search(rb"FLAGS \(([^)]*)\)", row[0]).group(1).decode().split()) - {"\\Recent"}
            found.append((uid, row[1].split(b":", 1)[1].strip().decode(), flags))
    return found


def verify(server, told):
    problems = []
    sent = [subject for _, subject, _ in listing(login(server, "smtp"), "INBOX")]
    problems += [f"lost: {name}" for name in told["sent"] - set(sent)]
    problems += [f"twice: {name}" for name in set(sent) if sent.count(name) > 1]
    client = login(server, "imap")
    inbox = {uid: (subject, flags) for uid, subject, flags in listing(client, "INBOX")}
    for uid, known in told["there"].items():
        if known and inbox.get(uid) != known:
            problems.append(f"UID {uid} should be {known}, is {inbox.get(uid)}")
    problems += [f"UID {uid} came back" for uid in told["gone"] & set(inbox)]
    copies = [subject for _, subject, _ in listing(client, "Copies")]
    problems += [f"copy lost: {name}" for name in told["copied"] - set(copies)]
    if len(set(told["uids"])) != len(told["uids"]):
        problems.append("a UID was given twice")
    return problems


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", default="target/release/mailserver")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    arguments = parser.parse_args()
    random.seed(arguments.seed)
    print(f"seed {arguments.seed}")
    server = Server(arguments.binary, "a.test", ["smtp", "imap"])
    told = {"sent": set(), "there": {}, "gone": set(), "copied": set(), "uids": []}
    server.start()
    login(server, "imap").create("Copies")
    failed = 0
    for number in range(arguments.rounds):
        clients = [threading.Thread(target=send, args=(server, told, f"s{number}-{n}")) for n in range(4)]
        clients += [threading.Thread(target=change, args=(server, told, f"i{number}-{n}")) for n in range(2)]
        for client in clients:
            client.start()
        time.sleep(random.uniform(0.05, 1.5))
        server.kill()
        for client in clients:
            client.join()
        server.command("check")
        begun = time.monotonic()
        server.start()
        ready = time.monotonic() - begun
        problems = verify(server, told)
        failed += bool(problems)
        print(f"round {number + 1}: {len(told['sent'])} sent, {len(told['uids'])} appended, "
              f"ready in {ready:.2f} s, {len(problems)} problems", flush=True)
        for problem in problems[:20]:
            print(f"   {problem}")
    server.stop()
    print(f"{arguments.rounds - failed} passed, {failed} failed")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
