"""Each SMTP extension that the server announces, tried by a real client: swaks, or
Python's smtplib where swaks has no option for it."""

import imaplib
import smtplib
import ssl
import subprocess
import time

from server import PASSWORD

TLS = ssl.create_default_context()
TLS.check_hostname, TLS.verify_mode = False, ssl.CERT_NONE


def swaks(server, port, *words, ok=(0,)):
    done = subprocess.run(["swaks", "--server", server.host, "--port", str(server.ports[port]), *words],
                          capture_output=True, text=True, timeout=120)
    assert done.returncode in ok, f"swaks {' '.join(words)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def client(server, port="smtp", login=False):
    if port == "submissions":
        smtp = smtplib.SMTP_SSL(server.host, server.ports[port], context=TLS, timeout=20)
    else:
        smtp = smtplib.SMTP(server.host, server.ports[port], timeout=20)
    smtp.ehlo()
    if login:
        smtp.login("alice@a.test", PASSWORD)
    return smtp


def mail(server, user):
    """What is in the INBOX, whole."""
    imap = imaplib.IMAP4_SSL(server.host, server.ports["imaps"], ssl_context=TLS)
    imap.login(f"{user}@a.test", PASSWORD)
    some = imap.select("INBOX", readonly=True)[1] != [b"0"]
    rows = imap.fetch("1:*", "(BODY.PEEK[])")[1] if some else []
    imap.logout()
    return [row[1] for row in rows if isinstance(row, tuple)]


def wait_for(server, user, needle, seconds=15):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for octets in mail(server, user):
            if needle in octets:
                return octets
        time.sleep(0.1)
    raise AssertionError(f"in {seconds} seconds: no mail with {needle}")


def codes(smtp, *commands):
    return [smtp.docmd(command)[0] for command in commands]


FROM, TO = ("--from", "x@else.test"), ("--to", "bob@a.test")
HEADER = b"From: alice@a.test\r\nSubject: %s\r\n\r\n"


def pipelining(server):
    swaks(server, "smtp", "--pipeline", *FROM, *TO, "--header", "Subject: in one go")
    wait_for(server, "bob", b"Subject: in one go")


def size(server):
    with client(server) as smtp:
        most = int(smtp.esmtp_features["size"])
        assert codes(smtp, f"MAIL FROM:<x@else.test> SIZE={most + 1}") == [552]
        assert codes(smtp, f"MAIL FROM:<x@else.test> SIZE={most}") == [250]


def eight_bit_mime(server):
    text = "Subject: eight\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nüber\r\n".encode()
    with client(server) as smtp:
        smtp.sendmail("x@else.test", ["bob@a.test"], text, mail_options=["BODY=8BITMIME"])
    assert wait_for(server, "bob", b"Subject: eight").endswith("über\r\n".encode())


def enhanced_status_codes(server):
    said = swaks(server, "smtp", *FROM, "--to", "nobody@a.test", ok=(24,))
    assert "250 2.1.0 " in said and "550 5.1.1 " in said, said


def start_tls(server):
    said = swaks(server, "smtp", "--tls", *FROM, *TO)
    assert "TLS started with cipher TLSv1.3" in said, said


def auth(server):
    login = ("--auth-user", "alice@a.test", "--auth-password", PASSWORD)
    for mechanism in ("PLAIN", "LOGIN"):
        said = swaks(server, "submissions", "--tls-on-connect", "--from", "alice@a.test", *TO, "--auth", mechanism,
                     *login)
        assert "235 2.7.0" in said, said
    swaks(server, "submissions", "--tls-on-connect", *FROM, *TO, "--auth", "PLAIN", *login[:3], "wrong", ok=(28,))


def dsn(server):
    with client(server, "submissions", login=True) as smtp:
        smtp.sendmail("alice@a.test", ["bob@a.test"], HEADER % b"told" + b"x\r\n", ["RET=HDRS", "ENVID=id+2B7"],
                      ["NOTIFY=SUCCESS,DELAY", "ORCPT=rfc822;Bob@Old.test"])
        assert codes(smtp, "MAIL FROM:<alice@a.test> RET=ALL", "MAIL FROM:<alice@a.test> RET=HDRS RET=FULL",
                     "MAIL FROM:<alice@a.test>", "RCPT TO:<bob@a.test> NOTIFY=NEVER,SUCCESS") == [501, 501, 250, 501]
    notice = wait_for(server, "alice", b"Original-Envelope-Id: id+7")
    for field in (b"Action: delivered", b"Original-Recipient: rfc822; Bob@Old.test", b"text/rfc822-headers"):
        assert field in notice, notice


