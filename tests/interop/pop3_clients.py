#!/usr/bin/env python3
"""POP3 clients against the mailserver binary: poplib, curl, fetchmail, getmail,
mpop and mutt, each doing what people use it for, and a large maildrop.

    python3 tests/interop/pop3_clients.py --binary target/debug/mailserver [--only NAME]

MESSAGES=10000 in the environment makes the large maildrop that large."""

import os
import pathlib
import poplib
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from clients import fill  # noqa: E402
from run import TLS, count, imap, mutt, play, run  # noqa: E402
from server import PASSWORD, need  # noqa: E402

MESSAGES = int(os.environ.get("MESSAGES", "1000"))
poplib._MAXLINE = 1_000_000


def pop3(server, user, utf8=False):
    client = poplib.POP3_SSL(server.host, server.ports["pop3s"], context=TLS, timeout=60)
    if utf8:
        client.utf8()
    client.user(f"{user}@{server.domain}")
    client.pass_(PASSWORD)
    return client


def append(server, user, octets, mailbox="INBOX"):
    client = imap(server, user)
    # imaplib rewrites line ends in append(): the literal goes as it is.
    client.literal = octets
    assert client._simple_command("APPEND", mailbox)[0] == "OK"
    client.logout()


def test_poplib(server):
    fill(server, "poplib", 5)
    client = pop3(server, "poplib")
    told = client.capa()
    assert {"TOP", "UIDL", "USER", "SASL", "UTF8", "LANG", "PIPELINING", "RESP-CODES"} <= set(told), told
    assert "STLS" not in told and told["EXPIRE"] == ["NEVER"], told
    sizes = [int(line.split()[1]) for line in client.list()[1]]
    ids = [line.split()[1] for line in client.uidl()[1]]
    assert len(set(ids)) == 5 and client.stat() == (5, sum(sizes))
    for number, size in enumerate(sizes, 1):
        reply, lines, octets = client.retr(number)
        assert octets == size and reply.startswith(b"+OK"), reply
    assert client.top(1, 0)[1] == client.retr(1)[1][:-1]
    client.dele(2)
    assert client.stat()[0] == 4
    # A connection that breaks removes nothing, and gives the maildrop back.
    client.sock.shutdown(socket.SHUT_RDWR)
    client.close()
    deadline = time.monotonic() + 10
    while True:
        try:
            client = pop3(server, "poplib")
            break
        except poplib.error_proto as error:
            assert "IN-USE" in str(error) and time.monotonic() < deadline, error
    assert [line.split()[1] for line in client.uidl()[1]] == ids
    client.dele(1)
    client.dele(5)
    client.quit()
    assert count(server, "poplib") == 3
    # Ids and messages stay through a restart of the server.
    server.stop()
    server.start()
    client = pop3(server, "poplib")
    assert [line.split()[1] for line in client.uidl()[1]] == ids[1:4]
    client.quit()


def test_what_another_reader_removes(server):
    fill(server, "shared", 3)
    client = pop3(server, "shared")
    other = imap(server, "shared")
    other.select()
    other.store("2", "+FLAGS", "\\Deleted")
    other.expunge()
    append(server, "shared", b"Subject: new\r\n\r\nnew\r\n")
    assert b"body 0" in b"".join(client.retr(1)[1])
    try:
        client.retr(2)
        raise AssertionError("a message that is gone can't be read")
    except poplib.error_proto as error:
        assert "removed" in str(error), error
    assert b"body 2" in b"".join(client.retr(3)[1]) and client.stat()[0] == 3
    client.dele(2)
    client.quit()
    assert count(server, "shared") == 3


def test_headers_in_utf8(server):
    text = "From: Jürgen <j@x.test>\r\nSubject: Grüße\r\n\r\nÄ\r\n".encode()
    append(server, "utf8", text)
    client = pop3(server, "utf8", utf8=True)
    assert b"\r\n".join(client.retr(1)[1]) + b"\r\n" == text
    client.quit()
    client = pop3(server, "utf8")
    lines = client.retr(1)[1]
    assert all(line.isascii() for line in lines[:2]) and b"j@x.test" in lines[0], lines
    assert lines[3] == "Ä".encode()
    client.quit()


