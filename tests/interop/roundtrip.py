#!/usr/bin/env python3
"""Puts every file of a folder of messages through the server and compares octets:
in by APPEND and by SMTP, out by IMAP and POP3.

    python3 tests/interop/roundtrip.py --binary target/release/mailserver FOLDER..."""

import argparse
import imaplib
import pathlib
import poplib
import smtplib
import ssl
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from server import PASSWORD, Server  # noqa: E402

TLS = ssl.create_default_context()
TLS.check_hostname, TLS.verify_mode = False, ssl.CERT_NONE
imaplib._MAXLINE = poplib._MAXLINE = 100_000_000


def crlf(octets):
    """The message with CRLF for every line end, as SMTP carries it."""
    return octets.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", default="target/debug/mailserver")
    parser.add_argument("folders", nargs="+")
    arguments = parser.parse_args()
    files = [path for folder in arguments.folders for path in sorted(pathlib.Path(folder).rglob("*")) if path.is_file()]
    wrong, refused = [], []
    with Server(arguments.binary, "a.test", ["imap", "smtp"]) as server:
        imap = imaplib.IMAP4_SSL(server.host, server.ports["imaps"], ssl_context=TLS)
        imap.login("imap@a.test", PASSWORD)
        appended = []
        for path in files:
            octets = path.read_bytes()
            if not octets:
                continue
            # imaplib rewrites line ends in append(): the literal goes as it is.
            imap.literal = octets
            try:
                imap._simple_command("APPEND", "INBOX")
                appended.append((path, octets))
            except imaplib.IMAP4.error as error:
                refused.append((path, str(error), b"\0" in octets))
        imap.select("INBOX")
        for number, (path, octets) in enumerate(appended, 1):
            got = imap.fetch(str(number), "(BODY.PEEK[] BODYSTRUCTURE ENVELOPE RFC822.SIZE)")[1]
            if got[0][1] != octets:
                wrong.append((path, "IMAP"))
            parts = [imap.fetch(str(number), f"(BODY.PEEK[{section}])")[1][0][1] for section in ("HEADER", "TEXT")]
            if b"".join(part for part in parts if part) != octets:
                wrong.append((path, "HEADER + TEXT"))
        sent = []
        for path in files:
            octets = crlf(path.read_bytes())
            with smtplib.SMTP(server.host, server.ports["smtp"]) as smtp:
                try:
                    smtp.ehlo()
                    smtp.mail("x@else.test", ["BODY=8BITMIME"])
                    smtp.rcpt("smtp@a.test")
                    code, text = smtp.docmd("DATA")
                    body = octets if octets.endswith(b"\r\n") else octets + b"\r\n"
                    smtp.send(b"\r\n".join(b"." + line if line.startswith(b".") else line
                                           for line in body.split(b"\r\n")) + b".\r\n")
                    code, text = smtp.getreply()
                    if code == 250:
                        sent.append((path, body))
                    else:
                        refused.append((path, text.decode(), b"\0" in octets))
                except smtplib.SMTPException as error:
                    refused.append((path, str(error), b"\0" in octets))
        pop3 = poplib.POP3_SSL(server.host, server.ports["pop3s"], context=TLS)
        pop3.utf8()
        pop3.user("smtp@a.test")
        pop3.pass_(PASSWORD)
        client = imaplib.IMAP4_SSL(server.host, server.ports["imaps"], ssl_context=TLS)
        client.login("smtp@a.test", PASSWORD)
        client.select("INBOX")
        for number, (path, body) in enumerate(sent, 1):
            by_imap = client.fetch(str(number), "(BODY.PEEK[])")[1][0][1]
            pop3._shortcmd(f"RETR {number}")
            lines = []
            while (line := pop3.file.readline()) != b".\r\n":
                lines.append(line[1:] if line.startswith(b".") else line)
            by_pop3 = b"".join(lines)
            trace, rest = by_imap[:-len(body)], by_imap[-len(body):]
            if rest != body or not trace.startswith(b"Return-Path:"):
                wrong.append((path, "SMTP to IMAP"))
            if by_pop3 != by_imap:
                wrong.append((path, "POP3"))
    for path, why in wrong:
        print(f"changed: {path} ({why})")
    for path, why, nul in refused:
        print(f"refused: {path}: {why}{' (it holds NUL)' if nul else ''}")
    print(f"{len(appended)} by APPEND, {len(sent)} by SMTP, {len(refused)} refused")
    print(f"{len(appended) + len(sent) - len(wrong)} passed, {len(wrong)} failed")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
