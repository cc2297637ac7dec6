"""Rounds of a whole appliance that is killed: started, loaded, killed, its journal's files judged, again. A data directory lives for many
rounds; each such life has a configuration of its own."""
import http.client
import json
import math
import os
import random
import resource
import shutil
import signal
import sys
import time
from collections import Counter
from dataclasses import dataclass, field

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from appliance_process import Appliance, expect, metric, wait_for  # noqa: E402
from crash_ledger import Ledger  # noqa: E402
from crash_load import Load  # noqa: E402
from crash_requests import RULES, SOURCES, requests, signed_webhook  # noqa: E402

LIFE_ROUNDS, CHECK_ROUNDS, TELL_ROUNDS = 50, 50, 50
POLL_SECONDS = 0.004
START_SECONDS, DRAIN_SECONDS = 60, 20
CHECKPOINT_KEY = b"a secret of the crash tests"
ORDINARY = {"order": 2, "signed": 3, "balanced": 2, "big": 1, "span-protobuf": 2, "span-json": 1, "relaxed": 1}
CROWD = {"huge": 16, "signed": 4}  # more at a time than a batch holds


@dataclass
class Plan:
    """One round: killed so long after its start, or after it was ready, or after SIGTERM that comes then."""
    load_seconds: float
    acknowledged: float = math.inf  # so many and `linger_seconds` more, when that is earlier
    linger_seconds: float = 0
    acknowledged_most: float = math.inf  # then nothing more is sent
    kill_after_start: float = None
    drain_seconds: float = None
    connections: dict = field(default_factory=lambda: ORDINARY)
    environment: dict = None


def configuration(chance, segment_mebibytes, retain_mebibytes):
    shards = chance.randint(1, min(2, len(os.sched_getaffinity(0))))
    return f"""ports: [{{name: trip, kind: embedded, mtu: 1500}}]
shards: {{count: {shards}, idle_sleep: 100us, prefault: false}}
tcp: {{connections_max: 256}}
traces: {{live_max: 1024}}
rules: {{files: [rules.yaml]}}
journal:
  segment_bytes: {chance.choice(segment_mebibytes)}MiB
  segments_ahead: {chance.randint(1, 2)}
  retain_bytes: {chance.choice(retain_mebibytes)}MiB
  signing: {{key_id: k1, key_file: checkpoint.key, interval: 200ms}}
listeners: {{otlp_http: {{acknowledge: durable}}}}
""" + SOURCES