def smtp_utf8(server):
    text = "Subject: тема\r\n\r\nx\r\n".encode()
    with client(server) as smtp:
        smtp.sendmail("ящик@else.test", ["bob@a.test"], text, mail_options=["SMTPUTF8", "BODY=8BITMIME"])
        assert smtp.docmd("MAIL", "FROM:<x@else.test>")[0] == 250
    assert "Return-Path: <ящик@else.test>".encode() in wait_for(server, "bob", "Subject: тема".encode())


def chunking(server):
    with client(server) as smtp:
        assert codes(smtp, "MAIL FROM:<x@else.test>", "RCPT TO:<bob@a.test>") == [250, 250]
        smtp.send(b"BDAT 19\r\nSubject: chunks\r\n\r\nBDAT 6 LAST\r\nx.\r\n.\n")
        assert [smtp.getreply()[0] for _ in range(2)] != [250, 250], "a bare LF is no end of a line"
        assert codes(smtp, "RSET", "MAIL FROM:<x@else.test>", "RCPT TO:<bob@a.test>") == [250] * 3
        smtp.send(b"BDAT 19\r\nSubject: chunks\r\n\r\nBDAT 7 LAST\r\nx\r\n.\r\ny")
        assert [smtp.getreply()[0] for _ in range(2)] == [250, 250]
    assert b"x\r\n.\r\ny" in wait_for(server, "bob", b"Subject: chunks")


def binary_mime(server):
    octets = b"From: alice@a.test\r\nSubject: binary\r\n\r\na\0b\rc\nd\r\n"
    with client(server) as smtp:
        assert codes(smtp, "MAIL FROM:<x@else.test> BODY=BINARYMIME", "RCPT TO:<bob@a.test>", "DATA") == [250, 250, 503]
        smtp.send(b"BDAT %d LAST\r\n" % len(octets) + octets)
        assert smtp.getreply()[0] == 250
    assert wait_for(server, "bob", b"Subject: binary").endswith(b"b\rc\nd\r\n")


def require_tls(server):
    with client(server) as smtp:
        assert not smtp.has_extn("requiretls"), "nothing to promise in clear"
        assert codes(smtp, "MAIL FROM:<x@else.test> REQUIRETLS")[0] >= 500
        smtp.starttls(context=TLS)
        smtp.ehlo()
        assert smtp.has_extn("requiretls")
        smtp.sendmail("x@else.test", ["bob@a.test"], b"Subject: secret\r\n\r\nx\r\n", mail_options=["REQUIRETLS"])
    wait_for(server, "bob", b"Subject: secret")


def future_release(server):
    with client(server) as smtp:
        assert not smtp.has_extn("futurerelease"), "for users alone"
    with client(server, "submissions", login=True) as smtp:
        most = int(smtp.esmtp_features["futurerelease"].split()[0])
        assert codes(smtp, f"MAIL FROM:<alice@a.test> HOLDFOR={most + 9}") == [501]
        smtp.sendmail("alice@a.test", ["bob@a.test"], HEADER % b"later" + b"x\r\n", mail_options=["HOLDFOR=3600"])
        soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 2))
        smtp.sendmail("alice@a.test", ["bob@a.test"], HEADER % b"soon" + b"x\r\n", mail_options=[f"HOLDUNTIL={soon}"])
    assert "bob@a.test" in server.command("queue", "list")
    wait_for(server, "bob", b"Subject: soon")
    assert not any(b"Subject: later" in octets for octets in mail(server, "bob"))


def deliver_by(server):
    with client(server, "submissions", login=True) as smtp:
        least = int(smtp.esmtp_features["deliverby"])
        assert codes(smtp, f"MAIL FROM:<alice@a.test> BY={least - 1};R", "MAIL FROM:<alice@a.test> BY=0;R") == [554, 501]
        smtp.sendmail("alice@a.test", ["y@r.test"], HEADER % b"urgent" + b"x\r\n",
                      mail_options=[f"BY={least};R"])
    notice = wait_for(server, "alice", b"Status: 5.4.7")
    assert b"y@r.test" in notice and b"last attempt" in notice.replace(b"\r\n ", b" "), notice


