#!/usr/bin/env python3
"""The power fails under load: what was acknowledged is on the disk, once.

    python3 tests/crash/power_cut.py --binary target/release/mailserver --rounds 20 [--mount data=writeback]

Needs root: the data lie in an ext4 image on a loop device. Each round the clients
of kill_nine.py are at work, until the file system is shut down without flushing
its journal (EXT4_IOC_SHUTDOWN, EXT4_GOING_FLAGS_NOLOGFLUSH): from that moment
nothing more reaches the device. The server is killed, at once or after it has
worked on a dead disk for a while, the file system is unmounted, repaired as at
boot (e2fsck -p), mounted, and the server is started and compared with what each
client was told.

What it shows: everything that was not synced is lost, as when the machine loses
power: octets in the page cache, names and lengths in the journal's memory. What
was acknowledged without the right syncs, of files and of directories, is missed.
A sync that failed is never taken for one that succeeded.

What it does not show: what the file system had handed to the device is kept, in
order and whole, since the loop device writes to the page cache of the host. A
disk that lies about its cache, or tears a sector, is beyond it; torn and
reordered writes are the matter of the crash tests of mailcore-store."""

import argparse
import fcntl
import os
import pathlib
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import time

from world import Report, World

# linux/fs/ext4/ext4.h: _IOR('X', 125, __u32); 2 = the journal is not flushed.
EXT4_IOC_SHUTDOWN, NO_LOG_FLUSH = 0x8004587D, 2


def run(*words, good=(0,)):
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode not in good:
        raise AssertionError(f"{' '.join(words)}: {done.returncode} {done.stdout}{done.stderr}")


class Disk:
    def __init__(self, size, options):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="power-cut-"))
        self.image, self.point = self.folder / "image", self.folder / "disk"
        self.options = ",".join(["loop", *options])
        self.point.mkdir()
        with open(self.image, "wb") as image:
            image.truncate(size)
        run("mkfs.ext4", "-q", str(self.image))
        self.mount()

    def mount(self):
        run("mount", "-o", self.options, str(self.image), str(self.point))

    def cut(self):
        root = os.open(self.point, os.O_RDONLY)
        try:
            fcntl.ioctl(root, EXT4_IOC_SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
        finally:
            os.close(root)

    def again(self):
        """As after a boot. 1: e2fsck repaired something, as it may."""
        run("umount", str(self.point))
        run("e2fsck", "-p", str(self.image), good=(0, 1))
        self.mount()

    def end(self):
        run("umount", str(self.point))
        shutil.rmtree(self.folder)


def once(world, disk, number):
    threads = world.load()
    time.sleep(random.uniform(0.05, 2.5))
    disk.cut()
    if number % 2:
        time.sleep(random.uniform(0, 0.5))
    world.server.kill()
    for thread in threads:
        thread.join()
    disk.again()
    problems = world.check() if number % 3 else []
    ready = world.start()
    if not problems:
        problems += world.check()
    return problems + world.verify(refusals=True), ready


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--binary", default="target/release/mailserver")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--mount", nargs="*", default=[], help="such as data=writeback commit=1")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    arguments = parser.parse_args()
    if os.geteuid():
        sys.exit("mounting needs root")
    random.seed(arguments.seed)
    print(f"seed {arguments.seed}, mounted with {arguments.mount or 'the defaults'}")
    disk, report = Disk(2 << 30, arguments.mount), Report()
    world = World(arguments.binary, arguments.seed, data=str(disk.point / "data"))
    world.start()
    for number in range(arguments.rounds):
        report.round(*once(world, disk, number))
    report.world(world, world.finish())
    failed = report.end()
    if failed:
        print(f"kept: {world.server.folder} and {disk.folder}, mounted")
    else:
        disk.end()
        shutil.rmtree(world.server.folder)
    sys.exit(failed)


if __name__ == "__main__":
    main()
