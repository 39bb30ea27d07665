#!/usr/bin/env python3
"""Our IMAP client against Dovecot: every command, by mailcore-imap's example
`try_client`. Needs `dovecot` (2.3) and root, whose mail processes run as nobody.

usage: imap_client.py [--client target/debug/examples/try_client]
"""

import argparse
import pathlib
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import time

from server import free_port

CONFIG = """
base_dir = {folder}/run
log_path = {folder}/log
instance_name = {name}
protocols = imap
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
mail_location = {format}:~/mail
first_valid_uid = 1
first_valid_gid = 1
passdb {{
  driver = static
  args = password=pass
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={folder}/home/%u
}}
namespace inbox {{
  inbox = yes
  separator = {separator}
}}
service imap-login {{
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
"""


def wait_for(port):
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.1)
    sys.exit("Dovecot does not start")


def play(client, form, separator):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="imap-client-"))
    nobody = pwd.getpwnam("nobody")
    folder.chmod(0o755)
    (folder / "home").mkdir()
    shutil.chown(folder / "home", nobody.pw_uid, nobody.pw_gid)
    port = free_port()
    config = folder / "dovecot.conf"
    config.write_text(CONFIG.format(folder=folder, name=folder.name, uid=nobody.pw_uid, port=port,
                                    gid=nobody.pw_gid, format=form, separator=separator))
    dovecot = subprocess.Popen(["dovecot", "-F", "-c", config], stdin=subprocess.DEVNULL)
    try:
        wait_for(port)
        run = subprocess.run([client, str(port), "ann", "pass"], text=True, timeout=120,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        ok = run.returncode == 0 and run.stdout.rstrip().endswith("ok")
        print(f"{form}, levels by {separator}: {'ok' if ok else 'FAILED'}")
        if not ok:
            print(run.stdout)
        return ok
    finally:
        dovecot.terminate()
        dovecot.wait(20)
        shutil.rmtree(folder, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--client", default="target/debug/examples/try_client")
    client = parser.parse_args().client
    if shutil.which("dovecot") is None:
        sys.exit("dovecot is not installed")
    done = [play(client, form, separator) for form, separator in (("maildir", "."), ("sdbox", "/"))]
    sys.exit(0 if all(done) else 1)


if __name__ == "__main__":
    main()