def test_folder_by_login(server):
    client = imap(server, "folder")
    client.create("Lists")
    client.logout()
    append(server, "folder", b"Subject: in a folder\r\n\r\nx\r\n", "Lists")
    client = poplib.POP3_SSL(server.host, server.ports["pop3s"], context=TLS)
    client.user(f"folder+Lists@{server.domain}")
    client.pass_(PASSWORD)
    assert client.stat()[0] == 1
    # INBOX is another maildrop.
    assert pop3(server, "folder").stat()[0] == 0
    client.quit()


def test_curl(server):
    if not need("curl"):
        return
    fill(server, "pcurl", 3)
    user = ["--user", f"pcurl@{server.domain}:{PASSWORD}", "--insecure", "--silent", "--show-error"]
    url = f"pop3s://{server.host}:{server.ports['pop3s']}/"
    assert "body 0" in run("curl", *user, f"{url}1")
    assert len(run("curl", *user, url).splitlines()) == 3
    assert len(run("curl", *user, "--request", "UIDL", url).splitlines()) == 3
    assert "body" not in run("curl", *user, "--request", "TOP 1 0", url)
    run("curl", *user, "--request", "DELE", "--head", f"{url}2")
    assert count(server, "pcurl") == 2
    starttls = f"pop3://{server.host}:{server.ports['pop3']}/1"
    for mechanism in ("PLAIN", "LOGIN", "*"):
        options = ["--ssl-reqd", "--login-options", f"AUTH={mechanism}"]
        assert "body 0" in run("curl", *user, *options, starttls)
        assert "body 0" in run("curl", *user, *options, "--sasl-ir", starttls)


def test_fetchmail(server):
    if not need("fetchmail"):
        return
    fill(server, "pfetchmail")
    with tempfile.TemporaryDirectory(prefix="fetchmail-") as name:
        home = pathlib.Path(name)
        rc = home / "rc"
        rc.write_text(
            f"poll {server.host} service {server.ports['pop3']} protocol POP3 uidl\n"
            f"  user \"pfetchmail@{server.domain}\" password \"{PASSWORD}\"\n"
            f"  sslproto TLS1.2+ no sslcertck mda \"/bin/sh -c 'cat >> {home}/mbox; echo >> {home}/mbox'\"\n")
        rc.chmod(0o600)
        environment = {**os.environ, "HOME": name, "FETCHMAILHOME": name}

        def once(*more, ok=(0,)):
            done = subprocess.run(["fetchmail", "-f", str(rc), "--nodetach", "--nosyslog", *more],
                                  capture_output=True, text=True, timeout=120, env=environment)
            assert done.returncode in ok, f"{done.returncode}\n{done.stdout}\n{done.stderr}"

        once("--keep")
        assert (home / "mbox").read_bytes().count(b"Subject: n") == 20
        once("--keep", ok=(1,))
        append(server, "pfetchmail", b"Subject: new\r\n\r\nx\r\n")
        once("--nokeep", "--all")
        assert count(server, "pfetchmail") == 0
        assert (home / "mbox").read_bytes().count(b"Subject: new") == 1


def test_getmail(server):
    if not need("getmail"):
        return
    fill(server, "pgetmail")
    with tempfile.TemporaryDirectory(prefix="getmail-") as name:
        home = pathlib.Path(name)
        new = home / "new"
        new.mkdir()
        text = ("[retriever]\ntype = SimplePOP3SSLRetriever\n"
                f"server = {server.host}\nport = {server.ports['pop3s']}\n"
                f"username = pgetmail@{server.domain}\npassword = {PASSWORD}\n"
                "[destination]\ntype = MDA_external\npath = /bin/sh\nallow_root_commands = true\n"
                f"arguments = (\"-c\", \"cat > $(mktemp {new}/XXXXXX)\")\n"
                "[options]\nverbose = 1\nread_all = false\ndelete = {delete}\n")
        fetch = ["getmail", "--getmaildir", str(home), "--rcfile", str(home / "rc")]
        (home / "rc").write_text(text.replace("{delete}", "false"))
        run(*fetch)
        append(server, "pgetmail", b"Subject: late\r\n\r\nx\r\n")
        run(*fetch)
        assert len(list(new.iterdir())) == 21, "what is known is not fetched again"
        (home / "rc").write_text(text.replace("{delete}", "true"))
        run(*fetch)
        assert len(list(new.iterdir())) == 21
        assert count(server, "pgetmail") == 0


