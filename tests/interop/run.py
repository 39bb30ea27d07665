#!/usr/bin/env python3
"""Real clients against the mailserver binary: swaks, curl, mutt, mbsync, Python's
own libraries, a DNS server and a second mail server.

    python3 tests/interop/run.py --binary target/debug/mailserver [--only NAME]"""

import argparse
import imaplib
import os
import pathlib
import poplib
import pty
import select
import shutil
import smtplib
import ssl
import subprocess
import sys
import tempfile
import time
import traceback

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import extensions  # noqa: E402
from server import PASSWORD, Server, free_port, need  # noqa: E402

TLS = ssl.create_default_context()
TLS.check_hostname, TLS.verify_mode = False, ssl.CERT_NONE


def run(*words, stdin=None, ok=(0,), timeout=120):
    done = subprocess.run(words, input=stdin, capture_output=True, text=True, timeout=timeout)
    assert done.returncode in ok, f"{' '.join(words)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def imap(server, user):
    client = imaplib.IMAP4_SSL(server.host, server.ports["imaps"], ssl_context=TLS)
    client.login(f"{user}@{server.domain}", PASSWORD)
    return client


def count(server, user, mailbox="INBOX"):
    client = imap(server, user)
    answer = client.status(mailbox, "(MESSAGES)")[1][0]
    client.logout()
    return int(answer.split()[-1].rstrip(b")"))


def until(what, condition, seconds=60):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(0.1)
    raise AssertionError(f"in {seconds} seconds: {what} did not happen")


def swaks(server, port, *words):
    return run("swaks", "--server", server.host, "--port", str(server.ports[port]), "--silent", "2", *words)


def test_swaks_sends(server):
    if not need("swaks"):
        return
    to = ["--to", f"bob@{server.domain}"]
    auth = ["--from", f"alice@{server.domain}", "--auth", "PLAIN", "--auth-user", f"alice@{server.domain}",
            "--auth-password", PASSWORD]
    before = count(server, "bob")
    swaks(server, "smtp", "--from", "someone@else.test", *to)
    swaks(server, "smtp", "--from", "someone@else.test", "--tls", *to)
    swaks(server, "submission", "--tls", *auth, *to)
    swaks(server, "submissions", "--tls-on-connect", *auth, *to)
    swaks(server, "submissions", "--tls-on-connect", *auth[:2], "--auth", "LOGIN", *auth[4:], *to)
    assert count(server, "bob") == before + 5
    refused = subprocess.run(["swaks", "--server", server.host, "--port", str(server.ports["smtp"]), "--from",
                              "a@else.test", "--to", "b@other.test"], capture_output=True, text=True)
    assert "550 5.7.1" in refused.stdout, refused.stdout
    plain = subprocess.run(["swaks", "--server", server.host, "--port", str(server.ports["submission"]), *auth,
                            *to], capture_output=True, text=True)
    assert plain.returncode, "AUTH without TLS must not be offered"


def test_smtp_extensions(binary):
    """All that is announced, and nothing is announced that is not tried."""
    if not need("swaks"):
        return
    ports = {name: free_port() for name in ("proxied", "lmtp")}
    extra = (f'\n[smtp]\nxclient = ["127.0.0.1"]\nverify = "users"\nleast_deadline = "3s"\n'
             f'\n[[listener]]\nprotocol = "smtp"\naddress = "127.0.0.1:{ports["proxied"]}"\nproxy = ["127.0.0.0/8"]\n'
             f'\n[[listener]]\nprotocol = "lmtp"\naddress = "127.0.0.1:{ports["lmtp"]}"\ntls = "none"\n')
    server = Server(binary, "a.test", ["alice", "bob"], extra=extra)
    server.ports.update(ports)
    server.command("alias", "add", "team@a.test", "bob@a.test", "alice@a.test")
    server.command("domain", "add", "r.test", "--relay", "127.0.0.1:9")
    with server:
        keywords = extensions.announced(server)
        assert keywords <= set(extensions.CHECKS), keywords - set(extensions.CHECKS)
        checks = dict.fromkeys([*extensions.CHECKS.values(), *extensions.OTHERS])
        failed = []
        for check in checks:
            try:
                check(server)
            except Exception:
                failed.append(check.__name__)
                traceback.print_exc()
        assert not failed, failed
        print(f"   announced: {' '.join(sorted(keywords))}")


