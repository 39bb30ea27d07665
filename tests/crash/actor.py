"""One account whose only client is told what it holds, and compares.

An actor has at most one command under way. After a crash the account must be in
the state before that command or in the state after it: nothing acknowledged is
lost, nothing is half done, nothing comes back."""

import random
import re

from client import GONE, Imap, Refused, flags_in, is_whole, name_in, octets, quoted, uid_set, uids_in

FLAGS = ["\\Seen", "\\Flagged", "\\Answered", "\\Draft", "$Forwarded", "work", "later"]
# Messages that are kept in one mailbox, and mailboxes, about.
ENOUGH, BOXES = 40, 8


class Box:
    """A mailbox as the client knows it. `fresh` are messages whose UIDs it was
    not told: they lie at or above `uidnext`, in this order."""

    def __init__(self):
        self.validity, self.uidnext, self.modseq = None, 1, 0
        self.messages, self.fresh = {}, []

    def copy(self):
        other = Box()
        other.__dict__.update(self.__dict__, messages=dict(self.messages), fresh=list(self.fresh))
        return other

    def differs(self, real):
        """In what the real mailbox is not this one."""
        old = {uid: message for uid, message in real.messages.items() if uid < self.uidnext}
        new = [message for uid, message in sorted(real.messages.items()) if uid >= self.uidnext]
        if self.validity and real.validity != self.validity:
            return f"UIDVALIDITY was {self.validity}, is {real.validity}"
        if old != self.messages:
            wrong = sorted(old.items() ^ self.messages.items(), key=str)[:4]
            return f"{len(old)} messages for {len(self.messages)}: {wrong}"
        if new != self.fresh:
            return f"new ones are {new[:3]}, should be {self.fresh[:3]}"
        if real.modseq < self.modseq or real.uidnext < self.uidnext:
            return f"HIGHESTMODSEQ {self.modseq}, UIDNEXT {self.uidnext} became {real.modseq}, {real.uidnext}"
        return None


class State:
    def __init__(self):
        self.boxes, self.subscribed = {"INBOX": Box()}, set()

    def copy(self):
        other = State()
        other.boxes = {name: box.copy() for name, box in self.boxes.items()}
        other.subscribed = set(self.subscribed)
        return other

    def differs(self, real):
        if set(self.boxes) != set(real.boxes):
            return [f"mailboxes differ: {sorted(set(self.boxes) ^ set(real.boxes))}"]
        if self.subscribed != real.subscribed:
            return [f"subscriptions differ: {sorted(self.subscribed ^ real.subscribed)}"]
        found = [(name, box.differs(real.boxes[name])) for name, box in self.boxes.items()]
        return [f"{name}: {problem}" for name, problem in found if problem]


