#!/usr/bin/env python3
"""ManageSieve clients against the mailserver binary: sieve-connect, Python's managesieve
and sievelib, each keeping scripts as people do; then mail that obeys what they keep.

    python3 tests/interop/managesieve_clients.py --binary target/debug/mailserver [--only NAME]"""

import importlib.util
import os
import pathlib
import socket
import ssl
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from run import count, play, run, until  # noqa: E402
from server import PASSWORD, need  # noqa: E402

# pip install --target target/interop/python-sieve managesieve==0.8.1 sievelib==1.6.0
LIBRARY = pathlib.Path(__file__).parents[2] / "target/interop/python-sieve"
sys.path.append(str(LIBRARY))

FILE = 'require ["fileinto"];\r\nif header :contains "subject" "list" {\r\n    fileinto "Lists";\r\n}\r\n'
OBEYED = FILE.replace('["fileinto"]', '["fileinto", "mailbox"]').replace("fileinto \"", "fileinto :create \"")
WRONG = "keep;\r\nfrobnicate;\r\n"


def library(name):
    """A module of one of the client libraries, or None when they are not installed."""
    if not importlib.util.find_spec(name.split(".")[0]):
        if os.environ.get("MAILCORE_REQUIRE_TOOLS"):
            raise AssertionError(f"{name} is not in {LIBRARY}")
        print(f"   {name} is not in {LIBRARY}: skipped")
        return None
    return importlib.import_module(name)


def sieve_connect(server, user, *words, ok=(0,)):
    with tempfile.NamedTemporaryFile("w") as password:
        password.write(PASSWORD + "\n")
        password.flush()
        with open(password.name) as given:
            done = subprocess.run(
                ["sieve-connect", "--server", server.host, "--port", str(server.ports["managesieve"]), "--user",
                 f"{user}@{server.domain}", "--passwordfd", str(given.fileno()), "--notlsverify", *words],
                capture_output=True, text=True, timeout=60, pass_fds=[given.fileno()])
    assert done.returncode in ok, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def script(text):
    file = tempfile.NamedTemporaryFile("w", suffix=".sieve", newline="")
    file.write(text)
    file.flush()
    return file


def send(server, user, subject):
    run("swaks", "--server", server.host, "--port", str(server.ports["smtp"]), "--silent", "2", "--from",
        "someone@else.test", "--to", f"{user}@{server.domain}", "--header", f"Subject: {subject}")


def test_sieve_connect(server):
    if not need("sieve-connect"):
        return
    for mechanism in ["PLAIN", "LOGIN"]:
        told = sieve_connect(server, "connect", "--authmech", mechanism, "--list")
        assert "\"" not in told, told
    with script(FILE) as good, script(WRONG) as wrong:
        sieve_connect(server, "connect", "--localsieve", good.name, "--remotesieve", "main", "--upload")
        refused = sieve_connect(server, "connect", "--localsieve", wrong.name, "--remotesieve", "main", "--upload",
                                ok=range(1, 256))
        assert "line 2" in refused and "frobnicate" in refused, refused
        sieve_connect(server, "connect", "--localsieve", good.name, "--remotesieve", "second one", "--upload")
        sieve_connect(server, "connect", "--localsieve", good.name, "--checkscript")
        refused = sieve_connect(server, "connect", "--localsieve", wrong.name, "--checkscript", ok=range(1, 256))
        assert "line 2" in refused, refused
    sieve_connect(server, "connect", "--remotesieve", "main", "--activate")
    listed = sieve_connect(server, "connect", "--list")
    assert "main\" ACTIVE" in listed and "second one" in listed, listed
    with tempfile.TemporaryDirectory() as folder:
        got = pathlib.Path(folder) / "got"
        sieve_connect(server, "connect", "--remotesieve", "main", "--localsieve", str(got), "--download")
        assert got.read_bytes() == FILE.encode(), got.read_bytes()
    sieve_connect(server, "connect", "--remotesieve", "second one", "--delete")
    refused = sieve_connect(server, "connect", "--remotesieve", "main", "--delete", ok=range(256))
    assert "active" in refused, refused
    sieve_connect(server, "connect", "--deactivate")
    sieve_connect(server, "connect", "--remotesieve", "main", "--delete")


