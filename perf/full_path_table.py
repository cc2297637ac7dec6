"""Checks the turns of full_path.sh against the appliance's counters, and prints medians, spread and ratios."""
import statistics
import sys

NAMES = {"spans": "OTLP, 100 spans", "small": "webhook 512 B, received", "large": "webhook 4 KB, received",
         "huge": "webhook 64 KB, received", "durable": "webhook 512 B, durable"}
rows = {}
lines = open(sys.argv[1]).read().splitlines()
for turn, load in zip(lines[::2], lines[1::2]):
    kind, connections, server, each, *counts = turn.split()
    ns, busy, idle, counted = [float(after) - float(before) for before, after in zip(counts[:4], counts[4:])]
    requests, rate, refused, errors = map(float, load.split())
    if server.startswith("af_"):
        # wrk leaves the last answers of each connection unread.
        least, most = (requests - refused) * int(each), (requests - refused + int(connections)) * int(each)
        if not least <= counted <= most:
            sys.exit(f"oracle: {server}: {counted} counted, {least} to {most} are answered: {turn} {load}")
        share = busy / (busy + idle)
    else:
        share = 1
    good = rate * (requests - refused) / requests if requests else 0
    core = (requests - refused) / (ns / 1e9 * share)
    rows.setdefault((kind, int(connections)), {}).setdefault(server, []).append((good, core, refused, errors))


def ratio(ours, theirs, at):
    ratios = [a[at] / b[at] for a, b in zip(ours, theirs) if b[at]]
    return statistics.median(ratios) if ratios else float("nan")


for (kind, connections), servers in rows.items():
    print(f"{NAMES[kind]}, {connections} connections")
    for server, turns in servers.items():
        rate, core, refused, errors = zip(*turns)
        text = (f"  {server:<10}{statistics.median(rate):9.0f} req/s [{min(rate):.0f}..{max(rate):.0f}]  "
                f"a core {statistics.median(core):9.0f} [{min(core):.0f}..{max(core):.0f}]")
        if server.startswith("af_"):
            for peer in ("epoll", "nginx"):
                if peer in servers:
                    text += f"  of {peer} {ratio(turns, servers[peer], 0):.2f}, a core {ratio(turns, servers[peer], 1):.2f}"
        print(text + f"  503 {sum(refused):.0f}, errors {sum(errors):.0f}")