def mt_priority(server):
    with client(server, "submissions", login=True) as smtp:
        smtp.sendmail("alice@a.test", ["bob@a.test"], HEADER % b"first" + b"x\r\n", mail_options=["MT-PRIORITY=3"])
        assert codes(smtp, "MAIL FROM:<alice@a.test> MT-PRIORITY=10") == [501]
    assert b"PRIORITY 3" in wait_for(server, "bob", b"Subject: first")
    with client(server) as smtp:
        said = smtp.docmd("MAIL FROM:<x@else.test> MT-PRIORITY=3")
        assert said[0] == 250 and b" 0" in said[1], (said, "a stranger raises nothing")


def limits(server):
    with client(server) as smtp:
        told = dict(limit.split("=") for limit in smtp.esmtp_features["limits"].split())
        assert codes(smtp, "MAIL FROM:<x@else.test>") == [250]
        most = int(told["RCPTMAX"])
        said = codes(smtp, *["RCPT TO:<bob@a.test>"] * (most + 1))
        assert said == [250] * most + [452], said[-3:]


def etrn(server):
    with client(server, "submissions", login=True) as smtp:
        assert codes(smtp, "ETRN a.test", "ETRN r.test", "ETRN") == [459, 251, 501]


def vrfy_and_expn(server):
    with client(server) as smtp:
        assert codes(smtp, "VRFY bob@a.test", "EXPN team@a.test") == [252, 502], "strangers learn nothing"
    with client(server, "submissions", login=True) as smtp:
        assert smtp.docmd("VRFY", "bob@a.test")[0] == 250
        code, text = smtp.docmd("EXPN", "team@a.test")
        assert code == 250 and b"bob@a.test" in text, (code, text)


def help_and_noop(server):
    with client(server) as smtp:
        assert codes(smtp, "HELP", "HELP MAIL", "NOOP", "NOOP words") == [214, 214, 250, 250]


def xclient(server):
    swaks(server, "smtp", "--xclient-addr", "192.0.2.9", "--xclient-name", "far.test", "--xclient-helo", "far.test",
          *FROM, *TO, "--header", "Subject: from afar", "--helo", "far.test")
    assert b"from far.test ([192.0.2.9])" in wait_for(server, "bob", b"Subject: from afar")


def proxy(server):
    for form, family in (("1", "TCP4"), ("2", "AF_INET")):
        swaks(server, "proxied", "--proxy-version", form, "--proxy-family", family, "--proxy-protocol", "STREAM",
              "--proxy-source", "192.0.2.7", "--proxy-source-port", "4711", "--proxy-dest", "192.0.2.1",
              "--proxy-dest-port", "25", *FROM, *TO, "--header", f"Subject: proxied {form}")
        assert b"([192.0.2.7])" in wait_for(server, "bob", f"Subject: proxied {form}".encode())


def lmtp(server):
    said = swaks(server, "lmtp", "--protocol", "LMTP", *FROM, "--to", "bob@a.test,alice@a.test", "--header",
                 "Subject: by lmtp")
    assert said.count("accepted as") == 2, "a reply for each recipient"
    wait_for(server, "bob", b"Subject: by lmtp")


# What EHLO and LHLO announce, and who tries it.
CHECKS = {
    "pipelining": pipelining, "size": size, "8bitmime": eight_bit_mime, "enhancedstatuscodes": enhanced_status_codes,
    "starttls": start_tls, "auth": auth, "dsn": dsn, "smtputf8": smtp_utf8, "chunking": chunking,
    "binarymime": binary_mime, "requiretls": require_tls, "futurerelease": future_release, "deliverby": deliver_by,
    "mt-priority": mt_priority, "limits": limits, "etrn": etrn, "vrfy": vrfy_and_expn, "expn": vrfy_and_expn,
    "help": help_and_noop, "xclient": xclient,
}
# What is not announced.
OTHERS = [proxy, lmtp]


def announced(server):
    """The keywords of all listeners, in clear and under TLS."""
    found = set()
    for port in ("smtp", "submission", "submissions"):
        with client(server, port) as smtp:
            found |= set(smtp.esmtp_features)
            if port != "submissions":
                smtp.starttls(context=TLS)
                smtp.ehlo()
                found |= set(smtp.esmtp_features)
            if port == "submissions":
                smtp.login("alice@a.test", PASSWORD)
                smtp.ehlo()
                found |= set(smtp.esmtp_features)
    return found
