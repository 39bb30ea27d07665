"""Mail that goes in by SMTP: to mailboxes, which it must reach once, and through
the queue to hosts that fail at random, under an operator's commands."""

import collections
import random
import re
import smtplib
import subprocess
import time

from client import GONE, PASSWORD, TLS, Imap, Refused, is_whole, name_in, octets, quoted, uid_set
from sink import repeats

SMTP_GONE = (*GONE, smtplib.SMTPException)


class Locals:
    """Messages to accounts of the server. Everyone whose message got 250 finds
    it once in each recipient's account, in INBOX or where a client moved it."""

    def __init__(self, users):
        self.users = users
        self.told = {user: set() for user in users}
        self.moved = {user: set() for user in users}
        self.cache = {user: {} for user in users}
        self.counter = 0

    def send(self, server, who, pause):
        chance = random.Random()
        try:
            with smtplib.SMTP(server.host, server.ports["smtp"], timeout=60) as smtp:
                while True:
                    self.counter += 1
                    name = f"s{who}-{self.counter}"
                    to = chance.sample(self.users, chance.choice([1, 1, 1, 2, len(self.users)]))
                    refused = smtp.sendmail("x@else.test", [f"{user}@{server.domain}" for user in to], octets(name))
                    for user in to:
                        if f"{user}@{server.domain}" not in refused:
                            self.told[user].add(name)
                    time.sleep(chance.uniform(0, pause))
        except SMTP_GONE:
            pass

    def move(self, server):
        """A client that sorts one account while mail arrives there."""
        user = self.users[0]
        try:
            with Imap(server, user) as imap:
                if "Sorted" not in imap.names():
                    imap.do(b'CREATE "Sorted"')
                while True:
                    imap.do(b"SELECT INBOX")
                    uids = imap.uids()[:20]
                    if not uids:
                        time.sleep(0.02)
                        continue
                    names = [name_in(header) for _, _, header in
                             imap.fetch(uid_set(uids), b"BODY.PEEK[HEADER.FIELDS (SUBJECT)]")]
                    imap.do(b'UID MOVE ' + uid_set(uids) + b' "Sorted"')
                    self.moved[user].update(names)
        except (*GONE, Refused):
            pass

    def verify(self, server, everything=False):
        problems = []
        for user in self.users:
            if everything:
                self.cache[user] = {}
            cache, found, inbox = self.cache[user], collections.Counter(), set()
            with Imap(server, user) as imap:
                for box in imap.names():
                    validity = imap.status(box)["UIDVALIDITY"]
                    imap.do(b"EXAMINE " + quoted(box))
                    uids = imap.uids()
                    unread = [uid for uid in uids if (box, validity, uid) not in cache]
                    for uid, _, body in imap.fetch(uid_set(unread), b"BODY.PEEK[]") if unread else ():
                        name = name_in(body)
                        cache[(box, validity, uid)] = name
                        if not is_whole(body, name):
                            problems.append(f"{user}: {name} has other octets than were sent")
                    names = [cache.get((box, validity, uid)) for uid in uids]
                    found.update(names)
                    if box == "INBOX":
                        inbox.update(names)
            told = self.told[user]
            problems += [f"{user}: {name} is lost" for name in told if not found[name]]
            problems += [f"{user}: {name} is there {count} times" for name, count in found.items() if count > 1]
            problems += [f"{user}: the move of {name} is undone" for name in self.moved[user] & inbox]
        return problems


