"""What must hold of the appliance's counters when nothing moves: whatever came in is accounted for."""
import time

from appliance_process import expect, scrape, wait_for


def counts(lines=None):
    """All metrics, summed over shards and labels: of these lines, or of a scrape in which every shard answered."""
    totals = {}
    for line in lines or scrape():
        if not line.startswith("#"):
            name = line.split("{")[0].split(" ")[0].removeprefix("tripline_")
            totals[name] = totals.get(name, 0) + float(line.rsplit(" ", 1)[1])
    return totals


def at_rest():
    before = counts()
    time.sleep(0.3)
    after = counts()
    moving = ("wire_received_frames_total", "wire_sent_frames_total", "requests_total", "violations_durable_total")
    quiet = all(before[name] == after[name] for name in moving)
    return quiet and after["requests_in_progress"] == 0 and after["responses_parked"] == 0 and after["violations_pending"] == 0


def check_laws(when):
    wait_for(f"rest {when}", at_rest, 60)
    now = counts()
    laws = {
        "frames received = processed + handed over + dropped":
            (now["wire_received_frames_total"] + now["frames_taken_over_total"],
             now["frames_processed_total"] + now["frames_handed_over_total"] + now["frames_hand_over_dropped_total"]),
        "handed over = taken over": (now["frames_handed_over_total"], now["frames_taken_over_total"]),
        "frames processed = delivered + answered + dropped":
            (now["frames_processed_total"], now["tcp_delivered_segments_total"] + now["udp_delivered_datagrams_total"]
             + now["arp_answered_total"] + now["nd_answered_total"] + now["fragments_kept_total"] + now["icmp_answered_total"] + now["frames_dropped_total"]),
        "requests = answered + aborted": (now["requests_total"], now["responses_total"] + now["requests_aborted_total"]),
        "spans decoded = evaluated + rejected":
            (now["spans_decoded_total"], now["spans_evaluated_total"] + now["spans_rejected_total"]),
        "webhooks accepted = durable + received only":
            (now["webhooks_accepted_total"], now["webhooks_durable_total"] + now["webhooks_received_only_total"]),
        "digests sent = applied": (now["digests_sent_total"], now["digests_applied_total"]),
        "traces opened = completed + evicted + live":
            (now["traces_opened_total"], now["traces_completed_total"] + now["traces_evicted_total"] + now["traces_live"]),
        "window keys opened = expired + evicted + dropped + live":
            (now["window_keys_opened_total"], now["window_keys_expired_total"] + now["window_keys_evicted_total"]
             + now["window_keys_dropped_total"] + now["window_keys"]),
        "violations emitted = durable": (now["violations_emitted_total"], now["violations_durable_total"]),
        "heap bytes that shards allocated": (now["shard_heap_allocated_bytes_total"], 0),
    }
    for law, (left, right) in laws.items():
        expect(f"{when}: {law}", left, right)
    return now
