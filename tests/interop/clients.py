#!/usr/bin/env python3
"""More IMAP clients against the mailserver binary: IMAPClient, offlineimap, getmail,
fetchmail and ImapFlow, each doing what people use it for.

    python3 tests/interop/clients.py --binary target/debug/mailserver [--only NAME]

IMAPClient is looked for in target/interop/python, ImapFlow in target/interop/node,
where the gate puts them."""

import email
import hashlib
import imaplib
import os
import pathlib
import ssl
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from run import TLS, count, imap, play, run  # noqa: E402
from server import PASSWORD, need  # noqa: E402

HERE = pathlib.Path(__file__).parent
TOOLS = HERE.parents[1] / "target/interop"
sys.path.insert(0, str(TOOLS / "python"))


def there(name, path):
    """As need(), for what is in a folder of its own."""
    if path:
        return True
    if os.environ.get("MAILCORE_REQUIRE_TOOLS"):
        raise AssertionError(f"{name} is not installed")
    print(f"   {name} is not installed: skipped")
    return False


def fill(server, user, messages=20):
    client = imap(server, user)
    for n in range(messages):
        text = f"Subject: n{n}\r\nMessage-ID: <{user}{n}@x.test>\r\n\r\nbody {n}\r\n"
        assert client.append("INBOX", "(\\Seen)" if n == 0 else None, None, text.encode())[0] == "OK"
    client.logout()


def test_imapclient(server):
    try:
        from imapclient import IMAPClient
    except ImportError:
        IMAPClient = None
    if not there("imapclient", IMAPClient):
        return
    with IMAPClient(server.host, server.ports["imaps"], ssl_context=TLS, timeout=30) as client:
        client.login(f"imapclient@{server.domain}", PASSWORD)
        assert client.has_capability("IMAP4rev2") and client.has_capability("UIDPLUS")
        assert b"mailcore" in str(client.id_({"name": "test"})).encode()
        assert client.namespace().personal == (("", "/"),)
        client.create_folder("Отчёты & Co")
        client.subscribe_folder("Отчёты & Co")
        assert [name for _, _, name in client.list_sub_folders()] == ["Отчёты & Co"]
        text = "From: a@x.test\r\nSubject: =?utf-8?q?gr=C3=BC=C3=9Fe?=\r\n\r\nhello\r\n".encode()
        client.append("Отчёты & Co", text, flags=[b"\\Seen", b"$Forwarded"])
        client.append("Отчёты & Co", text.replace(b"hello", b"zw\xc3\xb6lf"))
        seen = client.select_folder("Отчёты & Co")
        assert seen[b"EXISTS"] >= 2 and seen[b"UIDNEXT"] > 2
        assert client.search(["SEEN", "KEYWORD", "$Forwarded"]) == [1]
        assert 2 in client.search(["BODY", "zwölf"], "UTF-8")
        got = client.fetch([1, 2], ["ENVELOPE", "BODYSTRUCTURE", "FLAGS", "RFC822.SIZE", "BODY.PEEK[TEXT]", "BINARY.SIZE[1]"])
        assert got[1][b"ENVELOPE"].subject and got[1][b"BODY[TEXT]"] == b"hello\r\n"
        assert b"\\Flagged" in client.set_flags([2], [b"\\Flagged"])[2]
        client.idle()
        with IMAPClient(server.host, server.ports["imaps"], ssl_context=TLS) as other:
            other.login(f"imapclient@{server.domain}", PASSWORD)
            other.append("Отчёты & Co", text)
        assert any(b"EXISTS" in change for change in client.idle_check(10))
        client.idle_done()
        client.create_folder("Archive")
        client.move([1], "Archive")
        client.copy([2], "Archive")
        client.delete_messages([2])
        client.uid_expunge([2])
        assert 1 not in client.search() and 2 not in client.search()
        assert client.folder_status("Archive", ["MESSAGES", "UNSEEN"])[b"MESSAGES"] == 2
        client.rename_folder("Archive", "Old/Archive")
        assert client.folder_exists("Old/Archive")
        client.close_folder()
        client.delete_folder("Отчёты & Co")