class Actor:
    """Does what comes to its mind until the server dies."""

    def __init__(self, user, seed):
        self.user, self.chance = user, random.Random(seed)
        self.state, self.maybe, self.what = State(), None, "nothing"
        # (mailbox, UIDVALIDITY, UID) and the message it named: for good.
        self.named, self.modseqs, self.whole = {}, {}, set()
        self.done, self.number = {}, 0
        # Answers that must not be, and refusals: a server whose disk is gone refuses.
        self.wrong, self.refused = [], []

    def work(self, server):
        steps = [self.append] * 5 + [self.store] * 4 + [self.copy] * 2 + [self.move] * 2 + [self.expunge] * 3
        steps += [self.create, self.rename, self.delete, self.subscribe, self.unsubscribe, self.rename_inbox]
        try:
            with Imap(server, self.user) as self.imap:
                self.selected = None
                caps = b" ".join(b"".join(it) for it in self.imap.do(b"CAPABILITY")[0])
                self.multi = 4 if b"MULTIAPPEND" in caps else 1
                while True:
                    self.chance.choice(steps)()
        except GONE:
            pass
        except Refused as error:
            self.refused.append(str(error))
        except AssertionError as error:
            self.wrong.append(f"{error} (at {self.what})")

    def ask(self, command, after, *literals):
        """Sends what turns the state into `after`; noted when it was answered."""
        kind = re.match(rb"(UID )?[A-Z]+", command)[0].decode()
        self.maybe, self.what = after, command[:100]
        untagged, text = self.imap.do(command, *literals)
        self.state, self.maybe = after, None
        self.done[kind] = self.done.get(kind, 0) + 1
        return untagged, text

    def box(self, full=False):
        names = [name for name, box in self.state.boxes.items() if box.messages or not full]
        return self.chance.choice(names) if names else None

    def some(self):
        """A mailbox, selected, and UIDs in it; nothing when all are empty."""
        name = self.box(full=True)
        if name is None:
            return None, []
        if self.selected != name:
            self.imap.do(b"SELECT " + quoted(name) + b" (CONDSTORE)")
            self.selected = name
        uids = sorted(self.state.boxes[name].messages)
        return name, sorted(self.chance.sample(uids, min(len(uids), self.chance.choice([1, 1, 2, 5, 40]))))

    def settle(self, name, uids):
        """The messages without UIDs have these now."""
        box = self.state.boxes[name]
        assert len(uids) == len(box.fresh), f"{len(uids)} UIDs for {len(box.fresh)} messages"
        for uid, message in zip(uids, box.fresh):
            assert uid >= box.uidnext, f"UID {uid} was given before"
            box.messages[uid], box.uidnext = message, uid + 1
        box.fresh = []

    def adopt(self, name):
        """Learns the UIDs of messages that came without being told."""
        real = self.look(self.imap, name, [])
        self.selected = None
        box = self.state.boxes[name]
        assert not (problem := box.differs(real)), problem
        self.state.boxes[name] = real

    def append(self):
        name = self.box()
        if len(self.state.boxes[name].messages) > ENOUGH:
            return self.expunge()
        after, batch = self.state.copy(), []
        for _ in range(self.chance.randint(1, self.multi)):
            self.number += 1
            flags = frozenset(self.chance.sample(FLAGS, self.chance.choice([0, 0, 1, 3])))
            batch.append((f"{self.user}-{self.number}", flags))
        after.boxes[name].fresh = list(batch)
        items = b" ".join(b"(%s) %%L" % " ".join(flags).encode() for _, flags in batch)
        _, text = self.ask(b"APPEND " + quoted(name) + b" " + items, after, *(octets(it) for it, _ in batch))
        self.settle(name, uids_in(re.search(rb"APPENDUID \d+ ([\d:,]+)", text)[1]))

    def store(self):
        name, uids = self.some()
        if not uids:
            return
        given, sign = set(self.chance.sample(FLAGS, self.chance.randint(1, 3))), self.chance.choice(["+", "-", ""])
        after = self.state.copy()
        for uid in uids:
            message, flags = after.boxes[name].messages[uid]
            flags = {"+": flags | given, "-": flags - given, "": given}[sign]
            after.boxes[name].messages[uid] = (message, frozenset(flags))
        untagged, _ = self.ask(b"UID STORE " + uid_set(uids) + f" {sign}FLAGS ({' '.join(given)})".encode(), after)
        told = re.findall(rb"MODSEQ \((\d+)\)", b" ".join(parts[0] for parts in untagged))
        box = self.state.boxes[name]
        box.modseq = max([box.modseq, *map(int, told)])

    def transfer(self, verb):
        name, uids = self.some()
        to = self.box()
        if not uids or to == name or len(self.state.boxes[to].messages) > ENOUGH:
            return
        after = self.state.copy()
        here, there = after.boxes[name], after.boxes[to]
        there.fresh = [here.messages[uid] for uid in uids]
        if verb == b"MOVE":
            for uid in uids:
                del here.messages[uid]
        untagged, text = self.ask(b"UID " + verb + b" " + uid_set(uids) + b" " + quoted(to), after)
        told = b" ".join([parts[0] for parts in untagged] + [text])
        pairs = re.search(rb"COPYUID \d+ ([\d:,]+) ([\d:,]+)", told)
        assert uids_in(pairs[1]) == uids, f"COPYUID names other messages: {pairs[0]}"
        self.settle(to, uids_in(pairs[2]))

    def copy(self):
        self.transfer(b"COPY")

    def move(self):
        self.transfer(b"MOVE")

    def expunge(self):
        name, uids = self.some()
        if not uids:
            return
        after = self.state.copy()
        box = after.boxes[name]
        for uid in uids:
            message, flags = box.messages[uid]
            box.messages[uid] = (message, flags | {"\\Deleted"})
        self.ask(b"UID STORE " + uid_set(uids) + b" +FLAGS.SILENT (\\Deleted)", after)
        after = self.state.copy()
        box = after.boxes[name]
        everything = self.chance.random() < 0.5
        for uid in [uid for uid, (_, flags) in box.messages.items() if "\\Deleted" in flags]:
            if everything or uid in uids:
                del box.messages[uid]
        self.ask(b"EXPUNGE" if everything else b"UID EXPUNGE " + uid_set(uids), after)

    def create(self):
        if len(self.state.boxes) >= BOXES:
            return self.delete()
        above = self.box()
        free = self.chance.choice(["a", "b", "c", "d"])
        name = free if above == "INBOX" or above.count("/") > 1 else f"{above}/{free}"
        if name in self.state.boxes:
            return
        after = self.state.copy()
        after.boxes[name] = Box()
        self.ask(b"CREATE " + quoted(name), after)
        self.adopt(name)

    def rename(self):
        name = self.box()
        if name == "INBOX":
            return
        self.number += 1
        to = f"r{self.number}"
        after = self.state.copy()
        for old in list(after.boxes):
            if old == name or old.startswith(name + "/"):
                after.boxes[to + old[len(name):]] = after.boxes.pop(old)
        self.unselect()
        self.ask(b"RENAME " + quoted(name) + b" " + quoted(to), after)

    def rename_inbox(self):
        if len(self.state.boxes) >= BOXES:
            return
        self.number += 1
        after, to = self.state.copy(), f"i{self.number}"
        inbox = after.boxes["INBOX"]
        after.boxes[to] = Box()
        after.boxes[to].fresh = [message for _, message in sorted(inbox.messages.items())]
        inbox.messages = {}
        self.unselect()
        self.ask(b"RENAME INBOX " + quoted(to), after)
        self.adopt(to)

    def delete(self):
        name = self.box()
        # A mailbox above others stays as a name when it is deleted.
        if name == "INBOX" or any(other.startswith(name + "/") for other in self.state.boxes):
            return
        after = self.state.copy()
        del after.boxes[name]
        self.unselect()
        self.ask(b"DELETE " + quoted(name), after)

    def subscribe(self):
        after, name = self.state.copy(), self.chance.choice(["a", "b", "a/b", "nothing"])
        after.subscribed.add(name)
        self.ask(b"SUBSCRIBE " + quoted(name), after)

    def unsubscribe(self):
        after, name = self.state.copy(), self.chance.choice(["a", "b", "a/b", "nothing"])
        after.subscribed.discard(name)
        self.ask(b"UNSUBSCRIBE " + quoted(name), after)

    def unselect(self):
        if self.selected:
            self.imap.do(b"UNSELECT")
            self.selected = None

    def look(self, imap, name, problems, everything=False):
        """The real mailbox, read as a client that has seen it before does."""
        real, counts = Box(), imap.status(name)
        real.validity, real.uidnext, real.modseq = counts["UIDVALIDITY"], counts["UIDNEXT"], counts["HIGHESTMODSEQ"]
        imap.do(b"EXAMINE " + quoted(name))
        for uid, text, header in imap.fetch(b"1:*", b"FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)]"):
            real.messages[uid] = (name_in(header), flags_in(text))
        if len(real.messages) != counts["MESSAGES"]:
            problems.append(f"{name}: STATUS counts {counts['MESSAGES']}, FETCH {len(real.messages)}")
        keys = {uid: (real.validity, uid, message) for uid, (message, _) in real.messages.items()}
        unread = [uid for uid, key in keys.items() if everything or key not in self.whole]
        if unread:
            for uid, _, body in imap.fetch(uid_set(unread), b"BODY.PEEK[]"):
                if body != octets(real.messages[uid][0]):
                    problems.append(f"{name}: UID {uid} has other octets than were appended")
                self.whole.add(keys[uid])
        imap.do(b"UNSELECT")
        return real

    def verify(self, server, everything=False, refusals=False):
        """Compares, and goes on from what is there."""
        problems, real = self.wrong, State()
        if not refusals:
            problems += self.refused
        self.wrong, self.refused = [], []
        with Imap(server, self.user) as imap:
            real.boxes = {name: self.look(imap, name, problems, everything) for name in imap.names()}
            real.subscribed = imap.names(subscribed=True)
        before = self.state.differs(real)
        if before and (self.maybe is None or self.maybe.differs(real)):
            problems += before + [f"   (under way: {self.what})"]
            if self.maybe:
                problems += [f"   (after it: {it})" for it in self.maybe.differs(real)]
        for name, box in real.boxes.items():
            key = (name, box.validity)
            if self.modseqs.get(key, 0) > box.modseq:
                problems.append(f"{name}: HIGHESTMODSEQ went from {self.modseqs[key]} to {box.modseq}")
            self.modseqs[key] = box.modseq
            for uid, (message, _) in box.messages.items():
                if self.named.setdefault((*key, uid), message) != message:
                    problems.append(f"{name}: UID {uid} named {self.named[(*key, uid)]}, now {message}")
        self.state, self.maybe = real, None
        return [f"{self.user}: {problem}" for problem in problems]
