"""What one data directory's journal must hold, by what was sent and what was answered; read from its files after every kill, before the
daemon sees them again."""
import sys
import time
import uuid
from collections import Counter

from crash_requests import SIGNED, WEBHOOKS, rules_of
from journal_reader import CHECKPOINT, VIOLATION, WEBHOOK, Damage, JournalReader, wait_until_left

NAMED = 3  # of those that are wrong
REPEATED_NEW, REPEATED_OLD = 20, 5
REMEMBERED_SECONDS = 400  # less than what `window` and `skew` promise by default


class Ledger:
    def __init__(self, directory, chance):
        self.reader, self.chance = JournalReader(directory), chance
        self.directory = directory
        self.requests = {}  # by SHA-256 of the body, of webhooks; by name
        self.kinds = {}
        self.recorded = {}  # name: correlation id
        self.violations = {}  # name: rules
        self.identities = {}  # of violations: LSN
        self.acknowledged = Counter()
        self.checkpoints = 0
        self.replayed, self.answered = 0, []  # (when, kind, name, answer) of signed ones

    def fail(self, what, examples):
        examples = sorted(examples)
        if examples:
            sys.exit(f"{what}: {len(examples)}, such as {examples[:NAMED]}")

    def settle(self, load):
        """After a kill: reads on and judges. Returns the signed requests that are worth sending again: (kind, name, first answer)."""
        for request in load.sent_requests.values():
            self.kinds[request.name] = request.kind
            if request.kind in WEBHOOKS:
                self.requests[request.body_sha256] = request.name
        self.fail("unexpected answers", load.unexpected)
        fresh = self._read()
        self._judge_units(fresh)
        self._judge_acknowledged(load.acknowledged)
        return self._worth_repeating(load)

    def settle_without_load(self):
        self._judge_units(self._read())

    def _read(self):
        """The names of which something was read. What was read once is never read again, so it counts once or is a second effect."""
        wait_until_left(self.directory)
        fresh = set()
        try:
            for record in self.reader.read_on():
                if record.type == WEBHOOK:
                    fresh.add(self._take_webhook(record))
                elif record.type == VIOLATION:
                    fresh.add(self._take_violation(record))
                self.checkpoints += record.type == CHECKPOINT
        except Damage as damage:
            sys.exit(f"the journal: {damage}")
        return fresh

    def _take_webhook(self, record):
        correlation, body_sha256, source = record.webhook()
        name = self.requests.get(body_sha256)
        if name is None:
            sys.exit(f"LSN {record.lsn}: a webhook of {source} that nobody sent")
        if name in self.recorded:
            sys.exit(f"LSN {record.lsn}: webhook {name} is there twice")
        self.recorded[name] = str(uuid.UUID(bytes=correlation))
        count, identities = record.webhook_violations()
        if count != len(rules_of(self.kinds[name])) or not identities or not all(identity in self.identities for identity in identities):
            sys.exit(f"LSN {record.lsn}: webhook {name} names {count} violations, not those before it")
        return name

    def _take_violation(self, record):
        identity = record.violation_id()
        if identity in self.identities:
            sys.exit(f"LSN {record.lsn}: the violation of LSN {self.identities[identity]} again")
        self.identities[identity] = record.lsn
        rule, message = record.violation_texts()
        name = message.split()[0]
        if name not in self.kinds:
            sys.exit(f"LSN {record.lsn}: a violation of {name}, which nobody sent")
        rules = self.violations.setdefault(name, set())
        if rule in rules:
            sys.exit(f"LSN {record.lsn}: {name} violates {rule} a second time")
        rules.add(rule)
        return name

    def _judge_units(self, names):
        """A webhook and its violations are there together, or not at all: what is sent again has all of its effect, and once."""
        self.fail("webhooks without all of their violations",
                  [name for name in names if name in self.recorded and self.violations.get(name, set()) != rules_of(self.kinds[name])])
        self.fail("violations without their webhook",
                  [name for name in names if self.kinds[name] in WEBHOOKS and name not in self.recorded])

    def _judge_acknowledged(self, acknowledged):
        for name, answer in acknowledged.items():
            self.acknowledged[self.kinds[name]] += 1
            if self.violations.get(name, set()) != rules_of(self.kinds[name]):
                sys.exit(f"{name} was acknowledged and is lost")
            if self.kinds[name] in WEBHOOKS and self.recorded.get(name, "none") not in answer.decode():
                sys.exit(f"{name}: {answer} was answered, {self.recorded.get(name)} is recorded")

    def _worth_repeating(self, load):
        """Those whose answer the kill swallowed, the last that were answered, and some of long ago, whose record a snapshot may stand for."""
        now = time.monotonic()
        swallowed = [(request.kind, request.name, None) for request in load.unanswered if request.kind in SIGNED]
        fresh = [(self.kinds[name], name, answer) for name, answer in load.acknowledged.items() if self.kinds[name] in SIGNED]
        self.answered = [entry for entry in self.answered if now - entry[0] < REMEMBERED_SECONDS]
        old = [entry[1:] for entry in self.chance.sample(self.answered, min(REPEATED_OLD, len(self.answered)))]
        self.answered += [(now, *entry) for entry in fresh[-REPEATED_NEW:]]
        worth = list(dict.fromkeys(swallowed + fresh[-REPEATED_NEW:] + old))
        self.replayed += len(worth)
        return worth

    def check_listed(self, listed, oldest_before, oldest_after):
        """What the daemon lists is what is in its files, which retention may have shortened meanwhile."""
        found = {violation["id"]: violation["lsn"] for violation in listed}
        known = {str(uuid.UUID(bytes=identity)): lsn for identity, lsn in self.identities.items() if lsn >= oldest_before}
        if len(found) != len(listed):
            sys.exit("an id is listed twice")
        self.fail("violations that are in the journal and not listed",
                  [identity for identity, lsn in known.items() if lsn >= oldest_after and found.get(identity) != lsn])
        self.fail("violations that are listed and not in the journal", set(found.items()) - set(known.items()))