class Relayed:
    """Messages through the queue. In the end every recipient's message was taken
    by its sink, or returned to the sender once, or deleted by the operator."""

    def __init__(self, sinks):
        self.sinks = sinks  # by domain
        self.told, self.deleted, self.perhaps_deleted = set(), set(), set()
        self.held = {}  # entry: (its addresses, since when, in which life)
        self.not_before, self.hurried = {}, set()  # addresses: when the sender lets them go
        self.returned, self.cache, self.commands = collections.Counter(), set(), collections.Counter()
        self.counter, self.problems = 0, []

    def send(self, server, who, pause):
        chance = random.Random()
        try:
            with smtplib.SMTP_SSL(server.host, server.ports["submissions"], timeout=60, context=TLS) as smtp:
                smtp.login(f"sender@{server.domain}", PASSWORD)
                while True:
                    self.counter += 1
                    name = f"f{who}-{self.counter}"
                    kinds = chance.choice([[""], [""], ["", "-b"], ["-dead"], ["", "-dead"]])
                    to = [f"{name}{kind}@{chance.choice(list(self.sinks))}" for kind in kinds]
                    options, wait = self.options(smtp, chance)
                    self.not_before.update(dict.fromkeys(to, time.monotonic() + wait))
                    refused = smtp.sendmail(f"sender@{server.domain}", to, octets(name), options)
                    self.told.update(set(to) - set(refused))
                    time.sleep(chance.uniform(0, pause))
        except smtplib.SMTPResponseException as error:
            if error.smtp_code >= 500:
                self.problems.append(f"submission refused: {error}")
        except SMTP_GONE:
            pass

    def options(self, smtp, chance):
        """Parameters of MAIL, where the server has them, and the seconds that it
        keeps the message for (RFC 4865)."""
        options, wait = [], 0
        if smtp.has_extn("mt-priority") and chance.random() < 0.3:
            options.append(f"MT-PRIORITY={chance.randint(-4, 4)}")
            self.commands["with a priority"] += 1
        if smtp.has_extn("futurerelease") and chance.random() < 0.2:
            wait = chance.randint(1, 4)
            options.append(f"HOLDFOR={wait}")
            self.commands["with a release time"] += 1
        return options, wait

    def taken(self, address):
        """Its copies, in order."""
        return sorted(self.sinks[address.rpartition("@")[2]].taken.get(address, ()))

    def listed(self, server):
        """Entry, true when it is held, addresses."""
        rows = [re.match(r"([0-9a-f]{32})  (.*?)  .*  (\S+)$", row) for row in server.command("queue", "list").splitlines()]
        return [(row[1], row[2].strip() == "on hold", set(row[3].split(","))) for row in rows if row]

    def operate(self, server):
        """An operator at work."""
        chance = random.Random()
        while server.process.poll() is None:
            try:
                entries = self.listed(server)
                if not entries:
                    time.sleep(0.05)
                    continue
                entry, _, to = chance.choice(entries)
                verb = chance.choice(["hold", "hold", "release", "release", "retry", "retry", "delete", "bounce"])
                if verb in ("delete", "bounce", "release"):
                    self.held.pop(entry, None)
                if verb == "delete":
                    self.perhaps_deleted |= to
                if verb in ("release", "retry"):
                    self.hurried |= to
                server.command("queue", verb, entry)
                self.commands[verb] += 1
                if verb == "hold":
                    self.held[entry] = (to, time.monotonic(), self.life())
                elif verb == "delete":
                    # Some of them may have been taken before; no one is from now on.
                    self.deleted |= to
                    self.held["deleted " + entry] = (to, time.monotonic(), self.life())
            except (AssertionError, subprocess.SubprocessError):
                pass

    def life(self):
        return next(iter(self.sinks.values())).life

    def look(self, server):
        """Reads what came back to the sender."""
        with Imap(server, "sender") as imap:
            imap.do(b"EXAMINE INBOX")
            unread = [uid for uid in imap.uids() if uid not in self.cache]
            for uid, _, body in imap.fetch(uid_set(unread), b"BODY.PEEK[]") if unread else ():
                self.cache.add(uid)
                self.returned.update(re.findall(r"Final-Recipient: *rfc822; *(\S+)", body.decode(errors="replace")))

    def verify(self, server):
        problems, self.problems = self.problems, []
        entries = {entry: (held, to) for entry, held, to in self.listed(server)}
        waiting = set().union(*(to for _, to in entries.values()))
        self.look(server)
        for entry, (to, since, life) in self.held.items():
            if entry.startswith("deleted "):
                problems += [f"{entry}: is back" for _ in range(entry[8:] in entries)]
            elif entry not in entries:
                problems.append(f"held {entry} is gone")
            elif not entries[entry][0]:
                problems.append(f"held {entry} is no longer held")
            problems += [f"{entry}: sent all the same to {address}" for address in to
                         if any(copy.at > since and copy.life >= life for copy in self.taken(address))]
        for address in self.told - waiting - self.perhaps_deleted:
            if not any(copy.told for copy in self.taken(address)) and not self.returned[address]:
                problems.append(f"{address}: neither waiting nor taken nor returned")
        for address in [address for sink in self.sinks.values() for address in list(sink.taken)]:
            copies = self.taken(address)
            problems += [f"{address}: sent again {why}" for why in repeats(copies) if why == "for no reason"]
            problems += [f"{address}: sent with other octets" for copy in copies if not copy.whole]
            early = self.not_before.get(address, 0) - 1
            if address not in self.hurried and copies and copies[0].at < early:
                problems.append(f"{address}: sent {early - copies[0].at:.1f} s before its time")
        problems += [f"{address}: returned {count} times" for address, count in self.returned.items() if count > 1]
        return problems

    def repeats(self):
        """Copies sent again, by cause."""
        addresses = [address for sink in self.sinks.values() for address in sink.taken]
        return collections.Counter(why for address in addresses for why in repeats(self.taken(address)))

    def drain(self, server, patience=240):
        """Lets everything go; what is left over is a problem."""
        for sink in self.sinks.values():
            sink.change("calm")
        self.hurried |= self.told
        self.held = {entry: it for entry, it in self.held.items() if entry.startswith("deleted ")}
        deadline = time.monotonic() + patience
        while entries := self.listed(server):
            if time.monotonic() > deadline:
                return [f"{len(entries)} entries do not leave the queue"]
            server.command("queue", "release", "--all")
            server.command("queue", "retry", "--all")
            time.sleep(0.2)
        problems = self.verify(server)
        for address in self.told - self.perhaps_deleted:
            ways = any(copy.told for copy in self.taken(address)) + bool(self.returned[address])
            if ways != 1 and not (self.commands["bounce"] and ways == 2):
                problems.append(f"{address}: ended {ways} ways")
        return problems