def test_a_client_of_revision_2(server):
    """Python's imaplib, told to speak IMAP4rev2 (RFC 9051 appendix E)."""
    client = imap(server, "rev2")
    told = lambda name: client.response(name)[1]  # noqa: E731
    name = '"Отчёты/2026"'

    def ok(answer):
        assert answer[0] == "OK", answer
        return answer[1]

    def command(verb, *words):
        imaplib.Commands.setdefault(verb, ("AUTH", "SELECTED"))
        return ok(client._simple_command(verb, *words))
    assert "IMAP4REV2" in client.capabilities
    ok(client.enable("IMAP4rev2"))
    assert told("ENABLED") == [b"IMAP4rev2"]
    # Names are UTF-8 from here on (section 5.1).
    client._encoding = "utf-8"
    ok(client.create(name))
    assert any("Отчёты/2026".encode() in row for row in ok(client.list()))
    for n in range(4):
        text = f"Subject: n{n}\r\nMIME-Version: 1.0\r\nContent-Transfer-Encoding: base64\r\n\r\neHl6\r\n"
        ok(client.append(name, "(\\Seen)" if n else None, None, text.encode()))
    ok(client.select(name))
    assert told("RECENT") == [None] and told("UNSEEN") == [None], "they are no more"
    assert "Отчёты/2026".encode() in told("LIST")[0], "SELECT tells the mailbox's name (section 6.3.2)"
    assert told("EXISTS") == [b"4"] and told("UIDNEXT") == [b"5"]
    command("STATUS", name, "(MESSAGES UNSEEN DELETED SIZE)")
    assert told("STATUS")[0].split(b" (")[1].startswith(b"MESSAGES 4 UNSEEN 1 DELETED 0 SIZE ")
    assert ok(client.search(None, "SUBJECT", "n2")) == [None], "SEARCH is gone,"
    assert told("ESEARCH")[0].endswith(b"ALL 3"), "and its answer a set (section 7.3.4)"
    command("SEARCH", "RETURN (SAVE)", "SEEN")
    command("STORE", "$", "+FLAGS (\\Flagged)")
    assert [row.count(b"\\Recent") for row in told("FETCH")] == [0, 0, 0]
    assert ok(client.fetch("1", "(BINARY.PEEK[1] BINARY.SIZE[1])"))[0][1] == b"xyz"
    ok(client.create("Archive"))
    command("MOVE", "1:2", "Archive")
    assert told("COPYUID")[0].endswith(b" 1:2 1:2")
    assert told("EXPUNGE") in ([b"1", b"1"], [b"2", b"1"])
    ok(client.store("1", "+FLAGS", "(\\Deleted)"))
    ok(client.uid("EXPUNGE", "3"))
    assert told("EXPUNGE") == [b"1"]
    ok(client.unselect())
    ok(client.select("Archive"))
    ok(client.select(name, readonly=True))
    assert told("CLOSED") == [b""], "section 7.1"
    command("LIST", '(SUBSCRIBED RECURSIVEMATCH) "" "*" RETURN (CHILDREN STATUS (MESSAGES))')
    client.logout()


def test_offlineimap(server):
    if not need("offlineimap"):
        return
    fill(server, "offline")
    client = imap(server, "offline")
    client.create("Work/2026")
    client.append("Work/2026", "(\\Seen \\Flagged)", None, b"Subject: deep\r\n\r\nx\r\n")
    certificate = ssl.get_server_certificate((server.host, server.ports["imaps"]))
    print_ = hashlib.sha1(ssl.PEM_cert_to_DER_cert(certificate)).hexdigest()
    with tempfile.TemporaryDirectory(prefix="offlineimap-") as name:
        home = pathlib.Path(name)
        (home / "rc").write_text(
            f"[general]\naccounts = a\nmetadata = {home}/meta\nui = basic\n[Account a]\n"
            "localrepository = near\nremoterepository = far\n"
            f"[Repository near]\ntype = Maildir\nlocalfolders = {home}/Mail\n"
            f"[Repository far]\ntype = IMAP\nremotehost = {server.host}\nremoteport = {server.ports['imaps']}\n"
            f"ssl = yes\ncert_fingerprint = {print_}\nremoteuser = offline@{server.domain}\n"
            f"remotepass = {PASSWORD}\nauth_mechanisms = PLAIN\n")
        sync = ["offlineimap", "-c", str(home / "rc"), "-o", "-u", "basic"]
        run(*sync, timeout=180)
        inbox = home / "Mail/INBOX"
        files = sorted((inbox / "new").iterdir()) + sorted((inbox / "cur").iterdir())
        assert len(files) == 20, len(files)
        assert list((home / "Mail").rglob("*2026*/cur/*:2,*FS")), "flags come along"
        by_subject = {email.message_from_bytes(file.read_bytes())["Subject"]: file for file in files}
        flagged, deleted = by_subject["n3"], by_subject["n4"]
        flagged.rename(inbox / "cur" / f"{flagged.name.split(':')[0]}:2,FS")
        deleted.unlink()
        (inbox / "cur" / "999.new:2,S").write_bytes(b"Subject: from here\n\nlocal\n")
        run(*sync, timeout=180)
        client.select("INBOX")
        assert len(client.search(None, "FLAGGED", "SEEN", "SUBJECT", "n3")[1][0].split()) == 1
        assert client.search(None, "SUBJECT", "n4", "NOT", "DELETED")[1] == [b""]
        assert len(client.search(None, "SEEN", "SUBJECT", '"from here"')[1][0].split()) == 1
        before = client.fetch("1:*", "(UID FLAGS)")[1]
        run(*sync, timeout=180)
        assert client.fetch("1:*", "(UID FLAGS)")[1] == before, "a further run changed something"
    client.logout()


