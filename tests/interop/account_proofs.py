#!/usr/bin/env python3
"""What accounts prove themselves with, by real clients: hashes of other servers and what becomes of them at the
first login, app passwords, codes by time, accounts that are closed.

    python3 tests/interop/account_proofs.py --binary target/debug/mailserver [--only NAME]"""

import base64
import concurrent.futures
import hashlib
import hmac
import pathlib
import sqlite3
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import auth_clients  # noqa: E402
from auth_clients import PORTS, Refused, User  # noqa: E402
from run import play, until  # noqa: E402
from server import PASSWORD, Server, need  # noqa: E402

DOMAIN = "proof.test"
SALT = b"16 octets' salt."
CLIENTS = {"smtp": "msmtp", "imap": "curl", "pop3": "mpop"}
EXEMPT = '\n[abuse]\nexempt = ["127.0.0.1"]\n'


def b64(octets, passlib=False):
    text = base64.b64encode(octets).rstrip(b"=").decode()
    return text.replace("+", ".") if passlib else text


def crypt(kind):
    return subprocess.run(["openssl", "passwd", kind, "-stdin"], input=PASSWORD, capture_output=True, text=True,
                          check=True).stdout.strip()


def hashes():
    """Of PASSWORD, as other servers write them."""
    word = PASSWORD.encode()

    def pbkdf2(salt):
        return hashlib.pbkdf2_hmac("sha256", word, salt, 29_000)

    scrypt = hashlib.scrypt(word, salt=SALT, n=2 ** 14, r=8, p=1, dklen=32)
    return {
        "ssha": "{SSHA}" + base64.b64encode(hashlib.sha1(word + SALT).digest() + SALT).decode(),
        "ssha512": "{SSHA512}" + base64.b64encode(hashlib.sha512(word + SALT).digest() + SALT).decode(),
        "crypt6": "{CRYPT}" + crypt("-6"),
        "crypt5": crypt("-5"),
        # By crypt(3), which Python has no more.
        "bcrypt": "{BLF-CRYPT}$2b$05$abcdefghijklmnopqrstuuHNbAKRhpaujgo33bRWs.NLUTJO3lOy2",
        "scrypt": f"$scrypt$ln=14,r=8,p=1${b64(SALT)}${b64(scrypt)}",
        "pbkdf2": f"$pbkdf2-sha256$29000${b64(SALT, passlib=True)}${b64(pbkdf2(SALT), passlib=True)}",
        "django": f"pbkdf2_sha256$29000$salt${base64.b64encode(pbkdf2(b'salt')).decode()}",
    }


def gets_in(server, name, password, protocol, mechanism="PLAIN"):
    try:
        user = User(server, f"{name}@{DOMAIN}", password)
        getattr(auth_clients, CLIENTS[protocol])(user, protocol, mechanism)
        return True
    except Refused:
        return False


def where(server, name, password, mechanism="PLAIN"):
    """The protocols that take this password; side by side, since a refusal is held back."""
    with concurrent.futures.ThreadPoolExecutor(len(PORTS)) as pool:
        taken = pool.map(lambda protocol: gets_in(server, name, password, protocol, mechanism), PORTS)
        return [protocol for protocol, is_in in zip(PORTS, taken) if is_in]


def kept(server, name):
    """The hash that the directory has of a password."""
    uri = f"file:{server.folder / 'data' / 'directory.db'}?mode=ro"
    with sqlite3.connect(uri, uri=True) as database:
        return database.execute("SELECT hash FROM account WHERE address = ?", [f"{name}@{DOMAIN}"]).fetchone()[0]


def test_hashes_of_other_servers(server):
    protocols = list(PORTS) * 3
    for (name, theirs), protocol in zip(hashes().items(), protocols):
        what = "password" if name == "ssha" else "add"
        server.command("account", what, f"{name}@{DOMAIN}", "--hash", "--password-stdin", stdin=theirs)
        before = kept(server, name)
        assert not before.startswith("$argon2id$"), before
        assert not gets_in(server, name, "wrong", protocol)
        # Who has shown no password yet has no keys for SCRAM.
        assert not gets_in(server, name, PASSWORD, "smtp", "SCRAM-SHA-256")
        assert kept(server, name) == before
        assert gets_in(server, name, PASSWORD, protocol), name
        until(f"{name} is replaced", lambda: kept(server, name).startswith("$argon2id$v=19$m=19456,"), 10)
        assert gets_in(server, name, PASSWORD, protocol), name
        assert gets_in(server, name, PASSWORD, "smtp", "SCRAM-SHA-256"), name
        assert theirs not in server.log()
    print(f"   {', '.join(hashes())}")