def test_python_managesieve(server):
    managesieve = library("managesieve")
    if not managesieve:
        return
    client = managesieve.MANAGESIEVE(server.host, server.ports["managesieve"], use_tls=True, tls_verify=False,
                                     timeout=60)
    assert {"PLAIN", "LOGIN", "SCRAM-SHA-1"} <= set(client.loginmechs), client.loginmechs
    assert {"copy", "envelope", "fileinto"} <= set(client.capabilities), client.capabilities
    assert client.authenticate("PLAIN", f"python@{server.domain}", f"python@{server.domain}", "wrong") == "NO"
    assert client.authenticate("PLAIN", "", f"python@{server.domain}", PASSWORD) == "OK"
    assert client.havespace("a", 1000) == "OK" and client.havespace("a", 1 << 30) == "NO"
    assert client.response_code == "QUOTA/MAXSIZE", client.response_code
    name = "Grüße & mehr"
    assert client.putscript("a", FILE) == "OK" and client.putscript("b", "keep;") == "OK"
    assert client.putscript("a", WRONG) == "NO" and "line 2" in client.response_text, client.response_text
    assert client.getscript("a") == ("OK", FILE)
    assert client.listscripts() == ("OK", [("a", False), ("b", False)])
    assert client.setactive("a") == "OK" and client.setactive("c") == "NO"
    assert client.response_code == "NONEXISTENT", client.response_code
    assert client.listscripts() == ("OK", [("a", True), ("b", False)])
    assert client.deletescript("a") == "NO" and client.response_code == "ACTIVE"
    assert client.putscript(name, "keep;") == "OK"
    assert (name, False) in client.listscripts()[1], client.listscripts()
    assert client.setactive("") == "OK" and client.deletescript("a") == "OK"
    assert client.logout() == "OK"


def test_sievelib(server):
    sievelib = library("sievelib.managesieve")
    if not sievelib:
        return

    def client(mechanism):
        context = ssl.create_default_context
        ssl.create_default_context = ssl._create_unverified_context
        try:
            client = sievelib.Client(server.host, server.ports["managesieve"])
            assert client.connect(f"lib@{server.domain}", PASSWORD, starttls=True, authmech=mechanism)
        finally:
            ssl.create_default_context = context
        return client

    for mechanism in ["PLAIN", "LOGIN"]:
        client(mechanism).logout()
    one = client("PLAIN")
    assert one.havespace("a", 100) and one.putscript("a", FILE) and one.checkscript(FILE)
    assert not one.checkscript(WRONG) and b"line 2" in one.errmsg, one.errmsg
    assert one.setactive("a") and one.listscripts() == ("a", [])
    assert one.renamescript("a", "b") and one.listscripts() == ("b", [])
    assert one.getscript("b").splitlines() == FILE.splitlines(), one.getscript("b")
    assert not one.deletescript("b") and one.setactive("") and one.deletescript("b")
    one.logout()


def test_scripts_stay_through_a_restart_and_are_nobody_elses(server):
    managesieve = library("managesieve")
    if not managesieve:
        return

    def client(user):
        found = managesieve.MANAGESIEVE(server.host, server.ports["managesieve"], use_tls=True, tls_verify=False,
                                        timeout=60)
        assert found.login("", f"{user}@{server.domain}", PASSWORD) == "OK"
        return found

    one = client("keeper")
    assert one.putscript("kept", FILE) == "OK" and one.setactive("kept") == "OK"
    assert client("other").listscripts() == ("OK", [])
    assert client("other").getscript("kept")[0] == "NO"
    server.stop()
    server.start()
    assert client("keeper").listscripts() == ("OK", [("kept", True)])


def test_no_password_and_no_script_in_clear(server):
    with socket.create_connection((server.host, server.ports["managesieve"]), 60) as stream:
        lines = stream.makefile("rb")

        def told():
            found = []
            while not found or not found[-1].startswith((b"OK", b"NO", b"BYE")):
                found.append(lines.readline())
            return found

        greeting = told()
        assert b'"SASL" ""\r\n' in greeting and b'"STARTTLS"\r\n' in greeting, greeting
        stream.sendall(b'AUTHENTICATE "PLAIN" "AGEAYg=="\r\nLISTSCRIPTS\r\nPUTSCRIPT "a" {99999999+}\r\n')
        assert told()[0].startswith(b"NO (ENCRYPT-NEEDED)")
        assert told()[0].startswith(b"NO")
        assert told()[0].startswith(b"BYE")
        assert lines.readline() == b""


def test_mail_obeys_the_active_script(server):
    if not need("swaks"):
        return
    managesieve = library("managesieve")
    if not managesieve:
        return
    client = managesieve.MANAGESIEVE(server.host, server.ports["managesieve"], use_tls=True, tls_verify=False,
                                     timeout=60)
    assert client.login("", f"obeys@{server.domain}", PASSWORD) == "OK"
    assert client.putscript("a", OBEYED) == "OK"
    send(server, "obeys", "to a list")
    until("the mail is in INBOX", lambda: count(server, "obeys") == 1)
    assert client.setactive("a") == "OK"
    send(server, "obeys", "to a list")
    until("the mail is in the folder", lambda: count(server, "obeys", "Lists") == 1)
    send(server, "obeys", "to me")
    until("other mail is in INBOX", lambda: count(server, "obeys") == 2)
    assert client.putscript("a", "discard;\r\n") == "OK"
    send(server, "obeys", "nobody sees this")
    assert client.setactive("") == "OK"
    send(server, "obeys", "to a list")
    until("without a script all is in INBOX", lambda: count(server, "obeys") == 3)
    assert count(server, "obeys", "Lists") == 1
    assert client.logout() == "OK"


if __name__ == "__main__":
    users = ["connect", "python", "lib", "keeper", "other", "obeys"]
    play(__doc__, globals(), "sieve.test", users)
