"""How real clients are told to log in by one mechanism: each returns what it said, or raises. `own` is what a
protocol has beside SASL: the command LOGIN of IMAP, USER and PASS of POP3."""

import imaplib
import os
import pathlib
import poplib
import smtplib
import ssl
import subprocess
import tempfile

from run import mutt as on_a_terminal

PORTS = {"smtp": "submissions", "imap": "imaps", "pop3": "pop3s"}
MESSAGE = "Subject: by {}\r\n\r\nhello\r\n"


class Refused(Exception):
    """The client says that it did not get in, with its words."""


class User:
    """One who logs in, with all that a mechanism may need of him."""

    def __init__(self, server, login, password, token="", certificate=None):
        self.server, self.login, self.password, self.token = server, login, password, token
        # A PEM file with key and chain.
        self.certificate = certificate
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="client-"))
        (self.home / "server.pem").write_text(ssl.get_server_certificate((server.host, server.ports["imaps"])))
        self.say("password", password)
        self.say("token", token)

    def say(self, name, text):
        """A file that only its owner may read, as clients ask for."""
        file = self.home / name
        file.touch(mode=0o600)
        file.write_text(text)
        return file

    def port(self, protocol):
        return self.server.ports[PORTS[protocol]]

    def secret(self, mechanism):
        """The file with what this mechanism shows."""
        return self.home / ("token" if mechanism in ("OAUTHBEARER", "XOAUTH2") else "password")

    def run(self, *words, stdin="", ok=(0,)):
        environment = {**os.environ, "HOME": str(self.home), "FETCHMAILHOME": str(self.home)}
        done = subprocess.run([str(word) for word in words], input=stdin, capture_output=True, text=True, timeout=60,
                              env=environment, cwd=self.home)
        said = done.stdout + done.stderr
        if done.returncode not in ok:
            raise Refused(f"{words[0]}: {done.returncode}: {said}")
        return said


def curl(user, protocol, mechanism):
    name = {"APOP": "+APOP"}.get(mechanism, mechanism)
    words = ["curl", "-sS", "-v", "-k", "--max-time", "30", "--login-options", f"AUTH={name}"]
    if mechanism in ("OAUTHBEARER", "XOAUTH2"):
        words += ["--oauth2-bearer", user.token, "--user", user.login]
    elif mechanism == "EXTERNAL":
        # It uses EXTERNAL for who has no password.
        words += ["--user", f"{user.login}:"]
    else:
        words += ["--user", f"{user.login}:{user.password}"]
    if user.certificate:
        words += ["--cert", user.certificate]
    words.append(f"{protocol}s://{user.server.host}:{user.port(protocol)}/")
    if protocol == "smtp":
        words += ["--mail-from", user.login, "--mail-rcpt", user.login, "-T", "-"]
    said = user.run(*words, stdin=MESSAGE.format(mechanism))
    # It takes OAUTHBEARER for XOAUTH2 where both are offered.
    assert f"AUTH {mechanism}" in said or f"AUTHENTICATE {mechanism}" in said or mechanism == "APOP", said
    return said


def gnu(user, program, protocol, mechanism):
    """What msmtp and mpop, of one author, have in common."""
    words = [program, f"--host={user.server.host}", f"--port={user.port(protocol)}", "--tls=on", "--tls-starttls=off",
             "--tls-certcheck=off", f"--auth={'user' if mechanism == 'own' else mechanism.lower()}", f"--user={user.login}"]
    if user.certificate:
        words += [f"--tls-cert-file={user.certificate}", f"--tls-key-file={user.certificate}"]
    return [*words, f"--passwordeval=cat {user.secret(mechanism)}"]


def msmtp(user, protocol, mechanism):
    return user.run(*gnu(user, "msmtp", protocol, mechanism), f"--from={user.login}", user.login,
                    stdin=MESSAGE.format(mechanism))


