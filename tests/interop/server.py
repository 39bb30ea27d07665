"""Runs the mailserver binary for a test, on free ports of the loopback range."""

import atexit
import itertools
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time

PASSWORD = "correct horse"

CONFIG = """
[server]
hostname = "{hostname}"
data = "{data}"

[queue]
retry = {retry}
expire = "{expire}"
delay_notice = "never"

[dns]
servers = ["{dns}"]
"""

LISTENERS = [
    # name, protocol, tls
    ("smtp", "smtp", "starttls"),
    ("submission", "submission", "starttls"),
    ("submissions", "submission", "implicit"),
    ("imap", "imap", "starttls"),
    ("imaps", "imap", "implicit"),
    ("pop3", "pop3", "starttls"),
    ("pop3s", "pop3", "implicit"),
    ("managesieve", "managesieve", "starttls"),
]


# Below the range the kernel draws the ports of outgoing connections from, so that none of
# those, and no port of another test, takes one between the look at it and its listener.
PORTS = range(12000, 32000)
next_ports = itertools.cycle(PORTS)
for _ in range(random.randrange(len(PORTS))):
    next(next_ports)


def free_port(host="127.0.0.1"):
    """A port nobody listens on; no port is given twice."""
    for port in itertools.islice(next_ports, len(PORTS)):
        with socket.socket() as stream, socket.socket(type=socket.SOCK_DGRAM) as datagrams:
            try:
                stream.bind((host, port))
                datagrams.bind((host, port))
                return port
            except OSError:
                continue
    raise AssertionError(f"no port of {PORTS} is free")


class Server:
    """One server with one domain, its users' password being PASSWORD."""

    def __init__(self, binary, domain, users, host="127.0.0.1", smtp_port=None, dns="127.0.0.1:53",
                 retry='["30m", "1h", "2h", "3h", "4h"]', expire="168h", data="data", extra="",
                 smtp_keys="", dns_keys="", listener_keys=""):
        self.binary = str(pathlib.Path(binary).resolve())
        self.domain, self.host = domain, host
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="mailserver-"))
        atexit.register(shutil.rmtree, self.folder, ignore_errors=True)
        self.ports = {name: free_port(host) for name, _, _ in LISTENERS}
        if smtp_port:
            self.ports["smtp"] = smtp_port
        text = CONFIG.format(hostname=f"mx.{domain}", retry=retry, expire=expire, dns=dns,
                             data=data) + dns_keys
        for name, protocol, tls in LISTENERS:
            address = f"{host}:{self.ports[name]}"
            text += f'\n[[listener]]\nprotocol = "{protocol}"\naddress = "{address}"\ntls = "{tls}"\n'
            text += listener_keys
            if name == "smtp":
                text += smtp_keys
        text += extra
        self.config = self.folder / "mailserver.toml"
        self.config.write_text(text)
        self.process = None
        self.command("check-config")
        self.command("init", "--domain", domain, "--admin", f"postmaster@{domain}", "--password-stdin",
                     stdin=PASSWORD)
        for user in users:
            self.command("account", "add", f"{user}@{domain}", "--password-stdin", stdin=PASSWORD)

    def command(self, *words, stdin=""):
        done = subprocess.run([self.binary, *words, "--config", str(self.config)], input=stdin, text=True,
                              capture_output=True, timeout=600, cwd=self.folder)
        if done.returncode:
            raise AssertionError(f"mailserver {' '.join(words)}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def launch(self):
        """Starts the process and does not wait for it to be ready."""
        with open(self.folder / "log", "ab") as log:
            self.begins = log.tell()
            self.process = subprocess.Popen([self.binary, "serve", "--config", str(self.config)], stdout=log,
                                            stderr=log, cwd=self.folder)

    def start(self):
        self.launch()
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise AssertionError(f"the server ended:\n{self.log()}")
            try:
                for port in self.ports.values():
                    socket.create_connection((self.host, port), 1).close()
                # Commands are taken from here on.
                if b"\nready;" in (self.folder / "log").read_bytes()[self.begins:]:
                    return self
            except OSError:
                pass
            time.sleep(0.01)
        raise AssertionError(f"the server does not listen:\n{self.log()}")

    def log(self):
        return (self.folder / "log").read_text(errors="replace")

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(60) == 0, "SIGTERM must end the server with 0"

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, *_):
        if self.process and self.process.poll() is None:
            self.stop()
        if kind:
            print(f"--- log of {self.domain}\n{self.log()}")

    @property
    def pid(self):
        return self.process.pid


def need(tool):
    """True when a tool is there; in the gate its lack is a failure."""
    if shutil.which(tool):
        return True
    if os.environ.get("MAILCORE_REQUIRE_TOOLS"):
        raise AssertionError(f"{tool} is not installed")
    print(f"   {tool} is not installed: skipped")
    return False
