"""The requests of the crash tests: webhooks of every durability, signed ones that may be sent again, and spans. Each has a name of its
own that comes back as the message of its violation."""
import base64
import hashlib
import hmac
import itertools
import json
import os
import struct
import time
from dataclasses import dataclass

KEY = b"0123456789abcdef01234567"
BIG = {"big": 6, "huge": 60}  # kinds that violate so many rules more, by some 3.6 KB each
FILL = "x" * 3500
SECRETS = f"secrets: [{{id: k1, secret: whsec_{base64.b64encode(KEY).decode()}}}]"
SOURCES = f"""webhooks:
  sources:
    - {{name: orders, kind: json}}
    - {{name: signed, kind: standard-webhooks, {SECRETS}}}
    - {{name: balanced, kind: standard-webhooks, durability: balanced, {SECRETS}}}
    - {{name: relaxed, kind: json, durability: relaxed}}
"""
RULES = """rules:
  - {name: order, on: webhook, if: body.order.amount > 10000, message: "${body.order.id}"}
  - {name: span, on: span, if: span.amount > 10000, message: "${span.order}"}
""" + "".join(f'  - {{name: big-{i}, on: webhook, if: body.big > {i}, message: "${{body.order.id}} ${{body.fill}}"}}\n' for i in range(max(BIG.values())))


@dataclass
class Request:
    kind: str
    name: str
    port: int
    data: bytes
    body_sha256: bytes = b""  # of webhooks
    first_answer: bytes = None  # of a request that is sent again, where it is known


def http_request(port, path, body, headers):
    lines = [f"POST {path} HTTP/1.1", "Host: 10.86.0.2", f"Content-Length: {len(body)}", *(f"{key}: {value}" for key, value in headers.items())]
    return port, "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def order_body(kind, name):
    filled = {"big": BIG[kind], "fill": FILL} if kind in BIG else {}
    return json.dumps({"order": {"id": name, "amount": 50000, "currency": "EUR"}, **filled}).encode()


def webhook(kind, name, source):
    body = order_body(kind, name)
    port, data = http_request(8080, f"/webhook/{source}", body, {"Content-Type": "application/json"})
    return Request(kind, name, port, data, hashlib.sha256(body).digest())


def signed_webhook(kind, name, first_answer=None):
    body, now, source = order_body(kind, name), str(int(time.time())), SIGNED[kind]
    mac = hmac.new(KEY, f"{name}.{now}.".encode() + body, hashlib.sha256).digest()
    port, data = http_request(8080, f"/webhook/{source}", body, {
        "Content-Type": "application/json", "webhook-id": name, "webhook-timestamp": now, "webhook-signature": "v1," + base64.b64encode(mac).decode()})
    return Request(kind, name, port, data, hashlib.sha256(body).digest(), first_answer)


def field(number, payload):
    return bytes([number << 3 | 2, len(payload) & 127 | 128, len(payload) >> 7]) + payload


def attribute(key, value):
    encoded = field(1, value.encode()) if isinstance(value, str) else b"\x18" + bytes([value & 127 | 128, value >> 7 & 127 | 128, value >> 14])
    return field(9, field(1, key.encode()) + field(2, encoded))


def span_protobuf(kind, name):
    start = time.time_ns()
    span = (field(1, os.urandom(16)) + field(2, os.urandom(8)) + field(5, b"pay") + b"\x39" + struct.pack("<Q", start) + b"\x41"
            + struct.pack("<Q", start + 1000) + attribute("amount", 50000) + attribute("order", name))
    return Request(kind, name, *http_request(4318, "/v1/traces", field(1, field(2, field(2, span))), {"Content-Type": "application/x-protobuf"}))


def span_json(kind, name):
    start = time.time_ns()
    span = {"traceId": os.urandom(16).hex(), "spanId": os.urandom(8).hex(), "name": "pay", "startTimeUnixNano": str(start),
            "endTimeUnixNano": str(start + 1000), "attributes": [{"key": "amount", "value": {"intValue": "50000"}},
                                                                 {"key": "order", "value": {"stringValue": name}}]}
    body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).encode()
    return Request(kind, name, *http_request(4318, "/v1/traces", body, {"Content-Type": "application/json"}))


SIGNED = {"signed": "signed", "balanced": "balanced", "big": "signed", "huge": "signed"}  # may be sent again; their sources
WEBHOOKS = {"order", "relaxed", *SIGNED}
MAKERS = {
    "order": lambda kind, name: webhook(kind, name, "orders"),
    "relaxed": lambda kind, name: webhook(kind, name, "relaxed"),
    **dict.fromkeys(SIGNED, signed_webhook),
    "span-protobuf": span_protobuf,
    "span-json": span_json,
}


def rules_of(kind):
    """Which rules a request of this kind trips."""
    if kind not in WEBHOOKS:
        return {"span"}
    return {"order", *(f"big-{i}" for i in range(BIG.get(kind, 0)))}


def requests(kind, prefix, first=()):
    """Without end: first those to be sent again, then new ones."""
    yield from first
    for number in itertools.count():
        yield MAKERS[kind](kind, f"{prefix}-{number}")