def test_getmail(server):
    if not need("getmail"):
        return
    fill(server, "getmail")
    with tempfile.TemporaryDirectory(prefix="getmail-") as name:
        home = pathlib.Path(name)
        new = home / "new"
        new.mkdir()
        text = ("[retriever]\ntype = SimpleIMAPSSLRetriever\n"
                f"server = {server.host}\nport = {server.ports['imaps']}\n"
                f"username = getmail@{server.domain}\npassword = {PASSWORD}\nmailboxes = (\"INBOX\",)\n"
                "[destination]\ntype = MDA_external\npath = /bin/sh\nallow_root_commands = true\n"
                f"arguments = (\"-c\", \"cat > $(mktemp {new}/XXXXXX)\")\n"
                "[options]\nverbose = 1\nread_all = false\ndelete = {delete}\n")
        fetch = ["getmail", "--getmaildir", str(home), "--rcfile", str(home / "rc")]
        (home / "rc").write_text(text.replace("{delete}", "false"))
        run(*fetch)
        assert len(list(new.iterdir())) == 20
        client = imap(server, "getmail")
        client.append("INBOX", None, None, b"Subject: late\r\n\r\nx\r\n")
        client.logout()
        run(*fetch)
        assert len(list(new.iterdir())) == 21, "what is known is not fetched again"
        (home / "rc").write_text(text.replace("{delete}", "true"))
        run(*fetch)
        assert len(list(new.iterdir())) == 21
        assert count(server, "getmail") == 0


def test_fetchmail(server):
    if not need("fetchmail"):
        return
    fill(server, "fetchmail")
    with tempfile.TemporaryDirectory(prefix="fetchmail-") as name:
        home = pathlib.Path(name)
        rc = home / "rc"
        rc.write_text(
            f"poll {server.host} service {server.ports['imaps']} protocol IMAP\n"
            f"  user \"fetchmail@{server.domain}\" password \"{PASSWORD}\"\n"
            f"  ssl no sslcertck folder INBOX mda \"/bin/sh -c 'cat >> {home}/mbox; echo >> {home}/mbox'\"\n")
        rc.chmod(0o600)
        environment = {**os.environ, "HOME": name, "FETCHMAILHOME": name}
        fetch = ["fetchmail", "-f", str(rc), "--nodetach", "--nosyslog"]

        def once(*more, ok=(0,)):
            done = subprocess.run([*fetch, *more], capture_output=True, text=True, timeout=120, env=environment)
            assert done.returncode in ok, f"{done.returncode}\n{done.stdout}\n{done.stderr}"

        # Kept mail is marked as seen, and what is seen is not fetched again.
        once("--keep")
        assert (home / "mbox").read_bytes().count(b"Subject: n") == 19
        once("--keep", ok=(1,))
        client = imap(server, "fetchmail")
        client.select("INBOX")
        assert len(client.search(None, "SEEN")[1][0].split()) == 20
        client.logout()
        once("--all", "--nokeep", "--expunge", "5")
        assert count(server, "fetchmail") == 0
        assert (home / "mbox").read_bytes().count(b"Subject: n") == 39


def test_imapflow(server):
    modules = TOOLS / "node/node_modules"
    if not need("node") or not there("imapflow", (modules / "imapflow").is_dir()):
        return
    environment = {**os.environ, "NODE_PATH": str(modules)}
    done = subprocess.run(
        ["node", str(HERE / "imapflow.cjs"), server.host, str(server.ports["imaps"]),
         f"imapflow@{server.domain}", PASSWORD],
        capture_output=True, text=True, timeout=120, env=environment)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


if __name__ == "__main__":
    play(__doc__, globals(), "clients.test", ["imapclient", "rev2", "offline", "getmail", "fetchmail", "imapflow"])