class CrashRounds:
    def __init__(self, triplined, tripline, source, seed, segment_mebibytes=(2, 4, 16), retain_mebibytes=(0, 64)):
        self.sizes = segment_mebibytes, retain_mebibytes
        self.seed, self.chance, self.number, self.born = seed, random.Random(seed), 0, 0
        self.totals, self.ends, self.records, self.replayed = Counter(), Counter(), 0, 0
        # The daemon looks at every descriptor it may have when it starts.
        resource.setrlimit(resource.RLIMIT_NOFILE, (1024, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        self.appliance = Appliance(triplined, tripline, source, "", {"rules.yaml": RULES})
        with open("checkpoint.key", "wb", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            file.write(CHECKPOINT_KEY)
        self._begin_life()

    def _begin_life(self):
        shutil.rmtree("tripline-data", ignore_errors=True)
        with open("appliance.yaml", "w", encoding="ascii") as file:
            file.write(configuration(self.chance, *self.sizes))
        os.makedirs("tripline-data/journal", mode=0o750)
        self.ledger, self.again, self.list_due, self.born = Ledger("tripline-data/journal", self.chance), [], False, self.number

    def _ready(self):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", 9464, timeout=2)
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False

    def _start(self, plan):
        """False when it was killed before it was ready."""
        began = time.monotonic()
        self.appliance.spawn(plan.environment)
        process = self.appliance.process
        while process.poll() is None:
            lived = time.monotonic() - began
            if plan.kill_after_start is not None and lived >= plan.kill_after_start:
                process.kill()
                process.wait()
                return False
            if lived > START_SECONDS:
                sys.exit(f"not ready within {START_SECONDS} s")
            if self._ready():
                return True
            time.sleep(POLL_SECONDS)
        return False

    def _streams(self, plan):
        waiting, streams = list(self.again), []
        for kind, count in plan.connections.items():
            for index in range(count):
                mine = [entry for entry in waiting if entry[0] == kind][index::count]
                streams.append(requests(kind, f"{kind}-{self.number}-{index}", [signed_webhook(*entry) for entry in mine]))
        return streams

    def _load(self, plan):
        """Returns how it ended."""
        process = self.appliance.process
        load, end = Load(process, self._streams(plan), plan.acknowledged_most), "by itself"
        gone = load.run(plan.load_seconds, plan.acknowledged) or load.run(plan.linger_seconds)
        if not gone and plan.drain_seconds is not None:
            process.terminate()
            end = "draining"
            gone = load.run(plan.drain_seconds)
        if not gone:
            process.kill()
            end = "killed while draining" if plan.drain_seconds is not None else "killed under load"
        load.finish()
        kept = [entry for entry in self.again if entry[1] not in load.acknowledged]
        self.again = (self.ledger.settle(load) + kept)[:200]
        return end

    def run(self, plan):
        """One round. Returns how it ended."""
        self.number += 1
        ready = self._start(plan)
        if ready and self.list_due:
            self._check_listed()
        if ready:
            end = self._load(plan)
        else:
            end = "killed at start" if plan.kill_after_start is not None else "by itself"
            self.ledger.settle_without_load()
        status = self.appliance.process.wait()
        if status not in (-signal.SIGKILL, 0) or (status == 0 and plan.drain_seconds is None):
            sys.exit(f"the daemon ended by itself: {status}")
        end = "drained" if status == 0 else end
        self.ends[end] += 1
        age = self.number - self.born
        if age % CHECK_ROUNDS == 0:
            self._verify()
        if age % LIFE_ROUNDS == 0:
            self.end_life()
        if self.number % TELL_ROUNDS == 0:
            print(self.summary(), flush=True)
        return end

    def _verify(self):
        """The product's own reader finds what the second one found. Returns what it says."""
        key = ("--key", "k1=checkpoint.key") if self.ledger.checkpoints else ()  # a life may be too short for any
        result = self.appliance.run_cli("journal", "verify", *key, "-o", "json", text=True)
        expect(f"journal verify: {result.stderr}", result.returncode, 0)
        found, reader = json.loads(result.stdout), self.ledger.reader
        expect("what journal verify finds", (found["damages"], found["last_lsn"], found["hash_chain_end"], found["checkpoints_wrong"]),
               (0, reader.next_lsn - 1, reader.chain.hex(), 0))
        self.list_due = True
        return found

    @staticmethod
    def _oldest_lsn():
        return metric("tripline_journal_oldest_lsn")

    def _check_listed(self):
        wait_for("the index", lambda: metric("tripline_journal_indexed_lsn") == metric("tripline_journal_durable_lsn"), 60, 0.02)
        wait_for("a look at the segments", self._oldest_lsn, 60, 0.02)
        oldest_before = self._oldest_lsn()
        self.ledger.check_listed(self.appliance.violations(), oldest_before, self._oldest_lsn())
        self.list_due = False

    def end_life(self):
        """A last look at all of it, offline and by the daemon, then another data directory."""
        if self.number == self.born:
            return
        self._verify()
        if not self._start(Plan(0)):
            sys.exit("the daemon ended by itself")
        self._check_listed()
        expect("exit code of the daemon", self.appliance.stop(), 0)
        self.ledger.settle_without_load()
        found = self._verify()
        expect("all before the last checkpoint is signed", found["signed_lsn"], found["last_lsn"] - 1)
        self.totals += self.ledger.acknowledged
        self.records += self.ledger.reader.next_lsn - 1
        self.replayed += self.ledger.replayed
        self._begin_life()

    def summary(self):
        totals = self.totals + self.ledger.acknowledged
        return (f"seed {self.seed}: {self.number} rounds, {self.records + self.ledger.reader.next_lsn - 1} records, "
                f"{sum(totals.values())} acknowledged {dict(sorted(totals.items()))}, {self.replayed + self.ledger.replayed} sent again, "
                f"ends {dict(sorted(self.ends.items()))}: 0 lost, 0 twice, 0 gaps")

    def __enter__(self):
        return self

    def __exit__(self, kind, _value, _trace):
        process = self.appliance.process
        if process and process.poll() is None:
            process.kill()
            process.wait()
        if kind is None:
            os.chdir("/")
            shutil.rmtree(self.appliance.directory)
            return
        print(self.appliance.log()[-3000:])
        print(f"seed {self.seed}, round {self.number}; kept: {self.appliance.directory}")
