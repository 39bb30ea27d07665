#!/usr/bin/env python3
"""A disk that fills up and one that can't be written, for real: a small ext4 on
a loop device under the data directory of the real binary. Needs root.

    python3 tests/crash/full_and_readonly.py --binary target/release/mailserver

Little space: MAIL is answered 452 4.3.1, before content is sent, and with SIZE
already where that alone would be too much; FETCH, STORE and EXPUNGE work; with
room again mail is taken, without a restart. A full disk: the same with the early
refusal switched off. A data directory mounted read-only: mailboxes and messages
are served and every change is refused; mounted for writing again, the server
takes mail after its start."""

import argparse
import errno
import imaplib
import os
import pathlib
import shutil
import smtplib
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "interop"))
from server import PASSWORD, Server  # noqa: E402

DOMAIN = "adverse.test"
USER = f"ann@{DOMAIN}"
MIB = 1 << 20
# The server looks at its disk once a second.
PATIENCE = 5


class Disk:
    """A file system of its own, mounted."""

    def __init__(self, mebibytes):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="mailserver-disk-"))
        self.image, self.path = self.folder / "image", self.folder / "mounted"
        self.path.mkdir()
        with open(self.image, "wb") as image:
            image.truncate(mebibytes * MIB)
        subprocess.run(["mkfs.ext4", "-q", "-m", "0", str(self.image)], check=True)
        subprocess.run(["mount", "-o", "loop", str(self.image), str(self.path)], check=True)

    def remount(self, how):
        subprocess.run(["mount", "-o", f"remount,{how}", str(self.path)], check=True)

    def available(self):
        at = os.statvfs(self.path)
        return at.f_bavail * at.f_frsize

    def fill(self, leave):
        """Takes all but so many octets."""
        with open(self.path / "ballast", "wb", buffering=0) as ballast:
            os.posix_fallocate(ballast.fileno(), 0, max(self.available() - leave - MIB, 1))
            ballast.seek(0, os.SEEK_END)
            try:
                while self.available() > leave:
                    ballast.write(bytes(4096))
            except OSError as error:
                assert error.errno == errno.ENOSPC, error

    def free(self):
        (self.path / "ballast").unlink()

    def remove(self):
        subprocess.run(["umount", str(self.path)], check=True)
        shutil.rmtree(self.folder)


def send(server, size=2_000):
    """The reply to MAIL, or to the content where MAIL was taken."""
    with smtplib.SMTP("127.0.0.1", server.ports["smtp"], "client.test", timeout=30) as smtp:
        smtp.ehlo()
        code, text = smtp.mail("bob@elsewhere.test", [f"SIZE={size}"])
        if code != 250:
            return code, text
        code, text = smtp.rcpt(USER)
        assert code == 250, (code, text)
        return smtp.data(b"Subject: test\r\n\r\n" + b"x" * (size - 17))


def login(server):
    imap = imaplib.IMAP4_SSL("127.0.0.1", server.ports["imaps"])
    imap.login(USER, PASSWORD)
    return imap


def until(wanted, ask):
    """Asks until the reply's code is the wanted one."""
    deadline = time.monotonic() + PATIENCE
    while True:
        reply = ask()
        if reply[0] == wanted:
            return reply
        assert time.monotonic() < deadline, f"{reply} instead of {wanted}"
        time.sleep(0.1)


def read_and_tidy(server):
    """Reads a message, sets a flag and expunges one: none of it needs room."""
    imap = login(server)
    kind, [count] = imap.select()
    assert kind == "OK" and int(count) > 1, (kind, count)
    kind, found = imap.fetch("1", "(BODY.PEEK[])")
    assert kind == "OK" and found[0][1].endswith(b"x\r\n"), found
    for done in (imap.store("1", "+FLAGS", r"(\Seen)"), imap.store(count.decode(), "+FLAGS", r"(\Deleted)"),
                 imap.expunge()):
        assert done[0] == "OK", done
    imap.logout()


def full(binary, limit):
    disk = Disk(160)
    try:
        server = make(binary, disk, f'\n[store]\nlow_space = "{limit}"\n')
        with server:
            for _ in range(3):
                until(250, lambda: send(server))
            if limit == "0MB":
                disk.fill(0)
                refused = until(452, lambda: send(server, 50_000))
            else:
                # What SIZE announces counts as if it were stored.
                disk.fill(70 * MIB)
                # Sent too early it would be taken, and then there is little space.
                time.sleep(1.5)
                until(452, lambda: send(server, 20 * MIB))
                until(250, lambda: send(server))
                disk.free()
                disk.fill(30 * MIB)
                refused = until(452, lambda: send(server))
            assert b"4.3.1" in refused[1], refused
            read_and_tidy(server)
            imap = login(server)
            kind, text = imap.append("INBOX", None, None, b"Subject: a\r\n\r\n" + b"y" * 100_000)
            assert limit != "0MB" or kind == "NO", (kind, text)
            disk.free()
            until(250, lambda: send(server))
        sound(server)
    finally:
        disk.remove()


def read_only(binary):
    disk = Disk(160)
    try:
        server = make(binary, disk, "")
        with server:
            for _ in range(3):
                until(250, lambda: send(server))
            again = subprocess.run([binary, "serve", "--config", str(server.config)], capture_output=True, text=True)
            assert again.returncode == 1 and f"process {server.pid}" in again.stderr, again
        for kill in (False, True):
            if kill:
                server.start()
                until(250, lambda: send(server))
                server.kill()
            disk.remount("ro")
            with server:
                imap = login(server)
                kind, [count] = imap.select()
                assert kind == "OK" and int(count) == 3 + kill, (kind, count)
                kind, found = imap.fetch("1:*", "(BODY.PEEK[])")
                assert kind == "OK" and len(found) == 2 * int(count), found
                for done in (imap.store("1", "+FLAGS", r"(\Deleted)"), imap.create("new"),
                             imap.append("INBOX", None, None, b"Subject: a\r\n\r\n")):
                    assert done[0] == "NO", done
                imap.logout()
                code, text = send(server)
                assert code == 452, (code, text)
            disk.remount("rw")
        with server:
            until(250, lambda: send(server))
        sound(server)
    finally:
        disk.remove()


def make(binary, disk, more):
    server = Server(binary, DOMAIN, ["ann"], data=disk.path / "data")
    with open(server.config, "a") as config:
        config.write(more)
    return server


def sound(server):
    assert "all data is sound" in server.command("check")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--binary", default="target/release/mailserver")
    binary = parser.parse_args().binary
    if os.geteuid() != 0:
        sys.exit("mounting needs root")
    for name, test in [("little space", lambda: full(binary, "60MB")), ("a full disk", lambda: full(binary, "0MB")),
                       ("a read-only disk", lambda: read_only(binary))]:
        print(f"-- {name}", flush=True)
        test()
    print("3 passed, 0 failed")


if __name__ == "__main__":
    main()