def test_curl_reads(server):
    if not need("curl"):
        return
    before = count(server, "curl")
    with smtplib.SMTP(server.host, server.ports["smtp"]) as smtp:
        smtp.sendmail("someone@else.test", [f"curl@{server.domain}"], "Subject: for curl\r\n\r\nhello\r\n")
    user = ["--user", f"curl@{server.domain}:{PASSWORD}", "--insecure", "--silent", "--show-error"]
    url = f"imaps://{server.host}:{server.ports['imaps']}"
    text = run("curl", *user, f"{url}/INBOX;MAILINDEX={before + 1}")
    assert "Subject: for curl" in text and "hello" in text, text
    assert "SEARCH" in run("curl", *user, f"{url}/INBOX?SUBJECT%20curl")
    starttls = run("curl", *user, "--ssl-reqd", f"imap://{server.host}:{server.ports['imap']}/INBOX;MAILINDEX=1")
    assert "Subject: for curl" in starttls
    text = run("curl", *user, f"pop3s://{server.host}:{server.ports['pop3s']}/1")
    assert "Subject: for curl" in text, text
    text = run("curl", *user, "--ssl-reqd", f"pop3://{server.host}:{server.ports['pop3']}/")
    assert text.startswith("1 "), text


def mutt(home):
    """Runs mutt with the muttrc of this folder on a terminal, accepting certificates; what it showed."""
    environment = dict(os.environ, HOME=str(home), TERM="vt100")
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvpe("mutt", ["mutt", "-n", "-F", str(home / "muttrc")], environment)
    screen = b""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if terminal in select.select([terminal], [], [], 0.2)[0]:
            try:
                chunk = os.read(terminal, 4096)
            except OSError:
                break
            if not chunk:
                break
            screen += chunk
            if b"(o)nce" in chunk:
                os.write(terminal, b"o")
    else:
        os.kill(pid, 9)
    os.waitpid(pid, 0)
    return screen


def test_mutt_reads(server):
    if not need("mutt"):
        return
    with smtplib.SMTP(server.host, server.ports["smtp"]) as smtp:
        smtp.sendmail("someone@else.test", [f"mutt@{server.domain}"], "Subject: for mutt\r\n\r\nhi mutt\r\n")
    home = pathlib.Path(tempfile.mkdtemp(prefix="mutt-"))
    (home / "muttrc").write_text(
        f'set imap_user="mutt@{server.domain}"\nset imap_pass="{PASSWORD}"\n'
        f'set folder="imaps://{server.host}:{server.ports["imaps"]}/"\nset spoolfile="+INBOX"\n'
        f'set certificate_file="{home}/certs"\nset ssl_verify_host=no\nset ssl_verify_dates=no\n'
        'set header_cache=""\nset wait_key=no\nset pipe_decode=yes\nset quit=yes\n'
        f'push "<display-message><exit><pipe-message>cat >{home}/out<enter><flag-message><sync-mailbox><quit>"\n')
    screen = mutt(home)
    assert (home / "out").exists(), screen.decode(errors="replace")
    assert "hi mutt" in (home / "out").read_text()
    client = imap(server, "mutt")
    client.select("INBOX")
    flags = client.fetch("1", "(FLAGS)")[1][0]
    assert b"\\Flagged" in flags and b"\\Seen" in flags, flags
    shutil.rmtree(home)


