#!/usr/bin/env python3
"""How long a wrong login takes, by every mechanism, for users that are there and for one that is not: from the last
octet of the proof to the first of the answer. Not part of the gate: it wants a machine with nothing else to do.

    python3 tests/interop/login_timing.py --binary target/release/mailserver [--samples 200] [--only WORD]

Attempts begin one after the other and wait for their answers side by side, in a different order each round."""

import argparse
import asyncio
import base64
import hashlib
import pathlib
import random
import statistics
import struct
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from peer import TLS  # noqa: E402
from server import PASSWORD, Server  # noqa: E402

MOST = 2.0  # milliseconds between the medians
GAP, AT_ONCE = 0.06, 30  # seconds between two attempts, and how many wait for their answers
WRONG = b"wrong horse"
SALT = b"8 octets"
# The account that is there, the one that is not, and accounts that are somehow special.
USERS = {"known": "known", "unknown": "nobody", "closed": "closed", "app passwords": "apps", "second factor": "codes",
         "{SSHA}": "ssha", "{SHA512-CRYPT}": "crypt", "bcrypt 10": "bcrypt", "PBKDF2 260000": "pbkdf2",
         "scrypt 15": "scrypt"}
PLAIN_USERS = ["known", "unknown"]


def foreign_hashes():
    """Those for which there is no function here are of a password that nobody will say."""
    def b64(octets):
        return base64.b64encode(octets).decode()

    def unpadded(octets):
        return b64(octets).rstrip("=")

    crypt = subprocess.run(["openssl", "passwd", "-6", "-stdin"], input=PASSWORD, capture_output=True, text=True,
                           check=True).stdout.strip()
    pbkdf2 = hashlib.pbkdf2_hmac("sha256", PASSWORD.encode(), b"salt", 260_000)
    scrypt = hashlib.scrypt(PASSWORD.encode(), salt=SALT, n=2 ** 15, r=8, p=1, maxmem=64 << 20, dklen=32)
    return {"ssha": "{SSHA}" + b64(hashlib.sha1(PASSWORD.encode() + SALT).digest() + SALT),
            "crypt": "{SHA512-CRYPT}" + crypt,
            "bcrypt": "$2b$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy",
            "pbkdf2": f"pbkdf2_sha256$260000$salt${b64(pbkdf2)}",
            "scrypt": f"$scrypt$ln=15,r=8,p=1${unpadded(SALT)}${unpadded(scrypt)}"}


class Line:
    """One connection within TLS."""

    def __init__(self, server, port):
        self.where = server.host, server.ports[port]

    async def open(self):
        self.reader, self.writer = await asyncio.open_connection(*self.where, ssl=TLS)
        self.greeting = await self.reader.readline()

    async def ask(self, octets):
        """The first line that is an answer."""
        self.writer.write(octets + b"\r\n")
        while (line := await self.reader.readline())[:1] == b"*" or line[3:4] == b"-":
            pass
        return line

    def close(self):
        self.writer.close()


async def prepared(line, lines):
    for octets in lines:
        await line.ask(octets)


def b64(octets):
    return base64.b64encode(octets)


# Each brings a connection to where the next line is the proof, and returns that line.

async def imap_login(line, login):
    return b'a LOGIN %s "%s"' % (login, WRONG)


async def imap_plain(line, login):
    return b"a AUTHENTICATE PLAIN " + b64(b"\0" + login + b"\0" + WRONG)


async def smtp_plain(line, login):
    await prepared(line, [b"EHLO c.test"])
    return b"AUTH PLAIN " + b64(b"\0" + login + b"\0" + WRONG)


async def smtp_login(line, login):
    await prepared(line, [b"EHLO c.test", b"AUTH LOGIN", b64(login)])
    return b64(WRONG)


async def pop3_user(line, login):
    return b"USER " + login


async def pop3_pass(line, login):
    await prepared(line, [b"USER " + login])
    return b"PASS " + WRONG


async def pop3_apop(line, login):
    return b"APOP " + login + b" " + hashlib.md5(random.randbytes(16)).hexdigest().encode()


async def cram_md5(line, login):
    await prepared(line, [b"a AUTHENTICATE CRAM-MD5"])
    return b64(login + b" " + hashlib.md5(random.randbytes(16)).hexdigest().encode())


def ntlm_third(login):
    """An AUTHENTICATE_MESSAGE (MS-NLMP section 2.2.1.3) with a response of version 2 to some other challenge."""
    blob = b"\1\1" + bytes(6) + bytes(8) + random.randbytes(8) + bytes(4) + bytes(4)
    parts = [bytes(24), random.randbytes(16) + blob, b"", login.decode().encode("utf-16-le"), b"", b""]
    head, body, at = b"NTLMSSP\0" + struct.pack("<I", 3), b"", 64
    for part in parts:
        head += struct.pack("<HHI", len(part), len(part), at + len(body))
        body += part
    return head + struct.pack("<I", 0x00088201) + body


async def ntlm(line, login):
    first = b"NTLMSSP\0" + struct.pack("<II", 1, 0x00088207) + bytes(16)
    await prepared(line, [b"a AUTHENTICATE NTLM " + b64(first)])
    return b64(ntlm_third(login))


