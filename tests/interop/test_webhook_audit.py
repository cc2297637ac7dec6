"""The audit of webhooks against the real daemon: what curl-like clients sent is found again with headers, body and verdict, by every
key, live, after kill -9 and offline; no secret is in the files; and a journal judged again under the same rules raises what it has
recorded.

usage: test_webhook_audit.py TRIPLINED TRIPLINE SOURCE. Runs in a network namespace of its own.
"""
import base64
import csv
import glob
import hashlib
import hmac
import http.client
import io
import json
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from appliance_process import Appliance, enter_namespace, expect, expect_true, wait_for  # noqa: E402

TRIPLINED, TRIPLINE, SOURCE = (os.path.abspath(path) for path in sys.argv[1:4])
SECRET = base64.b64encode(b"a secret of thirty-two bytes ...").decode()
CONFIG = f"""rules: {{files: [current.yaml]}}
shards: {{count: 2}}
webhooks:
  sources:
    - {{name: orders, kind: json, record: {{headers: [content-type, User-Agent, x-note], body_bytes: 1KiB}}}}
    - {{name: signed, kind: standard-webhooks, record: {{headers: [webhook-id], body_bytes: 1KiB}},
       secrets: [{{id: k1, secret: whsec_{SECRET}}}]}}
    - {{name: pages, kind: alertmanager, record: {{body_bytes: 59KiB}}}}
    - {{name: quiet, kind: json, acknowledge: received}}
"""
CURRENT = """rules:
  - {name: large, on: webhook, if: 'body.order.amount > 10', message: 'order ${body.order.id}'}
  - {name: odd, on: webhook, if: 'body.order.odd = true', message: 'order ${body.order.id}', severity: low}
  - {name: watched, on: webhook, if: 'body.order.amount > 5', message: 'x', mode: shadow}
  - {name: page, on: alert, if: 'label.severity = "critical"', message: '${name}'}
"""
CHANGED = CURRENT.replace("amount > 10", "amount > 12")
ADDRESS = "10.86.0.2"
COOKIE = "session=do-not-keep-this"
sent = {}  # by correlation id: source, body, whether it is kept, webhook id


def post(connection, source, body, headers=None, status=200):
    connection.request("POST", f"/webhook/{source}", body,
                       {"Content-Type": "application/json", "User-Agent": "audit-test", "Cookie": COOKIE, **(headers or {})})
    answer = connection.getresponse()
    text = json.loads(answer.read())
    expect(f"answer of {source}: {text}", answer.status, status)
    return text["correlation_id"]


def order(number, filler=0):
    return json.dumps({"order": {"id": f"o{number}", "amount": number % 20, "odd": number % 2 == 1}, "filler": "x" * filler}).encode()


def sign(identity, body):
    now = str(int(time.time()))
    mac = hmac.new(base64.b64decode(SECRET), f"{identity}.{now}.".encode() + body, hashlib.sha256).digest()
    return {"webhook-id": identity, "webhook-timestamp": now, "webhook-signature": "v1," + base64.b64encode(mac).decode()}


def send_all():
    connections = [http.client.HTTPConnection(ADDRESS, 8080, timeout=10) for _ in range(8)]
    for number in range(200):
        body = order(number, 2000 if number % 10 == 9 else number)
        note = "n" * (600 if number % 7 == 0 else number)
        identity = post(connections[number % 8], "orders", body, {"X-Note": note})
        sent[identity] = {"source": "orders", "body": body, "kept": len(body) <= 1024, "note": note}
    for number in range(200, 260):
        body, webhook_id = order(number), f"msg_{number}"
        headers = sign(webhook_id, body)
        identity = post(connections[number % 8], "signed", body, headers)
        expect("a repetition has the first one's answer", post(connections[(number + 1) % 8], "signed", body, headers), identity)
        sent[identity] = {"source": "signed", "body": body, "kept": True, "webhook_id": webhook_id}
    for number in range(260, 280):
        identity = post(connections[number % 8], "quiet", order(number), status=202)
        sent[identity] = {"source": "quiet", "body": order(number), "kept": False}
    with open("config/samples/alerts.json", encoding="utf-8") as file:
        page = json.load(file)
    page["alerts"] = [{**page["alerts"][0], "labels": {"alertname": f"a{i}", "severity": "critical" if i % 2 else "low"}}
                      for i in range(40)]
    body = json.dumps(page).encode()
    sent[post(connections[0], "pages", body)] = {"source": "pages", "body": body, "kept": True}
    connections[0].request("POST", "/webhook/orders", b"{", {"Content-Type": "application/json"})
    expect("what is refused", connections[0].getresponse().status, 400)


def amount_of(about):
    return json.loads(about["body"]).get("order", {}).get("amount", 0)


