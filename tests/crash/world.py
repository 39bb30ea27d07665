"""A server, everyone who works with it, and what they were told."""

import itertools
import subprocess
import threading
import time

from actor import Actor

from mail import Locals, Relayed
from server import Server
from sink import Sink

ACTORS = ["ann", "bea", "cat"]
LOCALS = ["tom", "udo", "vic"]
DOMAINS = ["far.test", "near.test", "poor.test"]
LIVES = itertools.count(1)


class World:
    def __init__(self, binary, seed, pause=0.03, **options):
        self.seed, self.pause = seed, pause
        self.sinks = {domain: Sink() for domain in DOMAINS}
        self.server = Server(binary, "a.test", ACTORS + LOCALS + ["sender"], retry='["1s"]', **options)
        for domain, sink in self.sinks.items():
            self.server.command("domain", "add", domain, "--relay", f"127.0.0.1:{sink.port}")
        self.actors = [Actor(user, f"{seed}-{user}") for user in ACTORS]
        self.locals, self.relayed = Locals(LOCALS), Relayed(self.sinks)

    def begin_life(self):
        """Another life of the server, among hosts of other moods."""
        life = next(LIVES)
        for sink in self.sinks.values():
            sink.life = life
            if sink.mood != "calm":
                sink.change()

    def start(self):
        """Seconds until every listener answers."""
        self.begin_life()
        begun = time.monotonic()
        self.server.start()
        return time.monotonic() - begun

    def launch(self):
        """Starts the server without waiting for it."""
        self.begin_life()
        self.server.launch()

    def load(self):
        """Starts everyone; they end when the server does."""
        jobs = [(actor.work, self.server) for actor in self.actors]
        jobs += [(self.locals.send, self.server, who, self.pause) for who in range(3)]
        jobs += [(self.locals.move, self.server), (self.relayed.operate, self.server)]
        jobs += [(self.relayed.send, self.server, who, self.pause * 3) for who in range(2)]
        threads = [threading.Thread(target=job[0], args=job[1:], daemon=True) for job in jobs]
        for thread in threads:
            thread.start()
        return threads

    def check(self):
        """`mailserver check`, running or not."""
        try:
            self.server.command("check")
            return []
        except (AssertionError, subprocess.TimeoutExpired) as error:
            return [f"check: {error}"]

    def verify(self, everything=False, refusals=False):
        """`refusals`: whether the server may have said NO."""
        problems = []
        for actor in self.actors:
            problems += actor.verify(self.server, everything, refusals)
        problems += self.locals.verify(self.server, everything)
        return problems + self.relayed.verify(self.server)

    def finish(self):
        """Lets the queue run empty, stops in order, and compares once more in full."""
        problems = self.relayed.drain(self.server)
        self.server.stop()
        problems += self.check()
        self.start()
        problems += self.verify(everything=True)
        self.server.stop()
        return problems

    def counts(self):
        done = {}
        for actor in self.actors:
            for verb, count in actor.done.items():
                done[verb] = done.get(verb, 0) + count
        done["delivered"] = sum(map(len, self.locals.told.values()))
        done["sorted"] = sum(map(len, self.locals.moved.values()))
        done["relayed"] = len(self.relayed.told)
        done.update({f"queue {verb}": count for verb, count in self.relayed.commands.items()})
        for why, count in self.relayed.repeats().items():
            done[f"sent again: {why}"] = count
        for sink in self.sinks.values():
            for way, count in sink.faults.items():
                done[f"sink: {way}"] = done.get(f"sink: {way}", 0) + count
            for mood, count in sink.moods.items():
                done[f"sink {mood}, rounds"] = done.get(f"sink {mood}, rounds", 0) + count
        return done


class Report:
    """Rounds, times and problems."""

    def __init__(self):
        self.rounds, self.failed, self.ready, self.totals = 0, 0, [], {}

    def round(self, problems, ready, note=""):
        self.rounds += 1
        self.failed += bool(problems)
        self.ready.append(ready)
        print(f"round {self.rounds}: ready in {ready:.2f} s, {len(problems)} problems{note}", flush=True)
        self.name(problems)

    def name(self, problems):
        for problem in problems[:20]:
            print(f"   {problem}", flush=True)

    def world(self, world, problems):
        self.failed += bool(problems)
        self.name(problems)
        for what, count in world.counts().items():
            self.totals[what] = self.totals.get(what, 0) + count

    def end(self):
        for what, count in sorted(self.totals.items()):
            print(f"   {what}: {count:,}")
        times = sorted(self.ready)
        print(f"   ready: median {times[len(times) // 2]:.2f} s, longest {times[-1]:.2f} s")
        print(f"{self.rounds} rounds, {self.failed} with problems")
        return bool(self.failed)