async def scram_first(line, login):
    return b"a AUTHENTICATE SCRAM-SHA-256 " + b64(b"n,,n=" + login + b",r=" + random.randbytes(12).hex().encode())


async def scram_final(line, login):
    told = await line.ask(await scram_first(line, login))
    nonce = base64.b64decode(told[2:]).split(b",")[0]
    return b64(b"c=biws," + nonce + b",p=" + b64(random.randbytes(32)))


CASES = {
    "IMAP LOGIN": ("imaps", imap_login, list(USERS)),
    "IMAP PLAIN": ("imaps", imap_plain, PLAIN_USERS),
    "IMAP SCRAM, salt": ("imaps", scram_first, ["known", "unknown", "closed", "app passwords", "second factor",
                                                "{SSHA}"]),
    "IMAP SCRAM, proof": ("imaps", scram_final, ["known", "unknown", "closed", "app passwords", "second factor",
                                                 "{SSHA}"]),
    "IMAP CRAM-MD5": ("imaps", cram_md5, PLAIN_USERS),
    "IMAP NTLM": ("imaps", ntlm, PLAIN_USERS),
    "SMTP PLAIN": ("submissions", smtp_plain, PLAIN_USERS),
    "SMTP LOGIN": ("submissions", smtp_login, PLAIN_USERS),
    "POP3 USER": ("pop3s", pop3_user, PLAIN_USERS),
    "POP3 PASS": ("pop3s", pop3_pass, PLAIN_USERS),
    "POP3 APOP": ("pop3s", pop3_apop, PLAIN_USERS),
}


async def attempt(server, port, steps, login, turn, times, answers):
    line = Line(server, port)
    await line.open()
    proof = await steps(line, login)

    async def answered():
        began = time.perf_counter()
        answers.add(await line.ask(proof))
        times.append((time.perf_counter() - began) * 1000)

    async with turn:
        answer = asyncio.create_task(answered())
        # The next one's proof is not checked beside this one's.
        await asyncio.sleep(GAP)
    await answer
    line.close()


async def measure(server, case, samples):
    port, steps, users = CASES[case]
    times, answers = {user: [] for user in users}, {user: set() for user in users}
    turn, under_way = asyncio.Lock(), set()
    for _ in range(samples):
        for user in random.sample(users, len(users)):
            login = f"{USERS[user]}@{server.domain}".encode()
            task = asyncio.create_task(attempt(server, port, steps, login, turn, times[user], answers[user]))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
            # A few are ready to begin; those that wait for their answers don't count.
            while turn.locked() or len(under_way) >= AT_ONCE:
                await asyncio.sleep(0.001)
    while under_way:
        await asyncio.gather(*under_way)
    return times, answers


def prepare(server):
    login = {user: f"{name}@{server.domain}" for user, name in USERS.items()}
    server.command("account", "mechanisms", login["known"], "--allow", "cram-md5,apop,ntlm")
    server.command("account", "password", login["known"], "--password-stdin", stdin=PASSWORD)
    server.command("account", "set", login["closed"], "--login", "no")
    for n in range(5):
        server.command("account", "app-password", "add", login["app passwords"], f"phone{n}")
    server.command("account", "totp", "enable", login["second factor"])
    server.command("account", "app-password", "add", login["second factor"], "phone")
    for name, hash in foreign_hashes().items():
        server.command("account", "password", f"{name}@{server.domain}", "--hash", "--password-stdin", stdin=hash)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", default="target/release/mailserver")
    parser.add_argument("--samples", type=int, default=200)
    parser.add_argument("--only", default="")
    arguments = parser.parse_args()
    mechanisms = '["SCRAM-SHA-256", "PLAIN", "LOGIN", "CRAM-MD5", "NTLM"]'
    extra = f'\n[auth]\nmechanisms = {mechanisms}\n[pop3]\napop = true\n[abuse]\nexempt = ["127.0.0.1"]\n'
    server = Server(arguments.binary, "time.test", [name for name in USERS.values() if name != "nobody"], extra=extra)
    apart = {}
    with server:
        prepare(server)
        print(f"{'':<18} {'':<15} {'median':>9} {'quartiles':>21}   from unknown")
        for case in CASES:
            if arguments.only not in case:
                continue
            times, answers = asyncio.run(measure(server, case, arguments.samples))
            # But for what is random in it, all are told the same.
            if case != "IMAP SCRAM, salt":
                assert len(set(map(frozenset, answers.values()))) == 1, (case, answers)
            middle = statistics.median(times["unknown"])
            for user, of_user in times.items():
                low, median, high = statistics.quantiles(of_user, n=4)
                apart[case, user] = median - middle
                print(f"{case:<18} {user:<15} {median:9.2f} {low:10.2f} {high:10.2f} {median - middle:+9.2f} ms", flush=True)
    far = {key: round(value, 2) for key, value in apart.items() if abs(value) > MOST}
    print(f"more than {MOST} ms apart: {far or 'none'}")
    sys.exit(bool(far))


if __name__ == "__main__":
    main()