def mpop(user, protocol, mechanism):
    return user.run(*gnu(user, "mpop", protocol, mechanism), f"--uidls-file={user.home}/uidls", "--keep=on",
                    f"--delivery=mbox,{user.home}/mbox", "--auth-only")


def swaks(user, protocol, mechanism):
    words = ["swaks", "--server", user.server.host, "--port", user.port(protocol), "--tls-on-connect", "--from",
             user.login, "--to", user.login, "--auth", mechanism, "--auth-user", user.login, "--auth-password",
             user.password]
    if user.certificate:
        words += ["--tls-cert", user.certificate, "--tls-key", user.certificate]
    return user.run(*words)


def fetchmail(user, protocol, mechanism):
    how, mechanism = ("APOP", "password") if mechanism == "APOP" else (protocol.upper(), mechanism.lower())
    auth = "password" if mechanism == "own" else mechanism
    show = f"sslcert \"{user.certificate}\" sslkey \"{user.certificate}\"" if user.certificate else ""
    rc = user.say("fetchmailrc", f"poll {user.server.host} service {user.port(protocol)} protocol {how} auth {auth}\n"
                  f"  user \"{user.login}\" password \"{user.password}\" ssl no sslcertck {show} mda \"/bin/cat\"\n")
    # With --check nothing is fetched; 1 says that there is nothing.
    return user.run("fetchmail", "-v", "-f", rc, "--nodetach", "--nosyslog", "--check", ok=(0, 1))


def getmail(user, protocol, mechanism):
    use = {"APOP": "use_apop = True\n", "CRAM-MD5": "use_cram_md5 = True\n", "XOAUTH2": "use_xoauth2 = True\n"}
    show = f"keyfile = {user.certificate}\ncertfile = {user.certificate}\n" if user.certificate else ""
    rc = user.say("getmailrc", f"[retriever]\ntype = Simple{protocol.upper()}SSLRetriever\nserver = {user.server.host}\n"
                  f"port = {user.port(protocol)}\nusername = {user.login}\n{use.get(mechanism, '')}{show}"
                  f"password_command = (\"/bin/cat\", \"{user.secret(mechanism)}\")\n"
                  f"[destination]\ntype = MDA_external\npath = /bin/true\nallow_root_commands = true\n"
                  "[options]\nread_all = false\n")
    return user.run("getmail", "--getmaildir", user.home, "--rcfile", rc)


def gsasl(user, protocol, mechanism):
    # It says that it could bind wherever it could, and is taken at its word: a mechanism without binding is then
    # none that it was offered.
    words = ["gsasl"] if mechanism.endswith("-PLUS") else ["gsasl", "--no-cb"]
    words += ["--client", f"--connect={user.server.host}:{user.server.ports['imap']}", "--imap", "--starttls",
              "--x509-ca-file=", f"--mechanism={mechanism}", f"--authentication-id={user.login}",
              f"--password={user.password}", "--hostname=localhost", "--service=imap"]
    if user.certificate:
        words += [f"--authorization-id={user.login}", f"--x509-cert-file={user.certificate}", f"--x509-key-file={user.certificate}"]
    said = user.run(*words)
    if "finished" not in said:
        raise Refused(said)
    return said


def mbsync(user, protocol, mechanism):
    (user.home / "Mail").mkdir(exist_ok=True)
    show = f"ClientCertificate {user.certificate}\nClientKey {user.certificate}\n" if user.certificate else ""
    name = "LOGIN" if mechanism == "own" else mechanism
    rc = user.say("mbsyncrc", f"IMAPAccount a\nHost {user.server.host}\nPort {user.port(protocol)}\nUser {user.login}\n"
                  f'PassCmd "cat {user.secret(mechanism)}"\nSSLType IMAPS\nCertificateFile {user.home}/server.pem\n'
                  f"{show}AuthMechs {name}\n\nIMAPStore far\nAccount a\n\n"
                  f"MaildirStore near\nPath {user.home}/Mail/\nInbox {user.home}/Mail/INBOX\nSubFolders Verbatim\n\n"
                  "Channel c\nFar :far:\nNear :near:\nPatterns INBOX\nCreate Near\nSyncState *\n")
    return user.run("mbsync", "-c", rc, "-a")


