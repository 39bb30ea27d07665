"""The next host: it fails now and then, and for whole rounds, in every way that a
host can, and remembers what it took."""

import collections
import random
import re
import socketserver
import threading
import time

from client import is_whole, name_in

# The chances of each way to fail, by mood.
MOODS = {
    "calm": {},
    "usual": {"421 at once": 0.05, "recipient refused": 0.15, "cut mid-DATA": 0.05, "451 after the dot": 0.1,
              "cut after the dot": 0.05, "slow": 0.1},
    "rough": {"421 at once": 0.2, "recipient refused": 0.3, "cut mid-DATA": 0.2, "451 after the dot": 0.2,
              "cut after the dot": 0.2, "slow": 0.3},
    "busy": {"421 at once": 1.0},
    "gone": {"hangs up": 1.0},
    "full": {"recipient refused": 1.0},
}
WEIGHTS = {"usual": 6, "rough": 3, "busy": 1, "gone": 1, "full": 1}

# A copy that was taken: when, in which life of the server, with the right octets,
# and whether the reply to it was sent.
Taken = collections.namedtuple("Taken", "at life whole told")


class Sink:
    """Addresses with `-dead` it never takes, others by its mood."""

    def __init__(self):
        self.mood, self.life = "usual", 0
        self.taken = collections.defaultdict(list)
        self.faults, self.moods = collections.Counter(), collections.Counter()
        sink = self

        class Session(socketserver.StreamRequestHandler):
            timeout = 60

            def handle(self):
                try:
                    sink.talk(self.rfile, self.wfile)
                except OSError:
                    pass

        class Threads(socketserver.ThreadingTCPServer):
            daemon_threads, allow_reuse_address, request_queue_size = True, True, 200

            def handle_error(self, *_):
                pass

        self.listener = Threads(("127.0.0.1", 0), Session)
        self.port = self.listener.server_address[1]
        threading.Thread(target=self.listener.serve_forever, daemon=True).start()

    def change(self, mood=None):
        """Another mood: the one given, or one by chance."""
        self.mood = mood or random.choices(list(WEIGHTS), WEIGHTS.values())[0]
        self.moods[self.mood] += 1

    def fails(self, way):
        """Whether it fails so now."""
        if random.random() >= MOODS[self.mood].get(way, 0):
            return False
        self.faults[way] += 1
        return True

    def talk(self, rfile, wfile):
        life, to = self.life, []
        if self.fails("hangs up"):
            return
        if self.fails("421 at once"):
            wfile.write(b"421 4.3.2 too busy\r\n")
            return
        wfile.write(b"220 sink.test\r\n")
        for line in rfile:
            verb = line[:4].upper()
            if verb == b"MAIL":
                to = []
            if verb == b"QUIT":
                return
            if verb == b"RCPT" and b"-dead" in line:
                wfile.write(b"550 5.1.1 no such user\r\n")
            elif verb == b"RCPT" and self.fails("recipient refused"):
                wfile.write(b"451 4.2.0 not now\r\n")
            elif verb == b"RCPT":
                to.append(re.search(rb"<(.*)>", line)[1].decode())
                wfile.write(b"250 ok\r\n")
            elif verb == b"DATA" and not to:
                wfile.write(b"554 5.5.1 no recipient\r\n")
            elif verb == b"DATA":
                wfile.write(b"354 go on\r\n")
                if not self.content(rfile, wfile, life, to):
                    return
                to = []
            else:
                wfile.write(b"250 ok\r\n")

    def content(self, rfile, wfile, life, to):
        """Reads a message; false when the connection ends."""
        body, cut = [], self.fails("cut mid-DATA")
        for line in rfile:
            if line == b".\r\n":
                break
            body.append(line)
            if cut and random.random() < 0.5:
                return False
        else:
            return False
        if cut:
            return False
        if self.fails("451 after the dot"):
            wfile.write(b"451 4.3.0 not now\r\n")
            return True
        # From here on the sender can't take it back, whenever it is told.
        at, message = time.monotonic(), b"".join(body)
        lost = self.fails("cut after the dot")
        if self.fails("slow"):
            time.sleep(random.uniform(0, 0.3))
        told = False
        try:
            if not lost:
                wfile.write(b"250 2.0.0 taken\r\n")
                told = True
        finally:
            whole = is_whole(message, name_in(message))
            for address in to:
                self.taken[address].append(Taken(at, life, whole, told))
        return told


def repeats(taken):
    """Why a message was sent again, once for each copy after the first."""
    for earlier, later in zip(taken, taken[1:]):
        if not earlier.told:
            yield "its reply was lost"
        elif later.life != earlier.life:
            yield "a kill came between reply and record"
        else:
            yield "for no reason"