def test_mpop(server):
    if not need("mpop"):
        return
    fill(server, "mpop")
    for auth in ("plain", "login", "user"):
        with tempfile.TemporaryDirectory(prefix="mpop-") as name:
            home = pathlib.Path(name)
            common = ["mpop", f"--host={server.host}", f"--port={server.ports['pop3']}", "--tls=on",
                      "--tls-certcheck=off", f"--user=mpop@{server.domain}", "--passwordeval",
                      f"printf %s '{PASSWORD}'", f"--auth={auth}", f"--uidls-file={home}/uidls",
                      "--delivery=mbox," + str(home / "mbox"), "--pipelining=on", "--keep=on"]
            run(*common)
            assert (home / "mbox").read_bytes().count(b"Subject: n") == 20
            run(*common)
            assert (home / "mbox").read_bytes().count(b"Subject: n") == 20
    run("mpop", "--serverinfo", f"--host={server.host}", f"--port={server.ports['pop3']}", "--tls=on",
        "--tls-certcheck=off")


def test_mutt(server):
    if not need("mutt"):
        return
    append(server, "pmutt", b"Subject: for mutt\r\n\r\nhi mutt\r\n")
    home = pathlib.Path(tempfile.mkdtemp(prefix="mutt-"))
    (home / "muttrc").write_text(
        f'set pop_user="pmutt@{server.domain}"\nset pop_pass="{PASSWORD}"\n'
        f'set spoolfile="pops://{server.host}:{server.ports["pop3s"]}/"\nset folder="{home}"\n'
        f'set certificate_file="{home}/certs"\nset ssl_verify_host=no\nset ssl_verify_dates=no\n'
        'set header_cache=""\nset wait_key=no\nset pipe_decode=yes\nset quit=yes\nset delete=yes\nset pop_delete=yes\n'
        f'push "<display-message><exit><pipe-message>cat >{home}/out<enter><delete-message><sync-mailbox><quit>"\n')
    screen = mutt(home)
    assert (home / "out").exists(), screen.decode(errors="replace")
    assert "hi mutt" in (home / "out").read_text()
    assert count(server, "pmutt") == 0


def test_a_large_maildrop(server):
    """Every message by RETR, a hundred commands at a time; what comes is what went in."""
    client = imap(server, "large")
    text = [f"Subject: n{n}\r\n\r\n.{n}\r\n{'x' * 70}\r\n".encode() * (1 + n % 30) for n in range(MESSAGES)]
    for start in range(0, MESSAGES, 500):
        client.send(b"a APPEND INBOX")
        for octets in text[start:start + 500]:
            client.send(b" {%d+}\r\n" % len(octets) + octets)
        client.send(b"\r\n")
        while not (line := client.readline()).startswith(b"a "):
            pass
        assert line.startswith(b"a OK"), line
    client.logout()
    began = time.monotonic()
    reader = pop3(server, "large")
    assert reader.stat() == (MESSAGES, sum(map(len, text)))
    listed = time.monotonic()
    for n, octets in enumerate(text):
        # One thread alone may use a TLS connection.
        if n % 100 == 0:
            reader.sock.sendall(b"".join(b"RETR %d\r\n" % (n + k + 1) for k in range(min(100, MESSAGES - n))))
        told = reader.file.readline()
        assert told == b"+OK %d octets\r\n" % len(octets), (n, told)
        got = []
        while (line := reader.file.readline()) != b".\r\n":
            got.append(line[1:] if line.startswith(b".") else line)
        assert b"".join(got) == octets, n
    read = time.monotonic()
    for n in range(MESSAGES):
        reader.dele(n + 1)
    marked = time.monotonic()
    reader.quit()
    done = time.monotonic()
    assert count(server, "large") == 0
    print(f"   {MESSAGES} messages: login {listed - began:.2f} s, RETR {read - listed:.2f} s, "
          f"DELE {marked - read:.2f} s, QUIT {done - marked:.2f} s")


if __name__ == "__main__":
    users = ["poplib", "shared", "utf8", "folder", "pcurl", "pfetchmail", "pgetmail", "mpop", "pmutt", "large"]
    play(__doc__, globals(), "pop3.test", users, extra='\n[pop3]\nfolder = "by-login"\n')