def test_mbsync_syncs_both_ways(server):
    if not need("mbsync"):
        return
    client = imap(server, "sync")
    for n in range(500):
        client.append("INBOX", None, None, f"Subject: {n}\r\nMessage-ID: <{n}@x.test>\r\n\r\nbody {n}\r\n".encode())
    home = pathlib.Path(tempfile.mkdtemp(prefix="mbsync-"))
    certificate = ssl.get_server_certificate((server.host, server.ports["imaps"]))
    (home / "cert.pem").write_text(certificate)
    (home / "Mail").mkdir()
    (home / "rc").write_text(
        f"IMAPAccount a\nHost {server.host}\nPort {server.ports['imaps']}\nUser sync@{server.domain}\n"
        f'Pass "{PASSWORD}"\nSSLType IMAPS\nCertificateFile {home}/cert.pem\n\n'
        "IMAPStore far\nAccount a\n\n"
        f"MaildirStore near\nPath {home}/Mail/\nInbox {home}/Mail/INBOX\nSubFolders Verbatim\n\n"
        "Channel c\nFar :far:\nNear :near:\nPatterns *\nCreate Both\nExpunge Both\nSyncState *\n")
    sync = ["mbsync", "-c", str(home / "rc"), "-a"]
    run(*sync, timeout=300)
    inbox = home / "Mail/INBOX"
    files = sorted((inbox / "new").iterdir()) + sorted((inbox / "cur").iterdir())
    assert len(files) == 500, len(files)
    for n, file in enumerate(files):
        base = file.name.split(":")[0]
        if n < 10:
            file.rename(inbox / "cur" / f"{base}:2,FS")
        elif n < 30:
            file.rename(inbox / "cur" / f"{base}:2,T")
    run(*sync)
    client.select("INBOX")
    assert len(client.search(None, "FLAGGED", "SEEN")[1][0].split()) == 10
    assert len(client.search(None, "ALL")[1][0].split()) == 480
    state = sorted((path.name, path.read_bytes()) for path in inbox.rglob("*") if path.is_file())
    modseq = client.fetch("1:*", "(UID FLAGS)")[1]
    run(*sync)
    client.noop()
    assert sorted((path.name, path.read_bytes()) for path in inbox.rglob("*") if path.is_file()) == state
    assert client.fetch("1:*", "(UID FLAGS)")[1] == modseq, "a further run changed something"
    client.create("Archive/2026")
    client.append("Archive/2026", "(\\Seen)", None, b"Subject: old\r\n\r\nx\r\n")
    run(*sync)
    assert list((home / "Mail").rglob("Archive/2026/cur/*")), "new mailboxes are pulled"
    shutil.rmtree(home)


def test_imaplib_does_its_day(server):
    client = imap(server, "alice")
    assert client.create("Work")[0] == "OK"
    assert client.append("Work", "(\\Seen $Mine)", imaplib.Time2Internaldate(1_000_000_000),
                         b"Subject: one\r\nFrom: a@x.test\r\n\r\nfirst\r\n")[0] == "OK"
    client.append("Work", None, None, "Subject: =?utf-8?q?zw=C3=B6lf?=\r\n\r\nsecond\r\n".encode())
    assert client.select("Work")[1] == [b"2"]
    assert client.search(None, "SEEN")[1] == [b"1"]
    client.literal = "zwölf".encode()
    assert client.search("UTF-8", "SUBJECT")[1] == [b"2"]
    assert client.uid("SEARCH", None, "NOT", "KEYWORD", "$Mine")[1] == [b"2"]
    assert b" 9-Sep-2001" in client.fetch("1", "(INTERNALDATE)")[1][0]
    assert client.copy("1:2", "INBOX")[0] == "OK"
    client.store("1", "+FLAGS", "\\Deleted")
    assert client.expunge()[1] == [b"1"]
    assert client.fetch("1", "(BODYSTRUCTURE ENVELOPE RFC822.SIZE)")[0] == "OK"
    assert client.rename("Work", "Done/Work")[0] == "OK"
    assert any(b"Done/Work" in line for line in client.list()[1])
    assert client.delete("Done/Work")[0] == "OK"
    client.logout()
    pop3 = poplib.POP3_SSL(server.host, server.ports["pop3s"], context=TLS)
    pop3.user(f"alice@{server.domain}")
    pop3.pass_(PASSWORD)
    messages = pop3.stat()[0]
    assert len(pop3.uidl()[1]) == messages
    second = poplib.POP3(server.host, server.ports["pop3"])
    second.stls(TLS)
    second.user(f"alice@{server.domain}")
    try:
        second.pass_(PASSWORD)
        raise AssertionError("a maildrop is open to one session at a time, on whatever port")
    except poplib.error_proto as error:
        assert "[IN-USE]" in str(error), error
    pop3.dele(messages)
    pop3.quit()
    assert count(server, "alice") == messages - 1


def test_idle_hears_at_once(server):
    client = imap(server, "bob")
    client.select("INBOX")
    client.send(b"x IDLE\r\n")
    assert client.readline().startswith(b"+")
    with smtplib.SMTP(server.host, server.ports["smtp"]) as smtp:
        smtp.sendmail("someone@else.test", [f"bob@{server.domain}"], "Subject: now\r\n\r\nx\r\n")
    client.sock.settimeout(10)
    line = client.readline()
    assert line.endswith(b" EXISTS\r\n"), line