def fires(body):
    event = json.loads(body).get("order")
    return [] if event is None else ["large"] * (event["amount"] > 10) + ["odd"] * event["odd"]


def ask(appliance, *arguments, code=0):
    result = appliance.run_cli("webhooks", *arguments, "-o", "json", text=True)
    expect(f"webhooks {arguments}: {result.stderr}", result.returncode, code)
    return json.loads(result.stdout) if code == 0 else None


def listed(appliance, *arguments):
    """All pages."""
    webhooks, after = [], []
    while True:
        page = ask(appliance, "list", *arguments, *after)
        webhooks += page["webhooks"]
        if page["next"] is None:
            return webhooks
        after = ["--after", page["next"]]


def check_webhook(webhook, violations):
    """One webhook as the API or a file shows it, with its body, against what was sent and what was raised."""
    identity = webhook["correlation_id"]
    about = sent[identity]
    body = about["body"]
    expect("source", webhook["source"], about["source"])
    expect("length and sum", (webhook["body_bytes"], webhook["body_sha256"]), (len(body), hashlib.sha256(body).hexdigest()))
    expect("body", webhook["body"], body.decode() if about["kept"] else None)
    expect("state of the body", webhook["body_state"], "kept" if about["kept"] else
           "not kept" if about["source"] == "quiet" else "not kept: too large")
    expect("peer", (webhook["peer"], webhook["peer_port"] > 1023), ("10.86.0.1", True))
    raised = [v for v in violations if v["correlation_id"] == identity]
    verdict = webhook["verdict"]
    wanted = fires(body) if about["source"] != "pages" else ["page"] * 20
    expect("rules", sorted(v["rule"] for v in raised), sorted(wanted))
    expect("verdict", (verdict["violations"], verdict["generation"] > 0, verdict["partial"]), (len(raised), True, False))
    expect("matches in shadow", verdict["shadow_matches"], int(amount_of(about) > 5))
    in_order = [v["id"] for v in sorted(raised, key=lambda v: v["lsn"])]
    expect("both know each other", verdict["violation_ids"], in_order[:16])
    headers = {h["name"]: h for h in webhook["headers"]}
    if about["source"] == "orders":
        expect("headers", list(headers), [name for name in ("content-type", "user-agent", "x-note") if name in headers])
        expect("values", (headers["content-type"]["value"], headers["user-agent"]["value"]), ("application/json", "audit-test"))
        expect("a long value is cut", (headers["x-note"]["value"], headers["x-note"]["cut"]),
               (about["note"][:512], len(about["note"]) > 512))
    elif about["source"] == "signed":
        expect("the id as sent", headers["webhook-id"]["value"], about["webhook_id"])
    else:
        expect("no headers", headers, {})


def test_queries(appliance):
    violations = appliance.violations()
    expect("violations name their webhooks", {v["correlation_id"] in sent for v in violations}, {True})
    everything = listed(appliance, "--limit", "37")
    expect("all are listed once", sorted(w["correlation_id"] for w in everything), sorted(sent))
    expect("newest first", [w["lsn"] for w in everything], sorted((w["lsn"] for w in everything), reverse=True))
    expect("bodies come one by one", any("body" in w for w in everything), False)
    for source in ("orders", "signed", "quiet", "pages", "nobody"):
        wanted = sorted(i for i, about in sent.items() if about["source"] == source)
        expect(f"of {source}", sorted(w["correlation_id"] for w in listed(appliance, "--source", source)), wanted)
    expect("by status", len(listed(appliance, "--status", "202")), 20)
    middle = everything[100]["time"]
    expect("by time", len(listed(appliance, "--since", middle)) + len(listed(appliance, "--until", middle)), len(everything))
    for identity, about in list(sent.items())[::5]:
        check_webhook(ask(appliance, "show", identity), violations)
        if "webhook_id" in about:
            found = listed(appliance, "--id", about["webhook_id"], "--source", "signed")
            expect("by its own id", [w["correlation_id"] for w in found], [identity])
    ask(appliance, "show", "01900000-0000-7000-8000-000000000000", code=3)
    ask(appliance, "list", "--id", "msg_200", code=1)
    expect("a table", appliance.run_cli("webhooks", "list", text=True).returncode, 0)
    expect("one as a table", appliance.run_cli("webhooks", "show", next(iter(sent)), text=True).returncode, 0)
    return violations


def offline(*arguments):
    """Without a socket: no daemon is asked."""
    result = subprocess.run([TRIPLINE, "-s", "/nonexistent.sock", *arguments], capture_output=True, timeout=60, check=False)
    expect(f"exit code of {arguments}: {result.stderr}", result.returncode, 0)
    return result.stdout.decode()