def test_app_passwords(server):
    def add(name, *scope):
        return server.command("account", "app-password", "add", f"apps@{DOMAIN}", name, *scope).strip()

    anywhere, reading = add("anywhere"), add("reading", "--protocols", "imap,pop3")
    elsewhere = add("elsewhere", "--from", "192.0.2.0/24")
    assert where(server, "apps", anywhere) == list(PORTS)
    assert where(server, "apps", reading) == ["imap", "pop3"]
    assert where(server, "apps", elsewhere) == []
    assert where(server, "apps", PASSWORD) == list(PORTS)
    # They prove themselves as passwords do.
    assert gets_in(server, "apps", anywhere, "smtp", "SCRAM-SHA-256")
    assert not gets_in(server, "apps", reading, "smtp", "SCRAM-SHA-256")
    assert gets_in(server, "apps", reading, "pop3", "SCRAM-SHA-1")
    server.command("account", "app-password", "remove", f"apps@{DOMAIN}", "anywhere")
    assert where(server, "apps", anywhere) == []
    assert not [it for it in (anywhere, reading, elsewhere) if it in server.log()]


def code(secret, steps=0):
    """RFC 6238: of now, or so many steps later."""
    counter = int(time.time()) // 30 + steps
    digest = hmac.digest(base64.b32decode(secret), counter.to_bytes(8, "big"), "sha1")
    at = digest[-1] & 15
    return f"{(int.from_bytes(digest[at:at + 4], 'big') & 0x7fffffff) % 1_000_000:06}"


def enabled(server):
    lines = server.command("account", "totp", "enable", f"codes@{DOMAIN}").splitlines()
    return lines[0].split()[1], [line.split()[1] for line in lines if line.startswith("backup")]


def test_codes_by_time(server):
    secret, _ = enabled(server)
    assert where(server, "codes", PASSWORD) == []
    assert where(server, "codes", PASSWORD + code(secret)) == []
    assert where(server, "codes", PASSWORD, "SCRAM-SHA-256") == []
    password = server.command("account", "app-password", "add", f"codes@{DOMAIN}", "phone").strip()
    assert where(server, "codes", password) == list(PORTS)
    assert gets_in(server, "codes", password, "smtp", "SCRAM-SHA-256")
    server.command("account", "totp", "disable", f"codes@{DOMAIN}")
    assert where(server, "codes", PASSWORD) == list(PORTS)


def test_codes_behind_the_password(binary):
    with Server(binary, DOMAIN, ["codes"], extra='\n[auth]\ncodes = "appended"\n' + EXEMPT) as server:
        secret, backup = enabled(server)
        now = code(secret)
        assert not gets_in(server, "codes", PASSWORD, "imap")
        assert not gets_in(server, "codes", "wrong horse" + now, "imap")
        assert gets_in(server, "codes", PASSWORD + now, "imap")
        # Each code is taken once, over whatever protocol.
        assert where(server, "codes", PASSWORD + now) == []
        assert gets_in(server, "codes", PASSWORD + code(secret, 1), "smtp")
        assert gets_in(server, "codes", PASSWORD + backup[0], "pop3")
        assert not gets_in(server, "codes", PASSWORD + backup[0], "pop3")


def test_closed_accounts(server):
    login = f"closed@{DOMAIN}"
    server.command("account", "mechanisms", login, "--allow", "cram-md5,apop,ntlm")
    server.command("account", "password", login, "--password-stdin", stdin=PASSWORD)
    app = server.command("account", "app-password", "add", login, "phone").strip()
    mechanisms = ("PLAIN", "CRAM-MD5")
    for mechanism in mechanisms:
        assert where(server, "closed", PASSWORD, mechanism) == list(PORTS), mechanism
    server.command("account", "set", login, "--login", "no")
    for mechanism in mechanisms:
        assert where(server, "closed", PASSWORD, mechanism) == [], mechanism
    assert where(server, "closed", app) == []
    assert not gets_in(server, "closed", PASSWORD, "smtp", "SCRAM-SHA-256")
    server.command("account", "set", login, "--login", "yes")
    assert where(server, "closed", PASSWORD) == list(PORTS)


if __name__ == "__main__":
    if all([need(client) for client in CLIENTS.values()]):
        extra = '\n[auth]\nmechanisms = ["SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN", "LOGIN", "CRAM-MD5"]\n' + EXEMPT
        play(__doc__, globals(), DOMAIN, ["ssha", "apps", "codes", "closed"], extra)