def mutt(user, protocol, mechanism):
    host = f"{user.server.host}:{user.port(protocol)}"
    where = {"imap": f'set folder="imaps://{host}/"\nset spoolfile="+INBOX"\n',
             "pop3": f'set folder="{user.home}"\nset spoolfile="pops://{host}/"\n',
             "smtp": f'set smtp_url="smtps://{user.login}@{host}"\nset from="{user.login}"\nset folder="{user.home}"\n'}
    name = "pop" if protocol == "pop3" else protocol
    own = {"own": "login" if protocol == "imap" else "user"}
    user.say("muttrc", where[protocol] + f'set {name}_pass="{user.password}"\n'
             + (f'set {name}_user="{user.login}"\n' if protocol != "smtp" else "")
             + f'set {name}_authenticators="{own.get(mechanism, mechanism.lower())}"\n'
             + f'set {name}_oauth_refresh_command="cat {user.home}/token"\n'
             + (f'set ssl_client_cert="{user.certificate}"\n' if user.certificate else "")
             + f'set certificate_file="{user.home}/server.pem"\nset ssl_verify_host=no\nset header_cache=""\n'
             + 'set wait_key=no\nset quit=yes\nset sleep_time=0\nset pop_delete=no\n'
             + ('push "<quit>"\n' if protocol != "smtp" else ""))
    if protocol != "smtp":
        return on_a_terminal(user.home).decode(errors="replace")
    return user.run("mutt", "-n", "-F", user.home / "muttrc", "-s", "by mutt", user.login, stdin="hello\n")


def python(user, protocol, mechanism):
    try:
        return {"smtp": by_smtplib, "imap": by_imaplib, "pop3": by_poplib}[protocol](user, mechanism)
    except (smtplib.SMTPException, imaplib.IMAP4.error, poplib.error_proto) as error:
        raise Refused(str(error)) from None


def shown_to(user):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if user.certificate:
        context.load_cert_chain(user.certificate)
    return context


def by_smtplib(user, mechanism):
    with smtplib.SMTP_SSL(user.server.host, user.port("smtp"), context=shown_to(user)) as smtp:
        smtp.user, smtp.password = user.login, user.password
        smtp.ehlo()
        smtp.auth(mechanism, getattr(smtp, "auth_" + mechanism.lower().replace("-", "_")))
        smtp.sendmail(user.login, [user.login], MESSAGE.format(mechanism))


def by_imaplib(user, mechanism):
    client = imaplib.IMAP4_SSL(user.server.host, user.port("imap"), ssl_context=shown_to(user))
    first = {"PLAIN": f"\0{user.login}\0{user.password}", "EXTERNAL": user.login,
             "OAUTHBEARER": f"n,a={user.login},\1auth=Bearer {user.token}\1\1",
             "XOAUTH2": f"user={user.login}\1auth=Bearer {user.token}\1\1"}
    answers = iter([user.login, user.password] if mechanism == "LOGIN" else [first.get(mechanism)])
    if mechanism == "own":
        client.login(user.login, user.password)
    elif mechanism == "CRAM-MD5":
        client.login_cram_md5(user.login, user.password)
    else:
        # What comes after is a refusal's reason, to which any answer does (RFC 7628 section 3.2.3).
        client.authenticate(mechanism, lambda _: next(answers, "\1").encode())
    client.logout()


def by_poplib(user, mechanism):
    client = poplib.POP3_SSL(user.server.host, user.port("pop3"), context=shown_to(user))
    if mechanism == "APOP":
        client.apop(user.login, user.password)
    else:
        client.user(user.login)
        client.pass_(user.password)
    client.quit()
