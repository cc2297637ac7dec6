"""kill -9 under load: what was answered as durable - webhooks, signed webhooks, spans - has its violation after the restart, none
twice; a signed webhook takes effect once over any number of restarts and gets its first answer again; LSNs only grow.

usage: test_kill.py TRIPLINED TRIPLINE SOURCE ROUNDS. Runs in a network namespace of its own.
"""
import base64
import hashlib
import hmac
import http.client
import json
import os
import random
import struct
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from appliance_process import Appliance, enter_namespace  # noqa: E402

TRIPLINED, TRIPLINE, SOURCE = (os.path.abspath(path) for path in sys.argv[1:4])
ROUNDS = int(sys.argv[4])
KEY = b"0123456789abcdef01234567"
CONFIG = f"""rules: {{files: [rules.yaml]}}
journal: {{segment_bytes: 4MiB}}
listeners: {{otlp_http: {{acknowledge: durable}}}}
webhooks:
  sources:
    - {{name: orders, kind: json}}
    - {{name: signed, kind: standard-webhooks, secrets: [{{id: k1, secret: whsec_{base64.b64encode(KEY).decode()}}}]}}
"""
RULES = """rules:
  - name: order
    on: webhook
    if: body.order.amount > 10000
    message: "${body.order.id}"
  - name: span
    on: span
    if: span.amount > 10000
    message: "${span.order}"
"""


def order_body(name):
    return json.dumps({"order": {"id": name, "amount": 50000, "currency": "EUR"}}).encode()


def plain_order(name):
    return 8080, "/webhook/orders", order_body(name), {"Content-Type": "application/json"}


def signed_order(name):
    body, now = order_body(name), str(int(time.time()))
    mac = hmac.new(KEY, name.encode() + b"." + now.encode() + b"." + body, hashlib.sha256).digest()
    return 8080, "/webhook/signed", body, {"Content-Type": "application/json", "webhook-id": name, "webhook-timestamp": now,
                                           "webhook-signature": "v1," + base64.b64encode(mac).decode()}


def field(number, payload):
    return bytes([number << 3 | 2, len(payload) & 127 | 128, len(payload) >> 7]) + payload


def attribute(key, value):
    encoded = field(1, value.encode()) if isinstance(value, str) else b"\x18" + bytes([value & 127 | 128, value >> 7 & 127 | 128,
                                                                                       value >> 14])
    return field(9, field(1, key.encode()) + field(2, encoded))


def span_protobuf(name):
    start = time.time_ns()
    span = (field(1, os.urandom(16)) + field(2, os.urandom(8)) + field(5, b"pay") + b"\x39" + struct.pack("<Q", start) + b"\x41"
            + struct.pack("<Q", start + 1000) + attribute("amount", 50000) + attribute("order", name))
    return 4318, "/v1/traces", field(1, field(2, field(2, span))), {"Content-Type": "application/x-protobuf"}


def span_json(name):
    start = time.time_ns()
    span = {"traceId": os.urandom(16).hex(), "spanId": os.urandom(8).hex(), "name": "pay", "startTimeUnixNano": str(start),
            "endTimeUnixNano": str(start + 1000), "attributes": [{"key": "amount", "value": {"intValue": "50000"}},
                                                                 {"key": "order", "value": {"stringValue": name}}]}
    body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).encode()
    return 4318, "/v1/traces", body, {"Content-Type": "application/json"}


class Sender(threading.Thread):
    """One request after the other on one connection; what was answered 200 is acknowledged, with the answer's body."""

    def __init__(self, make, prefix):
        super().__init__()
        self.make, self.prefix, self.stopped = make, prefix, threading.Event()
        self.acknowledged, self.in_flight = {}, None

    def run(self):
        number = 0
        while not self.stopped.is_set():
            try:
                connection = None
                while not self.stopped.is_set():
                    name = f"{self.prefix}-{number}"
                    number += 1
                    port, path, body, headers = self.make(name)
                    connection = connection or http.client.HTTPConnection("10.86.0.2", port, timeout=2)
                    self.in_flight = name
                    connection.request("POST", path, body, headers)
                    answer = connection.getresponse()
                    text = answer.read()
                    if answer.status == 200:
                        self.acknowledged[name] = text
            except (OSError, http.client.HTTPException):
                time.sleep(0.01)


def check(appliance, acknowledged, round_number):
    found = appliance.violations()
    names = [violation["message"] for violation in found]
    identities = [violation["id"] for violation in found]
    lsns = [violation["lsn"] for violation in found]
    missing = acknowledged - set(names)
    if missing:
        sys.exit(f"round {round_number}: {len(missing)} acknowledged requests are lost, such as {sorted(missing)[:3]}")
    if len(set(identities)) != len(identities) or len(set(names)) != len(names):
        sys.exit(f"round {round_number}: a violation is there twice")
    if lsns != sorted(lsns, reverse=True) or len(set(lsns)) != len(lsns):
        sys.exit(f"round {round_number}: the LSNs do not grow")
    return len(found)


def replay(signed, round_number):
    """Signed webhooks of the round before, and those whose answer the kill swallowed, are sent again."""
    for name, first_answer in signed.items():
        port, path, body, headers = signed_order(name)
        connection = http.client.HTTPConnection("10.86.0.2", port, timeout=5)
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        if answer.status != 200 or (first_answer is not None and text != first_answer):
            sys.exit(f"round {round_number}: {name} sent again: {answer.status} {text}, first {first_answer}")


def load(appliance, round_number, chance):
    makers = [plain_order, plain_order, signed_order, signed_order, span_protobuf, span_protobuf, span_json]
    senders = [Sender(make, f"{make.__name__}-{round_number}-{index}") for index, make in enumerate(makers)]
    for sender in senders:
        sender.start()
    time.sleep(chance.uniform(0.05, 0.6))
    appliance.kill()
    for sender in senders:
        sender.stopped.set()
    for sender in senders:
        sender.join()
    return senders


def main():
    seed = int.from_bytes(os.urandom(4), "little")
    print("seed", seed)
    chance = random.Random(seed)
    acknowledged, again, counts = set(), {}, {}
    with Appliance(TRIPLINED, TRIPLINE, SOURCE, CONFIG, {"rules.yaml": RULES}) as appliance:
        for round_number in range(1, ROUNDS + 1):
            check(appliance, acknowledged, round_number)
            replay(again, round_number)
            acknowledged |= set(again)
            senders = load(appliance, round_number, chance)
            again = {}
            for sender in senders:
                acknowledged |= set(sender.acknowledged)
                kind = sender.make.__name__
                counts[kind] = counts.get(kind, 0) + len(sender.acknowledged)
                if sender.make is signed_order:
                    again |= dict(list(sender.acknowledged.items())[-20:])
                    if sender.in_flight not in sender.acknowledged and sender.in_flight:
                        again[sender.in_flight] = None
            appliance.start()
        replay(again, ROUNDS)
        total = check(appliance, acknowledged, ROUNDS)
    if not all(counts.values()):
        sys.exit(f"nothing was acknowledged: {counts}")
    print(f"{ROUNDS} rounds of kill -9: acknowledged {counts}, {total} violations durable, 0 lost, 0 twice")


enter_namespace("TRIPLINE_CRASH")
main()
