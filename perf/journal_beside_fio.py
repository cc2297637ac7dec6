#!/usr/bin/python3
"""The journal beside fio: the same directory, the same zero-filled file of a segment's length, O_DIRECT, io_uring, one write at a time,
in blocks of what our batch of so many records takes on disk. Rounds of ours and of fio's take turns; medians, spread, and the oracle:
every record that was published is recovered.

usage: journal_beside_fio.py JOURNAL_ROUNDS [DIRECTORY] [--rounds N] [--milliseconds N] [--cores PRODUCER JOURNAL CONTROL]

Two of fio's: `--fdatasync=1` (a write, then an fdatasync; the latency of the pair from the bins of both, as if they were independent,
and the mean of what fio counts in neither) and `--sync=dsync`. A batch gathers while another is in flight, so a record waits up to two flushes; alone it waits for one, which is what
its p99 is held against fio's for.
"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile

BATCHES = (1, 64, 512, 4096, 8190)
FRAME_BYTES, BATCH_HEADER_BYTES, BLOCK_BYTES = 136, 96, 4096
SEGMENT_BYTES = 64 << 20
POINTS = 400
SKIP = 77
FIO_TRIES = 10


def block_bytes(records):
    return -(-(BATCH_HEADER_BYTES + records * FRAME_BYTES) // BLOCK_BYTES) * BLOCK_BYTES


def make_floor(path):
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    os.posix_fallocate(file, 0, SEGMENT_BYTES)
    for at in range(0, SEGMENT_BYTES, 1 << 20):
        os.pwrite(file, bytes(1 << 20), at)
    os.fsync(file)
    os.close(file)


def points_of(bins):
    """`POINTS` values, evenly by rank."""
    ordered = sorted((int(value), count) for value, count in bins.items() if count)
    total = sum(count for _, count in ordered)
    points, passed, at = [], 0, 0
    for i in range(POINTS):
        rank = (i + 0.5) * total / POINTS
        while passed + ordered[at][1] < rank:
            passed += ordered[at][1]
            at += 1
        points.append(ordered[at][0])
    return points


def percentiles_us(values):
    values = sorted(values)
    return values[len(values) // 2] / 1e3, values[len(values) * 99 // 100] / 1e3


def fio_job(path, size, milliseconds, how):
    done = subprocess.run(
        ["fio", "--name=floor", f"--filename={path}", f"--size={SEGMENT_BYTES}", f"--bs={size}", "--rw=write", "--ioengine=io_uring", "--iodepth=1",
         "--direct=1", "--overwrite=1", "--fixedbufs=1", "--registerfiles=1", "--time_based", f"--runtime={milliseconds}ms",
         "--lat_percentiles=1", "--output-format=json+", how], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)["jobs"][0]


def fio_round(path, size, milliseconds, how):
    # A disk that others stall may give a short round no sync at all, and so no bins.
    for _ in range(FIO_TRIES):
        job = fio_job(path, size, milliseconds, how)
        if job["error"]:
            sys.exit(f"fio failed: {job}")
        write, sync = job["write"], job["sync"]
        if "bins" in write["lat_ns"] and (how != "--fdatasync=1" or "bins" in sync["lat_ns"]):
            break
    else:
        sys.exit("fio did nothing")
    bins = points_of(write["lat_ns"]["bins"])
    if how == "--fdatasync=1":
        # With io_uring fio does not count the submitting of a sync: what is missing in a mean period is added.
        uncounted = max(0, 1e9 / write["iops"] - write["lat_ns"]["mean"] - sync["lat_ns"]["mean"])
        syncs = points_of(sync["lat_ns"]["bins"])
        bins = [one + other + uncounted for one in bins for other in syncs]
    p50, p99 = percentiles_us(bins)
    return {"writes_per_second": job["write"]["iops"], "p50_us": p50, "p99_us": p99}


class Journal:
    """The coprocess that runs our rounds."""

    def __init__(self, program, directory, chain, cores):
        command = [program, directory, chain] + [str(core) for core in cores or []]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def round(self, records, milliseconds):
        self.process.stdin.write(f"{1 if records == 1 else 2 * records} {milliseconds}\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        counts = json.loads(self.process.stdout.readline())
        if self.process.wait() != 0 or counts["published"] != counts["recovered"]:
            sys.exit(f"the journal lost records: {counts}")
        return counts


def median_of(rounds, key):
    return statistics.median(one[key] for one in rounds)


def spread_of(rounds, key, scale=1.0):
    values = [one[key] * scale for one in rounds]
    return f"{min(values):.4g}..{max(values):.4g}"


def best_of(ours, floor, records):
    """On a disk that others use, too, what each reaches when it is let."""
    return max(one["records_per_second"] for one in ours) / (max(one["writes_per_second"] for one in floor) * records)


def best_p99_of(ours, floor):
    return min(one["p99_us"] for one in ours) / min(one["p99_us"] for one in floor)


def print_row(chain, records, ours, pair, dsync):
    rate = median_of(ours, "records_per_second")
    ratios = {}
    for_batch = median_of(ours, "batch_records")
    for name, floor in (("pair", pair), ("dsync", dsync)):
        ratios[name] = statistics.median(o["records_per_second"] / (f["writes_per_second"] * records) for o, f in zip(ours, floor))
        ratios[name + " p99"] = statistics.median(o["p99_us"] / f["p99_us"] for o, f in zip(ours, floor))
    print(f"{chain:9} {records:6} {rate:12,.0f} [{spread_of(ours, 'records_per_second')}] {median_of(ours, 'p50_us'):7.0f} "
          f"{median_of(ours, 'p99_us'):7.0f} {median_of(ours, 'flush_us'):7.0f} {for_batch:8.0f} | "
          f"{median_of(pair, 'writes_per_second') * records:12,.0f} [{spread_of(pair, 'writes_per_second', records)}] "
          f"{median_of(pair, 'p50_us'):6.0f} {median_of(pair, 'p99_us'):6.0f} {ratios['pair']:6.2f} {ratios['pair p99']:6.2f} | "
          f"{median_of(dsync, 'writes_per_second') * records:12,.0f} {median_of(dsync, 'p50_us'):6.0f} {median_of(dsync, 'p99_us'):6.0f} "
          f"{ratios['dsync']:6.2f} {ratios['dsync p99']:6.2f} | {best_of(ours, pair, records):6.2f} {best_p99_of(ours, pair):6.2f}", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("directory", nargs="?", default=".")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--milliseconds", type=int, default=150)
    parser.add_argument("--cores", type=int, nargs=3, metavar=("PRODUCER", "JOURNAL", "CONTROL"))
    parser.add_argument("--batches", type=int, nargs="+", default=BATCHES)
    options = parser.parse_args()
    if not shutil.which("fio"):
        print("fio is not installed (apt-get install fio): skipped")
        return SKIP
    if options.cores and max(options.cores) >= os.cpu_count():
        print(f"cores {options.cores} of {os.cpu_count()}: skipped")
        return SKIP
    directory = tempfile.mkdtemp(prefix="journal-beside-fio-", dir=options.directory)
    floor = os.path.join(directory, "floor")
    make_floor(floor)
    print(f"{options.rounds} rounds of {options.milliseconds} ms each in turns; medians [least..most]; latencies in us; ratios by rounds "
          f"side by side, and of the best rounds (to the pair); load {os.getloadavg()[0]:.1f}")
    print(f"{'':9} {'batch':>6} {'records/s':>12} {'':20} {'p50':>7} {'p99':>7} {'flush':>7} {'in a one':>8} | {'fio pair':>12} {'':20} {'p50':>6} "
          f"{'p99':>6} {'ratio':>6} {'of p99':>6} | {'fio dsync':>12} {'p50':>6} {'p99':>6} {'ratio':>6} {'of p99':>6} | "
          f"{'best':>6} {'of p99':>6}")
    counts, journal = [], None
    try:
        for chain in ("chain", "no-chain"):
            journal = Journal(options.program, os.path.join(directory, chain), chain, options.cores)
            for records in options.batches:
                ours, pair, dsync = [], [], []
                for _ in range(options.rounds):
                    ours.append(journal.round(records, options.milliseconds))
                    pair.append(fio_round(floor, block_bytes(records), options.milliseconds, "--fdatasync=1"))
                    dsync.append(fio_round(floor, block_bytes(records), options.milliseconds, "--sync=dsync"))
                print_row(chain, records, ours, pair, dsync)
            counts.append(journal.close())
            shutil.rmtree(os.path.join(directory, chain))
    finally:
        if journal:
            journal.process.kill()
        shutil.rmtree(directory)
    print("published = recovered:", ", ".join(f"{one['published']:,}" for one in counts))
    return 0


sys.exit(main())