def test_mail_for_another_domain(binary):
    """Found by DNS, kept while the other server is down, told about once."""
    if not need("dnsmasq") or os.geteuid() != 0:
        return
    port = free_port()
    dns = subprocess.Popen(
        ["dnsmasq", "--no-daemon", "--no-resolv", "--no-hosts", f"--port={port}", "--listen-address=127.0.0.1",
         "--bind-interfaces", "--mx-host=b.test,mx.b.test,10", "--host-record=mx.b.test,127.0.0.2",
         "--mx-host=dead.test,mx.dead.test,10", "--host-record=mx.dead.test,127.0.0.3", "--local=/test/"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        there = Server(binary, "b.test", ["carol"], host="127.0.0.2", smtp_port=25)
        with Server(binary, "a.test", ["alice"], dns=f"127.0.0.1:{port}", retry='["2s"]', expire="15s",
                    extra="\n[outgoing]\nloopback = true\n") as here:
            def send(to):
                with smtplib.SMTP_SSL(here.host, here.ports["submissions"], context=TLS) as smtp:
                    smtp.login("alice@a.test", PASSWORD)
                    smtp.sendmail("alice@a.test", [to], f"Subject: to {to}\r\n\r\nhello\r\n")
            with there:
                send("carol@b.test")
                until("the mail arrives", lambda: count(there, "carol") == 1)
            send("carol@b.test")
            until("it is queued", lambda: "carol@b.test" in here.command("queue", "list"))
            with there:
                until("the second mail arrives", lambda: count(there, "carol") == 2)
                send("carol@dead.test")
                send("nobody@b.test")
                until("the sender is told", lambda: count(here, "alice") == 2)
                time.sleep(5)
                assert count(here, "alice") == 2, "one notice a message"
                client = imap(here, "alice")
                client.select("INBOX")
                for to in ("carol@dead.test", "nobody@b.test"):
                    found = client.search(None, "BODY", f'"Final-Recipient: rfc822; {to}"')[1][0].split()
                    assert len(found) == 1, (to, found)
                assert "@" not in here.command("queue", "list"), "the queue is empty"
    finally:
        dns.terminate()
        dns.wait()


def test_killed_in_a_burst(binary):
    """What got 250 before kill -9 is there once after it."""
    server = Server(binary, "a.test", ["bob"])
    acknowledged = []
    for round_number in range(3):
        server.start()
        smtp = smtplib.SMTP(server.host, server.ports["smtp"])
        for n in range(200):
            name = f"{round_number}-{n}"
            if n == 150:
                server.kill()
            try:
                smtp.sendmail("x@else.test", ["bob@a.test"], f"Subject: {name}\r\n\r\n{'y' * 5000}\r\n")
                acknowledged.append(name)
            except (smtplib.SMTPException, OSError):
                break
    server.start()
    client = imap(server, "bob")
    client.select("INBOX")
    rows = client.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1]
    there = [row[1].split(b":", 1)[1].strip().decode() for row in rows if isinstance(row, tuple)]
    assert sorted(there) == sorted(set(there)), "something is there twice"
    assert set(acknowledged) <= set(there), set(acknowledged) - set(there)
    server.stop()
    server.command("check")


def play(description, tests, domain, users, extra="", **more):
    """Runs the functions of `tests` whose names begin with `test_`, or those asked for, against one server."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--binary", default="target/debug/mailserver")
    parser.add_argument("--only", default="")
    arguments = parser.parse_args()
    passed, failed = 0, 0
    tests = [(name, test) for name, test in tests.items() if name.startswith("test_")]
    with Server(arguments.binary, domain, users, extra=extra, **more) as server:
        for name, test in tests:
            if arguments.only not in name:
                continue
            print(f"-- {name[5:].replace('_', ' ')}", flush=True)
            started = time.monotonic()
            try:
                test(arguments.binary if test.__code__.co_varnames[0] == "binary" else server)
                passed += 1
                print(f"   ok ({time.monotonic() - started:.1f} s)")
            except Exception as error:  # every failure is told, the others still run
                failed += 1
                print(f"   FAILED: {type(error).__name__}: {error}")
                traceback.print_exc()
        if failed:
            print(server.log()[-5000:])
    print(f"{passed} passed, {failed} failed")
    sys.exit(bool(failed))


if __name__ == "__main__":
    play(__doc__, globals(), "a.test", ["alice", "bob", "curl", "mutt", "sync"])
