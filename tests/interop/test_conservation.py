"""wrk over the kernel's TCP, some shards held up on purpose: at rest nothing is unaccounted for, and no flow was answered by a shard
that does not own it.

usage: test_conservation.py TRIPLINED TRIPLINE SOURCE [SECONDS]. Runs in a network namespace of its own.
"""
import os
import re
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from appliance_process import METRICS_URL, Appliance, enter_namespace, expect, expect_true, fetch, metric, wait_for  # noqa: E402
from conservation_laws import check_laws, counts  # noqa: E402
from held_thread import held_thread  # noqa: E402

TRIPLINED, TRIPLINE, SOURCE = (os.path.abspath(path) for path in sys.argv[1:4])
SECONDS = int(sys.argv[4]) if len(sys.argv) > 4 else 4
SPANS = 20
CONNECTIONS = 48
CONFIG = """rules: {files: [config/rules.d]}
shards: {count: 2}
webhooks:
  sources: [{name: orders, kind: json}]
"""


def write_scripts():
    body = subprocess.run([sys.executable, os.path.join(SOURCE, "perf/make_otlp_request.py"), str(SPANS)], check=True,
                          capture_output=True).stdout
    with open("spans.bin", "wb") as file:
        file.write(body)
    with open("spans.lua", "w", encoding="utf-8") as file:
        file.write('local f = io.open("spans.bin", "rb")\nwrk.method = "POST"\nwrk.path = "/v1/traces"\n'
                   'wrk.headers["Content-Type"] = "application/x-protobuf"\nwrk.body = f:read("*a")\n')
    with open("churn.lua", "w", encoding="utf-8") as file:
        file.write('dofile("spans.lua")\nwrk.headers["Connection"] = "close"\n')
    with open("orders.lua", "w", encoding="utf-8") as file:
        file.write('wrk.method = "POST"\nwrk.path = "/webhook/orders"\nwrk.headers["Content-Type"] = "application/json"\n'
                   "wrk.body = '{\"order\":{\"id\":\"A\",\"amount\":50000,\"currency\":\"EUR\"}}'\n")


def wrk(script, port):
    return subprocess.Popen(["wrk", "-t2", f"-c{CONNECTIONS}", f"-d{SECONDS}", "--timeout", "20s", "-s", script,
                             f"http://10.86.0.2:{port}"], stdout=subprocess.PIPE, text=True)


def requests_of(process, refusals=False):
    """What wrk counts as answered, and how many of it as refused; other errors are not allowed."""
    output = process.communicate(timeout=SECONDS + 60)[0]
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", output)
    expect_true(f"wrk saw no errors:\n{output}", (refusals or not refused) and "Socket errors" not in output)
    answered = int(re.search(r"(\d+) requests in", output).group(1))
    return (answered, int(refused.group(1)) if refused else 0) if refusals else answered


def check_answers(when, answered, before, now):
    """wrk may leave one request of each connection unread when its time is over."""
    served = now["responses_total"] - before["responses_total"]
    expect_true(f"{when}: {answered} answered, {served} served", answered <= served <= answered + CONNECTIONS)


def test_spans_with_a_full_queue(appliance):
    before = counts()
    load = wrk("spans.lua", 4318)
    for name in ("shard-1", "shard-0"):
        time.sleep(SECONDS / 4)
        with held_thread(appliance.process, name):  # its queue of the port fills
            time.sleep(0.3)
    answered, refused = requests_of(load, refusals=True)
    now = check_laws("spans")
    check_answers("spans", answered, before, now)
    # What a request tells a shard that is held up may find its ring full: 503, with no effect.
    expect_true("refused means 503", refused <= metric("tripline_responses_total", status="503") <= refused + CONNECTIONS)
    expect("no other answer", now["responses_total"], metric("tripline_responses_total", status="200")
           + metric("tripline_responses_total", status="503"))
    expect("every span of every answer was judged", now["spans_evaluated_total"],
           metric("tripline_responses_total", status="200") * SPANS)
    expect_true("frames came to shards that do not own their flow", now["frames_handed_over_total"] > 0)
    expect("RST sent to live flows", now["tcp_resets_sent_total"], 0)
    print(f"spans: {answered} requests ({refused} refused), {now['frames_handed_over_total']:.0f} frames handed over, "
          f"{now['frames_hand_over_dropped_total']:.0f} of them dropped, {now['tcp_resets_sent_total']:.0f} RST")


def test_webhooks():
    before = counts()
    answered = requests_of(wrk("orders.lua", 8080))
    now = check_laws("webhooks")
    check_answers("webhooks", answered, before, now)
    durable = now["violations_durable_total"] - before["violations_durable_total"]
    expect_true("every answer is durable", answered <= durable <= answered + CONNECTIONS)
    print(f"webhooks: {answered} durable answers, {durable:.0f} violations")


def test_churn():
    before = counts()
    answered = requests_of(wrk("churn.lua", 4318))
    now = check_laws("churn")
    check_answers("churn", answered, before, now)
    expect_true("a connection each", now["tcp_established_total"] - before["tcp_established_total"] >= answered)
    print(f"churn: {answered} requests, a connection each")


def test_scrape_while_a_shard_is_held_up(appliance):
    """A shard that does not answer in time is shown as it was: a counter that fell would be a restart to who reads it."""
    before = counts()
    with held_thread(appliance.process, "shard-0"):
        now = counts(fetch(METRICS_URL).splitlines())
    expect("shards that answered", now["shard_answers"], before["shard_answers"] - 1)
    for name in ("responses_total", "spans_evaluated_total", "wire_received_frames_total", "tcp_established_total"):
        expect_true(f"{name}: {now[name]} after {before[name]}", now[name] >= before[name] > 0)
    wait_for("an answer of all shards", lambda: metric("tripline_ready") == 1)


def test_clients_that_die():
    load = wrk("orders.lua", 8080)
    time.sleep(SECONDS / 2)
    load.send_signal(signal.SIGKILL)
    load.communicate()
    check_laws("after a killed client")
    expect("connections left", metric("tripline_tcp_connections"), 0)


def main():
    with Appliance(TRIPLINED, TRIPLINE, SOURCE, CONFIG) as appliance:
        write_scripts()
        test_spans_with_a_full_queue(appliance)
        test_webhooks()
        test_churn()
        test_scrape_while_a_shard_is_held_up(appliance)
        test_clients_that_die()
    print("all accounted for")


enter_namespace("TRIPLINE_CONSERVATION")
main()