def test_files(violations):
    journal = ["--dir", "tripline-data/journal"]
    lines = [json.loads(line) for line in offline("journal", "export", "--type", "webhook", *journal).splitlines()]
    expect("all are exported", sorted(w["correlation_id"] for w in lines), sorted(sent))
    for webhook in lines:
        check_webhook(webhook, violations)
    rows = list(csv.DictReader(io.StringIO(offline("journal", "export", "--type", "webhook", "--format", "csv", "--source", "signed",
                                                   *journal), newline="")))
    expect("rows", len(rows), 60)
    for row in rows:
        expect("body of a row", row["body"].encode(), sent[row["correlation_id"]]["body"])
        expect("verdict of a row", int(row["violations"]), len(fires(sent[row["correlation_id"]]["body"])))
    dumped = [json.loads(line) for line in offline("journal", "dump", *journal).splitlines()]
    expect("dump", sorted(r["webhook"]["correlation_id"] for r in dumped if r["type"] == "webhook"), sorted(sent))
    kept = False
    for name in glob.glob("tripline-data/journal/*.seg"):
        with open(name, "rb") as file:
            content = file.read()
        for secret in (b"do-not-keep", b"v1,", SECRET.encode()):
            expect(f"{secret} in {name}", secret in content, False)
        kept = kept or b"audit-test" in content
    expect_true("what is kept is there", kept)


def backtest(rules):
    result = json.loads(offline("rules", "backtest", "--rules", rules, "--from", "tripline-data/journal", "--limit", "10000", "-o",
                                "json"))
    counts = result["input"]
    expect("each is judged or said not to be", counts["webhooks_judged"] + sum(counts["webhooks_not_judged"].values()), len(sent))
    large = sum(1 for about in sent.values() if about["source"] == "orders" and not about["kept"])
    expect("why not", counts["webhooks_not_judged"], {"body_not_kept": 20, "body_too_large": large})
    return result


def test_backtest(violations):
    judged = [v for v in violations if sent[v["correlation_id"]]["kept"]]
    result = backtest("current.yaml")
    # A rule in shadow fires on trial: as often as the records say that it matched.
    watched = sum(amount_of(about) > 5 for about in sent.values() if about["kept"])
    expect("under the same rules", result["totals"],
           {"both": len(judged), "only_new": watched, "only_current": 0, "not_judged": len(violations) - len(judged)})
    expect("only of the rule in shadow", {v["rule"] for v in result["violations"]["only_new"]}, {"watched"})
    expect("they are the same", sorted((v["rule"], v["correlation_id"], v["message"]) for v in result["violations"]["both"]),
           sorted((v["rule"], v["correlation_id"], v["message"]) for v in judged))
    result = backtest("changed.yaml")
    gone = [v for v in judged if v["rule"] == "large" and amount_of(sent[v["correlation_id"]]) <= 12]
    expect_true("some are gone", gone)
    expect("under other rules", (result["totals"]["both"], result["totals"]["only_new"]), (len(judged) - len(gone), watched))
    expect("those that are gone are named", sorted(v["correlation_id"] for v in result["violations"]["only_current"]),
           sorted(v["correlation_id"] for v in gone))
    result = backtest("lower.yaml")
    more = [identity for identity, about in sent.items() if about["kept"] and amount_of(about) in (9, 10)]
    expect("those that are new", sorted(v["correlation_id"] for v in result["violations"]["only_new"] if v["rule"] == "large"),
           sorted(more))


def test_configuration():
    with open("bad.yaml", "w", encoding="ascii") as file:
        file.write("webhooks:\n  sources:\n    - name: a\n      record:\n        headers: [content-type, Webhook-Signature]\n")
    result = subprocess.run([TRIPLINED, "--config", "bad.yaml", "--check"], capture_output=True, text=True, check=False, timeout=20)
    expect("a secret is refused", (result.returncode, "bad.yaml:5:33: 'webhook-signature' holds a secret" in result.stderr), (2, True))


def main():
    files = {"current.yaml": CURRENT, "changed.yaml": CHANGED, "lower.yaml": CURRENT.replace("amount > 10", "amount > 8")}
    appliance = Appliance(TRIPLINED, TRIPLINE, SOURCE, CONFIG, files)
    with appliance:
        test_configuration()
        send_all()
        wanted = sum(len(fires(about["body"])) for about in sent.values()) + 20
        wait_for("all violations", lambda: len(appliance.violations()) == wanted)
        violations = test_queries(appliance)
        appliance.kill()
        test_files(violations)
        test_backtest(violations)
        appliance.start()
        test_queries(appliance)
    print(f"{len(sent)} webhooks and {len(violations)} violations know each other")


enter_namespace("TRIPLINE_WEBHOOK_AUDIT_TEST")
main()
